// The lowering of the shipped model, for a matrix of configurations.
#include "sim/calibrate/lower/lowering.h"
#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/softmax_lowering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "golden/program/executor.h"
#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/error.h"
#include "tests/calibrate/real_arithmetic.h"
#include "tests/io/io_test_util.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::AllOf;
using testing::ErrorOf;
using testing::ForEveryActivation;
using testing::ForEveryWeight;
using ::testing::HasSubstr;
using testing::Join;
using testing::RunResult;
using testing::Vectors;
using testing::WorstQsnr;

struct Case {
  std::string name;
  std::vector<std::string> settings;
  double attention_db = 30;  // attn_v_out, in the worst block
  double qkv_db = 38;        // attn_qkv
  // Weights are rounded to the nearest code and no accumulator wraps: the second derivation holds.
  bool exact = true;
};

void PrintTo(const Case& c, std::ostream* out) { *out << ::testing::PrintToString(c.settings); }

std::string NameOf(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }

class LoweringMatrix : public ::testing::TestWithParam<Case> {};

TEST_P(LoweringMatrix, ValidatesRunsAndIsAccurate) {
  const Case& c = GetParam();
  const Vectors vectors = Vectors::Shipped();
  CalibrateOptions options;
  options.threads = 2;
  const Bundle bundle = vectors.Calibrate(c.settings, options);
  ASSERT_NO_THROW(Validate(bundle.program));
  RunSettings settings;
  settings.images = 2;
  settings.threads = 2;
  const RunResult result = vectors.Run(bundle, settings);
  EXPECT_GT(WorstQsnr(result.report, "attn_v_out"), c.attention_db);
  EXPECT_GT(WorstQsnr(result.report, "attn_qkv"), c.qkv_db);
  for (const AccumulatorReport& acc : result.report.accumulators) {
    ASSERT_TRUE(acc.seen.has_value());
    if (acc.proof.acc.policy != AccPolicy::kError) continue;
    EXPECT_GE(acc.seen->min, acc.proof.range.min) << acc.proof.tap;
    EXPECT_LE(acc.seen->max, acc.proof.range.max) << acc.proof.tap;
  }
  if (!c.exact) return;
  for (std::int64_t block = 0; block < vectors.model().depth(); ++block)
    testing::RealArithmetic(vectors.model(), bundle, result.golden, block).CheckAll();
}

std::vector<Case> Granularities() {
  std::vector<Case> cases;
  const auto add = [&](const std::string& tensor, const std::string& mode) {
    std::string name = tensor + "_" + mode;
    std::replace(name.begin(), name.end(), '.', '_');
    cases.push_back({name, {tensor + ".calibration_mode=" + mode}, 30});
  };
  for (const char* tensor :
       {"attn_q_out", "attn_k_out", "attn_v_input", "attn_v_out", "attn_qkv.weight"}) {
    for (const char* mode : {"layer_wise", "channel_wise", "head_wise"}) add(tensor, mode);
  }
  for (const char* tensor : {"norm1", "residual1", "residual2", "embed", "attn_proj.weight"}) {
    for (const char* mode : {"layer_wise", "channel_wise"}) add(tensor, mode);
  }
  add("attn_kv_out", "head_wise");
  return cases;
}

