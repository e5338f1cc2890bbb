// Too few threads, too little memory, a full disk, files that are too large: one line and exit 2,
// or the same bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "tests/faults/writing_commands.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Limits : public ::testing::Test {
 protected:
  // A command under a limit of the shell's.
  ProcessResult Under(const std::string& limit, const std::vector<std::string>& words) const {
    std::string text = limit + "; exec '" QSIM_BINARY "'";
    for (const std::string& word : words) text += " '" + word + "'";
    return RunProgram("/bin/bash", {"-c", text}, commands_.directory());
  }
  const WritingCommand& Named(const std::string& name) const {
    for (const WritingCommand& command : commands_.list()) {
      if (command.name == name) return command;
    }
    throw std::logic_error(name);
  }
  WritingCommands commands_;
};

TEST_F(Limits, WithoutThreadsTheBytesAreTheSame) {
  const WritingCommand& command = Named("calibrate");
  ASSERT_EQ(commands_.Run(command.words).exit_status, 0);
  const auto whole = commands_.Files();
  std::vector<std::string> words = command.words;
  words.insert(words.end(), {"--threads", "64"});
  ::setenv("LD_PRELOAD", FailingCallsLibrary(), 1);
  ::setenv("QSIM_FAIL", "thread:1:11", 1);
  const ProcessResult result = commands_.Run(words);
  ::unsetenv("LD_PRELOAD");
  ::unsetenv("QSIM_FAIL");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("note: the system allows no more than 1 thread;"));
  EXPECT_EQ(commands_.Files(), whole);
}

// At every size of memory it works or says so.
TEST_F(Limits, TooLittleMemoryIsOneLine) {
  int failed = 0, worked = 0;
  // Below that it is the loader and the libraries that have too little.
  std::int64_t least = 10000;
  while (Under("ulimit -v " + std::to_string(least), {"--version"}).exit_status != 0) {
    least += 500;
    ASSERT_LT(least, 1000000);
  }
  const std::int64_t step = CampaignShare() > 0 ? 100 : 1500;
  for (std::int64_t kilobytes = least; kilobytes < least + 20000; kilobytes += step) {
    commands_.Clear();
    const ProcessResult result =
        Under("ulimit -v " + std::to_string(kilobytes), Named("calibrate").words);
    if (result.exit_status == 0) {
      ++worked;
    } else {
      EXPECT_EQ(result.exit_status, 2) << kilobytes << result.err;
      EXPECT_THAT(result.err, HasSubstr("not enough memory"));
      EXPECT_TRUE(commands_.Files().empty());
      ++failed;
    }
    EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << kilobytes;
  }
  EXPECT_GT(worked, 0);
  EXPECT_GT(failed, 0);
  std::cout << fmt::format("[ limits   ] {} sizes of memory too small, {} enough\n", failed,
                           worked);
}

// Below four the loader has none; nor where what runs the tests has left some of them open.
TEST_F(Limits, TooFewOpenFilesAreOneLine) {
  const std::string closed = "exec 3>&- 4>&- 5>&- 6>&- 7>&-; ulimit -n ";
  int failed = 0;
  for (const WritingCommand& command : commands_.list()) {
    for (int files = 4; files < 8; ++files) {
      commands_.Clear();
      const ProcessResult result = Under(closed + std::to_string(files), command.words);
      EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << command.name << files;
      if (result.exit_status == 0) continue;
      ++failed;
      EXPECT_EQ(result.exit_status, 2) << command.name << files << result.err;
      EXPECT_THAT(result.err, HasSubstr("Too many open files")) << command.name << files;
      EXPECT_TRUE(command.resumes || commands_.Files().empty()) << command.name << files;
    }
  }
  EXPECT_GT(failed, 0);
}

TEST_F(Limits, AFileBeyondItsLimitIsAWriteError) {
  for (const WritingCommand& command : commands_.list()) {
    commands_.Clear();
    const ProcessResult result = Under("ulimit -f 1", command.words);
    if (result.exit_status == 0) continue;  // all of its files are small
    EXPECT_EQ(result.exit_status, 2) << command.name << result.err;
    EXPECT_THAT(result.err, HasSubstr(std::string(kResult))) << command.name;
    EXPECT_THAT(result.err, ::testing::Not(HasSubstr(".tmp-"))) << command.name;
    EXPECT_THAT(commands_.LeftOver(), IsEmpty()) << command.name;
  }
}

// A file system of one megabyte, and less and less of it free.
TEST_F(Limits, AFullDiskKeepsTheOldResult) {
  const fs::path disk = commands_.directory() / "bundle" / "disk";
  fs::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) GTEST_SKIP() << "needs root";
  const auto on_disk = [&](const WritingCommand& command) {
    std::vector<std::string> words = command.words;
    for (std::string& word : words) {
      if (word == kResult) word = (disk / kResult).string();
    }
    return commands_.Run(words);
  };
  for (const WritingCommand& command : commands_.list()) {
    for (const std::size_t filled : {0u, 900u, 1000u, 1020u}) {
      std::error_code ignored;
      fs::remove(disk / "filler", ignored);
      fs::remove_all(disk / kResult, ignored);
      std::ofstream(disk / "filler") << std::string(filled * 1024, 'x');
      const ProcessResult result = on_disk(command);
      EXPECT_TRUE(result.exit_status == 0 || result.exit_status == 2) << command.name << result.err;
      if (result.exit_status == 2) {
        EXPECT_THAT(result.err, HasSubstr("No space left on device")) << command.name << filled;
        EXPECT_TRUE(command.resumes || !fs::exists(disk / kResult)) << command.name << filled;
      }
      std::set<std::string> names = NamesIn(disk);
      std::erase_if(
          names, [](const std::string& name) { return name.find(".tmp-") == std::string::npos; });
      EXPECT_THAT(names, IsEmpty()) << command.name << filled;
    }
  }
  ::umount(disk.c_str());
}

}  // namespace
}  // namespace qsim::testing
