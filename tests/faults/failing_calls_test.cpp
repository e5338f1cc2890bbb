// Every call to the system of every writing command fails once: the result is the old one or the
// new one, nothing is left over, and the command says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <sstream>

#include "tests/faults/writing_commands.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

class FailingCalls : public ::testing::Test {
 protected:
  // With the n-th call of a kind failing; 0: with none, counted.
  ProcessResult With(const std::string& kind, std::int64_t n, int error,
                     const std::vector<std::string>& words) {
    ::setenv("LD_PRELOAD", FailingCallsLibrary(), 1);
    if (n > 0) ::setenv("QSIM_FAIL", fmt::format("{}:{}:{}", kind, n, error).c_str(), 1);
    if (n == 0) ::setenv("QSIM_CALLS", (counts_.path() / "calls").c_str(), 1);
    ProcessResult result = commands_.Run(words);
    for (const char* name : {"LD_PRELOAD", "QSIM_FAIL", "QSIM_CALLS"}) ::unsetenv(name);
    return result;
  }
  std::map<std::string, std::int64_t> CallsOf(const std::vector<std::string>& words) {
    EXPECT_EQ(With("", 0, 0, words).exit_status, 0);
    std::istringstream in(ReadBytes(counts_.path() / "calls"));
    std::map<std::string, std::int64_t> calls;
    std::string kind;
    for (std::int64_t count = 0; in >> kind >> count;) calls[kind] = count;
    return calls;
  }
  // Some of 1..count: the first, the last, and as many between as the share says.
  static std::vector<std::int64_t> Chosen(std::int64_t count, std::int64_t at_most) {
    const std::int64_t most = CampaignShare() > 0 ? at_most * CampaignShare() : at_most;
    std::vector<std::int64_t> chosen;
    for (std::int64_t i = 0; i < std::min(count, most); ++i)
      chosen.push_back(1 +
                       (count <= most ? i : i * (count - 1) / std::max<std::int64_t>(1, most - 1)));
    return chosen;
  }

  WritingCommands commands_;
  TempDir counts_;
};

TEST_F(FailingCalls, LeaveTheOldResultOrTheNewOneAndNothingElse) {
  const std::map<std::string, int> errors = {
      {"open", EMFILE},   {"read", EIO},      {"write", ENOSPC},   {"close", EIO},
      {"rename", EDQUOT}, {"mkdir", ENOSPC},  {"truncate", EFBIG}, {"dup", EMFILE},
      {"flock", ENOLCK},  {"thread", EAGAIN}, {"memory", ENOMEM}};
  // What may fail unnoticed: a lock that a file system does not have, the end of a file that was
  // read, a thread whose work another one does.
  const std::set<std::string> harmless = {"flock", "close", "thread"};
  std::map<std::string, std::int64_t> tried;
  for (const WritingCommand& command : commands_.list()) {
    commands_.Clear();
    const auto calls = CallsOf(command.words);
    const auto whole = commands_.Files();
    ASSERT_FALSE(whole.empty()) << command.name;
    for (const auto& [kind, error] : errors) {
      const auto count = calls.at(kind);
      for (const std::int64_t n : Chosen(count, kind == "memory" ? 4 : 3)) {
        // Where nothing was, and where a result is.
        for (const bool older : {false, true}) {
          if (!older) commands_.Clear();
          if (older && commands_.Files() != whole) {
            commands_.Clear();
            ASSERT_EQ(commands_.Run(command.words).exit_status, 0);
          }
          if (older && command.resumes) continue;  // nothing is left to be done
          const ProcessResult result = With(kind, n, error, command.words);
          const std::string what = fmt::format("{}: {} {} of {}, {}\n{}", command.name, kind, n,
                                               count, older ? "over a result" : "anew", result.err);
          ++tried[kind];
          if (result.exit_status == 0) {
            EXPECT_TRUE(harmless.contains(kind) || commands_.Files() == whole) << what;
            EXPECT_EQ(commands_.Files(), whole) << what;
          } else {
            EXPECT_EQ(result.exit_status, 2) << what;
            const std::vector<std::string> lines = Lines(result.err);
            EXPECT_TRUE(!lines.empty() && lines.back().starts_with("qsim: ")) << what;
            const auto now = commands_.Files();
            EXPECT_TRUE(now == whole || (!older && now.empty()) || command.resumes) << what;
          }
          EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << what;
          if (command.resumes) {
            EXPECT_EQ(commands_.Run(command.words).exit_status, 0) << what;
            EXPECT_EQ(commands_.Files(), whole) << what;
          }
        }
      }
    }
  }
  for (const auto& [kind, count] : tried)
    std::cout << fmt::format("[ faults   ] {} {}\n", kind, count);
}

}  // namespace
}  // namespace qsim::testing