std::vector<Case> Numerics() {
  std::vector<Case> cases;
  for (const char* rounding : {"half_away", "half_even", "floor", "toward_zero"}) {
    const bool nearest = std::string(rounding).starts_with("half");
    cases.push_back({std::string("rounding_") + rounding,
                     {std::string("numerics.rounding=") + rounding},
                     nearest ? 30.0 : 18.0,
                     nearest ? 38.0 : 33.0});
  }
  cases.push_back({"softmax_ibert", {"numerics.softmax=ibert"}, 26});
  cases.push_back({"softmax_log_int", {"numerics.softmax=log_int"}, 12});
  cases.push_back({"softmax_table", {"numerics.softmax=table"}});
  for (const char* kind : {"ibert_rn", "table", "shiftmax", "deeploy_isoftmax", "tflite", "ita"}) {
    cases.push_back({std::string("softmax_after_") + kind,
                     {"numerics.softmax_division=after", std::string("numerics.softmax=") + kind},
                     std::string(kind) == "ita" ? 14.0 : 26.0});
  }
  cases.push_back({"softmax_after_log_int",
                   {"numerics.softmax_division=after", "numerics.softmax=log_int"},
                   12});
  cases.push_back({"softmax_table_16_bits",
                   {"numerics.softmax=table", "attn_kv_out.bit_type={bits: 16, signed: True}"}});
  for (const int bits : {12, 16}) {
    cases.push_back({"scores_" + std::to_string(bits),
                     {"attn_kv_out.bit_type.bits=" + std::to_string(bits),
                      "attn_kv_out.bit_type.name=int" + std::to_string(bits)},
                     32});
  }
  const std::vector<std::pair<int, double>> widths = {{2, 3}, {3, 10}, {4, 16}, {5, 23}, {6, 28}};
  for (const auto& [bits, floor] : widths) {
    const std::string b = std::to_string(bits);
    cases.push_back(
        {"weights_" + b,
         Join(ForEveryWeight("bit_type.bits=" + b), ForEveryWeight("bit_type.name=int" + b)), floor,
         floor});
  }
  cases.push_back({"weights_4_squant",
                   Join(ForEveryWeight("bit_type.bits=4"), ForEveryWeight("rounding=squant")), 16,
                   16, false});
  const std::vector<std::pair<int, double>> multipliers = {{4, 20}, {8, 30}, {24, 30}, {31, 30}};
  for (const auto& [bits, floor] : multipliers) {
    cases.push_back({"multiplier_" + std::to_string(bits),
                     {"hardware.multiplier_bits=" + std::to_string(bits)},
                     floor,
                     floor});
  }
  for (const char* layer : {"attn_qkv", "attn_proj"}) {
    cases.push_back({std::string("output_quant_") + layer,
                     {std::string(layer) + ".output.output_quant_enable=True"}});
    cases.push_back({std::string("output_quant_asymmetric_") + layer,
                     {std::string(layer) + ".output.output_quant_enable=True",
                      std::string(layer) + ".output.bit_type.symmetric=False"}});
    cases.push_back({std::string("output_quant_channel_wise_") + layer,
                     {std::string(layer) + ".output.output_quant_enable=True",
                      std::string(layer) + ".output.calibration_mode=channel_wise"}});
  }
  return cases;
}

std::vector<Case> Symmetries() {
  const auto asymmetric = ForEveryActivation("bit_type.symmetric=False");
  const auto channels = std::vector<std::string>{
      "norm1.calibration_mode=channel_wise",    "attn_q_out.calibration_mode=head_wise",
      "attn_k_out.calibration_mode=head_wise",  "attn_v_input.calibration_mode=channel_wise",
      "attn_kv_out.calibration_mode=head_wise", "attn_v_out.calibration_mode=channel_wise"};
  const auto power = std::vector<std::string>{"hardware.requant=power_of_two"};
  const auto weights = ForEveryWeight("bit_type.symmetric=False");
  return {
      {"asymmetric", asymmetric},
      {"asymmetric_per_head_and_channel", Join(asymmetric, channels)},
      {"asymmetric_weights", weights},
      {"asymmetric_everything", Join(Join(asymmetric, channels), weights)},
      {"asymmetric_q_channel_wise", Join(asymmetric, {"attn_q_out.calibration_mode=channel_wise"})},
      {"asymmetric_log_int", Join(asymmetric, {"numerics.softmax=log_int"}), 12},
      {"power_of_two", power, 26, 34},
      {"power_of_two_asymmetric", Join(asymmetric, power), 26, 34},
      {"power_of_two_per_head_and_channel", Join(Join(channels, power), asymmetric), 26, 34},
      {"power_of_two_layer_wise_weights",
       Join(power, ForEveryWeight("calibration_mode=layer_wise")), 26, 32},
      {"power_of_two_head_wise_weights",
       Join(power, {"attn_qkv.weight.calibration_mode=head_wise"}), 26, 32},
      {"power_of_two_residual_channel_wise",
       Join(power,
            {"residual1.calibration_mode=channel_wise", "residual2.calibration_mode=channel_wise",
             "embed.calibration_mode=channel_wise"}),
       26, 34},
      {"power_of_two_output_quant", Join(power, {"attn_proj.output.output_quant_enable=True"}), 26,
       34},
      {"power_of_two_q_channel_wise", Join(power, {"attn_q_out.calibration_mode=channel_wise"}), 26,
       34},
      {"power_of_two_log_int", Join(power, {"numerics.softmax=log_int"}), 12, 34},
      {"residual_channel_wise",
       {"residual1.calibration_mode=channel_wise", "residual2.calibration_mode=channel_wise",
        "embed.calibration_mode=channel_wise"}}};
}

