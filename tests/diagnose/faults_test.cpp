// Faults that are planted on purpose: every one gives a valid program that says so.
#include "sim/diagnose/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/error.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

using testing::ShippedModel;

// What `--inject` does between configuration and bundle.
Bundle Faulty(const ShippedModel& shipped, const std::vector<std::string>& words, Scope scope) {
  const Faults faults(words);
  Config config = ShippedModel::ConfigWith();
  faults.PlantInConfig(shipped.model(), config);
  ModelInputs calibration = shipped.calibration();
  faults.PlantInCalibration(calibration);
  CalibrateOptions options;
  options.scope = scope;
  options.blocks = {0};
  if (scope == Scope::kModel) options.blocks.clear();
  Bundle bundle = Calibrate(shipped.model(), config, calibration, options);
  faults.PlantInBundle(shipped.model(), calibration, bundle);
  return bundle;
}

std::string ErrorOf(const std::vector<std::string>& words, Scope scope) {
  const ShippedModel shipped;
  try {
    Faulty(shipped, words, scope);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

void ExpectValidAndNoted(const FaultInfo& info, const Bundle& faulty, const Bundle& healthy) {
  SCOPED_TRACE(info.name);
  Validate(faulty.program);
  EXPECT_NE(faulty.program, healthy.program);
  EXPECT_THAT(faulty.notes.back().text, ::testing::HasSubstr(std::string(info.text)));
  EXPECT_NE(faulty.provenance.config_hash, healthy.provenance.config_hash);
}

TEST(Faults, EachIsValidDiffersAndSaysSo) {
  const ShippedModel shipped;
  const Bundle healthy = Faulty(shipped, {}, Scope::kBlock);
  for (const FaultInfo& info : KnownFaults()) {
    ExpectValidAndNoted(info, Faulty(shipped, {std::string(info.name)}, Scope::kBlock), healthy);
  }
}

TEST(Faults, OfAChainedProgram) {
  const ShippedModel shipped;
  const Bundle healthy = Faulty(shipped, {}, Scope::kModel);
  EXPECT_TRUE(healthy.notes.empty());
  for (const FaultInfo& info : KnownFaults()) {
    if (info.name != "variance_underflow" && info.name != "stacked_scale") continue;
    ExpectValidAndNoted(info, Faulty(shipped, {std::string(info.name)}, Scope::kModel), healthy);
  }
}

TEST(Faults, SeveralAtOnce) {
  const ShippedModel shipped;
  const Bundle faulty =
      Faulty(shipped, {"clipping", "scale_mismatch@blocks.0.attn_k_out"}, Scope::kAttention);
  EXPECT_THAT(faulty.notes.back().text, ::testing::HasSubstr("scale_mismatch"));
  EXPECT_THAT(faulty.notes[faulty.notes.size() - 2].text, ::testing::HasSubstr("clipping"));
}

TEST(Faults, RejectsUnknownNamesAndTensors) {
  using ::testing::HasSubstr;
  EXPECT_THAT(ErrorOf({"cliping"}, Scope::kAttention),
              HasSubstr("--inject cliping: unknown fault 'cliping'; did you mean 'clipping'?"));
  EXPECT_THAT(ErrorOf({"nonsense"}, Scope::kAttention),
              HasSubstr("valid here: double_quantization"));
  EXPECT_THAT(ErrorOf({"clipping@"}, Scope::kAttention), HasSubstr("no tensor behind '@'"));
  EXPECT_THAT(ErrorOf({"calibration_coverage@blocks.0.norm1"}, Scope::kAttention),
              HasSubstr("no tensor of its own"));
  EXPECT_THAT(ErrorOf({"clipping@blocks.9.norm1"}, Scope::kAttention),
              HasSubstr("did you mean 'blocks.0.norm1'?"));
  EXPECT_THAT(ErrorOf({"head_dim_scale@blocks.0.norm1"}, Scope::kAttention),
              HasSubstr("did you mean 'blocks.0.attn_kv_out'?"));
  EXPECT_THAT(ErrorOf({"clipping@blocks.1.norm1"}, Scope::kAttention),
              HasSubstr("'blocks.1.norm1' is no tensor of this program"));
  EXPECT_THAT(ErrorOf({"gelu_table"}, Scope::kAttention), HasSubstr("a wider --scope has more"));
}

}  // namespace
}  // namespace qsim::testing
