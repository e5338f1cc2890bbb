// What the keys of a section mean.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "sim/config/config.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using testing::LoadText;

TEST(ConfigSectionTest, DefaultsOfEveryTensor) {
  const Config config = Config::Defaults();
  for (const SectionKind& kind : config.sections()) {
    const Section section = config.Get(0, kind.key);
    const std::set<std::string> streams = {"embed", "norm_pre", "residual1", "residual2", "pool"};
    const bool wide = streams.contains(kind.key);
    EXPECT_EQ(section.bits, wide ? 16 : 8) << kind.key;
    EXPECT_EQ(section.is_signed, kind.key != "intSoft") << kind.key;
    EXPECT_FALSE(section.has_zero_point) << kind.key;
    EXPECT_EQ(section.calibration_mode,
              kind.IsWeight() ? CalibrationMode::kChannelWise : CalibrationMode::kLayerWise)
        << kind.key;
    EXPECT_EQ(section.observer, ObserverKind::kMinmax) << kind.key;
    EXPECT_EQ(section.method, QuantMethod::kUniform) << kind.key;
    EXPECT_EQ(section.origin, "default") << kind.key;
  }
  EXPECT_EQ(config.HardwareFor(0).acc, (Accumulator{32, AccPolicy::kError}));
  EXPECT_EQ(config.HardwareFor(0).multiplier_bits, 16);
  EXPECT_EQ(config.NumericsFor(0).softmax, SoftmaxKind::kIbertRn);
  EXPECT_EQ(config.NumericsFor(0).requantize.rounding, Rounding::kHalfUp);
}

TEST(ConfigSectionTest, EveryKeyIsRead) {
  const Section section = LoadText(R"(
attn_qkv:
  output:
    calibration_mode: head_wise
    bit_type: {bits: 7, signed: True, name: int7}
    observer_type: PercentileObserver
    quantization_method: Affine
    percentile_alpha: 0.75
    percentile_sigma: 1
    kl_bins: 64
    enable_profiler: True
    output_quant_enable: true
)")
                              .Get(2, "attn_qkv.output");
  EXPECT_EQ(section.calibration_mode, CalibrationMode::kHeadWise);
  EXPECT_EQ(section.bits, 7);
  EXPECT_TRUE(section.is_signed);
  EXPECT_FALSE(section.has_zero_point);
  EXPECT_EQ(section.observer, ObserverKind::kPercentile);
  EXPECT_EQ(section.method, QuantMethod::kUniform);
  EXPECT_EQ(section.percentile_alpha, 0.75);
  EXPECT_EQ(section.percentile_sigma, 1.0);
  EXPECT_EQ(section.kl_bins, 64);
  EXPECT_TRUE(section.enable_profiler);
  EXPECT_TRUE(section.output_quant_enable);
  EXPECT_EQ(section.origin, "a.yaml:3");
}

TEST(ConfigSectionTest, EveryObserverIsAKnownWord) {
  const std::pair<const char*, ObserverKind> observers[] = {
      {"MinmaxObserver", ObserverKind::kMinmax},
      {"PercentileObserver", ObserverKind::kPercentile},
      {"EmaObserver", ObserverKind::kEma},
      {"OmseObserver", ObserverKind::kOmse},
      {"KLObserver", ObserverKind::kKl},
      {"PtfObserver", ObserverKind::kPtf},
      {"HistogramPercentileObserver", ObserverKind::kHistogramPercentile},
      {"HistogramKLObserver", ObserverKind::kHistogramKl},
      {"HistogramOmseObserver", ObserverKind::kHistogramOmse}};
  for (const auto& [word, kind] : observers) {
    const Config config = LoadText(std::string("norm1: {observer_type: ") + word + "}\n");
    EXPECT_EQ(config.Get(0, "norm1").observer, kind);
    EXPECT_EQ(Name(kind), word);
  }
}

struct SignCase {
  const char* bit_type;
  bool is_signed;
  bool has_zero_point;
};

TEST(ConfigSectionTest, SignedGivesTheRangeAndSymmetricTheZeroPoint) {
  const SignCase cases[] = {
      {"signed: True", true, false},
      {"signed: False", false, true},
      {"symmetric: True", true, false},
      {"symmetric: False", false, true},
      {"signed: True, symmetric: True", true, false},
      {"signed: True, symmetric: False", true, true},
      {"signed: False, symmetric: True", false, false},
      {"signed: False, symmetric: False", false, true},
      {"name: uint8", false, true},
      {"name: int8", true, false},
      {"name: uint8, symmetric: False", false, true},
      {"bits: 8", true, false},
  };
  for (const SignCase& sign : cases) {
    const Config config = LoadText(std::string("norm1: {bit_type: {") + sign.bit_type + "}}\n");
    const Section section = config.Get(0, "norm1");
    EXPECT_EQ(section.is_signed, sign.is_signed) << sign.bit_type;
    EXPECT_EQ(section.has_zero_point, sign.has_zero_point) << sign.bit_type;
    EXPECT_EQ(section.bits, 8) << sign.bit_type;
  }
}

TEST(ConfigSectionTest, ANameAloneGivesBitsAndSign) {
  const Section section = LoadText("norm1: {bit_type: {name: uint4}}\n").Get(0, "norm1");
  EXPECT_EQ(section.bits, 4);
  EXPECT_FALSE(section.is_signed);
}

TEST(ConfigSectionTest, SoftmaxOutputHasNoZeroPoint) {
  const Config config = LoadText("intSoft: {bit_type: {bits: 8, signed: False}}\n");
  EXPECT_FALSE(config.Get(0, "intSoft").is_signed);
  EXPECT_FALSE(config.Get(0, "intSoft").has_zero_point);
}

TEST(ConfigSectionTest, Log2OnTheSoftmaxOutputSelectsLogInt) {
  const Config config = LoadText("intSoft: {quantization_method: Log2}\n");
  config.CheckBlocks(4);
  EXPECT_EQ(config.NumericsFor(0).softmax, SoftmaxKind::kLogInt);
  EXPECT_EQ(config.Get(0, "intSoft").bits, 4);
  EXPECT_TRUE(config.notes().empty());
}

TEST(ConfigSectionTest, LogIntOverrulesAUniformSoftmaxSectionAndSaysSo) {
  const Config config = LoadText(
      "intSoft: {quantization_method: Uniform, bit_type: {bits: 8, signed: False}}\n"
      "numerics: {softmax: log_int}\nblocks.0.norm1: {kl_bins: 16}\n");
  config.CheckBlocks(4);
  EXPECT_EQ(config.Get(0, "intSoft").method, QuantMethod::kLog2);
  EXPECT_EQ(config.Get(0, "intSoft").bits, 4);
  EXPECT_THAT(config.notes(), ::testing::ElementsAre(::testing::HasSubstr(
                                  "log_int (a.yaml:2) overrules the intSoft section (a.yaml:1)")));
}

}  // namespace
}  // namespace qsim::testing
