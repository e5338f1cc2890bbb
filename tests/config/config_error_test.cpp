// Every class of mistake: the message names file, line and key, and says what would be right.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "sim/config/config.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::LoadDamagedCopies;
using testing::LoadText;
using testing::TempDir;
using testing::WriteBytes;

std::string ErrorFor(const std::string& text) {
  return ErrorOf([&] { LoadText(text); });
}

struct Mistake {
  const char* text;
  const char* message;
};

class ConfigMistakeTest : public ::testing::TestWithParam<Mistake> {};

TEST_P(ConfigMistakeTest, IsExplained) {
  EXPECT_THAT(ErrorFor(GetParam().text), HasSubstr(GetParam().message)) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    UnknownKeys, ConfigMistakeTest,
    ::testing::Values(
        Mistake{"attn_q_out:\n  bit_type:\n    bit: 8\n",
                "a.yaml:3: key 'attn_q_out.bit_type.bit': unknown key; did you mean 'bits'?"},
        Mistake{"attn_q_ot: {bit_type: {bits: 8}}\n",
                "a.yaml:1: key 'attn_q_ot': unknown key; did you mean 'attn_q_out'?"},
        Mistake{"attn_qkv:\n  weights: {bit_type: {bits: 8}}\n",
                "a.yaml:2: key 'attn_qkv.weights': unknown key; did you mean 'weight'?"},
        Mistake{"attn_qkv: {bit_type: {bits: 8}}\n",
                "key 'attn_qkv.bit_type': unknown key; valid here: weight, output"},
        Mistake{"norm1: {smooth: 1.5}\n",
                "a.yaml:1: key 'norm1.smooth': expected a number in 0..1 (0: none)"},
        Mistake{"norm1: {outlier_channels: 2}\n",
                "a.yaml:1: key 'norm1.outlier_channels': expected a number in 0..1 (0: none)"},
        Mistake{"norm1: {smooth: True}\n", "key 'norm1.smooth': expected a number in 0..1"},
        Mistake{"norm1: {observer: MinmaxObserver}\n",
                "key 'norm1.observer': unknown key; did you mean 'observer_type'?"},
        Mistake{"hardware: {rows: 4}\n", "key 'hardware.rows': unknown key"},
        Mistake{"numerics: {softmx: ibert}\n", "did you mean 'softmax'?"},
        Mistake{"intsof: {bit_type: {bits: 8}}\n", "did you mean 'intSoft'?"},
        Mistake{"blocks.0.attn_q_otu: {bit_type: {bits: 8}}\n",
                "a.yaml:1: key 'blocks.0.attn_q_otu': unknown key; did you mean 'attn_q_out'?"},
        Mistake{
            "blocks:\n  0:\n    attn_q_out: {bit_typ: {bits: 8}}\n",
            "a.yaml:3: key 'blocks.0.attn_q_out.bit_typ': unknown key; did you mean 'bit_type'?"},
        Mistake{"blocks.x.attn_q_out: {bit_type: {bits: 8}}\n",
                "key 'blocks.x': expected a block number, got 'x'"},
        Mistake{"blocks.-1.attn_q_out: {bit_type: {bits: 8}}\n", "expected a block number"},
        Mistake{"blocks.01.attn_q_out: {bit_type: {bits: 8}}\n", "expected a block number"},
        Mistake{"blocks.99999999999.norm1: {kl_bins: 16}\n", "expected a block number"},
        Mistake{"attn_q_out.: {bit_type: {bits: 8}}\n", "key 'attn_q_out.': unknown key"},
        Mistake{"norm1.bit_type.bits.x: 8\n",
                "key 'norm1.bit_type.bits': is a value and has no keys"},
        Mistake{"\"a\\nb\": 1\n", "key 'a\\x0ab': unknown key"}));

