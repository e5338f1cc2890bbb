// The sections of a configuration are data: those of the vision transformer, and of another family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/config/config.h"
#include "sim/config/config_yaml.h"
#include "sim/error.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadText;

// A recurrent decoder: a gated state beside attention, heads of logits, and no class token.
Sections Decoder() {
  return Sections({
      {.key = "token",
       .is_per_block = false,
       .scope = Scope::kModel,
       .tensor = "token",
       .bits = 12,
       .is_stream = true,
       .enters_block = true},
      {.key = "rms", .describes = Describes::kNorm, .tensor = "rms"},
      {.key = "mixer.gate.weight",
       .describes = Describes::kWeight,
       .granularity = CalibrationMode::kChannelWise},
      {.key = "mixer.gate.output",
       .describes = Describes::kLinearOutput,
       .tensor = "mixer.gate.quant"},
      {.key = "mixer.state", .tensor = "mixer.state", .bits = 16},
      {.key = "attend", .describes = Describes::kSoftmax, .is_signed = false},
      {.key = "cross_attend", .describes = Describes::kSoftmax, .is_signed = false},
      {.key = "sum",
       .scope = Scope::kBlock,
       .tensor = "sum",
       .bits = 12,
       .is_stream = true,
       .enters_block = true},
      {.key = "lm_head.weight",
       .describes = Describes::kWeight,
       .is_per_block = false,
       .scope = Scope::kModel,
       .granularity = CalibrationMode::kChannelWise},
  });
}

std::string ErrorFor(const std::string& text) {
  return ErrorOf([&] { LoadText(text, Decoder()); });
}

std::vector<std::string> Own(const Config& config) {
  std::vector<std::string> own;
  for (const OwnSection& section : config.OwnSections()) {
    own.push_back(std::to_string(section.block) + " " + section.kind->key + " " + section.origin);
  }
  return own;
}

TEST(ConfigVocabulary, EveryKeyOfTheVisionTransformerIsFound) {
  std::size_t kinds = 0;
  for (const SectionKind& kind : VitSections()) {
    EXPECT_EQ(VitSections().Find(kind.key), &kind);
    EXPECT_EQ(&VitSections().At(kind.key), &kind);
    ++kinds;
  }
  EXPECT_EQ(kinds, 30u);
  EXPECT_EQ(VitSections().Find("attn_qkv"), nullptr);
  EXPECT_EQ(VitSections().FindOfLayer("attn_qkv", Describes::kWeight)->key, "attn_qkv.weight");
  EXPECT_EQ(VitSections().FindOfLayer("norm1", Describes::kWeight), nullptr);
  EXPECT_THROW(VitSections().At("attn_qkv"), InternalError);
  EXPECT_THROW(Config::Defaults().Get(0, "attn_qkv"), InternalError);
}

TEST(ConfigVocabulary, AnotherFamilysSectionsLoad) {
  const Config config = LoadText(
      "rms: {bit_type: {bits: 10}}\n"
      "mixer:\n"
      "  gate:\n"
      "    weight: {calibration_mode: layer_wise}\n"
      "    output: {output_quant_enable: True}\n"
      "  state.bit_type.bits: 14\n"
      "lm_head.weight: {bit_type: {bits: 4}}\n"
      "blocks.3.mixer.state: {kl_bins: 64}\n"
      "hardware.residual_bits: 16\n",
      Decoder());
  config.CheckBlocks(4);
  EXPECT_EQ(config.Get(0, "rms").bits, 10);
  EXPECT_EQ(config.Get(0, "mixer.gate.weight").calibration_mode, CalibrationMode::kLayerWise);
  EXPECT_TRUE(config.Get(2, "mixer.gate.output").output_quant_enable);
  EXPECT_EQ(config.Get(3, "mixer.state").bits, 14);
  EXPECT_EQ(config.Get(3, "mixer.state").kl_bins, 64);
  EXPECT_EQ(config.Get(-1, "lm_head.weight").bits, 4);
  EXPECT_EQ(config.Get(-1, "token").bits, 16);  // the stream's width, not the section's 12
  EXPECT_EQ(config.Get(0, "sum").bits, 16);
  EXPECT_FALSE(config.Get(0, "attend").is_signed);
  EXPECT_THAT(Own(config), ElementsAre("-1 rms a.yaml:1", "-1 mixer.gate.weight a.yaml:4",
                                       "-1 mixer.gate.output a.yaml:5", "-1 mixer.state a.yaml:6",
                                       "-1 lm_head.weight a.yaml:7", "3 mixer.state a.yaml:8"));
  EXPECT_THAT(config.Canonical(), HasSubstr("\nblocks.3.mixer.state: layer_wise int14"));
  const Config read = LoadText(ConfigYaml(config, 4), Decoder());
  EXPECT_EQ(read.Canonical(), config.Canonical());
}

