#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "golden/program/checker.h"
#include "golden/program/program.h"

namespace qsim::golden {
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
  for (std::size_t i = 0; i < info.length_axes.size(); ++i) {
    const std::int64_t axis = info.length_axes[i];
    checker.Require(axis >= (i == 0 ? 0 : info.length_axes[i - 1] + 1) &&
                        axis < static_cast<std::int64_t>(info.shape.size()),
                    "length_axes must be axes, in order");
    checker.Require(info.shape[static_cast<std::size_t>(axis)] == program.MaxLength(),
                    "has another length than the program's");
  }
  checker.Require(info.range.qmin < info.range.qmax, "has an empty range");
  const int bits = std::min(BitsOf(info.dtype), 32);  // wider ones hold no tensor of a program
  const std::int64_t lowest = IsSigned(info.dtype) ? -(std::int64_t{1} << (bits - 1)) : 0;
  const std::int64_t highest = lowest + ((std::int64_t{1} << bits) - 1);
  checker.Require(
      BitsOf(info.dtype) == bits && info.range.qmin >= lowest && info.range.qmax <= highest,
      "has a range that its type " + std::string(Name(info.dtype)) + " cannot hold");
}

void CheckCarried(const Program& program, const Carried& carried) {
  const Checker checker(program, "carried '" + carried.input + "'");
  const TensorInfo& from = checker.Tensor(carried.output);
  const TensorInfo& to = checker.Tensor(carried.input);
  checker.Require(from.shape == to.shape && to.length_axes.empty() && from.length_axes.empty(),
                  "'" + carried.output + "' has another shape, or a run-time length");
  checker.RequireSameCodes(carried.output, carried.input);
  const IntTensor& initial = program.Constant(carried.initial);
  checker.Require(initial.shape() == to.shape && initial.dtype() == to.dtype,
                  "'" + carried.initial + "' has another shape or type");
  for (std::int64_t i = 0; i < initial.size(); ++i) {
    checker.Require(initial.At(i) >= to.range.qmin && initial.At(i) <= to.range.qmax,
                    "'" + carried.initial + "' leaves the range");
  }
}

void CheckProgram(const Program& program) {
  std::set<std::string> names, defined;
  for (const TensorInfo& info : program.tensors) CheckTensor(program, info, names);
  const auto define = [&](const std::string& name) {
    const Checker checker(program, "input '" + name + "'");
    program.Tensor(name);
    checker.Require(defined.insert(name).second, "is listed twice");
  };
  for (const std::string& name : program.inputs) define(name);
  for (const Carried& carried : program.carried) define(carried.input);
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
  for (const Carried& carried : program.carried) {
    const Checker checker(program, "carried '" + carried.input + "'");
    checker.Require(defined.contains(carried.output), "'" + carried.output + "' is never computed");
    CheckCarried(program, carried);
  }
}

}  // namespace

void Validate(const Program& program) {
  CheckProgram(program);
  if (program.MaxLength() <= 1) return;
  Program shortest = program;
  for (TensorInfo& info : shortest.tensors) info = AtLength(info, 1);
  try {
    CheckProgram(shortest);
  } catch (const ProgramError& error) {
    throw ProgramError(std::string("at length 1: ") + error.what());
  }
}

}  // namespace qsim::golden
