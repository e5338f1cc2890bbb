// Which section wins: per-layer before global, a block before all blocks, later files before
// earlier ones.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/config/config.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::LoadText;
using testing::LoadTexts;

constexpr const char* kGlobal = R"(
outputs: {bit_type: {bits: 5, signed: False}, observer_type: PercentileObserver, output_quant_enable: True}
weight: {bit_type: {bits: 6, signed: True}, calibration_mode: layer_wise}
)";

TEST(ConfigPrecedenceTest, GlobalSectionsReachEveryTensorWithoutItsOwn) {
  const Config config = LoadText(kGlobal);
  for (const SectionKind& kind : config.sections()) {
    const Section section = config.Get(0, kind.key);
    if (kind.key == "intSoft") {
      EXPECT_EQ(section.origin, "default");
    } else {
      EXPECT_EQ(section.bits, kind.IsWeight() ? 6 : 5) << kind.key;
      EXPECT_EQ(section.origin, kind.IsWeight() ? "a.yaml:3" : "a.yaml:2") << kind.key;
    }
  }
}

TEST(ConfigPrecedenceTest, OptionalGlobalSectionsComeBeforeOutputs) {
  const Config config = LoadText(std::string(kGlobal) +
                                 "activation: {bit_type: {bits: 7, signed: True}}\n"
                                 "norm: {bit_type: {bits: 9, signed: True}}\n"
                                 "intsoft: {bit_type: {bits: 10, signed: False}}\n");
  const auto bits = [&](std::string_view key) { return config.Get(1, key).bits; };
  EXPECT_EQ(bits("attn_q_out"), 7);
  EXPECT_EQ(bits("attn_kv_out"), 7);
  EXPECT_EQ(bits("residual1"), 7);
  EXPECT_EQ(bits("mlp_gelu"), 7);
  EXPECT_EQ(bits("norm1"), 9);
  EXPECT_EQ(bits("norm"), 9);
  EXPECT_EQ(bits("intSoft"), 10);
  EXPECT_EQ(bits("attn_qkv.output"), 5);
  EXPECT_EQ(bits("attn_qkv.weight"), 6);
  // The section counts as a whole: what it omits comes from the defaults, not from `outputs`.
  EXPECT_EQ(config.Get(1, "attn_q_out").observer, ObserverKind::kMinmax);
}

TEST(ConfigPrecedenceTest, NormIsTheFinalNormInThePerLayerFormat) {
  const Config config = LoadText("norm: {bit_type: {bits: 9, signed: True}}\n");
  EXPECT_EQ(config.Get(-1, "norm").bits, 9);
  EXPECT_EQ(config.Get(0, "norm1").bits, 8);
}

TEST(ConfigPrecedenceTest, APerLayerSectionReplacesTheGlobalOneAsAWhole) {
  const Config config = LoadText(std::string(kGlobal) + "attn_q_out: {bit_type: {bits: 4}}\n");
  const Section section = config.Get(0, "attn_q_out");
  EXPECT_EQ(section.bits, 4);
  EXPECT_TRUE(section.is_signed);
  EXPECT_EQ(section.observer, ObserverKind::kMinmax);
  EXPECT_EQ(section.origin, "a.yaml:4");
  EXPECT_EQ(config.Get(0, "attn_k_out").bits, 5);
}

TEST(ConfigPrecedenceTest, ABlockRefinesKeyByKey) {
  const Config config = LoadText(R"(
attn_q_out: {bit_type: {bits: 6, signed: True}, observer_type: PercentileObserver, kl_bins: 32}
blocks.1.attn_q_out: {bit_type: {bits: 4}}
blocks: {2: {attn_q_out: {bit_type: {symmetric: False}}}}
)");
  EXPECT_EQ(config.Get(0, "attn_q_out").bits, 6);
  const Section one = config.Get(1, "attn_q_out");
  EXPECT_EQ(one.bits, 4);
  EXPECT_EQ(one.observer, ObserverKind::kPercentile);
  EXPECT_EQ(one.kl_bins, 32);
  EXPECT_EQ(one.origin, "a.yaml:3");
  const Section two = config.Get(2, "attn_q_out");
  EXPECT_EQ(two.bits, 6);
  EXPECT_FALSE(two.is_signed);  // the sign keys of one level belong together
  EXPECT_TRUE(two.has_zero_point);
}

