// A .npy file [N, ...] whose N parts, or pieces of them, are written in any order: for results that
// do not fit in memory together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "golden/program/tensor.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::io {

// Not atomic: for files within an OutputDirectory. What is not written is 0. Parts may be written
// by several threads at once. Throws InputError: no permission, disk full.
class NpyStack {
 public:
  // Creates the file for `count` tensors of the type of `like` and this shape.
  NpyStack(std::filesystem::path path, std::int64_t count, const IntTensor& like, Shape shape);
  NpyStack(std::filesystem::path path, std::int64_t count, const FloatTensor& like, Shape shape);

  // `part` has the type of `like`, and is the elements from `element` on of tensor `index`.
  void Write(std::int64_t index, const IntTensor& part, std::int64_t element = 0) const;
  void Write(std::int64_t index, const FloatTensor& part, std::int64_t element = 0) const;

 private:
  void Create(const std::string& descr, std::int64_t count, Shape shape, std::size_t width);
  void WriteAt(std::size_t offset, const void* data, std::size_t bytes, int open_flags) const;
  std::size_t OffsetOf(std::int64_t index, std::int64_t element, std::size_t width) const;

  std::filesystem::path path_;
  std::size_t data_offset_ = 0;
  std::size_t each_ = 0;  // elements of a part
};

}  // namespace qsim::io