INSTANTIATE_TEST_SUITE_P(
    WrongTypes, ConfigMistakeTest,
    ::testing::Values(
        Mistake{"norm1: {bit_type: {bits: eight}}\n",
                "a.yaml:1: key 'norm1.bit_type.bits': expected an integer in 2..16, got 'eight'"},
        Mistake{"norm1: {bit_type: {bits: '8'}}\n", "expected an integer in 2..16"},
        Mistake{"norm1: {bit_type: {bits: 8.0}}\n", "got '8.0'"},
        Mistake{"norm1: {bit_type: {bits: [8]}}\n", "got a list"},
        Mistake{"norm1: {bit_type: {bits: {}}}\n", "got a map"},
        Mistake{"norm1: {bit_type: {bits: }}\n", "got nothing"},
        Mistake{"norm1: {bit_type: {signed: 1}}\n",
                "key 'norm1.bit_type.signed': expected True or False, got '1'"},
        Mistake{"norm1: {bit_type: {symmetric: yes}}\n", "expected True or False, got 'yes'"},
        Mistake{"norm1: {enable_profiler: 'True'}\n", "expected True or False"},
        Mistake{"norm1: {percentile_alpha: high}\n",
                "key 'norm1.percentile_alpha': expected a number"},
        Mistake{"norm1: {observer_type: [MinmaxObserver]}\n", "expected one of MinmaxObserver"},
        Mistake{"norm1: 7\n",
                "a.yaml:1: key 'norm1': expected a map of calibration_mode, bit_type"},
        Mistake{"norm1:\n", "key 'norm1': expected a map of"},
        Mistake{"norm1: {}\n", "got an empty one"},
        Mistake{"norm1: {bit_type: 8}\n", "key 'norm1.bit_type': expected a map of bits, signed"},
        Mistake{"attn_qkv: {weight: 8}\n", "key 'attn_qkv.weight': expected a map"},
        Mistake{"blocks: [1]\n", "key 'blocks': expected a map"},
        Mistake{"hardware: {acc_bits: True}\n", "expected an integer in 16..32, got 'True'"}));

INSTANTIATE_TEST_SUITE_P(
    OutOfRange, ConfigMistakeTest,
    ::testing::Values(
        Mistake{"norm1:\n  bit_type:\n    bits: 1\n",
                "a.yaml:3: key 'norm1.bit_type.bits': expected an integer in 2..16, got '1'"},
        Mistake{"norm1: {bit_type: {bits: 17}}\n", "expected an integer in 2..16, got '17'"},
        Mistake{"norm1: {bit_type: {bits: 99999999999999999999}}\n",
                "expected an integer in 2..16"},
        Mistake{"norm1: {percentile_alpha: 0.5}\n", "above 0.5 and at most 1, got '0.5'"},
        Mistake{"norm1: {percentile_alpha: 1.1}\n", "above 0.5 and at most 1"},
        Mistake{"norm1: {percentile_sigma: 0}\n", "above 0 and at most 1"},
        Mistake{"norm1: {percentile_sigma: .nan}\n", "above 0 and at most 1"},
        Mistake{"norm1: {kl_bins: 15}\n", "expected an integer in 16..1048576"},
        Mistake{"hardware: {acc_bits: 15}\n", "expected an integer in 16..32"},
        Mistake{"hardware: {acc_bits: 33}\n", "expected an integer in 16..32"},
        Mistake{"hardware: {multiplier_bits: 1}\n", "expected an integer in 2..31"},
        Mistake{"hardware: {multiplier_bits: 32}\n", "expected an integer in 2..31"},
        Mistake{"hardware: {array_rows: 0}\n", "expected an integer in 1..256"}));

