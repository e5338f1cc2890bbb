// GELU whose channels have factors: wide codes, and a requantization with a ratio for each channel.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "tests/support/vectors.h"

namespace qsim::testing {
namespace {

class SmoothedGelu : public ::testing::TestWithParam<std::vector<std::string>> {
 protected:
  SmoothedGelu() { options_.scope = Scope::kBlock; }
  Bundle Smoothed() const {
    std::vector<std::string> settings = GetParam();
    settings.push_back("mlp_gelu.smooth=0.5");
    return vectors_.Calibrate(settings, options_);
  }

  const Vectors vectors_ = Vectors::Shipped();
  CalibrateOptions options_;
};

TEST_P(SmoothedGelu, IsWideAndThenRequantizedByChannel) {
  const Bundle bundle = Smoothed();
  for (const char* block : {"blocks.0.", "blocks.3."}) {
    const std::string name = std::string(block) + "mlp_gelu", wide = name + ".acc";
    const auto* gelu = std::get_if<GeluOp>(ProducerOf(bundle.program, wide));
    ASSERT_NE(gelu, nullptr);
    EXPECT_EQ(gelu->input, std::string(block) + "mlp_fc1.quant");
    const auto* narrow = std::get_if<RequantizeOp>(ProducerOf(bundle.program, name));
    ASSERT_NE(narrow, nullptr);
    EXPECT_EQ(narrow->input, wide);
    EXPECT_GT(narrow->scale.size(), 1u);
    EXPECT_EQ(BitsOf(bundle.program.Tensor(name).dtype), 8);
    std::vector<double> scale = bundle.scales.at(name).scale;
    std::ranges::sort(scale);
    EXPECT_GT(scale.back(), 1.5 * scale.front());
  }
}

TEST_P(SmoothedGelu, ClampsNothingWideAndLosesNothingThere) {
  RunSettings settings;
  settings.images = 2;
  settings.threads = 2;
  const RunReport report = vectors_.Run(Smoothed(), settings).report;
  int wide = 0;
  for (const TapReport& tap : report.taps) {
    if (!tap.name.ends_with("mlp_gelu.acc")) continue;
    ++wide;
    EXPECT_EQ(tap.saturated_share, 0) << tap.name;
  }
  EXPECT_EQ(wide, vectors_.model().depth());
  EXPECT_GT(WorstQsnr(report, "mlp_gelu"), 20);
}

TEST_P(SmoothedGelu, IsDerivedAgainFromItsGrids) {
  const Bundle bundle = Smoothed();
  const Rederivation again(vectors_.model(), vectors_.calibration());
  for (const char* name : {"blocks.1.mlp_gelu.acc", "blocks.1.mlp_gelu", "blocks.1.mlp_fc2"}) {
    Bundle derived = bundle;
    again.Derive({name}, derived);
    EXPECT_EQ(*ProducerOf(derived.program, name), *ProducerOf(bundle.program, name)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Algorithms, SmoothedGelu,
    ::testing::Values(
        std::vector<std::string>{}, std::vector<std::string>{"hardware.requant=power_of_two"},
        std::vector<std::string>{"mlp_gelu.bit_type.symmetric=False",
                                 "mlp_gelu.observer_type=HistogramOmseObserver"},
        std::vector<std::string>{"mlp_fc1.output.bit_type={bits: 16, symmetric: False}"},
        std::vector<std::string>{"numerics.gelu=ibert"},
        std::vector<std::string>{"numerics.gelu=ibert", "hardware.requant=power_of_two"},
        std::vector<std::string>{"numerics.gelu=ibert",
                                 "mlp_fc1.output.bit_type={bits: 16, symmetric: False}"},
        std::vector<std::string>{"numerics.gelu=deeploy"},
        std::vector<std::string>{"numerics.gelu=ita"},
        std::vector<std::string>{"numerics.gelu=shiftgelu"}));

}  // namespace
}  // namespace qsim::testing
