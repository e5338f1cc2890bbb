// The layer norm families against outputs of their authors' own code.
#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

class LayernormCases : public ::testing::TestWithParam<const char*> {};

TEST_P(LayernormCases, EveryElementIsEqual) {
  testing::ExpectCasesConform("layernorm", GetParam());
}

INSTANTIATE_TEST_SUITE_P(Every, LayernormCases,
                         ::testing::Values("ibert", "ivit", "fqvit", "deeploy"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

}  // namespace
}  // namespace qsim::testing
