// A model of another geometry, from weights on disk to golden and RTL: images, token embeddings,
// half-precision weights.
#include "tests/support/second_geometry.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "golden/program/executor.h"
#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "tests/calibrate/real_arithmetic.h"
#include "tests/support/vectors.h"

namespace qsim::testing {
namespace {

using testing::ForEveryActivation;
using testing::Join;
using testing::RunResult;
using testing::SecondGeometry;
using testing::SecondGeometryOptions;
using testing::Vectors;
using testing::WorstQsnr;

Vectors Load(const SecondGeometryOptions& options) {
  const testing::TempDir temp;
  SecondGeometry::Write(temp.path(), options);
  return Vectors(temp.path());
}

void ExpectAccurate(const RunReport& report) {
  EXPECT_GT(WorstQsnr(report, "attn_qkv"), 30);
  EXPECT_GT(WorstQsnr(report, "attn_q_out"), 30);
  EXPECT_GT(WorstQsnr(report, "attn_k_out"), 30);
  EXPECT_GT(WorstQsnr(report, "attn_v_input"), 25);
  EXPECT_GT(WorstQsnr(report, "attn_v_out"), 20);
}

RunResult CalibrateAndRun(const Vectors& vectors, const std::vector<std::string>& settings) {
  CalibrateOptions options;
  options.threads = 2;
  const Bundle bundle = vectors.Calibrate(settings, options);
  RunSettings run;
  run.images = 2;
  run.threads = 2;
  RunResult result = vectors.Run(bundle, run);
  for (std::int64_t block = 0; block < vectors.model().depth(); ++block)
    testing::RealArithmetic(vectors.model(), bundle, result.golden, block).CheckAll();
  return result;
}

TEST(SecondGeometry, ImagesWithTheShippedConfiguration) {
  const Vectors vectors = Load({});
  EXPECT_EQ(vectors.model().depth(), 6);
  EXPECT_EQ(vectors.model().At("blocks.0.attn_kv_out").shape, (Shape{3, 65, 65}));
  const RunResult result = CalibrateAndRun(vectors, {});
  ExpectAccurate(result.report);
  EXPECT_EQ(result.golden.at("blocks.5.attn_kv_out").shape(), (Shape{2, 3, 65, 65}));
  // The dead channel and the zero gamma are reported, not silently patched.
  int raised = 0;
  for (const LoweringNote& note : result.report.notes)
    raised += note.kind == LoweringNote::Kind::kRaisedScale;
  EXPECT_GE(raised, 6);
}

TEST(SecondGeometry, HalfPrecisionWeights) {
  for (const WeightDType dtype : {WeightDType::kF16, WeightDType::kBf16})
    ExpectAccurate(CalibrateAndRun(Load({.weights = dtype, .depth = 2}), {}).report);
}

// The kernels of the patch embedding are its colours.
TEST(SecondGeometry, ErrorsCancelInEachColourOfAPatch) {
  const Vectors vectors = Load({.depth = 2});
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Rederivation floats(vectors.model(), vectors.calibration());
  const auto worst = [&](const std::string& rounding, std::size_t kernels) {
    const Bundle bundle = vectors.Calibrate({"patch_embed.weight.rounding=" + rounding}, options);
    const std::string tap = "patch_embed";
    const network::Linear layer = floats.LayerOf(tap);
    const std::string name = WeightOf(*ProducerOf(bundle.program, tap));
    EXPECT_EQ(Name(bundle.scales.at(name).rounding), rounding);
    const auto& codes = bundle.program.Constant(name).As<std::int8_t>();
    const std::size_t kernel = static_cast<std::size_t>(layer.in_features()) / kernels;
    double most = 0;
    for (std::size_t first = 0; first < codes.size(); first += kernel) {
      double sum = 0;
      for (std::size_t i = first; i < first + kernel; ++i)
        sum += static_cast<double>(layer.weight.data[i]) /
                   bundle.scales.at(name).At(i / (kernel * kernels)).scale -
               static_cast<double>(codes[i]);
      most = std::max(most, std::fabs(sum));
    }
    return most;
  };
  const std::size_t colours = std::get<ImageInputs>(vectors.calibration().data).mean.size();
  ASSERT_GT(colours, 1U);
  EXPECT_LE(worst("squant", 1), 0.5001);
  EXPECT_LE(worst("squant", colours), 1.0001);
  EXPECT_GT(worst("nearest", colours), 1.5);
}

TEST(SecondGeometry, TokenEmbeddings) {
  SecondGeometryOptions options;
  options.depth = 2;
  options.inputs = SecondGeometryOptions::Inputs::kTokenFile;
  const Vectors file = Load(options);
  options.inputs = SecondGeometryOptions::Inputs::kTokenList;
  const Vectors list = Load(options);
  const RunResult of_file = CalibrateAndRun(file, {});
  ExpectAccurate(of_file.report);
  const RunResult of_list = CalibrateAndRun(list, {});
  EXPECT_EQ(of_file.golden, of_list.golden);
}

struct Case {
  std::string name;
  std::vector<std::string> settings;
};
void PrintTo(const Case& c, std::ostream* out) { *out << ::testing::PrintToString(c.settings); }
class SecondGeometryMatrix : public ::testing::TestWithParam<Case> {};

TEST_P(SecondGeometryMatrix, IsAccurate) {
  SecondGeometryOptions options;
  options.depth = 2;
  ExpectAccurate(CalibrateAndRun(Load(options), GetParam().settings).report);
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, SecondGeometryMatrix,
    ::testing::Values(
        Case{"Asymmetric", ForEveryActivation("bit_type.symmetric=False")},
        Case{"AsymmetricWeights", Join(ForEveryActivation("bit_type.symmetric=False"),
                                       testing::ForEveryWeight("bit_type.symmetric=False"))},
        Case{"ChannelWise",
             {"norm1.calibration_mode=channel_wise", "attn_v_input.calibration_mode=channel_wise",
              "attn_v_out.calibration_mode=channel_wise", "residual1.calibration_mode=channel_wise",
              "residual2.calibration_mode=channel_wise", "embed.calibration_mode=channel_wise"}},
        Case{"HeadWise",
             {"attn_q_out.calibration_mode=head_wise", "attn_k_out.calibration_mode=head_wise",
              "attn_v_input.calibration_mode=head_wise", "attn_kv_out.calibration_mode=head_wise",
              "attn_v_out.calibration_mode=head_wise",
              "attn_qkv.weight.calibration_mode=head_wise"}},
        Case{"HalfEven", {"numerics.rounding=half_even"}},
        Case{"HalfAway", {"numerics.rounding=half_away"}}),
    [](const auto& param) { return param.param.name; });

// ---- RTL ----

void ExpectNoMismatch(const Vectors& vectors, const std::vector<std::string>& settings,
                      double stall_probability) {
  CalibrateOptions options;
  options.blocks = {1};
  const Bundle bundle = vectors.Calibrate(settings, options);
  const testing::TempDir waves;
  RunSettings run;
  run.images = 1;
  run.rtl = RtlSettings{stall_probability, 7, false, waves.path(), waves.path()};
  const RunResult result = vectors.Run(bundle, run);
  EXPECT_EQ(result.report.total_mismatches(), 0) << ::testing::PrintToString(settings);
  EXPECT_EQ(result.golden, result.rtl);
  std::size_t driven = 0;  // every product, requantize and residual add, in hardware
  for (const Op& op : bundle.program.ops) {
    driven += !std::holds_alternative<SoftmaxOp>(op) && !std::holds_alternative<LayernormOp>(op);
  }
  EXPECT_EQ(result.report.cycles.size(), driven);
}

class SecondGeometryRtl : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cosim::BuiltWithRtl()) GTEST_SKIP() << "built with -DQSIM_RTL=OFF";
    SecondGeometryOptions options;
    options.depth = 2;
    vectors_.emplace(Load(options));
  }
  std::optional<Vectors> vectors_;
};

