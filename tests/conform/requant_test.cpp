// The requantizers against outputs of their authors' own code, and on backends.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "sim/error.h"
#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

using testing::ExpectCasesConform;

class RequantCases : public ::testing::TestWithParam<const char*> {};

TEST_P(RequantCases, EveryElementIsEqual) { ExpectCasesConform("requant", GetParam()); }

INSTANTIATE_TEST_SUITE_P(Every, RequantCases,
                         ::testing::Values("tflite_double_rounding", "tflite_single_rounding",
                                           "cmsisnn_s64", "tosa_scale32", "tosa_scale16", "ita",
                                           "ita_rtl", "deeploy_requantshift", "ibert_dyadic"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

class MatmulRequantCases : public ::testing::TestWithParam<const char*> {};

TEST_P(MatmulRequantCases, EveryElementIsEqual) {
  ExpectCasesConform("matmul_requant", GetParam());
}

INSTANTIATE_TEST_SUITE_P(Every, MatmulRequantCases,
                         ::testing::Values("cmsisnn_fully_connected_s8", "cmsisnn_fc_per_ch",
                                           "cmsisnn_batch_matmul_s8"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

// What a family hands to the RTL, run by the golden backend: the same operands, schemes and shifts.
// Returns how many cases fit the RTL's ports.
int ExpectPortsConform(std::string_view op, std::string_view algorithm) {
  const ConformAlgorithm* entry = FindConformAlgorithm(op, algorithm);
  EXPECT_NE(entry, nullptr);
  EXPECT_NE(entry->rtl, nullptr);
  GoldenBackend backend;
  int cases = 0;
  for (const std::filesystem::path& dir : testing::CaseDirs(op, algorithm)) {
    const ConformCase c = ConformCase::Load(dir);
    const std::optional<CaseTensors> computed = entry->rtl(c, backend);
    if (!computed) continue;
    const ConformCount count = CompareOutputs(c, *computed);
    EXPECT_EQ(count.mismatches, 0) << count.first_mismatch;
    ++cases;
  }
  return cases;
}

TEST(RequantPorts, CasesThatFitThemAreEqual) {
  if (testing::CaseDirs("requant", "ita").empty()) GTEST_SKIP() << "no conformance data";
  EXPECT_EQ(ExpectPortsConform("requant", "tflite_double_rounding"), 6);
  EXPECT_EQ(ExpectPortsConform("requant", "tflite_single_rounding"), 6);
  EXPECT_EQ(ExpectPortsConform("requant", "cmsisnn_s64"), 0);
  EXPECT_EQ(ExpectPortsConform("requant", "tosa_scale32"), 10);
  EXPECT_EQ(ExpectPortsConform("requant", "tosa_scale16"), 1);
  EXPECT_EQ(ExpectPortsConform("requant", "ita"), 4);
  EXPECT_EQ(ExpectPortsConform("requant", "ita_rtl"), 1);
  EXPECT_EQ(ExpectPortsConform("requant", "deeploy_requantshift"), 6);
  EXPECT_EQ(ExpectPortsConform("requant", "ibert_dyadic"), 4);
  for (const char* algorithm :
       {"cmsisnn_fully_connected_s8", "cmsisnn_fc_per_ch", "cmsisnn_batch_matmul_s8"}) {
    EXPECT_GT(ExpectPortsConform("matmul_requant", algorithm), 0);
  }
}

}  // namespace
}  // namespace qsim::testing