std::vector<Case> Smoothing() {
  const auto asymmetric = ForEveryActivation("bit_type.symmetric=False");
  const auto power = std::vector<std::string>{"hardware.requant=power_of_two"};
  const auto both = std::vector<std::string>{"norm1.smooth=0.5", "attn_v_input.smooth=0.5"};
  return {
      {"smooth_norm", {"norm1.smooth=0.5"}},
      {"smooth_values", {"attn_v_input.smooth=0.5"}},
      {"smooth_values_of_heads",
       {"attn_v_input.smooth=0.75", "attn_v_input.calibration_mode=head_wise"}},
      {"outlier_channels", {"norm1.outlier_channels=0.05", "attn_v_input.outlier_channels=0.05"}},
      {"smooth_asymmetric", Join(asymmetric, both)},
      {"smooth_power_of_two", Join(power, both), 26, 32},
      {"smooth_power_of_two_asymmetric", Join(Join(asymmetric, power), both), 26, 32},
      {"smooth_int8_step", Join(both, {"attn_qkv.output.output_quant_enable=True"})}};
}

std::vector<Case> Observers() {
  std::vector<Case> cases;
  for (const char* observer : {"PercentileObserver", "EmaObserver", "OmseObserver"}) {
    const std::string setting = std::string("observer_type=") + observer;
    const bool ema = std::string(observer) == "EmaObserver";
    cases.push_back({observer, Join(ForEveryActivation(setting), ForEveryWeight(setting)), 27,
                     ema ? 38.0 : 33.0, ema});
  }
  return cases;
}

