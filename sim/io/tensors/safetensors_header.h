// The JSON header of a safetensors file, read event by event so that a hostile one costs no more
// memory than its own tensors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::io {

struct SafetensorsHeaderEntry {
  std::string name;
  std::string dtype;
  Shape shape;
  std::uint64_t begin = 0;  // data_offsets: from the end of the header
  std::uint64_t end = 0;
};

// Entries in the header's order; `__metadata__` is checked and skipped. Throws InputError naming
// `file`: not JSON, not an object, repeated or missing keys, values of the wrong type. Unknown keys
// of a tensor are skipped.
std::vector<SafetensorsHeaderEntry> ParseSafetensorsHeader(std::string_view json,
                                                           const std::string& file);

}  // namespace qsim::io
