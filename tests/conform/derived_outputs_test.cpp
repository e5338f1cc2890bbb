// The second derivation against outputs of other projects' own code: it, too, must give every
// element.
#include "tests/conform/derived_outputs.h"

#include <gtest/gtest.h>

#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

class DerivedCases : public ::testing::TestWithParam<const char*> {};

TEST_P(DerivedCases, EveryElementIsEqual) {
  const std::optional<std::filesystem::path> shared = testing::SharedDir();
  if (!shared) GTEST_SKIP() << "no conformance data";
  for (const std::filesystem::path& dir : FindConformCases(*shared / "conformance" / GetParam())) {
    const ConformCase c = ConformCase::Load(dir);
    const ConformCount count = CompareOutputs(c, testing::DerivedOutputs(c));
    EXPECT_EQ(count.mismatches, 0) << count.first_mismatch;
    EXPECT_GT(count.elements, 0) << dir;
  }
}

INSTANTIATE_TEST_SUITE_P(Every, DerivedCases,
                         ::testing::Values("requant", "matmul_requant", "softmax", "layernorm",
                                           "gelu", "attention", "observer"),
                         [](const auto& op) { return std::string(op.param); });

TEST(ShippedCases, EveryAlgorithmHasOne) {
  int algorithms = 0;
  for (const auto family :
       {RequantAlgorithms, MatmulRequantAlgorithms, SoftmaxAlgorithms, LayernormAlgorithms,
        GeluAlgorithms, AttentionAlgorithms, ObserverAlgorithms}) {
    for (const ConformAlgorithm& entry : family()) {
      const std::filesystem::path dir = std::filesystem::path(QSIM_SOURCE_DIR) /
                                        "tests/conform/cases" / entry.op / entry.algorithm;
      EXPECT_TRUE(std::filesystem::is_directory(dir)) << dir;
      ++algorithms;
    }
  }
  EXPECT_GE(algorithms, 37);
}

}  // namespace
}  // namespace qsim::testing
