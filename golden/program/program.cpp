#include "golden/program/program.h"

#include <algorithm>
#include <array>

namespace qsim {

std::string_view KindName(const Op& op) {
  static constexpr std::array<std::string_view, std::variant_size_v<Op>> kNames = {
      "gemm",         "matmul",   "requantize", "softmax", "layernorm",
      "residual_add", "patchify", "embed",      "gelu",    "add"};
  return kNames[op.index()];
}

const std::string& OutputOf(const Op& op) {
  return std::visit([](const auto& o) -> const std::string& { return o.output; }, op);
}

namespace {

struct InputNames {
  std::vector<std::string> operator()(const MatmulOp& op) const { return {op.lhs, op.rhs}; }
  std::vector<std::string> operator()(const ResidualAddOp& op) const { return {op.a, op.b}; }
  std::vector<std::string> operator()(const EmbedOp& op) const { return {op.a}; }
  std::vector<std::string> operator()(const AddOp& op) const {
    if (op.b.empty()) return {op.a};
    return {op.a, op.b};
  }
  template <typename UnaryOp>
  std::vector<std::string> operator()(const UnaryOp& op) const {
    return {op.input};
  }
};

}  // namespace

std::vector<std::string> InputsOf(const Op& op) { return std::visit(InputNames{}, op); }

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
