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
    "0c7de2c78e72a7d803998c3500a670fbcb87f6698440fa2a298e145eaaa2b497";

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
