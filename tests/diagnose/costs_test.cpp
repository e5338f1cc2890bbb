// Grids that suit what they hold badly, in networks where nothing is broken: named with the setting
// that mends them and with what it gains.
#include "sim/diagnose/costs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "sim/calibrate/recalibration.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis_json.h"
#include "sim/diagnose/diagnosis_text.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

Diagnosis Of(const network::Network& model, const Config& config, const ModelInputs& calibration,
             const ModelInputs& evaluation, const CalibrateOptions& calibrate) {
  Recalibration calibrations(model, CalibrationInputs::From(calibration), calibrate);
  DiagnoseOptions options;
  options.threads = 2;
  options.recognise = RecogniseCauses;
  options.calibrate = [&](const Config& c) { return calibrations.With(c); };
  const Bundle bundle = options.calibrate(config);
  return Diagnose({model, bundle, evaluation, &config, &calibration}, options);
}

// ---- attention over many tokens ----

constexpr std::int64_t kTokens = 640;
constexpr std::int64_t kChannels = 16;
constexpr std::int64_t kHeads = 2;

FloatTensor Random(const Shape& shape, double spread, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  FloatTensor tensor{shape, {}};
  for (std::int64_t i = 0; i < ElementCount(shape); ++i) {
    double sum = -6;
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(engine() >> 11) * 0x1p-53;
    tensor.data.push_back(static_cast<float>(spread * sum));
  }
  return tensor;
}

// One head that looks at single tokens, and one that looks at all of them alike: each of its
// probabilities is 1/640, less than half a step of 1/256.
network::Network LongRows() {
  network::Network network;
  const auto add = [&](const std::string& name, network::Function function,
                       std::vector<std::string> inputs, Shape shape, std::int64_t heads = 1) {
    network.Add({.name = name,
                 .function = std::move(function),
                 .inputs = std::move(inputs),
                 .shape = std::move(shape),
                 .section = {{name}},
                 .heads = heads});
  };
  const auto layer = [&](const std::string& name, const std::string& input, std::int64_t outs,
                         network::Linear linear) {
    add(name, network::Projection{std::move(linear), 0, {}}, {input}, {kTokens, outs});
    network.At(name).section = {{name + ".output"}};
    network.At(name).weight_section = {{name + ".weight"}};
  };
  add("tokens", network::Activations{}, {}, {kTokens, kChannels});
  network.At("tokens").stream = true;
  network::Linear stacked{Random({3 * kChannels, kChannels}, 0.25, 1),
                          Random({3 * kChannels}, 1, 2).data};
  for (std::int64_t row = 0; row < kChannels; ++row) {
    const float factor = row < kChannels / kHeads ? 8 : 1e-3F;
    for (std::int64_t k = 0; k < kChannels; ++k)
      stacked.weight.data[static_cast<std::size_t>(row * kChannels + k)] *= factor;
    stacked.bias[static_cast<std::size_t>(row)] = 0;
  }
  layer("stacked", "tokens", 3 * kChannels, std::move(stacked));
  const Shape rows = {kTokens, kChannels};
  const Shape scores = {kHeads, kTokens, kTokens};
  add("query", network::Columns{0}, {"stacked"}, rows, kHeads);
  add("key", network::Columns{kChannels}, {"stacked"}, rows, kHeads);
  add("value", network::Columns{2 * kChannels}, {"stacked"}, rows, kHeads);
  const double divisor = std::sqrt(static_cast<double>(kChannels / kHeads));
  add("likeness", network::Product{kHeads, true, divisor}, {"query", "key"}, scores, kHeads);
  add("share", network::Softmax{}, {"likeness"}, scores, kHeads);
  add("found", network::Product{kHeads, false, 1}, {"share", "value"}, rows, kHeads);
  layer("out", "found", kChannels,
        {Random({kChannels, kChannels}, 0.25, 3), std::vector<float>(kChannels)});
  return network;
}

ModelInputs Tokens(std::int64_t count, std::uint64_t seed) {
  return {.data = Random({count, kTokens, kChannels}, 1, seed)};
}

TEST(Costs, ProbabilitiesBelowHalfAStep) {
  const network::Network model = LongRows();
  const ModelInputs calibration = Tokens(2, 5);
  const ModelInputs evaluation = Tokens(1, 6);
  CalibrateOptions calibrate;
  calibrate.scope = Scope::kModel;
  const Config config = Config::Load({}, model.Vocabulary());
  const Diagnosis d = Of(model, config, calibration, evaluation, calibrate);
  EXPECT_TRUE(d.healthy()) << DiagnosisText(d);
  ASSERT_FALSE(d.costs.empty()) << DiagnosisText(d);
  const Cost& cost = d.costs[0];
  EXPECT_EQ(Name(cost.cause), "small_probabilities");
  EXPECT_EQ(cost.kind, "share");
  EXPECT_EQ(cost.worst, "share");
  EXPECT_GT(cost.evidence.at(0).value, 30);  // % of the mass: half of the rows' heads lose all
  ASSERT_FALSE(cost.trials.empty());
  EXPECT_EQ(cost.trials[0].settings, std::vector<std::string>{"numerics.softmax_division=after"});
  EXPECT_EQ(cost.trials[0].output_before, d.measured.output.Db());
  // What the setting gives is measured, not promised.
  Config mended = config;
  mended.Set(cost.trials[0].settings[0]);
  const Diagnosis after = Of(model, mended, calibration, evaluation, calibrate);
  // Its float network divides behind the product as well, and rounds otherwise.
  EXPECT_NEAR(cost.trials[0].output_after, after.measured.output.Db(), 1e-4);
  EXPECT_GT(after.measured.output.Db(), d.measured.output.Db() + 6);
  for (const Cost& left : after.costs) EXPECT_NE(Name(left.cause), "small_probabilities");

  const std::string text = DiagnosisText(d);
  EXPECT_THAT(text, HasSubstr("no culprit; what costs most: small_probabilities of share ("));
  EXPECT_THAT(text, HasSubstr("--set numerics.softmax_division=after"));
  EXPECT_THAT(DiagnosisJsonText(d), HasSubstr("\"cause\": \"small_probabilities\""));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
}

