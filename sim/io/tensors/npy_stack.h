// A .npy file [N, ...] whose N parts are written in any order: for results that do not fit in
// memory together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "golden/program/tensor.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::io {

// Not atomic: for files within an OutputDirectory. The file is complete when every part has been
// written; parts may be written by several threads at once. Throws InputError: no permission, disk
// full.
class NpyStack {
 public:
  // Creates the file for `count` tensors of the type and shape of `like`.
  NpyStack(std::filesystem::path path, std::int64_t count, const IntTensor& like);
  NpyStack(std::filesystem::path path, std::int64_t count, const FloatTensor& like);

  // `part` has the type and shape of `like`; index in 0..count-1.
  void Write(std::int64_t index, const IntTensor& part) const;
  void Write(std::int64_t index, const FloatTensor& part) const;

 private:
  void Create(const std::string& descr, std::int64_t count, Shape shape);
  void WriteAt(std::size_t offset, const void* data, std::size_t bytes, int open_flags) const;

  std::filesystem::path path_;
  std::size_t data_offset_ = 0;
};

}  // namespace qsim::io
