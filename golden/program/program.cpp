#include "golden/program/program.h"

#include <algorithm>

namespace qsim {

const TensorInfo* Program::FindTensor(std::string_view name) const {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const TensorInfo& Program::Tensor(std::string_view name) const {
  if (const TensorInfo* info = FindTensor(name)) return *info;
  throw ProgramError("tensor '" + std::string(name) + "' is used but not defined");
}

const IntTensor& Program::Constant(std::string_view name) const {
  const auto found = constants.find(std::string(name));
  if (found != constants.end()) return found->second;
  throw ProgramError("constant '" + std::string(name) + "' is used but not defined");
}

}  // namespace qsim