TEST(ConfigPrecedenceTest, HardwareAndNumericsPerBlock) {
  const Config config = LoadText(R"(
hardware: {array_rows: 4, array_cols: 8, acc_bits: 24, acc_policy: wrap, requant: power_of_two}
numerics: {rounding: floor, requantize: half_even, softmax: ibert}
blocks.1.hardware: {acc_bits: 20, multiplier_bits: 31}
blocks.1.numerics: {rounding: half_away, softmax: log_int}
blocks.2.numerics.residual_add: toward_zero
)");
  EXPECT_EQ(config.HardwareFor(0).acc, (Accumulator{24, AccPolicy::kWrap}));
  EXPECT_EQ(config.HardwareFor(0).requant, RequantMode::kPowerOfTwo);
  EXPECT_EQ(config.HardwareFor(1).acc, (Accumulator{20, AccPolicy::kWrap}));
  EXPECT_EQ(config.HardwareFor(1).multiplier_bits, 31);
  EXPECT_EQ(config.HardwareFor(1).array_cols, 8);
  EXPECT_EQ(config.NumericsFor(0).requantize.rounding, Rounding::kHalfEven);
  EXPECT_EQ(config.NumericsFor(0).residual_add, Rounding::kFloor);
  EXPECT_EQ(config.NumericsFor(1).requantize.rounding, Rounding::kHalfAway);
  EXPECT_EQ(config.NumericsFor(1).residual_add, Rounding::kHalfAway);
  EXPECT_EQ(config.NumericsFor(1).softmax, SoftmaxKind::kLogInt);
  EXPECT_EQ(config.NumericsFor(2).residual_add, Rounding::kTowardZero);
  EXPECT_EQ(config.NumericsFor(2).requantize.rounding, Rounding::kHalfEven);
  EXPECT_EQ(config.NumericsFor(2).softmax, SoftmaxKind::kIbert);
}

TEST(ConfigPrecedenceTest, LaterFilesWinAndTheNotesSayWhere) {
  const Config config = LoadTexts({"norm1: {bit_type: {bits: 4}, kl_bins: 32}\n",
                                   "# b\nnorm1: {bit_type: {bits: 6}}\nnorm2: {kl_bins: 16}\n"});
  EXPECT_EQ(config.Get(0, "norm1").bits, 6);
  EXPECT_EQ(config.Get(0, "norm1").kl_bins, 32);
  EXPECT_THAT(config.notes(),
              ElementsAre(HasSubstr("key 'norm1.bit_type.bits': b.yaml:2 overrides a.yaml:1")));
}

TEST(ConfigPrecedenceTest, FilesThatAgreeAreNoConflict) {
  const std::string section = "norm1: {calibration_mode: layer_wise, kl_bins: 32}\n";
  EXPECT_THAT(LoadTexts({section, section}).notes(), IsEmpty());
  EXPECT_THAT(LoadTexts({section, section, "norm1.kl_bins: 33\n"}).notes(),
              ElementsAre(HasSubstr("key 'norm1.kl_bins': c.yaml:1 overrides b.yaml:1")));
}

TEST(ConfigPrecedenceTest, TheShippedConfigurationsDoNotContradictEachOther) {
  const std::filesystem::path configs = std::filesystem::path(QSIM_SOURCE_DIR) / "configs";
  const Config config = Config::Load({configs / "attn_config.yaml", configs / "block_config.yaml",
                                      configs / "mlp_config.yaml", configs / "model_config.yaml"});
  EXPECT_THAT(config.notes(), IsEmpty());
}

