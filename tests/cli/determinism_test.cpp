// The same bytes for every number of threads and every batch. Other compilers and optimisation
// levels: scripts/determinism.sh.
#include <gtest/gtest.h>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

using testing::FilesOf;
using testing::kSourceDir;

class Determinism : public ::testing::Test {
 protected:
  // The files of the command's output directory.
  std::map<std::string, std::string> OutputOf(std::vector<std::string> command) {
    const std::string output = "out" + std::to_string(number_++);
    command.insert(command.end(),
                   {"--config", (kSourceDir / "configs" / "attn_config.yaml").string(), "--input",
                    (kSourceDir / "vectors").string(), "--output", output});
    const testing::ProcessResult result = testing::RunQsim(command, sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return FilesOf(sandbox_.path() / output);
  }

  testing::TempDir sandbox_;
  int number_ = 0;
};

TEST_F(Determinism, Bundles) {
  const auto one = OutputOf({"calibrate", "--threads", "1"});
  EXPECT_GT(one.size(), 60u);
  for (const char* threads : {"2", "5"})
    EXPECT_EQ(OutputOf({"calibrate", "--threads", threads}), one) << threads;
}

TEST_F(Determinism, Runs) {
  const std::vector<std::string> run = {"run", "--rtl", "off", "--images", "33"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = run;
    command.insert(command.end(), more.begin(), more.end());
    return OutputOf(command);
  };
  const auto first = with({"--threads", "1", "--batch", "1"});
  EXPECT_GT(first.size(), 80u);
  // Tensors and the reports, which have sums of floats in them.
  EXPECT_EQ(with({"--threads", "2", "--batch", "3"}), first);
  EXPECT_EQ(with({"--threads", "2", "--batch", "32"}), first);
  EXPECT_EQ(with({"--threads", "1", "--batch", "32"}), first);
}

}  // namespace
}  // namespace qsim::testing
