// NumPy .npy files. Format: numpy/lib/format.py, versions 1.0 to 3.0.
//
// Read: integers as IntTensor (booleans as uint8; uint32 and uint64 as int64); float16, float32,
// float64 as FloatTensor; either byte order, C and Fortran order. Everything else is an InputError
// of one line: other dtypes, a bad header, truncated data, trailing bytes, NaN or Inf (with the
// first index), a float64 beyond float32's range. The header is checked against the file's size
// before anything is allocated.
#pragma once

#include <filesystem>
#include <optional>
#include <variant>

#include "golden/program/tensor.h"
#include "sim/io/files/input_file.h"
#include "sim/io/tensors/float_tensor.h"
#include "sim/io/tensors/npy_header.h"

namespace qsim::io {

using AnyTensor = std::variant<IntTensor, FloatTensor>;
using ExactTensor = std::variant<IntTensor, DoubleTensor>;

AnyTensor ReadNpy(const std::filesystem::path& path);

// A file whose header and size have been checked, to be read in pieces.
class NpyReader {
 public:
  // Throws InputError as above, but for NaN and Inf.
  explicit NpyReader(const std::filesystem::path& path) : NpyReader(InputFile(path)) {}
  explicit NpyReader(InputFile file);

  const std::filesystem::path& path() const { return file_.path(); }
  const Shape& shape() const { return header_.shape; }
  // Absent for floats.
  const std::optional<DType>& dtype() const { return dtype_; }

  // The whole, or the slices [first, first + count) of the first axis, which must exist. May be
  // called from several threads at once. Throws InputError: NaN or Inf, with the index in the file.
  AnyTensor Read() const;
  AnyTensor Read(std::int64_t first, std::int64_t count) const;
  // The whole, floats as float64.
  ExactTensor ReadExact() const;

 private:
  InputFile file_;
  NpyHeader header_;
  std::optional<DType> dtype_;
};

// The one or the other; an InputError names the file when the tensor is of the other kind.
IntTensor AsInts(AnyTensor any, const std::filesystem::path& path);
FloatTensor AsFloats(AnyTensor any, const std::filesystem::path& path);
// As ReadNpy, and an InputError when the file holds the other kind.
IntTensor ReadIntNpy(const std::filesystem::path& path);
IntTensor ReadIntNpy(InputFile file);
FloatTensor ReadFloatNpy(const std::filesystem::path& path);

// As ReadNpy, with floats of any width as float64, which holds all of them exactly.
ExactTensor ReadExactNpy(InputFile file);

// Version 1.0, little-endian, C order, data 64-byte aligned; floats as float32. Atomic
// (atomic_file.h).
void WriteNpy(const std::filesystem::path& path, const IntTensor& tensor);
void WriteNpy(const std::filesystem::path& path, const FloatTensor& tensor);

}  // namespace qsim::io
