// $readmemh files: one element per line, two's complement at the tensor's bit width, ceil(bits / 4)
// lower-case hexadecimal digits. `<file>.json` beside it holds what the text cannot say:
// {"name", "shape", "dtype", "bits", "signed"}.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::io {

struct Memh {
  std::string name;  // empty without a sidecar
  int bits = 0;
  bool is_signed = false;
  bool has_sidecar = false;
  IntTensor tensor;
};

// bits in 1..64, every element within the range of `bits` and the dtype's sign (else
// InternalError). Writes the sidecar too. Throws InputError on file errors.
void WriteMemh(const std::filesystem::path& path, std::string_view name, const IntTensor& tensor,
               int bits);
// At the storage type's own width.
void WriteMemh(const std::filesystem::path& path, std::string_view name, const IntTensor& tensor);

// Without a sidecar: a flat vector of unsigned numbers, 4 bits per digit of the first line, at most
// 15 digits. `//` comments and blank lines are skipped; addresses (@), x and z are errors. Throws
// InputError with file:line.
Memh ReadMemh(const std::filesystem::path& path);

}  // namespace qsim::io
