// The requantizers against outputs of their authors' own code, and on backends.
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "sim/error.h"
#include "tests/conform/run_cases.h"

namespace qsim {
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

}  // namespace
}  // namespace qsim
