// What not every vision transformer has before its blocks and behind them, in integers: a norm, the
// mean of the patches, two heads. In float: tests/network/checkpoint_test.cpp.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/semantics/mixed.h"
#include "tests/support/checkpoints.h"
#include "tests/support/float_values.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

struct Ends {
  std::string name;
  std::function<Items()> items;
  std::string manifest;
  std::vector<std::string> settings;
  double db = 25;  // of the logits of one image
};

Items MeanFirst() { return Renamed(Shipped(), {{"^norm", "fc_norm"}}); }

class NetworkEnds : public ::testing::TestWithParam<Ends> {
 protected:
  NetworkEnds() {
    const fs::path vectors = fs::path(QSIM_SOURCE_DIR) / "vectors";
    for (const char* file : {"calib_images.npy", "eval_images.npy", "eval_labels.npy"})
      fs::create_symlink(vectors / file, dir_.path() / file);
    WriteBytes(dir_.path() / "manifest.yaml",
               "model: model.safetensors\ngeometry: {heads: 2, eps: 1e-6, activation: gelu}\n"
               "mean: 0.3053\nstd: 0.376\ncalibration: {images: calib_images.npy}\n"
               "evaluation: {images: eval_images.npy, labels: eval_labels.npy}\n" +
                   GetParam().manifest);
    WriteCheckpoint(dir_.path(), GetParam().items());
    vectors_.emplace(dir_.path());
    CalibrateOptions options;
    options.scope = Scope::kModel;
    options.threads = 2;
    bundle_ = vectors_->Calibrate(GetParam().settings, options);
  }

  TempDir dir_;
  std::optional<Vectors> vectors_;
  Bundle bundle_;
};

double Qsnr(const std::vector<float>& x, const std::vector<float>& y) {
  double signal = 0, noise = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    signal += std::pow(double{x[i]}, 2);
    noise += std::pow(double{x[i]} - double{y[i]}, 2);
  }
  return 10 * std::log10(signal / noise);
}

TEST_P(NetworkEnds, RunInIntegersAndEveryModeBetween) {
  ASSERT_NO_THROW(Validate(bundle_.program));
  const MixedExecutor mixed(bundle_, vectors_->model(), vectors_->evaluation());
  const MixedState inputs = mixed.ExactInputs(3);
  const MixedState exact = mixed.Run(inputs, mixed.AllOf(Exactness::All()));
  const MixedState ideal = mixed.Run(inputs, mixed.AllOf(Exactness::Ideal()));
  const MixedState integer = mixed.Run(inputs, mixed.AllOf(Exactness::Golden()));
  const auto logits = [](const MixedState& state) { return state.at("logits")->real().data; };
  EXPECT_GT(Qsnr(logits(exact), logits(integer)), GetParam().db);
  EXPECT_GT(Qsnr(logits(ideal), logits(integer)), GetParam().db);
  const auto floats = FloatValues(vectors_->model(), vectors_->evaluation(), 3);
  for (const auto& [name, tensor] : exact) {
    const network::Node* node = vectors_->model().NodeOf(name);
    if (!node->compared || mixed.Undivided(name)) continue;
    const std::vector<float>& expected = floats.at(node->name).data;
    if (expected.size() != tensor->real().data.size()) continue;
    EXPECT_GT(Qsnr(expected, tensor->real().data), 100) << name;
  }
}

TEST_P(NetworkEnds, AreTheSameInRtl) {
  if (!cosim::BuiltWithRtl()) GTEST_SKIP() << "built with -DQSIM_RTL=OFF";
  RunSettings settings;
  settings.images = 1;
  settings.rtl = RtlSettings{};
  const RunResult result = vectors_->Run(bundle_, settings);
  EXPECT_EQ(result.golden, result.rtl);
}

// A repair is a calibration's derivation, from the grids that the bundle states.
TEST_P(NetworkEnds, AreDerivedAgainFromTheirGrids) {
  const Rederivation again(vectors_->model(), vectors_->calibration());
  for (const Op& op : bundle_.program.ops) {
    const network::Node* node = vectors_->model().NodeOf(OutputOf(op));
    if (node->block >= 0 || node->name == "patches") continue;
    Bundle derived = bundle_;
    again.Derive({OutputOf(op)}, derived);
    EXPECT_EQ(*ProducerOf(derived.program, OutputOf(op)), op) << OutputOf(op);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Every, NetworkEnds,
    ::testing::Values(
        Ends{"mean_then_norm", MeanFirst, "", {}},
        Ends{"mean_then_norm_smoothed",
             MeanFirst,
             "",
             {"norm.smooth=0.5", "norm.bit_type.symmetric=False", "pool.bit_type.symmetric=False",
              "residual2.bit_type={bits: 16, symmetric: False}"}},
        Ends{"mean_then_norm_power_of_two", MeanFirst, "", {"hardware.requant=power_of_two"}, 18},
        Ends{"norm_then_mean", Shipped, "pool: avg\n", {"norm_pool.bit_type.symmetric=False"}},
        Ends{"norm_then_mean_smoothed",
             Shipped,
             "pool: avg\n",
             {"norm.smooth=0.5", "norm.bit_type={bits: 16, symmetric: False}"}},
        Ends{"norm_then_mean_by_channel",
             Shipped,
             "pool: avg\n",
             {"norm.calibration_mode=channel_wise", "norm.bit_type.symmetric=False",
              "norm_pool.calibration_mode=channel_wise"}},
        Ends{"norm_then_mean_power_of_two",
             Shipped,
             "pool: avg\n",
             {"hardware.requant=power_of_two"},
             18},
        Ends{"no_class_token", [] { return WithoutClassToken(Shipped()); }, "", {}},
        Ends{"two_heads", [] { return Distilled(Shipped()); }, "", {"norm.smooth=0.5"}},
        Ends{"two_heads_power_of_two",
             [] { return Distilled(Shipped()); },
             "",
             {"hardware.requant=power_of_two"},
             18},
        Ends{"norm_before", [] { return WithNormBefore(Shipped()); }, "", {}},
        Ends{"norm_before_asymmetric",
             [] { return WithNormBefore(Shipped()); },
             "",
             {"norm_pre.bit_type={bits: 16, symmetric: False}", "norm1.smooth=0.5"}}),
    [](const auto& ends) { return ends.param.name; });

}  // namespace
}  // namespace qsim::testing
