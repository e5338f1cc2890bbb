// Writing commands that are killed at any moment: the result is the old one or the new one, and the
// next run works.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <random>
#include <thread>

#include "tests/faults/writing_commands.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Clock = std::chrono::steady_clock;

class Kills : public ::testing::Test {
 protected:
  // Starts a command and sends it a signal after a while. The status that the system gives.
  int KilledAfter(const std::vector<std::string>& words, Clock::duration delay, int signal) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      std::vector<char*> argv = {const_cast<char*>(QSIM_BINARY)};
      for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      const int null = ::open("/dev/null", O_RDWR);
      for (const int stream : {0, 1, 2}) ::dup2(null, stream);
      if (::chdir(commands_.directory().c_str()) == 0) ::execv(QSIM_BINARY, argv.data());
      ::_exit(127);
    }
    std::this_thread::sleep_for(delay);
    ::kill(pid, signal);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return status;
  }
  WritingCommands commands_;
};

TEST_F(Kills, LeaveTheOldResultOrTheNewOne) {
  const std::int64_t rounds = std::max<std::int64_t>(1, CampaignShare()) * 4;
  testing::SeededRandom random;
  std::int64_t killed = 0, finished = 0;
  for (const WritingCommand& command : commands_.list()) {
    commands_.Clear();
    const auto start = Clock::now();
    ASSERT_EQ(commands_.Run(command.words).exit_status, 0);
    const auto length = Clock::now() - start;
    const auto whole = commands_.Files();
    for (std::int64_t round = 0; round < rounds; ++round) {
      const bool older = round % 2 == 1;
      if (!older || command.resumes) commands_.Clear();
      const int signal =
          std::array{SIGKILL, SIGTERM, SIGINT, SIGHUP}[static_cast<std::size_t>(round) % 4];
      std::uniform_real_distribution<double> share(0, 1.1);
      const auto delay =
          std::chrono::duration_cast<Clock::duration>(length * share(random.engine()));
      const int status = KilledAfter(command.words, delay, signal);
      const std::string what =
          fmt::format("{} ended by {} in round {}", command.name, signal, round);
      if (WIFSIGNALED(status)) {
        EXPECT_EQ(WTERMSIG(status), signal) << what;
        ++killed;
      } else {
        EXPECT_EQ(WEXITSTATUS(status), 0) << what;
        ++finished;
      }
      const auto now = commands_.Files();
      if (!command.resumes) {
        EXPECT_TRUE(now == whole || (now.empty() && !older)) << what;
      }
      if (signal != SIGKILL) {
        EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << what;
      }
      const bool left = !commands_.LeftOver().empty();
      const ProcessResult next = commands_.Run(command.words);
      EXPECT_EQ(next.exit_status, 0) << what << next.err;
      if (left) {
        EXPECT_THAT(next.err, HasSubstr("which a qsim that was killed has left")) << what;
      }
      EXPECT_EQ(commands_.Files(), whole) << what;
      EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << what;
    }
  }
  std::cout << fmt::format("[ kills    ] {} ended by their signal, {} had finished\n", killed,
                           finished);
}

}  // namespace
}  // namespace qsim::testing