// A bundle has no settings: what it loses has its name all the same.
TEST(Costs, OfABundleAreNamedWithoutARepair) {
  const network::Network model = LongRows();
  const ModelInputs evaluation = Tokens(1, 6);
  CalibrateOptions calibrate;
  calibrate.scope = Scope::kModel;
  const Bundle bundle =
      Calibrate(model, Config::Load({}, model.Vocabulary()), Tokens(2, 5), calibrate);
  DiagnoseOptions options;
  options.recognise = RecogniseCauses;
  const Diagnosis d = Diagnose({model, bundle, evaluation}, options);
  ASSERT_FALSE(d.costs.empty()) << DiagnosisText(d);
  EXPECT_EQ(Name(d.costs[0].cause), "small_probabilities");
  EXPECT_TRUE(d.costs[0].trials.empty());
  EXPECT_GT(d.costs[0].exact, d.costs[0].before + 3);
}

// ---- the shipped model, one block of it ----

const ShippedModel& Shipped() {
  static const ShippedModel shipped;
  return shipped;
}

Diagnosis OfBlock(const network::Network& model, const std::vector<std::string>& settings) {
  ModelInputs evaluation = Shipped().evaluation();
  IntTensor& pixels = std::get<ImageInputs>(evaluation.data).pixels;
  Shape shape = pixels.shape();
  shape[0] = 2;
  std::vector<std::uint8_t> values = pixels.As<std::uint8_t>();
  values.resize(static_cast<std::size_t>(ElementCount(shape)));
  pixels = IntTensor(shape, std::move(values));
  evaluation.labels.resize(2);
  CalibrateOptions calibrate;
  calibrate.scope = Scope::kBlock;
  calibrate.blocks = {1};
  calibrate.threads = 2;
  return Of(model, ShippedModel::ConfigWith(settings), Shipped().calibration(), evaluation,
            calibrate);
}

TEST(Costs, AHealthyBlockHasNone) {
  const Diagnosis d = OfBlock(Shipped().model(), {});
  EXPECT_TRUE(d.healthy());
  EXPECT_TRUE(d.costs.empty()) << DiagnosisText(d);
}

// A large channel of a norm with small weights behind it: the same function in float, and not so
// large that its tensor is a culprit.
TEST(Costs, OneScaleForChannelsOfDifferentSize) {
  network::Network model = Shipped().model();
  constexpr float kFactor = 10;
  auto& norm = std::get<network::LayerNorm>(model.At("blocks.1.norm2").function).norm;
  auto& layer = std::get<network::Projection>(model.At("blocks.1.mlp_fc1").function).layer;
  const auto width = static_cast<std::size_t>(layer.in_features());
  constexpr std::size_t kChannel = 7;
  norm.gamma[kChannel] *= kFactor;
  norm.beta[kChannel] *= kFactor;
  for (std::size_t i = kChannel; i < layer.weight.data.size(); i += width)
    layer.weight.data[i] /= kFactor;
  const Diagnosis d = OfBlock(model, {});
  EXPECT_TRUE(d.healthy()) << DiagnosisText(d);
  ASSERT_FALSE(d.costs.empty()) << DiagnosisText(d);
  EXPECT_EQ(Name(d.costs[0].cause), "channel_outliers");
  EXPECT_EQ(d.costs[0].kind, "norm2");
  ASSERT_FALSE(d.costs[0].trials.empty());
  EXPECT_THAT(DiagnosisText(d), HasSubstr("--set norm2.calibration_mode=channel_wise"));
  EXPECT_THAT(DiagnosisText(d), HasSubstr("--set norm2.outlier_channels=0.01"));
  EXPECT_GT(d.costs[0].trials[0].output_after, d.measured.output.Db() + 2);
}

// Where most of the output's noise is clipped values, that is no choice.
TEST(Costs, ClippedValuesAreAFinding) {
  const Diagnosis d = OfBlock(
      Shipped().model(),
      {"mlp_gelu.observer_type=HistogramPercentileObserver", "mlp_gelu.percentile_alpha=0.996"});
  ASSERT_FALSE(d.healthy()) << DiagnosisText(d);
  EXPECT_EQ(Name(d.findings[0].cause), "clipping");
  EXPECT_THAT(d.findings[0].tensor, ::testing::EndsWith("mlp_gelu"));
  EXPECT_THAT(d.findings[0].text, HasSubstr("these data reach"));
  EXPECT_GT(d.repaired_db, d.measured.output.Db() + 3);
}

}  // namespace
}  // namespace qsim::testing
