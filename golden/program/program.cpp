#include "golden/program/program.h"

#include <algorithm>

namespace qsim::golden {

TensorInfo AtLength(TensorInfo info, std::int64_t length) {
  for (const std::int64_t axis : info.length_axes) {
    if (length != 0) info.shape[static_cast<std::size_t>(axis)] = length;
  }
  return info;
}

Shape ShapeOf(const TensorInfo& info, std::int64_t elements) {
  if (info.length_axes.empty()) return info.shape;
  const std::int64_t each = std::max<std::int64_t>(1, ElementCount(AtLength(info, 1).shape));
  const std::int64_t rest = elements / each;
  std::int64_t length = info.length_axes.size() == 1 ? rest : 1;
  while (length * length < rest) ++length;
  return AtLength(info, length).shape;
}

std::int64_t Program::MaxLength() const {
  for (const TensorInfo& info : tensors) {
    if (!info.length_axes.empty())
      return info.shape.at(static_cast<std::size_t>(info.length_axes[0]));
  }
  return 0;
}

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

}  // namespace qsim::golden
