// Every golden operation against its second derivation.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/derivation/batteries.h"
#include "tests/test_support.h"

namespace qsim::derivation {
namespace {

class Derivation : public ::testing::TestWithParam<Battery> {};

TEST_P(Derivation, EqualsTheGoldenOperation) {
  const qsim::testing::SeededRandom seed(20261121);
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

}  // namespace
}  // namespace qsim::derivation