TEST(ConfigVocabulary, TheRulesOfWholeNetworksHoldForAnotherFamily) {
  const Config global = LoadText(
      "outputs: {bit_type: {bits: 5}}\nweight: {bit_type: {bits: 6}}\n"
      "norm: {bit_type: {bits: 9}}\nintsoft: {bit_type: {bits: 7, signed: False}}\n",
      Decoder());
  EXPECT_EQ(global.Get(0, "mixer.gate.weight").bits, 6);
  EXPECT_EQ(global.Get(0, "mixer.gate.output").bits, 5);
  EXPECT_EQ(global.Get(0, "mixer.state").bits, 5);
  EXPECT_EQ(global.Get(0, "rms").bits, 9);
  EXPECT_EQ(global.Get(0, "cross_attend").bits, 7);

  const Config w8a8 = LoadText("w8a8: {granularity: per_tensor}\n", Decoder());
  EXPECT_EQ(w8a8.Get(0, "mixer.gate.weight").calibration_mode, CalibrationMode::kLayerWise);
  EXPECT_TRUE(w8a8.Get(0, "mixer.state").has_zero_point);
  EXPECT_EQ(w8a8.Get(0, "attend").origin, "default");

  const Config log2 = LoadText("cross_attend: {quantization_method: Log2}\n", Decoder());
  EXPECT_EQ(log2.NumericsFor(0).softmax, SoftmaxKind::kLogInt);
  EXPECT_EQ(log2.Get(0, "cross_attend").bits, 4);
  EXPECT_EQ(log2.Get(0, "attend").method, QuantMethod::kUniform);
}

TEST(ConfigVocabulary, MistakesNameTheWordsOfTheVocabulary) {
  EXPECT_THAT(ErrorFor("rms: {kl_bins: 16}\nmixr: {state: {kl_bins: 16}}\n"),
              HasSubstr("a.yaml:2: key 'mixr': unknown key; did you mean 'mixer'?"));
  EXPECT_THAT(ErrorFor("mixer:\n  stat: {kl_bins: 16}\n"),
              HasSubstr("a.yaml:2: key 'mixer.stat': unknown key; did you mean 'state'?"));
  EXPECT_THAT(
      ErrorFor("mixer.gate.bias: {kl_bins: 16}\n"),
      HasSubstr("a.yaml:1: key 'mixer.gate.bias': unknown key; valid here: weight, output"));
  EXPECT_THAT(ErrorFor("norm1: {kl_bins: 16}\n"), HasSubstr("a.yaml:1: key 'norm1': unknown key"));
  EXPECT_THAT(ErrorFor("blocks.0.lm_head: {weight: {kl_bins: 16}}\n"),
              HasSubstr("key 'blocks.0.lm_head': is outside the blocks; write 'lm_head'"));
  EXPECT_THAT(ErrorFor("rms: {quantization_method: Log2}\n"),
              HasSubstr("Log2 is for the softmax output (attend) only"));
  EXPECT_THAT(ErrorFor("rms: {output_quant_enable: True}\n"),
              HasSubstr("is for linear outputs (mixer.gate.output, ...) only"));
  Config config = Config::Defaults(Decoder());
  EXPECT_THAT(ErrorOf([&] { config.Set("attnd.kl_bins=16"); }),
              HasSubstr("did you mean 'attend'?"));
}

TEST(ConfigVocabulary, AKeyHasOneMeaning) {
  const std::vector<std::vector<const char*>> ambiguous = {
      {"norm", "norm"},
      {"norm", "norm.weight"},
      {"norm.weight", "norm"},
      {""},
      {"outputs"},
      {"weight.a"},
      {"hardware"},
      {"blocks.x"},
  };
  for (const auto& keys : ambiguous) {
    std::vector<SectionKind> kinds;
    for (const char* key : keys) kinds.push_back({.key = key});
    EXPECT_THROW(Sections{kinds}, InternalError) << keys.front();
  }
  EXPECT_EQ(Sections({{.key = "norm"}, {.key = "norm1.weight"}}).At("norm").bits, 8);
}

}  // namespace
}  // namespace qsim::testing
