// Every option of every command, as its help lists it: a value is what it says, or refused.
#include <gmock/gmock.h>

#include "tests/cli/help.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class NumberOption : public ::testing::Test {
 protected:
  void ExpectRefused(const std::vector<std::string>& words, const std::string& begin,
                     const std::string& fragment) const {
    SCOPED_TRACE(::testing::PrintToString(words));
    const ProcessResult result = RunQsim(words, sandbox_.path());
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(Lines(result.err).size(), 1u) << result.err;
    EXPECT_LT(result.err.size(), 300u);
    EXPECT_THAT(result.err, StartsWith("qsim: " + begin));
    EXPECT_THAT(result.err, HasSubstr(fragment));
  }

  TempDir sandbox_;
};

TEST_F(NumberOption, EveryOptionTakesWhatItSaysOrNothing) {
  const std::set<std::string> counts = {"N", "SEED", "SECONDS"};
  int numbers = 0;
  for (const std::string& command : CommandsInHelp()) {
    for (const auto& [name, type] : ValuesInHelp(command)) {
      if (!name.starts_with("--")) continue;
      const bool whole = counts.contains(type) || type == "INT";
      if (whole || type == "P") {
        ++numbers;
        for (const char* value :
             {"", " 5", "5 ", "0x10", "010", "nan", "inf", "1e999", "1_0", "five"})
          ExpectRefused({command, name, value}, name + ": '" + value + "' is not a ", "number in ");
      }
      if (whole) {
        for (const char* value : {"1e3", "5.0", "1000000000000000000000000000000"})
          ExpectRefused({command, name, value}, name + ": '" + value + "'",
                        "is not a whole number");
      }
      if (counts.contains(type))
        ExpectRefused({command, name, "-1"}, name + ": '-1'", "is not a whole number");
      if (!whole && type != "P")
        ExpectRefused({command, name, ""}, name + ": is empty; give", type);
      ExpectRefused({command, name + "="}, name + "= is empty; give a value", "");
    }
  }
  EXPECT_GT(numbers, 30);
}

TEST_F(NumberOption, ListsOfNumbers) {
  const std::vector<std::string> model = {"--config",
                                          (kSourceDir / "configs" / "attn_config.yaml").string(),
                                          "--input", (kSourceDir / "vectors").string()};
  const auto refuse = [&](std::vector<std::string> words, const std::string& fragment) {
    const std::string option = words[1];
    words.insert(words.end(), model.begin(), model.end());
    ExpectRefused(words, option + ": '", fragment);
  };
  for (const char* value :
       {"0", "-1", "16,", ",16", "16,0x1", "1e3", " 16", "99999999999999999999"})
    refuse({"run", "--chunk", value, "--rtl", "off", "--images", "1"},
           "give one, or several such as");
  for (const char* value : {"9", "-1", "+1", "00", "0,01", "0,,1", "0x1", " 1", "1e0", "0,"})
    refuse({"run", "--blocks", value, "--rtl", "off"}, "give 'all' or numbers in 0..3");
  for (const char* value : {"1", "0/2", "3/2", "-1/2", "1/2x", " 1/2", "1/ 2", "01/2", "1/1e3"})
    refuse({"calibrate", "--shard", value, "--output", "out"}, "give i/n with 1 <= i <= n");
}

}  // namespace
}  // namespace qsim::testing
