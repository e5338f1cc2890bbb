// What is printed and cannot be written is not a success, for any command; a reader who has read
// enough is none of qsim's business.
#include <csignal>

#include "tests/cli/help.h"

namespace qsim::testing {
namespace {

constexpr const char* kLost = "qsim: standard output cannot be written (disk full?)";

class StandardOutput : public ::testing::Test {
 protected:
  ~StandardOutput() override {
    if (full_ >= 0) ::close(full_);
  }
  // Whatever a command notes before, it fails for no other reason.
  void ExpectLost(const std::vector<std::string>& words) const {
    SCOPED_TRACE(::testing::PrintToString(words));
    const ProcessResult result = RunQsim(words, sandbox_.path(), full_);
    EXPECT_EQ(result.exit_status, 2);
    const std::vector<std::string> lines = Lines(result.err);
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines.back(), kLost) << result.err;
  }

  TempDir sandbox_;
  int full_ = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
};

TEST_F(StandardOutput, ThatIsLostFailsEveryCommand) {
  if (full_ < 0) GTEST_SKIP() << "no /dev/full here";
  const std::string config = (kSourceDir / "configs" / "w8a8-per_tensor.yaml").string();
  const std::string input = (kSourceDir / "vectors").string();
  ASSERT_EQ(RunQsim({"calibrate", "--config", config, "--input", input, "--images", "1", "--output",
                     "bundle"},
                    sandbox_.path())
                .exit_status,
            0);
  ASSERT_EQ(
      RunQsim({"run", "--bundle", "bundle", "--rtl", "off", "--output", "run"}, sandbox_.path())
          .exit_status,
      0);
  WriteBytes(sandbox_.path() / "space.yaml",
             "axes:\n  - key: hardware.multiplier_bits\n    values: [12]\n");
  // What each takes is in its help.
  const std::map<std::string, std::string> values = {
      {"--config", config},
      {"--input", input},
      {"--space", "space.yaml"},
      {"--images", "1"},
      {"--rtl", "off"},
      {"--format", "csv"},
      {"A", "run/golden"},
      {"B", "run/golden"},
      {"RESULT", "bundle"},
      {"DIR", (kSourceDir / "tests/conform/cases/attention/ita_mha/one_pass_relu").string()}};
  ExpectLost({"--help"});
  ExpectLost({"--version"});
  const std::vector<std::string> commands = CommandsInHelp();
  EXPECT_GT(commands.size(), 10u);
  for (const std::string& command : commands) {
    ExpectLost({command, "--help"});
    std::vector<std::string> words = {command};
    bool model = false, bundle = false;
    for (const HelpEntry& entry : ValuesInHelp(command)) {
      model |= entry.name == "--config";
      bundle |= entry.name == "--bundle";
      const auto value = values.find(entry.name);
      if (value == values.end()) continue;
      if (entry.name.starts_with("--")) words.push_back(entry.name);
      words.push_back(value->second);
    }
    if (bundle && !model) words.insert(words.end(), {"--bundle", "bundle"});
    ExpectLost(words);
  }
}

TEST_F(StandardOutput, ThatIsClosedIsLost) {
  const ProcessResult result =
      RunProgram("/bin/sh", {"-c", "exec \"$0\" --version >&-", QSIM_BINARY}, sandbox_.path());
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_EQ(result.err, kLost + std::string("\n"));
}

TEST_F(StandardOutput, ThatNobodyReadsEndsQuietly) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::close(ends[0]);
  for (const bool ignored : {false, true}) {
    const auto before = std::signal(SIGPIPE, ignored ? SIG_IGN : SIG_DFL);  // is inherited
    const ProcessResult result = RunQsim({"--help"}, sandbox_.path(), ends[1]);
    std::signal(SIGPIPE, before);
    EXPECT_EQ(result.exit_status, 128 + SIGPIPE);
    EXPECT_EQ(result.err, "");
  }
  ::close(ends[1]);
}

}  // namespace
}  // namespace qsim::testing
