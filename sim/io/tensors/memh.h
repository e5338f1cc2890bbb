// Memory files of Verilog: what $readmemh reads, and what $writememh and other tools write.
// docs/formats.md, "Vectors for RTL". `<file>.json` beside one holds what the text cannot say.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::io {

// What the words of a file stand for.
struct WordForm {
  Shape shape;  // without axes: flat, as many elements as there are
  DType dtype = DType::kInt64;
  int bits = 0;  // of an element; 0: as the digits say
  bool is_signed = true;
  std::int64_t lanes = 0;  // elements in a word; 0: as many as the words need for the shape
  bool high_lane_first = false;
};

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

// What the sidecar says; nothing without one. Throws InputError.
std::optional<WordForm> SidecarForm(const std::filesystem::path& path);

// The sidecar's form, where there is one, must fit. Without one, `form` is a guess from elsewhere:
// where the number of elements contradicts it the result is flat, and where a word holds more than
// its width the result is as wide as the digits. Without either, a flat vector of unsigned numbers.
// Throws InputError with file:line.
Memh ReadMemh(const std::filesystem::path& path, const std::optional<WordForm>& form = {});

}  // namespace qsim::io