TEST(ConfigPrecedenceTest, TheFormatsMixAcrossFiles) {
  const Config config = LoadTexts({kGlobal,
                                   "attn_proj: {weight: {bit_type: {bits: 3}}}\n"
                                   "norm: {bit_type: {bits: 9, signed: True}}\n"});
  EXPECT_EQ(config.Get(0, "attn_proj.weight").bits, 3);
  EXPECT_EQ(config.Get(0, "attn_qkv.weight").bits, 6);
  // `norm` means what the file's own format says.
  EXPECT_EQ(config.Get(0, "norm").bits, 9);
  EXPECT_EQ(config.Get(0, "norm1").bits, 5);
}

TEST(ConfigPrecedenceTest, CanonicalTextIgnoresSpelling) {
  const std::string nested = LoadText("norm1:\n  bit_type: {bits: 8, name: int8}\n").Canonical();
  const std::string dotted =
      LoadText("# comment\nblocks.3.norm1.bit_type.symmetric: True\n").Canonical();
  EXPECT_EQ(nested, Config::Defaults().Canonical());
  EXPECT_EQ(dotted, Config::Defaults().Canonical());
  EXPECT_NE(LoadText("norm1: {bit_type: {bits: 7}}\n").Canonical(), nested);
  EXPECT_THAT(LoadText("blocks.3.norm1: {bit_type: {bits: 7}}\n").Canonical(),
              HasSubstr("blocks.3.norm1: layer_wise int7"));
  EXPECT_THAT(LoadText("blocks.3.hardware.acc_bits: 20\n").Canonical(),
              HasSubstr("blocks.3.hardware: acc_bits=20"));
}

// The three files of the background's per-layer format, with every key a section may have.
TEST(ConfigPrecedenceTest, FilesOfThePerLayerFormatLoadUnchanged) {
  const std::string section = R"(
    calibration_mode: layer_wise
    bit_type:
      bits: 8
      signed: True
      name: int8
    observer_type: MinmaxObserver
    quantization_method: Uniform
    percentile_alpha: 0.9995
    percentile_sigma: 0.1
    kl_bins: 2048
    enable_profiler: True
)";
  const auto linear = [&](const std::string& name) {
    return name + ":\n  weight:" + section + "  output:" + section +
           "    output_quant_enable: False\n";
  };
  const std::string attn = linear("attn_qkv") + linear("attn_proj") + "attn_q_out:" + section +
                           "attn_k_out:" + section + "attn_v_input:" + section +
                           "attn_kv_out:" + section + "attn_v_out:" + section +
                           "intSoft:" + section;
  const std::string block =
      "norm1:" + section + "norm2:" + section + "residual1:" + section + "residual2:" + section;
  const std::string mlp = linear("mlp_fc1") + linear("mlp_fc2") + "mlp_gelu:" + section;
  const Config config = LoadTexts({attn, block, mlp});
  config.CheckBlocks(12);
  EXPECT_THAT(config.notes(), IsEmpty());
  EXPECT_EQ(config.Get(11, "mlp_gelu").origin, "c.yaml:53");
  EXPECT_TRUE(config.Get(0, "residual2").enable_profiler);
}

TEST(ConfigPrecedenceTest, TheDocumentedSectionsLoad) {
  int sections = 0;
  for (const std::string& yaml : testing::DocumentedYaml()) {
    if (!yaml.starts_with("attn_q_out:")) continue;
    EXPECT_EQ(LoadText(yaml).Get(0, "attn_q_out").observer, ObserverKind::kPercentile);
    ++sections;
  }
  EXPECT_EQ(sections, 1);
}

TEST(ConfigPrecedenceTest, TheShippedConfigurationsLoad) {
  int loaded = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(QSIM_SOURCE_DIR) / "configs")) {
    // A search space is no configuration.
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "sweep") continue;
    Config::Load({entry.path()}).CheckBlocks(4);
    ++loaded;
  }
  EXPECT_GT(loaded, 0);
}

// ---- one key that sets the width of the residual stream, and one for all of W8A8 ----

