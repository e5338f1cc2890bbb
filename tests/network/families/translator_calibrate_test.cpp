// The second family's configuration and calibration.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "sim/config/config_yaml.h"
#include "sim/error.h"
#include "tests/network/families/translator_test.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

constexpr const char* kYaml =
    "weight:\n"
    "  calibration_mode: layer_wise\n"
    "encoder.look.query:\n"
    "  calibration_mode: head_wise\n"
    "decoder.read.key: {bit_type: {bits: 7}}\n"
    "decoder:\n"
    "  look.likeness.calibration_mode: head_wise\n"
    "  look.ask.weight: {calibration_mode: head_wise}\n"
    "  think.down.output.output_quant_enable: True\n"
    "hardware.acc_bits: 24\n";

Config Load(const std::string& text) {
  const TempDir dir;
  std::ofstream(dir.path() / "translator.yaml") << text;
  return Config::Load({dir.path() / "translator.yaml"}, Subject().model.Vocabulary());
}

std::string MessageOf(const std::string& text, const std::vector<std::string>& settings = {}) {
  try {
    Config config = Load(text);
    for (const std::string& setting : settings) config.Set(setting);
    Calibrate(Subject().model, config, Subject().calibration, Subject().Options());
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TranslatorConfig, SpeaksInTheFamilysWords) {
  const Config config = Load(kYaml);
  EXPECT_EQ(config.Get(-1, "encoder.look.query").calibration_mode, CalibrationMode::kHeadWise);
  EXPECT_EQ(config.Get(-1, "decoder.read.key").bits, 7);
  EXPECT_EQ(config.Get(-1, "words.weight").calibration_mode, CalibrationMode::kLayerWise);
  // Defaults: a sum is wide, and what the array reads is not.
  EXPECT_EQ(config.Get(-1, "decoder.look.sum").bits, 16);
  EXPECT_EQ(config.Get(-1, "decoder.look.normed").bits, 8);
  EXPECT_EQ(config.Get(-1, "source").bits, 8);
  const Config again = Load(ConfigYaml(config, 0));
  EXPECT_EQ(again.Canonical(), config.Canonical());
}

TEST(TranslatorConfig, NamesTheLineOfAnUnknownKey) {
  EXPECT_THAT(MessageOf("source.kl_bins: 64\n\ndecoder.read.queri.calibration_mode: head_wise\n"),
              HasSubstr("translator.yaml:3: key 'decoder.read.queri'"));
  EXPECT_THAT(MessageOf("norm1.calibration_mode: layer_wise\n"), HasSubstr("unknown key"));
}

TEST(TranslatorCalibrate, RealisesWhatIsAskedFor) {
  const Bundle bundle =
      Calibrate(Subject().model, Load(kYaml), Subject().calibration, Subject().Options());
  const auto scales = [&](const char* tensor) { return bundle.scales.at(tensor).scale.size(); };
  EXPECT_EQ(scales("encoder.look.query"), static_cast<std::size_t>(Translator::kChannels));
  EXPECT_EQ(scales("decoder.look.likeness"), static_cast<std::size_t>(Translator::kHeads));
  EXPECT_EQ(scales("lexicon.weight"), 1u);
  EXPECT_EQ(bundle.program.Tensor("decoder.read.key").range.qmax, 63);
  EXPECT_EQ(bundle.program.Tensor("decoder.think.down.quant").dtype, DType::kInt8);
  EXPECT_EQ(bundle.program.inputs, (std::vector<std::string>{"source", "target"}));
  const auto& softmax = [&](const std::string& tensor) -> const SoftmaxOp& {
    for (const Op& op : bundle.program.ops) {
      if (OutputOf(op) == tensor) return std::get<SoftmaxOp>(op);
    }
    throw std::out_of_range(tensor);
  };
  EXPECT_TRUE(softmax("decoder.look.share").causal);
  EXPECT_FALSE(softmax("decoder.read.share").causal);
}

TEST(TranslatorCalibrate, RefusesWhatCannotBeRealised) {
  EXPECT_THAT(MessageOf(kYaml, {"source.bit_type.bits=16"}), HasSubstr("more than 8 bits"));
  EXPECT_THAT(MessageOf(kYaml, {"encoder.look.normed.calibration_mode=channel_wise",
                                "encoder.look.normed.bit_type.symmetric=False"}),
              HasSubstr("zero point for each channel"));
  EXPECT_THAT(MessageOf(kYaml, {"encoder.think.relu.calibration_mode=channel_wise"}),
              HasSubstr("one table serves every channel"));
  EXPECT_THAT(MessageOf(kYaml, {"decoder.look.out.weight.calibration_mode=head_wise"}),
              HasSubstr("contraction axis"));
  EXPECT_THAT(MessageOf(kYaml, {"hardware.requant=power_of_two"}), HasSubstr("power_of_two"));
}

}  // namespace
}  // namespace qsim::testing
