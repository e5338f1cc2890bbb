// NumPy .npy files. Format: numpy/lib/format.py, versions 1.0 to 3.0.
//
// Read: int8, uint8, int16, uint16, int32, int64 as IntTensor; float16, float32, float64 as
// FloatTensor. Everything else is an InputError of one line: Fortran order, big-endian, other
// dtypes, a bad header, truncated data, trailing bytes, NaN or Inf (with the first index), a
// float64 beyond float32's range. The header is checked against the file's size before anything is
// allocated.
#pragma once

#include <filesystem>
#include <variant>

#include "golden/program/tensor.h"
#include "sim/io/float_tensor.h"

namespace qsim {

using AnyTensor = std::variant<IntTensor, FloatTensor>;

AnyTensor ReadNpy(const std::filesystem::path& path);
// The same, and an InputError when the file holds the other kind.
IntTensor ReadIntNpy(const std::filesystem::path& path);
FloatTensor ReadFloatNpy(const std::filesystem::path& path);

// As ReadNpy, with floats of any width as float64, which holds all of them exactly.
using ExactTensor = std::variant<IntTensor, DoubleTensor>;
ExactTensor ReadExactNpy(const std::filesystem::path& path);

// Version 1.0, little-endian, C order, data 64-byte aligned; floats as float32. Atomic
// (atomic_file.h).
void WriteNpy(const std::filesystem::path& path, const IntTensor& tensor);
void WriteNpy(const std::filesystem::path& path, const FloatTensor& tensor);

}  // namespace qsim
