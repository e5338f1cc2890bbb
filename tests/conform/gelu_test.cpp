// The GELU families against outputs of their authors' own code.
#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

class GeluCases : public ::testing::TestWithParam<const char*> {};

TEST_P(GeluCases, EveryElementIsEqual) { testing::ExpectCasesConform("gelu", GetParam()); }

INSTANTIATE_TEST_SUITE_P(Every, GeluCases,
                         ::testing::Values("ibert", "ivit_shiftgelu", "ita", "deeploy"),
                         [](const auto& algorithm) { return std::string(algorithm.param); });

}  // namespace
}  // namespace qsim::testing