std::vector<Case> Accumulators() {
  std::vector<Case> cases;
  for (int bits = 16; bits <= 32; ++bits) {
    for (const char* policy : {"wrap", "saturate"}) {
      // 18 bits hold every sum that these images make.
      const bool fits = bits >= 19;
      cases.push_back({std::string(policy) + "_" + std::to_string(bits),
                       {"hardware.acc_bits=" + std::to_string(bits),
                        std::string("hardware.acc_policy=") + policy},
                       fits ? 30.0 : -200.0,
                       fits ? 38.0 : -200.0,
                       fits});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Granularity, LoweringMatrix, ::testing::ValuesIn(Granularities()), NameOf);
INSTANTIATE_TEST_SUITE_P(Numerics, LoweringMatrix, ::testing::ValuesIn(Numerics()), NameOf);
INSTANTIATE_TEST_SUITE_P(Symmetry, LoweringMatrix, ::testing::ValuesIn(Symmetries()), NameOf);
INSTANTIATE_TEST_SUITE_P(Smooth, LoweringMatrix, ::testing::ValuesIn(Smoothing()), NameOf);
INSTANTIATE_TEST_SUITE_P(Observer, LoweringMatrix, ::testing::ValuesIn(Observers()), NameOf);
INSTANTIATE_TEST_SUITE_P(Accumulator, LoweringMatrix, ::testing::ValuesIn(Accumulators()), NameOf);

TEST(Lowering, PowerOfTwoMultipliesByOne) {
  const Vectors vectors = Vectors::Shipped();
  const Bundle bundle = vectors.Calibrate(
      Join(ForEveryActivation("bit_type.symmetric=False"), {"hardware.requant=power_of_two"}));
  std::size_t multipliers = 0;
  for (const Op& op : bundle.program.ops) {
    const std::vector<Multiplier>* scales = nullptr;
    if (const auto* r = std::get_if<RequantizeOp>(&op)) scales = &r->scale;
    if (const auto* l = std::get_if<LayernormOp>(&op))
      scales = &std::get<IbertLayernormParams>(l->params).scale;
    if (scales != nullptr) {
      for (const Multiplier& s : *scales) {
        EXPECT_EQ(std::abs(s.m), 1) << OutputOf(op);
        ++multipliers;
      }
    }
    if (const auto* r = std::get_if<ResidualAddOp>(&op)) {
      // One shift for both, so a power of two may stay in the multipliers.
      for (const auto* values : {&r->a_multiplier, &r->b_multiplier}) {
        for (const std::int32_t m : *values) EXPECT_EQ(m & (m - 1), 0) << m;
      }
    }
  }
  EXPECT_GT(multipliers, 500u);
}

// |x|^a / |w|^(1 - a): a = 1 gives every channel the same range, and a = 0 every column of the
// weights.
TEST(Lowering, SmoothingFactorsAreThoseOfRangesAndColumns) {
  const Vectors vectors = Vectors::Shipped();
  const std::string norm = "blocks.1.norm1";
  const std::vector<double> wide =
      vectors.Calibrate({"norm1.calibration_mode=channel_wise"}).scales.at(norm).scale;
  const FloatTensor& w =
      vectors.model().FunctionOf<network::Projection>("blocks.1.attn_qkv")->layer.weight;
  std::vector<double> column(wide.size(), 0);
  for (std::size_t i = 0; i < w.data.size(); ++i)
    column[i % wide.size()] =
        std::max(column[i % wide.size()], std::fabs(static_cast<double>(w.data[i])));
  for (const double a : {0.25, 0.5, 1.0}) {
    const TensorScale smoothed =
        vectors.Calibrate({"norm1.smooth=" + std::to_string(a)}).scales.at(norm);
    ASSERT_EQ(smoothed.scale.size(), wide.size());
    EXPECT_EQ(smoothed.zero, std::vector<std::int32_t>(wide.size(), 0));
    const auto factor = [&](std::size_t c) {
      return std::pow(wide[c], a) / std::pow(column[c], 1 - a);
    };
    double finest = 0;  // scale that a channel needs, in units of its factor
    for (std::size_t c = 0; c < wide.size(); ++c) finest = std::max(finest, wide[c] / factor(c));
    for (std::size_t c = 0; c < wide.size(); ++c)
      EXPECT_NEAR(smoothed.scale[c] / (finest * factor(c)), 1, 1e-9) << a << " " << c;
  }
}

// The channels of the largest ranges, and no others, have scales of their own, which give them the
// range that is left to all; by factors that smoothing has moved already, too.
TEST(Lowering, OutlierChannelsHaveTheRangeOfTheOthers) {
  const Vectors vectors = Vectors::Shipped();
  const std::string norm = "blocks.1.norm1";
  const auto scales = [&](const std::vector<std::string>& settings) {
    return vectors.Calibrate(settings).scales.at(norm).scale;
  };
  const std::vector<double> wide = scales({"norm1.calibration_mode=channel_wise"});
  const auto channels = static_cast<double>(wide.size());
  for (const std::string smooth : {"0", "0.5"}) {
    std::vector<double> before(wide.size(), 1);
    if (smooth != "0") before = scales({"norm1.smooth=" + smooth});
    std::vector<double> sizes;
    for (std::size_t c = 0; c < wide.size(); ++c) sizes.push_back(wide[c] / before[c]);
    std::vector<double> sorted = sizes;
    std::ranges::sort(sorted, std::greater<>());
    for (const double outliers : {1.0, 3.0, channels}) {
      const std::vector<double> scale =
          scales({"norm1.smooth=" + smooth,
                  "norm1.outlier_channels=" + std::to_string((outliers - 0.5) / channels)});
      const double threshold =
          sorted[std::min(static_cast<std::size_t>(outliers), wide.size() - 1)];
      ASSERT_EQ(scale.size(), wide.size());
      for (std::size_t c = 0; c < wide.size(); ++c) {
        EXPECT_NEAR(scale[c] / (before[c] * threshold * std::max(1.0, sizes[c] / threshold)), 1,
                    1e-9)
            << smooth << " " << outliers << " " << c;
      }
    }
  }
}

// The values' factors reach the projection: behind attention one multiplier serves every channel.
TEST(Lowering, SmoothedValuesNeedOneMultiplierBehindAttention) {
  const Vectors vectors = Vectors::Shipped();
  const auto channels = [&](const std::vector<std::string>& settings) {
    const Bundle bundle = vectors.Calibrate(settings);
    std::size_t most = 0;
    for (const Op& op : bundle.program.ops) {
      if (OutputOf(op).ends_with("attn_v_out"))
        most = std::max(most, std::get<RequantizeOp>(op).scale.size());
    }
    return most;
  };
  EXPECT_EQ(channels({"attn_v_input.smooth=0.5"}), 1u);
  EXPECT_EQ(channels({"attn_v_input.smooth=0.5", "attn_v_input.bit_type.symmetric=False",
                      "attn_v_out.bit_type.symmetric=False"}),
            1u);
  EXPECT_GT(channels({"attn_v_input.calibration_mode=channel_wise"}), 1u);
}

// A bundle says how its weights were rounded: they are derived again as they are.
TEST(Lowering, RoundedWeightsAreDerivedAgain) {
  const Vectors vectors = Vectors::Shipped();
  Bundle bundle = vectors.Calibrate(ForEveryWeight("rounding=squant"));
  const Rederivation again(vectors.model(), vectors.calibration());
  for (const Op& op : bundle.program.ops) {
    const std::string name = WeightOf(op);
    if (name.empty()) continue;
    const IntTensor& codes = bundle.program.Constant(name);
    Bundle derived = bundle;
    again.Derive({OutputOf(op)}, derived);
    EXPECT_EQ(derived.program.Constant(name), codes) << name;
    derived.scales.at(name).rounding = config::WeightRounding::kNearest;
    again.Derive({OutputOf(op)}, derived);
    EXPECT_NE(derived.program.Constant(name), codes) << name;
  }
}

// A width is refused exactly when the proof says so.
TEST(Lowering, PolicyErrorFollowsTheProof) {
  const Vectors vectors = Vectors::Shipped();
  int needed = 0;
  for (const AccumulatorProof& proof : ProveAccumulators(vectors.Calibrate({}).program))
    needed = std::max(needed, proof.bits_needed);
  ASSERT_GT(needed, 16);
  ASSERT_LT(needed, 24);
  for (int bits = 16; bits <= 32; ++bits) {
    const std::vector<std::string> settings = {"hardware.acc_bits=" + std::to_string(bits)};
    if (bits >= needed) {
      EXPECT_NO_THROW(vectors.Calibrate(settings)) << bits;
      continue;
    }
    try {
      vectors.Calibrate(settings);
      ADD_FAILURE() << bits << " bits were accepted";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("has " + std::to_string(bits) + " under policy error"));
    }
  }
}

TEST(Lowering, ChosenBlocksAreTheSameAsInAWholeModel) {
  const Vectors vectors = Vectors::Shipped();
  const Bundle all = vectors.Calibrate({});
  CalibrateOptions options;
  options.blocks = {1, 3};
  const Bundle some = vectors.Calibrate({}, options);
  EXPECT_EQ(some.program.inputs, (std::vector<std::string>{"blocks.1.input", "blocks.3.input"}));
  for (const TensorInfo& info : some.program.tensors) {
    EXPECT_EQ(info, all.program.Tensor(info.name));
    EXPECT_EQ(some.scales.at(info.name), all.scales.at(info.name)) << info.name;
  }
  for (const auto& [name, constant] : some.program.constants)
    EXPECT_EQ(constant, all.program.constants.at(name)) << name;
  for (const Op& op : some.program.ops) {
    EXPECT_NE(std::find(all.program.ops.begin(), all.program.ops.end(), op), all.program.ops.end())
        << OutputOf(op);
  }
}

// Both tables, within the bound that docs/numerics.md 5.10 states.
TEST(SoftmaxParams, TablesAreTheExponential) {
  for (const double scale : {1e-5, 0.001, 0.0123, 0.3, 1.04, 9.0}) {
    const auto wide = std::get<TableSoftmaxParams>(
        ScoresOf(SoftmaxKind::kTable, scale, 2, {-32768, 32767}).params);
    const auto narrow =
        std::get<TableSoftmaxParams>(ScoresOf(SoftmaxKind::kTable, scale, 0, {0, 255}).params);
    EXPECT_EQ(wide.extra_bits, 2);
    EXPECT_TRUE(narrow.exp_high.empty());
    EXPECT_EQ(wide.exp_high.size(), 256U);
    CheckSoftmaxParams(wide);
    CheckSoftmaxParams(narrow);
    for (std::int64_t d = 0; d < 65536; ++d) {
      const double exact = 32768 * std::exp(-scale * static_cast<double>(d));
      EXPECT_NEAR(TableExp(wide, d), exact, 1.51) << scale << " " << d;
      if (d < 256) {
        EXPECT_NEAR(TableExp(narrow, d), exact, 0.5001) << scale << " " << d;
      }
    }
  }
}

TEST(SoftmaxParams, FollowTheirDefinition) {
  for (std::int32_t k = 1; k <= kMaxSoftmaxK; k += 1 + k / 37) {
    const long double s = 0.6931L / k;
    const auto p = std::get<IbertRnSoftmaxParams>(IbertConstants(SoftmaxKind::kIbertRn, k, 3));
    EXPECT_EQ(p.exp.x0, -k);
    EXPECT_EQ(p.exp.n, 30);
    EXPECT_EQ(p.extra_bits, 3);
    EXPECT_NEAR(static_cast<double>(p.exp.b), static_cast<double>(0.96963238L / 0.35815147L / s), 1)
        << k;
    EXPECT_NEAR(static_cast<double>(p.exp.c), static_cast<double>(1 / 0.35815147L / s / s), 1) << k;
    EXPECT_GE(p.act16_multiplier, std::int64_t{1} << 30);
    EXPECT_LT(p.act16_multiplier, std::int64_t{1} << 31);
    // The row's maximum becomes 32767.
    std::vector<std::int32_t> exp16(1);
    std::vector<std::int32_t> out(1);
    SoftmaxTrace trace;
    trace.exp16 = exp16;
    const std::int32_t score = 5;
    golden::Softmax({&score, 1}, p, out, trace);
    EXPECT_EQ(exp16[0], 32767) << k;
  }
}

// Scores that the integer exponential cannot take: all places in one line, with what would work;
// and it does.
// 16 bits of what GELU reads, for every algorithm that takes them: what is left of its step's loss
// is its own output's rounding.
TEST(Lowering, GeluReads16Bits) {
  const Vectors vectors = Vectors::Shipped();
  CalibrateOptions options;
  options.scope = Scope::kBlock;
  const auto db = [&](const std::string& gelu, const std::string& bits) {
    const Bundle bundle = vectors.Calibrate(
        {"numerics.gelu=" + gelu, "mlp_fc1.output.bit_type={bits: " + bits + ", symmetric: False}"},
        options);
    EXPECT_EQ(bundle.program.Tensor("blocks.0.mlp_fc1.quant").dtype,
              bits == "16" ? DType::kUint16 : DType::kUint8);
    RunSettings settings;
    settings.images = 2;
    return WorstQsnr(vectors.Run(bundle, settings).report, "mlp_gelu");
  };
  for (const char* gelu : {"table", "deeploy"}) EXPECT_GT(db(gelu, "16"), db(gelu, "8") + 0.5);
  EXPECT_GT(db("ibert", "16"), 25);
}

TEST(Lowering, GeluInputsAreNeverFinerThanItsConstants) {
  for (const GeluKind kind : {GeluKind::kIbert, GeluKind::kDeeploy}) {
    auto params = Alternative<GeluParams>(static_cast<std::size_t>(kind));
    SetGeluConstants(FinestGeluInput(kind), params);
    EXPECT_NO_THROW(CheckGeluParams(params));
    SetGeluConstants(FinestGeluInput(kind) / 1.01, params);
    EXPECT_THROW(CheckGeluParams(params), std::invalid_argument);
  }
  // A layer of which nearly nothing comes out.
  const Vectors vectors = Vectors::Shipped();
  network::Network network = vectors.model();
  auto& fc1 = std::get<network::Projection>(network.At("blocks.0.mlp_fc1").function).layer;
  for (float& w : fc1.weight.data) w *= 1e-3F;
  for (float& b : fc1.bias) b *= 1e-3F;
  CalibrateOptions options;
  options.scope = Scope::kBlock;
  options.blocks = {0};
  const Bundle bundle = calibrate::Calibrate(
      network,
      Vectors::ConfigWith(
          {"mlp_fc1.output.bit_type={bits: 16, symmetric: False}", "numerics.gelu=ibert"}),
      vectors.calibration(), options);
  EXPECT_NO_THROW(Validate(bundle.program));
  EXPECT_EQ(bundle.scales.at("blocks.0.mlp_fc1.quant").scale.front(),
            FinestGeluInput(GeluKind::kIbert));
}

TEST(Lowering, NamesAllScoresThatNoSoftmaxTakes) {
  const Vectors vectors = Vectors::Shipped();
  const std::vector<std::string> few = {"attn_kv_out.bit_type={bits: 2, signed: True}",
                                        "attn_kv_out.calibration_mode=head_wise"};
  const std::string error = ErrorOf([&] { static_cast<void>(vectors.Calibrate(few, {})); });
  EXPECT_THAT(
      error,
      AllOf(HasSubstr("blocks.0.attn_kv_out head 0, blocks.0.attn_kv_out head 1"),
            HasSubstr("and 6 more at least: cannot be realised in integers: 2 bits need"),
            HasSubstr("softmax ibert_rn takes 0.6931"), HasSubstr("numerics.softmax: table")));
  EXPECT_LT(error.size(), 300U);
  const Bundle table = vectors.Calibrate(Join(few, {"numerics.softmax=table"}), {});
  EXPECT_NO_THROW(Validate(table.program));
}

// Every tap of a softmax that is divided after the product is compared with what it stands for:
// exp(x - max), sums of that, products with it.
TEST(Lowering, UndividedTapsHaveFloatCounterparts) {
  const Vectors vectors = Vectors::Shipped();
  const Bundle bundle = vectors.Calibrate({"numerics.softmax_division=after"}, {});
  RunSettings settings;
  settings.images = 2;
  const RunResult result = vectors.Run(bundle, settings);
  for (const char* tap :
       {"intSoft", "intSoft.sum", "attn_v_out.acc", "attn_v_out.divided", "attn_v_out"})
    EXPECT_GT(WorstQsnr(result.report, tap), 25) << tap;
  const Bundle before = vectors.Calibrate({}, {});
  const RunResult other = vectors.Run(before, settings);
  EXPECT_GE(WorstQsnr(result.report, "attn_v_out"), WorstQsnr(other.report, "attn_v_out") - 1);
}

TEST(Lowering, PowersOfTwoHaveNoReciprocal) {
  const Vectors vectors = Vectors::Shipped();
  EXPECT_THAT(ErrorOf([&] {
                static_cast<void>(vectors.Calibrate(
                    {"numerics.softmax_division=after", "hardware.requant=power_of_two"}, {}));
              }),
              HasSubstr("numerics.softmax_division"));
}

}  // namespace
}  // namespace qsim::testing
