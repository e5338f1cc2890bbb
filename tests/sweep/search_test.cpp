// The search, on the shipped model.
#include "sim/sweep/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "sim/error.h"
#include "sim/sweep/search_report.h"
#include "sim/sweep/sweep.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr int kDepth = 4;

class SearchTest : public ::testing::Test {
 protected:
  SearchResult Run(const Config& base, Clock::duration time, int threads = 2) const {
    CalibrateOptions options;
    options.scope = Scope::kModel;
    options.threads = threads;
    const CalibrationInputs calibration = CalibrationInputs::From(vectors_.calibration());
    const ModelInputs images = calibration.read(0, 4);
    return Search({vectors_.model(), calibration, images, options}, base, Clock::now() + time);
  }
  // Coarse enough that there is something to find.
  static Config Coarse() {
    const testing::TempDir temp;
    const auto path = temp.path() / "w8a8.yaml";
    std::ofstream(path) << "w8a8: {granularity: per_tensor, a_symmetric: True}\n"
                           "mlp_gelu.bit_type: {bits: 5}\nattn_proj.weight.bit_type: {bits: 4}\n";
    return Config::Load({path});
  }
  Vectors vectors_ = Vectors::Shipped();
};

TEST_F(SearchTest, FindsABetterConfigurationAndSaysWhatBroughtIt) {
  const SearchResult found = Run(Coarse(), std::chrono::hours(1));
  ASSERT_TRUE(found.start_db);
  EXPECT_GT(found.end_db, *found.start_db + 3);
  EXPECT_EQ(found.steps.size(), found.moves);
  std::set<std::string> taken;
  Config again = Coarse();
  for (const SearchStep& step : found.steps) {
    if (!step.taken()) continue;
    EXPECT_GT(step.own_db, 0) << step.change;
    for (const std::string& setting : step.settings) again.Set(setting);
    taken.insert(step.change);
  }
  EXPECT_TRUE(taken.contains("every activation with a zero point"));
  EXPECT_TRUE(taken.contains("attn_proj.weight: a scale for each output channel"));
  EXPECT_EQ(again.Canonical(), found.config.Canonical());
  // What is written is that configuration, and names each change.
  const testing::TempDir temp;
  const auto path = temp.path() / "found.yaml";
  std::ofstream(path) << SearchYaml(found, 4, kDepth);
  EXPECT_EQ(Config::Load({path}).Canonical(), found.config.Canonical());
  for (const std::string& change : taken) EXPECT_THAT(FormatSearch(found, 4), HasSubstr(change));
}

// Operands of products keep their 8 bits.
TEST_F(SearchTest, OnlyWhatFunctionsReadMayBecomeWider) {
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Config base = Coarse();
  const Plan plan = Calibrator(vectors_.model(), base, options).plan();
  std::set<std::string> wider;
  for (const SearchMove& move : MovesFor(plan)) {
    for (const std::string& setting : move.settings) {
      if (setting.find("bits=") != std::string::npos) wider.insert(setting);
    }
  }
  EXPECT_EQ(wider, (std::set<std::string>{"attn_kv_out.bit_type.bits=16",
                                          "mlp_fc1.output.bit_type.bits=16"}));
}

TEST_F(SearchTest, DependsOnHowManyChangesAreTriedOnly) {
  const SearchResult whole = Run(Coarse(), std::chrono::hours(1));
  const SearchResult alone = Run(Coarse(), std::chrono::hours(1), 1);
  EXPECT_EQ(alone.config.Canonical(), whole.config.Canonical());
  EXPECT_EQ(alone.end_db, whole.end_db);
  const SearchResult none = Run(Coarse(), std::chrono::seconds(0));
  EXPECT_TRUE(none.steps.empty());
  EXPECT_EQ(none.end_db, *none.start_db);
  EXPECT_EQ(none.config.Canonical(), Coarse().Canonical());
  EXPECT_THAT(FormatSearch(none, 4), HasSubstr("not tried: the time was over"));
}

// One pass serves every plan that asks for the same kinds of observers.
TEST_F(SearchTest, ObservationsOfManyPlansAreThoseOfEach) {
  const std::vector<std::vector<std::string>> settings = {
      {},
      {"norm1.smooth=0.5", "attn_q_out.calibration_mode=head_wise"},
      {"attn_kv_out.observer_type=HistogramOmseObserver", "attn_proj.weight.bias_correction=True"},
      {"attn_v_out.observer_type=EmaObserver"}};
  const CalibrationInputs calibration = CalibrationInputs::From(vectors_.calibration());
  std::vector<Plan> plans;
  std::vector<Config> configs;
  for (const auto& some : settings) configs.push_back(Vectors::ConfigWith(some));
  for (const Config& config : configs)
    plans.push_back(Calibrator(vectors_.model(), config, {}).plan());
  Observations any = Observations().MissingFor(plans);
  ObserveInputs(vectors_.model(), calibration, {}, any);
  for (const Config& config : configs) {
    const Calibrator calibrator(vectors_.model(), config, {});
    ASSERT_TRUE(any.Serve(calibrator.plan()));
    const Bundle bundle = calibrator.Lower(any.Of(calibrator.plan()), calibration.source);
    const Bundle own = calibrate::Calibrate(vectors_.model(), config, calibration, {});
    EXPECT_TRUE(bundle.program == own.program);
    EXPECT_TRUE(bundle.scales == own.scales);
  }
  // The same kind of observer with another purpose is served, another kind is not.
  const Config percentile =
      Vectors::ConfigWith({"attn_kv_out.observer_type=HistogramPercentileObserver"});
  EXPECT_TRUE(any.Serve(Calibrator(vectors_.model(), percentile, {}).plan()));
  const Config other = Vectors::ConfigWith({"attn_q_out.observer_type=HistogramOmseObserver"});
  EXPECT_FALSE(any.Serve(Calibrator(vectors_.model(), other, {}).plan()));
}

}  // namespace
}  // namespace qsim::testing