TEST(ConfigPrecedenceTest, ResidualBitsOverruleSections) {
  const Config config = LoadText(
      "hardware: {residual_bits: 8}\nresidual1: {bit_type: {bits: 16, symmetric: False}}\n"
      "blocks.1: {hardware: {residual_bits: 16}, residual2: {bit_type: {bits: 12}}}\n");
  EXPECT_EQ(config.Get(0, "residual1").bits, 8);
  EXPECT_TRUE(config.Get(0, "residual1").has_zero_point);
  EXPECT_EQ(config.Get(-1, "embed").bits, 8);
  EXPECT_EQ(config.Get(1, "embed").bits, 8);  // lies outside the blocks
  EXPECT_EQ(config.Get(1, "residual1").bits, 16);
  EXPECT_EQ(config.Get(1, "residual2").bits, 16);
  EXPECT_EQ(config.Get(0, "norm1").bits, 8);
  EXPECT_EQ(config.Get(0, "attn_kv_out").bits, 8);
  ASSERT_EQ(config.notes().size(), 2u);
  EXPECT_EQ(config.notes()[0],
            "key 'hardware.residual_bits': 8 (a.yaml:1) overrules the 16 bits of residual1 "
            "(a.yaml:2)");
  EXPECT_EQ(
      config.notes()[1],
      "key 'hardware.residual_bits': 16 (a.yaml:3) overrules the 12 bits of blocks.1.residual2 "
      "(a.yaml:3)");
  EXPECT_EQ(LoadText("hardware: {acc_bits: 24}\n").Get(0, "residual1").bits, 16);
}

TEST(ConfigPrecedenceTest, W8a8LiesBelowEverySection) {
  for (const bool per_channel : {false, true}) {
    for (const bool a_symmetric : {false, true}) {
      for (const bool w_symmetric : {false, true}) {
        const Config config = LoadText(fmt::format(
            "w8a8: {{granularity: {}, a_symmetric: {}, w_symmetric: {}}}\n"
            "attn_q_out: {{bit_type: {{bits: 6}}}}\nattn_k_out: {{bit_type: {{signed: True}}}}\n",
            per_channel ? "per_channel" : "per_tensor", a_symmetric, w_symmetric));
        for (const SectionKind& kind : config.sections()) {
          const Section section = config.Get(0, kind.key);
          const bool stream = kind.is_stream;
          const bool own = kind.key == "attn_q_out" || kind.key == "attn_k_out";
          if (kind.key == "intSoft") {
            EXPECT_FALSE(section.has_zero_point || section.is_signed);
            EXPECT_EQ(section.origin, "default");
            continue;
          }
          EXPECT_EQ(section.bits, stream ? 16 : kind.key == "attn_q_out" ? 6 : 8);
          EXPECT_EQ(section.calibration_mode, kind.IsWeight() && per_channel
                                                  ? CalibrationMode::kChannelWise
                                                  : CalibrationMode::kLayerWise);
          const bool symmetric = kind.key == "attn_k_out" ? true
                                 : kind.IsWeight()        ? w_symmetric
                                                          : a_symmetric;
          EXPECT_EQ(section.has_zero_point, !symmetric) << kind.key;
          EXPECT_EQ(section.is_signed, symmetric) << kind.key;
          if (!own) {
            EXPECT_EQ(section.origin, "a.yaml:1");
          }
        }
      }
    }
  }
  const Config only = LoadText("w8a8: {a_symmetric: True}\n");
  ASSERT_TRUE(only.W8a8Family());
  EXPECT_EQ(only.W8a8Family()->granularity, WeightGranularity::kPerChannel);
  EXPECT_FALSE(LoadText("norm1: {kl_bins: 16}\n").W8a8Family());
  Config set = Config::Defaults();
  set.Set("w8a8.granularity=per_tensor");
  EXPECT_EQ(set.Get(0, "mlp_fc1.weight").calibration_mode, CalibrationMode::kLayerWise);
}

}  // namespace
}  // namespace qsim::testing
