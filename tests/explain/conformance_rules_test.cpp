// Other projects' outputs as the implementation, golden half_up or another rule as what they differ
// from.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "sim/explain/explain_report.h"
#include "sim/explain/plain_input.h"
#include "sim/explain/requant_model.h"
#include "sim/explain/search.h"
#include "sim/explain/tensor_file.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

struct PublishedCase {
  RequantSpec spec;
  std::vector<std::int64_t> y;
};

// v, multiplier and shift per element; `whole` turns a source's shift into S.
PublishedCase ReadCase(const fs::path& directory, int whole) {
  PublishedCase published;
  RequantSpec& spec = published.spec;
  const WideTensor v = ReadWideTensor(directory / "in_v.npy");
  const WideTensor m = ReadWideTensor(directory / "in_multiplier.npy");
  const WideTensor s = ReadWideTensor(directory / "in_shift.npy");
  const WideTensor y = ReadWideTensor(directory / "out_y.npy");
  for (std::size_t i = 0; i < v.values.size(); ++i) {
    const std::int64_t shift = whole == 0 ? s.values[i] : whole - s.values[i];
    if (shift < 0 || shift > 62) continue;  // beyond what a requantizer has
    spec.x.push_back(v.values[i]);
    spec.multiplier.push_back(m.values[i]);
    spec.shift.push_back(static_cast<int>(shift));
    published.y.push_back(y.values[i]);
  }
  const auto size = static_cast<std::int64_t>(spec.x.size());
  spec.shape = {size};
  spec.axis_names = {"element"};
  spec.layout = {1, size, 1};
  spec.zero = {0};
  spec.qmin = std::numeric_limits<std::int32_t>::min();
  spec.qmax = std::numeric_limits<std::int32_t>::max();
  return published;
}

class PublishedRule : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto shared = SharedDir();
    if (!shared || !fs::is_directory(*shared / "conformance" / "requant"))
      GTEST_SKIP() << "no external data";
    requant_ = *shared / "conformance" / "requant";
  }

  // Every case of the algorithm against every golden rule: where they differ, the algorithm's rule
  // is first.
  void ExpectNamed(const char* algorithm, int whole, const char* rule,
                   const std::vector<const char*>& goldens) {
    std::int64_t explained = 0;
    for (const auto& entry : fs::directory_iterator(requant_ / algorithm)) {
      for (const char* golden : goldens) {
        PublishedCase published = ReadCase(entry.path(), whole);
        // Without a right shift behind bit 31 there is no second rounding to be named.
        const int high =
            *std::max_element(published.spec.shift.begin(), published.spec.shift.end());
        if (std::string(rule) == "tflite_double" && high <= 31) continue;
        published.spec.rounding = *RoundSchemeFromName(golden);
        const Explanation e = Explain(RequantModel(published.spec, published.y), published.y,
                                      entry.path().filename(), golden);
        if (e.mismatches == 0) continue;
        // A handful of mismatches can have several explanations; then the rule is among the ties.
        const std::string id = std::string("rounding=") + rule;
        bool named = !e.findings.empty() && e.findings[0].id == id;
        if (e.mismatches < 10)
          named = named || std::any_of(e.ties.begin(), e.ties.end(),
                                       [&](const Tie& tie) { return tie.id == id; });
        EXPECT_TRUE(named) << entry.path() << " golden " << golden << "\n" << ExplanationText(e);
        EXPECT_GE(static_cast<double>(e.explained), 0.95 * static_cast<double>(e.mismatches))
            << entry.path() << " golden " << golden << "\n"
            << ExplanationText(e);
        explained += e.explained;
      }
    }
    EXPECT_GT(explained, 100) << algorithm;
  }

  fs::path requant_;
};

TEST_F(PublishedRule, TfliteDouble) {
  ExpectNamed("tflite_double_rounding", 31, "tflite_double", {"half_up", "half_even", "floor"});
}

TEST_F(PublishedRule, TfliteSingle) {
  ExpectNamed("tflite_single_rounding", 31, "half_up", {"half_even", "tflite_double", "floor"});
}

TEST_F(PublishedRule, ItaHardware) {
  if (!fs::exists(requant_ / "ita_rtl")) GTEST_SKIP() << "no case";
  const fs::path directory = requant_ / "ita_rtl" / "random_and_ties";
  PlainOptions options;
  options.acc = directory / "in_v.npy";
  options.actual = directory / "out_y.npy";
  options.multiplier = (directory / "in_mult.npy").string();
  options.shift = (directory / "in_shift.npy").string();
  options.zero = (directory / "in_add.npy").string();
  options.axis = "element";
  for (const char* golden : {"half_even", "half_away", "floor"}) {
    options.rounding = golden;
    const Explanation e = ExplainFiles(options);
    ASSERT_FALSE(e.findings.empty()) << golden;
    EXPECT_EQ(e.findings[0].id, "rounding=half_up") << ExplanationText(e);
    EXPECT_EQ(e.explained, e.mismatches) << ExplanationText(e);
    EXPECT_EQ(e.broken, 0);
  }
}

}  // namespace
}  // namespace qsim::testing
