// Grids from a file: those of a bundle give that bundle, those of a repaired one the repaired one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "sim/bundle/grids_file.h"
#include "sim/calibrate/calibrate.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/faults.h"
#include "sim/error.h"
#include "tests/diagnose/shipped_model.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using testing::ShippedModel;

const ShippedModel& Digits() {
  static const ShippedModel kModel;
  return kModel;
}

GridsFile Written(const std::string& text) {
  const testing::TempDir temp;
  const std::filesystem::path path = temp.path() / "grids.yaml";
  std::ofstream(path) << text;
  GridsFile file = ReadGrids(path);
  file.file = "grids.yaml";
  return file;
}

Bundle From(const Config& config, const ModelInputs& calibration, Scope scope,
            std::optional<GridsFile> grids, Realise realise = Realise::kNearest) {
  CalibrateOptions options;
  options.scope = scope;
  options.realise = realise;
  options.threads = 2;
  options.grids = std::move(grids);
  return Calibrate(Digits().model(), config, calibration, options);
}

class GridsOf : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(GridsOf, ABundleGiveThatBundle) {
  const bool file = !GetParam().empty() && GetParam().front().ends_with(".yaml");
  const Config config =
      file ? Config::Load({std::filesystem::path(QSIM_SOURCE_DIR) / "configs" / GetParam().front()})
           : ShippedModel::ConfigWith(GetParam());
  const Bundle bundle = From(config, Digits().calibration(), Scope::kModel, {});
  const std::string text = GridsText(bundle);
  const Bundle again = From(config, Digits().calibration(), Scope::kModel, Written(text));
  EXPECT_TRUE(again.program == bundle.program);
  EXPECT_TRUE(again.scales == bundle.scales);
  EXPECT_TRUE(again.notes == bundle.notes);
  // Another calibration's grids give way wholly.
  ModelInputs dim = Digits().calibration();
  Faults({"calibration_coverage"}).PlantInCalibration(dim);
  const Bundle other = From(config, dim, Scope::kModel, Written(text));
  EXPECT_TRUE(other.program == bundle.program);
  EXPECT_TRUE(other.scales == bundle.scales);
  EXPECT_FALSE(other.notes == bundle.notes) << "silent";
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, GridsOf,
    ::testing::Values(std::vector<std::string>{},
                      std::vector<std::string>{"hardware.requant=power_of_two"},
                      std::vector<std::string>{"w8a8-per_tensor.yaml"},
                      std::vector<std::string>{"norm1.smooth=0.5", "norm2.smooth=0.5",
                                               "norm.smooth=0.5", "attn_v_input.smooth=0.5",
                                               "norm2.outlier_channels=0.02",
                                               "attn_v_input.bit_type.symmetric=False",
                                               "mlp_gelu.smooth=0.5"},
                      std::vector<std::string>{"attn_q_out.calibration_mode=channel_wise",
                                               "attn_k_out.calibration_mode=head_wise"},
                      std::vector<std::string>{"attn_k_out.bit_type.symmetric=False",
                                               "mlp_fc2.weight.bit_type.bits=4",
                                               "attn_proj.output.output_quant_enable=True"},
                      std::vector<std::string>{
                          "attn_qkv.weight.rounding=squant", "mlp_fc2.weight.rounding=squant",
                          "mlp_fc2.weight.bit_type.bits=4", "patch_embed.weight.rounding=squant"}));

