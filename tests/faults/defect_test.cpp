// Exit status 3 is a defect of qsim's, and nothing else is; no catch-all makes one an input's
// error.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

using ::testing::StartsWith;

TEST(Defect, ExitsWithThree) {
  const std::map<std::string, int> statuses = {{"none", 0},   {"invariant", 3}, {"logic", 3},
                                               {"range", 3},  {"map", 3},       {"runtime", 3},
                                               {"memory", 2}, {"input", 2},     {"file", 2}};
  const TempDir directory;
  for (const auto& [defect, status] : statuses) {
    ::setenv("QSIM_DEFECT", defect.c_str(), 1);
    const ProcessResult result = RunProgram(QSIM_WITH_DEFECT, {"selftest"}, directory.path());
    ::unsetenv("QSIM_DEFECT");
    EXPECT_EQ(result.exit_status, status) << defect << result.err;
    if (status == 0) continue;
    EXPECT_EQ(Lines(result.err).size(), 1u) << result.err;
    EXPECT_THAT(result.err, StartsWith(status == 3 ? "qsim: defect: " : "qsim: ")) << defect;
  }
}

}  // namespace
}  // namespace qsim::testing
