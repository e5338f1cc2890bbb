#include "sim/config/config_yaml.h"

#include <gtest/gtest.h>

#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

constexpr int kDepth = 4;

void ExpectReadsBack(const Config& config) {
  const std::string text = ConfigYaml(config, kDepth);
  const Config read = testing::LoadText(text);
  read.CheckBlocks(kDepth);
  EXPECT_EQ(read.Canonical(), config.Canonical());
  EXPECT_EQ(read.Contracts().Hash(), config.Contracts().Hash());
  EXPECT_EQ(read.Contracts().Label(), config.Contracts().Label());
  EXPECT_EQ(ConfigYaml(read, kDepth), text);
}

TEST(ConfigYaml, ReadsBackAsTheSameConfiguration) {
  ExpectReadsBack(Config::Defaults());
  for (const char* name : {"attn_config", "block_config", "mlp_config", "model_config"}) {
    ExpectReadsBack(Config::Load(
        {std::filesystem::path(QSIM_SOURCE_DIR) / "configs" / (std::string(name) + ".yaml")}));
  }
}

TEST(ConfigYaml, KeepsEverySetting) {
  for (const std::vector<std::string>& settings : std::vector<std::vector<std::string>>{
           {"attn_q_out.bit_type.symmetric=False", "attn_q_out.bit_type.bits=5"},
           {"blocks.2.attn_k_out.calibration_mode=channel_wise", "blocks.2.hardware.acc_bits=24"},
           {"blocks.3.norm1.percentile_alpha=0.98765432109876543"},
           {"norm1.smooth=0.5", "blocks.2.norm1.smooth=0"},
           {"attn_proj.weight.bias_correction=True", "blocks.1.attn_proj.weight.rounding=squant"},
           {"mlp_gelu.observer_type=KLObserver", "mlp_gelu.kl_bins=512"},
           {"attn_proj.output.output_quant_enable=True", "norm2.enable_profiler=True"},
           {"intSoft.quantization_method=Log2", "blocks.1.numerics.softmax=log_int"},
           {"numerics.softmax=shiftmax", "blocks.0.numerics.rounding=floor"},
           {"numerics.contract=tosa"},
           {"numerics.quantize=half_even_then_zero"},
           {"numerics.contract=ibert", "blocks.1.numerics.contract=tflite-double"},
           {"hardware.array_rows=3", "hardware.requant=power_of_two", "hardware.multiplier_bits=31",
            "hardware.acc_policy=wrap"}}) {
    SCOPED_TRACE(settings.front());
    Config config = Config::Defaults();
    for (const std::string& setting : settings) config.Set(setting);
    ExpectReadsBack(config);
  }
}

TEST(ConfigYaml, ReplacesTheGlobalFormat) {
  ExpectReadsBack(testing::LoadText(
      "outputs: {bit_type: {bits: 7, signed: True}}\nweight: {calibration_mode: channel_wise}\n"
      "norm: {bit_type: {bits: 6, signed: False}}\n"));
}

}  // namespace
}  // namespace qsim::testing
