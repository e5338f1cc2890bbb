// --set key=value.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/config/config.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadText;

Config WithSets(Config config, const std::vector<std::string>& sets) {
  for (const std::string& set : sets) config.Set(set);
  return config;
}

std::string ErrorFor(const std::string& set) {
  return ErrorOf([&] { WithSets(Config::Defaults(), {set}); });
}

TEST(ConfigSetTest, OverridesEveryKindOfKey) {
  const Config config = WithSets(
      LoadText("attn_q_out: {bit_type: {bits: 8, symmetric: True, name: int8}, observer_type: "
               "OmseObserver}\n"),
      {"hardware.acc_bits=24", "hardware.acc_policy=saturate", "hardware.requant=power_of_two",
       "blocks.0.attn_q_out.bit_type.bits=6", "attn_qkv.weight.calibration_mode=layer_wise",
       "numerics.rounding=floor", "attn_q_out.bit_type.symmetric=False",
       "residual1={bit_type: {bits: 12}, observer_type: EmaObserver}"});
  config.CheckBlocks(4);
  EXPECT_EQ(config.HardwareFor(0).acc, (Accumulator{24, AccPolicy::kSaturate}));
  EXPECT_EQ(config.HardwareFor(0).requant, RequantMode::kPowerOfTwo);
  EXPECT_EQ(config.Get(0, "attn_q_out").bits, 6);
  EXPECT_EQ(config.Get(1, "attn_q_out").bits, 8);
  EXPECT_TRUE(config.Get(1, "attn_q_out").has_zero_point);
  EXPECT_EQ(config.Get(0, "attn_q_out").observer, ObserverKind::kOmse);
  EXPECT_EQ(config.Get(1, "attn_q_out").origin, "a.yaml:1, --set");
  EXPECT_EQ(config.Get(0, "attn_q_out").origin, "--set");
  EXPECT_EQ(config.Get(0, "attn_qkv.weight").calibration_mode, CalibrationMode::kLayerWise);
  EXPECT_EQ(config.NumericsFor(3).residual_add, Rounding::kFloor);
  EXPECT_EQ(config.Get(0, "residual1").bits, 12);
  EXPECT_EQ(config.Get(0, "residual1").observer, ObserverKind::kEma);
}

TEST(ConfigSetTest, LaterSetsWin) {
  EXPECT_EQ(WithSets(Config::Defaults(), {"norm1.kl_bins=16", "norm1.kl_bins=32"})
                .Get(0, "norm1")
                .kl_bins,
            32);
}

// Unlike a section in a file, an override touches nothing but its own key.
TEST(ConfigSetTest, KeepsTheOtherKeysOfTheGlobalSection) {
  const Config config = WithSets(
      LoadText(
          "outputs: {bit_type: {bits: 5, signed: False}, observer_type: PercentileObserver}\n"),
      {"attn_q_out.bit_type.bits=6", "norm.kl_bins=99"});
  const Section section = config.Get(0, "attn_q_out");
  EXPECT_EQ(section.bits, 6);
  EXPECT_FALSE(section.is_signed);
  EXPECT_EQ(section.observer, ObserverKind::kPercentile);
  EXPECT_EQ(section.origin, "--set");
  // With a global-format file loaded, `norm` is the fallback of all norms.
  EXPECT_EQ(config.Get(0, "norm1").kl_bins, 99);
  EXPECT_EQ(config.Get(0, "norm1").bits, 5);
}

TEST(ConfigSetTest, LogIntByOverrideOnAUniformConfiguration) {
  const Config config = WithSets(LoadText("intSoft: {quantization_method: Uniform, bit_type: "
                                          "{bits: 8}}\nnumerics: {softmax: ibert_rn}\n"),
                                 {"numerics.softmax=log_int"});
  config.CheckBlocks(4);
  EXPECT_EQ(config.NumericsFor(0).softmax, SoftmaxKind::kLogInt);
  EXPECT_EQ(config.Get(0, "intSoft").method, QuantMethod::kLog2);
  EXPECT_EQ(config.notes().size(), 1u);
}

TEST(ConfigSetTest, MistakesReadLikeThoseInFiles) {
  EXPECT_THAT(ErrorFor("attn_q_out.bit_type.bit=8"),
              HasSubstr("--set: key 'attn_q_out.bit_type.bit': unknown key; did you mean 'bits'?"));
  EXPECT_THAT(ErrorFor("attn_q_out.bit_type.bits=17"),
              HasSubstr("expected an integer in 2..16, got '17'"));
  EXPECT_THAT(ErrorFor("hardware.acc_bits"),
              HasSubstr("--set: 'hardware.acc_bits': expected key=value"));
  EXPECT_THAT(ErrorFor("=3"), HasSubstr("expected key=value"));
  EXPECT_THAT(ErrorFor("hardware.acc_bits="), HasSubstr("'' is not a value"));
  EXPECT_THAT(ErrorFor("hardware.acc_bits=[1"), HasSubstr("'[1' is not a value"));
  EXPECT_THAT(ErrorFor("hardware=3"), HasSubstr("key 'hardware': expected a map"));
  EXPECT_THAT(ErrorFor("norm1.observer_type=Minmax"), HasSubstr("did you mean 'MinmaxObserver'?"));
  EXPECT_THAT(ErrorFor("norm1.bit_type={bits: 4, name: int8}"), HasSubstr("contradicts bits: 4"));
  Config config = Config::Defaults();
  config.Set("blocks.7.norm1.kl_bins=16");
  EXPECT_THAT(ErrorOf([&] { config.CheckBlocks(4); }),
              HasSubstr("--set: key 'blocks.7': the model has blocks 0..3"));
}

TEST(ConfigSetTest, ARefusedOverrideLeavesNoTrace) {
  Config config = Config::Defaults();
  const std::string before = config.Canonical();
  EXPECT_NE(ErrorOf([&] { config.Set("blocks.9.norm1={kl_bins: 16, bits: 1}"); }), "");
  EXPECT_EQ(config.Canonical(), before);
  config.CheckBlocks(1);
}

}  // namespace
}  // namespace qsim::testing
