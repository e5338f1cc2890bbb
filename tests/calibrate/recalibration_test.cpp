// Calibrations one after the other, sharing what they observe: each gives the bundle of its own.
#include "sim/calibrate/recalibration.h"

#include <gtest/gtest.h>

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
