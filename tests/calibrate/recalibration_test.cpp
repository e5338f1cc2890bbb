// Calibrations one after the other, sharing what they observe: each gives the bundle of its own.
#include "sim/calibrate/recalibration.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sim/error.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

TEST(Recalibration, GivesTheBundleOfACalibrationOfItsOwn) {
  const ShippedModel shipped;
  CalibrateOptions options;
  options.scope = Scope::kModel;
  options.threads = 2;
  Recalibration recalibration(shipped.model(), CalibrationInputs::From(shipped.calibration()),
                              options);
  for (const std::vector<std::string>& settings : std::vector<std::vector<std::string>>{
           {"attn_v_input.observer_type=PercentileObserver"},
           {},
           {"norm1.calibration_mode=channel_wise", "attn_v_input.calibration_mode=head_wise"},
           {"attn_q_out.bit_type.symmetric=False", "attn_kv_out.calibration_mode=head_wise"},
           {"attn_v_input.observer_type=PercentileObserver", "mlp_gelu.bit_type.bits=6"},
           {"attn_qkv.weight.rounding=squant"},
           {"numerics.softmax_division=after"}}) {
    const Config config = ShippedModel::ConfigWith(settings);
    const Bundle expected =
        Calibrate(shipped.model(), config, CalibrationInputs::From(shipped.calibration()), options);
    const Bundle bundle = recalibration.With(config);
    EXPECT_TRUE(bundle.program == expected.program);
    EXPECT_TRUE(bundle.scales == expected.scales);
    EXPECT_TRUE(bundle.notes == expected.notes);
  }
}

TEST(Recalibration, RunsTheInputsOnceForWhatIsExpected) {
  const ShippedModel shipped;
  CalibrateOptions options;
  options.scope = Scope::kBlock;
  options.blocks = {1};
  CalibrationInputs inputs = CalibrationInputs::From(shipped.calibration());
  std::int64_t passes = 0;
  inputs.read = [&passes, read = inputs.read](std::int64_t first, std::int64_t most) {
    passes += first == 0;
    return read(first, most);
  };
  Recalibration recalibration(shipped.model(), inputs, options);
  const auto same = [&](const std::vector<std::string>& settings) {
    const Config config = ShippedModel::ConfigWith(settings);
    const Bundle bundle = recalibration.With(config);
    const Bundle expected =
        Calibrate(shipped.model(), config, CalibrationInputs::From(shipped.calibration()), options);
    return bundle.program == expected.program && bundle.scales == expected.scales;
  };
  // Late tensors of the network are wanted before early ones.
  const std::vector<std::string> late = {"mlp_gelu.observer_type=HistogramOmseObserver"},
                                 early = {"norm1.observer_type=HistogramOmseObserver",
                                          "mlp_fc1.weight.bias_correction=True"},
                                 other = {"norm2.smooth=0.5", "norm2.observer_type=OmseObserver"};
  recalibration.Expect(ShippedModel::ConfigWith(late));
  recalibration.Expect(ShippedModel::ConfigWith(early));
  EXPECT_TRUE(same({}));
  const std::int64_t once = passes;  // and a first look at the scores
  EXPECT_TRUE(same(early));
  EXPECT_TRUE(same(late));
  EXPECT_EQ(passes, once);
  recalibration.Expect(ShippedModel::ConfigWith(other));
  EXPECT_TRUE(same(late));
  EXPECT_EQ(passes, once);
  EXPECT_TRUE(same(other));
  EXPECT_GT(passes, once);
}

TEST(Recalibration, WhatCannotBePlannedChangesNothing) {
  const ShippedModel shipped;
  const CalibrateOptions options;
  Recalibration recalibration(shipped.model(), CalibrationInputs::From(shipped.calibration()),
                              options);
  EXPECT_THROW(recalibration.With(ShippedModel::ConfigWith({"norm1.calibration_mode=head_wise"})),
               InputError);
  const Config config = ShippedModel::ConfigWith();
  EXPECT_TRUE(recalibration.With(config).program ==
              Calibrate(shipped.model(), config, shipped.calibration(), options).program);
}

}  // namespace
}  // namespace qsim::testing