INSTANTIATE_TEST_SUITE_P(
    UnknownWords, ConfigMistakeTest,
    ::testing::Values(
        Mistake{"norm1: {observer_type: MinMaxObserver}\n",
                "key 'norm1.observer_type': unknown observer 'MinMaxObserver'; did you mean "
                "'MinmaxObserver'? valid: MinmaxObserver, PercentileObserver, EmaObserver, "
                "OmseObserver, KLObserver, PtfObserver"},
        Mistake{"norm1: {observer_type: qqqqqqqqqqqqqqqqqqqqq}\n",
                "unknown observer 'qqqqqqqqqqqqqqqqqqqqq'; valid: MinmaxObserver"},
        Mistake{"norm1: {calibration_mode: chanel_wise}\n", "did you mean 'channel_wise'?"},
        Mistake{"norm1: {quantization_method: Unifrom}\n", "did you mean 'Uniform'?"},
        Mistake{"norm1: {quantization_method: Log2}\n",
                "Log2 is for the softmax output (intSoft) only"},
        Mistake{"outputs: {quantization_method: Log2}\n", "Log2 is for the softmax output"},
        Mistake{"hardware: {acc_policy: saturated}\n", "did you mean 'saturate'?"},
        Mistake{"hardware: {requant: power_of_2}\n", "did you mean 'power_of_two'?"},
        Mistake{"numerics: {rounding: nearest}\n", "unknown rounding 'nearest'"},
        Mistake{"numerics: {requantize: half_evn}\n", "did you mean 'half_even'?"},
        Mistake{"numerics: {softmax: shiftmix}\n", "did you mean 'shiftmax'?"},
        Mistake{"numerics: {layernorm: fqvit}\n",
                "is not available in this version; use ibert or ivit or rq_layernorm"},
        Mistake{"numerics: {gelu: shift_gelu}\n", "did you mean 'shiftgelu'?"},
        Mistake{
            "numerics: {requantize: tflite}\n",
            "key 'numerics.requantize': unknown requantize rule 'tflite'; did you mean 'tflite_"},
        Mistake{"numerics: {contract: tflite-duble}\n",
                "unknown numerics contract 'tflite-duble'; did you mean 'tflite-double'?"},
        Mistake{"numerics: {contract: nowhere/mine.yaml}\n", "nowhere/mine.yaml"},
        Mistake{"numerics: {gelu: tabel}\n", "did you mean 'table'?"}));

INSTANTIATE_TEST_SUITE_P(
    Contradictions, ConfigMistakeTest,
    ::testing::Values(
        Mistake{"norm1:\n  bit_type:\n    bits: 4\n    name: int8\n",
                "a.yaml:4: key 'norm1.bit_type.name': 'int8' contradicts bits: 4"},
        Mistake{"norm1: {bit_type: {name: uint8, signed: True}}\n",
                "key 'norm1.bit_type.name': 'uint8' contradicts signed: True"},
        Mistake{"norm1: {bit_type: {name: int8, symmetric: False}}\n",
                "'int8' contradicts symmetric: False"},
        Mistake{"norm1: {bit_type: {name: float8}}\n", "expected int2..int16 or uint2..uint16"},
        Mistake{"norm1: {bit_type: {name: int17}}\n", "expected int2..int16 or uint2..uint16"},
        Mistake{"norm1: {output_quant_enable: True}\n",
                "key 'norm1.output_quant_enable': is for linear outputs"},
        Mistake{"attn_qkv: {weight: {output_quant_enable: True}}\n", "is for linear outputs"},
        Mistake{"attn_qkv: {output: {rounding: squant}}\n",
                "a.yaml:1: key 'attn_qkv.output.rounding': is for weights"},
        Mistake{
            "mlp_fc1: {weight: {rounding: sqant}}\n",
            "unknown rounding of weights 'sqant'; did you mean 'squant'? valid: nearest, squant"},
        Mistake{"hardware: {residual_bits: 12}\n",
                "key 'hardware.residual_bits': expected 8 or 16, got '12'"},
        Mistake{"w8a8: {granularity: per_head}\n", "unknown granularity 'per_head'"},
        Mistake{"w8a8: {symmetric: True}\n", "key 'w8a8.symmetric': unknown key; did you mean"},
        Mistake{"blocks.0.w8a8: {a_symmetric: True}\n", "key 'blocks.0.w8a8': unknown key"},
        Mistake{"norm1.bit_type.bits: 8\nnorm1: {bit_type: {bits: 8}}\n",
                "a.yaml:2: key 'norm1.bit_type.bits': appears twice, dotted and nested"},
        Mistake{"norm1:\n  kl_bins: 16\n  kl_bins: 16\n", "a.yaml:3: key 'kl_bins': appears twice"},
        Mistake{"blocks.0.hardware.array_rows: 4\n",
                "key 'blocks.0.hardware.array_rows': all blocks run on one array; write "
                "'hardware.array_rows'"},
        Mistake{"blocks.0.head: {weight: {bit_type: {bits: 8}}}\n",
                "key 'blocks.0.head': is outside the blocks; write 'head'"},
        Mistake{"outputs: {kl_bins: 16}\nblocks.0.outputs: {kl_bins: 16}\n",
                "key 'blocks.0.outputs': a global section has no blocks.N form"}));