TEST_F(SecondGeometryRtl, EveryArraySizeWithStalls) {
  for (const cosim::ArrayShape array : cosim::BuiltArrays()) {
    ExpectNoMismatch(*vectors_,
                     {"hardware.array_rows=" + std::to_string(array.rows),
                      "hardware.array_cols=" + std::to_string(array.cols)},
                     0.2);
  }
}

TEST_F(SecondGeometryRtl, EveryAccumulatorPolicy) {
  for (const char* policy : {"wrap", "saturate"}) {
    for (const char* bits : {"16", "19", "32"}) {
      ExpectNoMismatch(
          *vectors_,
          {std::string("hardware.acc_bits=") + bits, std::string("hardware.acc_policy=") + policy},
          0);
    }
  }
}

TEST_F(SecondGeometryRtl, AsymmetricLogIntAndPowerOfTwo) {
  const auto asymmetric = ForEveryActivation("bit_type.symmetric=False");
  ExpectNoMismatch(*vectors_, asymmetric, 0.1);
  ExpectNoMismatch(*vectors_, Join(asymmetric, {"numerics.softmax=log_int"}), 0);
  ExpectNoMismatch(*vectors_, Join(asymmetric, {"hardware.requant=power_of_two"}), 0);
}

TEST_F(SecondGeometryRtl, EveryRounding) {
  for (const char* rounding : {"half_away", "half_even", "floor", "toward_zero"})
    ExpectNoMismatch(*vectors_, {std::string("numerics.rounding=") + rounding}, 0);
}

}  // namespace
}  // namespace qsim::testing
