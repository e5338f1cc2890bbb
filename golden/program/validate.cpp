#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "golden/program/checker.h"
#include "golden/program/program.h"

namespace qsim {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 31;

void CheckTensor(const Program& program, const TensorInfo& info, std::set<std::string>& names) {
  const Checker checker(program, "tensor '" + info.name + "'");
  checker.Require(names.insert(info.name).second, "is defined twice");
  checker.Require(!info.shape.empty(), "must have a dimension");
  std::int64_t elements = 1;
  for (const std::int64_t dim : info.shape) {
    checker.Require(dim >= 1 && dim <= kMaxElements / elements, "has an impossible shape");
    elements *= dim;
  }
  checker.Require(info.range.qmin < info.range.qmax, "has an empty range");
  const int bits = BitsOf(info.dtype);
  const std::int64_t lowest = IsSigned(info.dtype) ? -(std::int64_t{1} << (bits - 1)) : 0;
  const std::int64_t highest = lowest + ((std::int64_t{1} << std::min(bits, 32)) - 1);
  checker.Require(bits <= 32 && info.range.qmin >= lowest && info.range.qmax <= highest,
                  "has a range that its type " + std::string(Name(info.dtype)) + " cannot hold");
}

}  // namespace

void Validate(const Program& program) {
  std::set<std::string> names, defined;
  for (const TensorInfo& info : program.tensors) CheckTensor(program, info, names);
  for (const std::string& name : program.inputs) {
    const Checker checker(program, "input '" + name + "'");
    program.Tensor(name);
    checker.Require(defined.insert(name).second, "is listed twice");
  }
  for (const Op& op : program.ops) {
    const std::string& output = OutputOf(op);
    const Checker checker(program, std::string(KindName(op)) + " '" + output + "'");
    program.Tensor(output);
    for (const std::string& input : InputsOf(op)) {
      checker.Require(defined.contains(input), "uses '" + input + "' before it is computed");
    }
    std::visit([&](const auto& o) { o.Check(checker); }, op);
    checker.Require(defined.insert(output).second, "is computed twice");
  }
}

}  // namespace qsim
