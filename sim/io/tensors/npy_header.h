// The header of a .npy file, parsed without trusting it.
#pragma once

#include <cstdint>
#include <string>

#include "golden/program/tensor.h"
#include "sim/io/files/input_file.h"
#include "sim/namespaces.h"

namespace qsim::io {

struct NpyHeader {
  std::string descr;  // "<f4", "|u1", ...
  char kind = 'i';    // of descr: i, u, f, or b for booleans
  int bytes = 0;      // of an element
  bool big_endian = false;
  bool fortran_order = false;  // the first axis is the fastest; false where both orders are one
  Shape shape;
  std::int64_t elements = 0;
  std::uint64_t data_offset = 0;
};

// Throws InputError naming the file: not a .npy file, an unknown version, a header that is cut off
// or is not the dictionary of numpy/lib/format.py, types that are no plain numbers, negative or
// overflowing shapes.
NpyHeader ReadNpyHeader(const InputFile& file);

// "|i1", "|u1", "<i2", ...
std::string NpyDescr(DType dtype);

// The bytes before the data of a version 1.0 file, padded so that the data are 64-byte aligned.
std::string MakeNpyHeader(const std::string& descr, const Shape& shape);

}  // namespace qsim::io
