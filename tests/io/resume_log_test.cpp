#include "sim/io/files/resume_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/error.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ResumeLogTest : public ::testing::Test {
 protected:
  std::string MessageOf() const {
    try {
      ResumeLog log(path_, "work 1");
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  testing::TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "state";
};

TEST_F(ResumeLogTest, GoesOnWhereItStopped) {
  {
    ResumeLog log(path_, "work 1");
    EXPECT_TRUE(log.done().empty());
    log.Add(3, "a\tb");
    log.Add(0, "");
  }
  ResumeLog log(path_, "work 1");
  EXPECT_THAT(log.done(), ElementsAre(Pair(0, ""), Pair(3, "a\tb")));
  log.Add(1, "c");
  EXPECT_THAT(ResumeLog(path_, "work 1").done(),
              ElementsAre(Pair(0, ""), Pair(1, "c"), Pair(3, "a\tb")));
}

// A kill can cut the last line anywhere; what stands before it is kept, and what follows is whole.
TEST_F(ResumeLogTest, DropsALineThatWasCutShort) {
  const std::string whole = "work 1\n0\tzero\n1\tone\n";
  for (std::size_t size = 7; size <= whole.size(); ++size) {
    testing::WriteBytes(path_, whole.substr(0, size));
    {
      ResumeLog log(path_, "work 1");
      EXPECT_EQ(log.done().contains(0), size >= 14) << size;
      EXPECT_EQ(log.done().contains(1), size == whole.size()) << size;
      log.Add(2, "two");
    }
    EXPECT_EQ(ResumeLog(path_, "work 1").done().at(2), "two") << size;
  }
}

TEST_F(ResumeLogTest, RefusesWhatIsNotItsOwn) {
  testing::WriteBytes(path_, "work 2\n0\tzero\n");
  EXPECT_THAT(MessageOf(), HasSubstr("belongs to another"));
  for (const char* line : {"x\tzero", "0 zero", "0", "\tzero"}) {
    testing::WriteBytes(path_, std::string("work 1\n") + line + "\n");
    EXPECT_THAT(MessageOf(), HasSubstr("damaged line")) << line;
  }
  path_ = dir_.path() / "absent" / "state";
  EXPECT_THAT(MessageOf(), HasSubstr("absent"));
}

TEST(ResumeLog, WithoutAPathKeepsNothing) {
  ResumeLog log({}, "work 1");
  log.Add(1, "one");
  EXPECT_EQ(log.done().size(), 1u);
}

}  // namespace
}  // namespace qsim::testing
