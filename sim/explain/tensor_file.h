// Integer tensors of either file format, as 64-bit values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/io/tensors/tensor_file.h"
#include "sim/namespaces.h"

namespace qsim::explain {

struct WideTensor {
  Shape shape;
  std::vector<std::int64_t> values;
  int bits = 32;  // of the storage, or of the file's digits
  bool is_signed = true;
};

WideTensor Widen(const IntTensor& tensor);

// A memory file without a sidecar is read as `form` says, or as two's complement. Throws InputError
// for another kind of file, and for a file that is missing, corrupt, empty or holds floats.
WideTensor ReadWideTensor(const std::filesystem::path& path,
                          const std::optional<WordForm>& form = {});

// "3", "1,2,3" or a file's name; at least one value, each within [lowest, highest]. `option` names
// it in errors.
std::vector<std::int64_t> ReadNumbers(const std::string& text, const std::string& option,
                                      std::int64_t lowest, std::int64_t highest);

}  // namespace qsim::explain
