#include "sim/io/files/resume_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/error.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const Identity kParts = {{"weights", "1a"}, {"images", "2b"}};

class ResumeLogTest : public ::testing::Test {
 protected:
  std::string MessageOf(const std::string& work = "work 1", const Identity& parts = kParts) const {
    return ErrorOf([&] { ResumeLog log(path_, work, parts); });
  }
  testing::TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "state";
};

TEST_F(ResumeLogTest, GoesOnWhereItStopped) {
  {
    ResumeLog log(path_, "work 1", kParts);
    EXPECT_TRUE(log.done().empty());
    log.Add(3, "a\tb");
    log.Add(0, "");
  }
  {
    ResumeLog log(path_, "work 1", kParts);
    EXPECT_THAT(log.done(), ElementsAre(Pair(0, ""), Pair(3, "a\tb")));
    log.Add(1, "c");
  }
  EXPECT_THAT(ResumeLog(path_, "work 1", kParts).done(),
              ElementsAre(Pair(0, ""), Pair(1, "c"), Pair(3, "a\tb")));
}

// A kill can cut the file anywhere, in its first line too; whole lines are kept, and what follows
// is whole.
TEST_F(ResumeLogTest, DropsALineThatWasCutShort) {
  {
    ResumeLog log(path_, "work 1", kParts);
    log.Add(0, "zero");
    log.Add(1, "one");
  }
  const std::string whole = testing::ReadBytes(path_);
  const std::size_t first = whole.find('\n', whole.find('\n') + 1) + 1;
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    testing::WriteBytes(path_, whole.substr(0, size));
    {
      ResumeLog log(path_, "work 1", kParts);
      EXPECT_EQ(log.done().contains(0), size >= first) << size;
      EXPECT_EQ(log.done().contains(1), size == whole.size()) << size;
      log.Add(2, "two");
    }
    EXPECT_EQ(ResumeLog(path_, "work 1", kParts).done().at(2), "two") << size;
  }
}

// Of every byte: nothing that was changed is taken for what was written.
TEST_F(ResumeLogTest, AFlippedByteIsRefused) {
  {
    ResumeLog log(path_, "work 1", kParts);
    log.Add(0, "zero");
    log.Add(1, "one");
  }
  const std::string whole = testing::ReadBytes(path_);
  for (std::size_t i = 0; i + 1 < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ (1 << i % 8));
    testing::WriteBytes(path_, changed);
    EXPECT_THAT(MessageOf(), HasSubstr(path_.string())) << i;
    EXPECT_EQ(testing::ReadBytes(path_), changed) << i;
  }
}

TEST_F(ResumeLogTest, NamesThePartsThatDiffer) {
  { ResumeLog log(path_, "work 1", kParts); }
  EXPECT_THAT(MessageOf("work 1", {{"weights", "1a"}, {"images", "3c"}}),
              HasSubstr("is of another run, with other images;"));
  EXPECT_THAT(MessageOf("work 1", {{"weights", "1b"}, {"inject", "2b"}}),
              HasSubstr("with other weights, inject, images;"));
  EXPECT_THAT(MessageOf("work 2"), HasSubstr("is a state of 'qsim work 1', this one would be of"));
}

TEST_F(ResumeLogTest, RefusesWhatIsNotItsOwn) {
  for (const char* text : {"something else\n", "not ended", "qsim other", "\n"}) {
    testing::WriteBytes(path_, text);
    EXPECT_THAT(MessageOf(), HasSubstr(text[0] == 'q' ? "is a state of 'qsim other'"
                                                      : "was not written by --state"));
    EXPECT_EQ(testing::ReadBytes(path_), text);
  }
  std::filesystem::remove(path_);
  { ResumeLog log(path_, "work 1", kParts); }
  const std::string header = testing::ReadBytes(path_);
  for (const char* line : {"x\tzero", "0 zero", "0", "\tzero", "0\tzero\t0123456789abcdef"}) {
    testing::WriteBytes(path_, header + line + "\n");
    EXPECT_THAT(MessageOf(), HasSubstr("damaged line")) << line;
  }
  path_ = dir_.path() / "absent" / "state";
  EXPECT_THAT(MessageOf(), HasSubstr("absent"));
}

TEST_F(ResumeLogTest, TakesOnlyFilesOfBoundedLines) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(MessageOf(), HasSubstr("is not a regular file"));
  std::filesystem::remove(path_);
  { ResumeLog log(path_, "work 1", kParts); }
  ASSERT_EQ(::truncate(path_.c_str(), std::int64_t{1} << 40), 0);  // holes
  EXPECT_THAT(MessageOf(), HasSubstr("damaged line"));
}

TEST_F(ResumeLogTest, IsOfOneRunAtATime) {
  ResumeLog log(path_, "work 1", kParts);
  EXPECT_THAT(MessageOf(), HasSubstr("is in use by another qsim"));
}

TEST(ResumeLog, WithoutAPathKeepsNothing) {
  ResumeLog log({}, "work 1", kParts);
  log.Add(1, "one");
  EXPECT_EQ(log.done().size(), 1u);
}

}  // namespace
}  // namespace qsim::testing