// The file says how weights are rounded; a file that does not leaves it to the configuration.
TEST(GridsFile, HoldsTheRoundingOfWeights) {
  const Config squant = ShippedModel::ConfigWith({"attn_proj.weight.rounding=squant"});
  const Config nearest = ShippedModel::ConfigWith();
  const auto from = [](const Config& config, const std::string& text) {
    return From(config, Digits().calibration(), Scope::kModel, Written(text)).program;
  };
  const Bundle bundle = From(squant, Digits().calibration(), Scope::kModel, {});
  const Bundle plain = From(nearest, Digits().calibration(), Scope::kModel, {});
  const std::string text = GridsText(bundle);
  EXPECT_FALSE(bundle.program == plain.program);
  EXPECT_TRUE(from(nearest, text) == bundle.program);
  EXPECT_TRUE(from(squant, GridsText(plain)) == plain.program);
  const std::string silent = std::regex_replace(text, std::regex("  rounding: .*\n"), "");
  EXPECT_TRUE(from(nearest, silent) == plain.program);
  EXPECT_TRUE(from(squant, silent) == bundle.program);
}

class RepairOf : public ::testing::TestWithParam<const char*> {};

TEST_P(RepairOf, IsACalibrationWithItsGrids) {
  const Faults faults({GetParam()});
  Config config = ShippedModel::ConfigWith();
  faults.PlantInConfig(Digits().model(), config);
  Bundle bundle = From(config, Digits().calibration(), Scope::kBlock, {});
  faults.PlantInBundle(Digits().model(), Digits().calibration(), bundle);
  const DiagnosisSubject subject = {Digits().model(), bundle, Digits().evaluation(), &config,
                                    &Digits().calibration()};
  const std::vector<Suspicion> found = RecogniseCauses(subject, 2);
  ASSERT_FALSE(found.empty());
  Bundle repaired = bundle;
  found.front().repairs.back().change(repaired);
  EXPECT_FALSE(repaired.program == bundle.program);
  const Bundle again =
      From(config, Digits().calibration(), Scope::kBlock, Written(GridsText(repaired)));
  EXPECT_TRUE(again.program == repaired.program);
  EXPECT_TRUE(again.scales == repaired.scales);
}

INSTANTIATE_TEST_SUITE_P(Faults, RepairOf,
                         ::testing::Values("clipping", "scale_mismatch", "stacked_scale",
                                           "double_quantization", "channel_outliers",
                                           "zero_point_mismatch", "sign_flipped"));

std::string Refused(const std::string& text) {
  try {
    From(ShippedModel::ConfigWith(), Digits().calibration(), Scope::kBlock, Written(text),
         Realise::kExact);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(GridsFile, WhatIsWrongIsSaid) {
  const std::string one = "{range: [-128, 127], scale: [0.1], zero_point: [0]}\n";
  EXPECT_THAT(Refused("blocks.0.attn_q_ou: " + one),
              HasSubstr("did you mean 'blocks.0.attn_q_out'"));
  EXPECT_THAT(Refused("blocks.0.attn_qkv: " + one), HasSubstr("no grid of this program"));
  EXPECT_THAT(Refused("blocks.0.attn_q_out: {range: [-128, 127], scale: [1, 2, 3], "
                      "zero_point: [0]}"),
              HasSubstr("grids.yaml:1: blocks.0.attn_q_out: 'scale' has 3 entries"));
  EXPECT_THAT(Refused("blocks.0.attn_q_out: {range: [-512, 511], scale: [1], zero_point: [0]}"),
              HasSubstr("8 bits at most"));
  EXPECT_THAT(Refused("blocks.0.attn_kv_out: {range: [-128, 127], scale: [0.1], zero_point: [0]}"),
              HasSubstr("would be right (--realise nearest takes it)"));
  for (const char* bad :
       {"scale: [-1], zero_point: [0]", "scale: [.nan], zero_point: [0]",
        "scale: [], zero_point: [0]", "scale: [1], zero_point: [200]",
        "scale: [1], zero_point: [0.5]", "scale: [1]", "scale: [1], zero_point: [0], scal: [1]",
        "scale: [1], zero_point: [0], rounding: half_up"}) {
    SCOPED_TRACE(bad);
    EXPECT_THROW(Written(std::string("a: {range: [-128, 127], ") + bad + "}"), InputError);
  }
}

}  // namespace
}  // namespace qsim::testing
