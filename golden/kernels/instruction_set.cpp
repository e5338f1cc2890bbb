#include "golden/kernels/instruction_set.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "golden/ops/require.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "golden/kernels/instruction_set.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::golden::kernels {
namespace HWY_NAMESPACE {
// What a kernel that is called now was compiled for.
std::int64_t TargetOf() { return HWY_TARGET; }
}  // namespace HWY_NAMESPACE
}  // namespace qsim::golden::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::golden::kernels {
HWY_EXPORT(TargetOf);
namespace {

struct Named {
  std::int64_t target;
  std::string_view name;
};
constexpr Named kNamed[] = {
    {HWY_AVX3_DL, "avx512_vnni"}, {HWY_AVX3, "avx512"}, {HWY_AVX2, "avx2"},
    {HWY_SSE4, "sse4"},           {HWY_NEON, "neon"},   {HWY_EMU128, "portable"},
};

const std::int64_t kMachine = hwy::SupportedTargets() | HWY_EMU128;

}  // namespace

std::vector<std::string_view> InstructionSets() {
  std::vector<std::string_view> names;
  for (const Named& set : kNamed) {
    if ((set.target & kMachine & HWY_TARGETS) != 0) names.push_back(set.name);
  }
  return names;
}

std::string_view InstructionSet() {
  const std::int64_t target = HWY_DYNAMIC_DISPATCH(TargetOf)();
  return std::find_if(std::begin(kNamed), std::prev(std::end(kNamed)),
                      [&](const Named& set) { return set.target == target; })
      ->name;
}

void UseInstructionSet(std::string_view name) {
  const std::vector<std::string_view> possible = InstructionSets();
  Require(std::find(possible.begin(), possible.end(), name) != possible.end(),
          "no instruction set of this machine has that name");
  const auto* const set =
      std::find_if(std::begin(kNamed), std::end(kNamed),
                   [&](const Named& candidate) { return candidate.name == name; });
  hwy::SetSupportedTargetsForTest(set->target);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace qsim::golden::kernels
#endif
