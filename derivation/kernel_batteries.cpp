// The fast kernels against the specification: random instances of every operation, on every
// instruction set of this machine.
#include <array>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "derivation/arbitrary.h"
#include "derivation/batteries.h"
#include "golden/kernels/fast_backend.h"
#include "golden/kernels/instruction_set.h"

namespace qsim::derivation {
namespace {

std::vector<std::int64_t> ValuesOf(const IntTensor& tensor) {
  return std::visit(
      [](const auto& values) { return std::vector<std::int64_t>(values.begin(), values.end()); },
      tensor.storage());
}

// How many elements are compared does not depend on the machine: each with the first set that
// differs, if any does.
template <typename T>
void CompareKernels(Comparison& comparison) {
  const std::string_view own = kernels::InstructionSet();
  for (int i = 0; i < 240; ++i) {
    const Instance instance =
        Arbitrary(std::type_identity<T>(),
                  [&](std::int64_t lo, std::int64_t hi) { return comparison.Between(lo, hi); });
    const std::string& output = OutputOf(instance.program.ops.front());
    GoldenBackend golden;
    const std::vector<std::int64_t> expected =
        ValuesOf(Execute(instance.program, instance.inputs, 0, golden).at(output));
    std::vector<std::int64_t> computed = expected;
    std::string differing;
    for (const std::string_view set : kernels::InstructionSets()) {
      kernels::UseInstructionSet(set);
      FastBackend fast(instance.program);
      const auto values = ValuesOf(Execute(instance.program, instance.inputs, 0, fast).at(output));
      if (values == expected || !differing.empty()) continue;
      computed = values;
      differing = set;
    }
    comparison.Check(expected, computed,
                     [&] { return "instance " + std::to_string(i) + " on " + differing; });
  }
  kernels::UseInstructionSet(own);
}

template <typename... T>
auto BatteriesOf(const std::variant<T...>* /*all*/) {
  return std::array<Battery, sizeof...(T)>{Battery{T::kIs.kind, "kernels", CompareKernels<T>}...};
}

}  // namespace

std::span<const Battery> KernelBatteries() {
  static const auto batteries = BatteriesOf(static_cast<const Op*>(nullptr));
  return batteries;
}

}  // namespace qsim::derivation
