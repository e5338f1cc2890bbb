// The same test on every instruction set that the machine has and the build knows.
#pragma once

#include <gtest/gtest.h>

#include <hwy/targets.h>
#include <cstdint>

namespace qsim::testing {

template <typename Test>
void OnEveryTarget(Test test) {
  const std::int64_t all = hwy::SupportedTargets();
  int ran = 0;
  for (std::int64_t left = all; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(hwy::TargetName(target));
    test();
    ++ran;
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  EXPECT_EQ(hwy::SupportedTargets(), all);
  EXPECT_GT(ran, 1) << "no vectors on this machine";
}

}  // namespace qsim::testing
