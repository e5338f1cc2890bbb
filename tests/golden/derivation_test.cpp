// Every golden operation against its second derivation.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::derivation {
namespace {

constexpr std::string_view kPinnedDigest =
    "5c84d6a7429f53f9b56b560cfa85c2612aa1e4067ed7bf40ee66b6946bb4015b";

class Derivation : public ::testing::TestWithParam<Battery> {};

TEST_P(Derivation, EqualsTheGoldenOperation) {
  const qsim::testing::SeededRandom seed(kSelftestSeed);
  Comparison comparison(seed.seed());
  GetParam().run(comparison);
  EXPECT_GE(comparison.compared(), 1000);
  EXPECT_EQ(comparison.mismatches(), 0) << comparison.first_mismatch();
}

INSTANTIATE_TEST_SUITE_P(Every, Derivation, ::testing::ValuesIn(AllBatteries()),
                         [](const ::testing::TestParamInfo<Battery>& battery) {
                           return std::string(battery.param.operation) + "_" +
                                  std::string(battery.param.scheme);
                         });

// Pinned, so that every compiler and build type that runs the tests is held to the same results.
// A change of an operation or of a battery changes it: `qsim selftest` prints the new one.
TEST(Selftest, TheDigestIsThatOfEveryBuild) {
  EXPECT_EQ(DigestOf(RunBatteries(kSelftestSeed)), kPinnedDigest);
}

}  // namespace
}  // namespace qsim::derivation
