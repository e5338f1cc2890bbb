// Configurations as people write them, of the shared cases: each loads, or the message names the
// real cause.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

TEST(SharedYaml, LoadsOrNamesTheCause) {
  const auto shared = SharedDir();
  const std::filesystem::path folder = shared ? *shared / "cases" / "files_yaml" : "";
  if (!shared || !std::filesystem::is_directory(folder)) GTEST_SKIP() << "no shared cases";
  const std::map<std::string, std::string> refused = {
      {"bom_comment_crlf.yaml", "a byte order mark inside the file"},
      {"comment_only.yaml", "is empty"},
      {"dup.yaml", ":4: key 'attn_q_out': appears twice"},
      {"empty.yaml", "is empty"},
      {"float_bits.yaml", "expected an integer in 2..16, got '6.0'"},
      {"lower_observer.yaml", "did you mean 'MinmaxObserver'?"},
      {"manifest_eps.yaml", "expected a map of sections"},
      {"merge.yaml", "one that only holds an anchor is called x-base"},
      {"nbsp.yaml", ":2: invalid YAML: a no-break space"},
      {"none.yaml", "unknown observer 'None'"},
      {"null.yaml", "got nothing"},
      {"octal.yaml", "expected an integer in 2..16, got '06'"},
      {"python_tag.yaml", "tag 'tag:yaml.org,2002:python/dict' is not supported"},
      {"quoted_number.yaml", "got '6' in quotes, which is text; write 6"},
      {"tab.yaml", ":2: invalid YAML: a tab in the indentation"},
      {"two_docs.yaml", ":4: a second document"},
      {"underscore.yaml", "got '2_048'"},
      {"yes.yaml", "expected True or False, got 'yes'"},
  };
  std::size_t loaded = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const std::string error = ErrorOf([&] { Config::Load({entry.path()}); });
    const auto expected = refused.find(name);
    if (expected == refused.end()) {
      EXPECT_EQ(error, "") << name;
      ++loaded;
    } else {
      EXPECT_THAT(error, HasSubstr(expected->second)) << name;
      EXPECT_LT(error.size(), 600u) << name;
    }
  }
  EXPECT_EQ(loaded, 16u);
}

}  // namespace
}  // namespace qsim::testing