INSTANTIATE_TEST_SUITE_P(
    Files, ConfigMistakeTest,
    ::testing::Values(Mistake{"", "a.yaml: is empty"}, Mistake{"# nothing\n", "a.yaml: is empty"},
                      Mistake{"- norm1\n", "a.yaml:1: expected a map of sections, got a list"},
                      Mistake{"norm1\n", "a.yaml:1: expected a map of sections, got 'norm1'"},
                      Mistake{"norm1: [\n", "a.yaml:"},
                      Mistake{"norm1: {kl_bins: 16}\n---\nnorm1: {kl_bins: 16}\n",
                              "a.yaml:3: a second document"}));

TEST(ConfigErrorTest, MissingFilesAndDirectoriesAreNamed) {
  const TempDir dir;
  EXPECT_THAT(ErrorOf([&] { Config::Load({dir.path() / "no.yaml"}); }),
              HasSubstr("no.yaml: cannot be opened: No such file"));
  EXPECT_THAT(ErrorOf([&] { Config::Load({dir.path()}); }), HasSubstr("is a directory"));
}

TEST(ConfigErrorTest, BlocksBeyondTheDepthAreAnError) {
  const Config config = LoadText("norm1: {kl_bins: 16}\nblocks.4.norm1: {kl_bins: 16}\n");
  config.CheckBlocks(5);
  EXPECT_THAT(ErrorOf([&] { config.CheckBlocks(4); }),
              HasSubstr("a.yaml:2: key 'blocks.4': the model has blocks 0..3"));
}

TEST(ConfigErrorTest, Log2MustAgreeWithTheSoftmax) {
  const Config config =
      LoadText("intSoft:\n  quantization_method: Log2\nblocks.1.numerics.softmax: ibert\n");
  EXPECT_THAT(ErrorOf([&] { config.CheckBlocks(2); }),
              HasSubstr("a.yaml:2: key 'quantization_method' of intSoft: Log2 contradicts "
                        "numerics.softmax ibert (a.yaml:3)"));
}

TEST(ConfigErrorTest, EveryDamagedCopyLoadsOrIsRejected) {
  const TempDir dir;
  const auto path = dir.path() / "d.yaml";
  const std::string text =
      "attn_qkv:\n  weight: {calibration_mode: channel_wise, bit_type: {bits: 8, signed: True, "
      "name: int8}}\n"
      "blocks.1.norm1: {percentile_alpha: 0.99}\nnumerics: {softmax: log_int}\nhardware.acc_bits: "
      "24\n";
  const auto count = LoadDamagedCopies(path, text, [&] {
    const Config config = Config::Load({path});
    config.CheckBlocks(100);
    config.Canonical();
  });
  EXPECT_GT(count.loaded, 10u);
  EXPECT_GT(count.rejected, 5 * text.size());
}

}  // namespace
}  // namespace qsim::testing
