// What no cause explains, what a repair does not mend, and bundles of other weights: never passed
// over.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis_json.h"
#include "sim/diagnose/diagnosis_text.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const ShippedModel& Shipped() {
  static const ShippedModel shipped;
  return shipped;
}

Diagnosis Of(const network::Network& model, const Bundle& bundle, bool recognise = true,
             std::int64_t images = 4) {
  const ModelInputs inputs = Shipped().FirstImages(images);
  DiagnoseOptions options;
  options.scope = "model";
  options.threads = 2;
  if (recognise) options.recognise = RecogniseCauses;
  return Diagnose({model, bundle, inputs}, options);
}

Bundle Healthy(const std::vector<std::string>& settings = {}) {
  return Shipped().Calibrated(settings, Scope::kModel);
}

TEST(Nameless, AStepThatGainsMuchWhenExact) {
  const Diagnosis d =
      Of(Shipped().model(), Healthy({"blocks.1.attn_v_input.bit_type.bits=3"}), false);
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(Name(d.findings[0].cause), "unexplained");
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.attn_v_input");
  EXPECT_THAT(d.findings[0].text, HasSubstr("exact in its place, this step alone gains"));
  EXPECT_TRUE(d.findings[0].exact_instead);
}

// Ten logits of a healthy model: most of the noise of one image is a single step's.
TEST(Nameless, WhatTenValuesMayDoByChance) {
  const Bundle bundle = Healthy({"numerics.contract=tflite-single"});
  const Diagnosis d = Of(Shipped().model(), bundle, true, 1);
  EXPECT_TRUE(d.healthy()) << DiagnosisText(d);
  EXPECT_THAT(VerdictOf(d),
              HasSubstr("dB, which may be chance: the output has 10 values, more --images tell"));
  EXPECT_EQ(Of(Shipped().model(), bundle, true, 4).by_chance, "");
}

// Two faults that make up for each other.
TEST(Nameless, ARepairThatMakesTheOutputWorse) {
  Bundle bundle = Healthy();
  const auto scale = [&](const char* tensor, int by) {
    for (Multiplier& m : std::get<RequantizeOp>(*ProducerOf(bundle.program, tensor)).scale)
      m.shift += by;
  };
  scale("blocks.1.attn_q_out", 1);
  scale("blocks.1.attn_kv_out", -1);
  const Diagnosis d = Of(Shipped().model(), bundle);
  ASSERT_FALSE(d.findings.empty()) << DiagnosisText(d);
  const Culprit& first = d.findings[0];
  EXPECT_TRUE(first.trial.worse) << DiagnosisText(d);
  EXPECT_LT(first.trial.output_after, first.trial.output_before);
  EXPECT_GT(first.trial.own_after, first.trial.own_before + 6);
  EXPECT_DOUBLE_EQ(d.repaired_db, d.measured.output.Db());
  EXPECT_THAT(DiagnosisText(d), HasSubstr("worse, so that it is left out"));
  const nlohmann::json json = nlohmann::json::parse(DiagnosisJsonText(d));
  EXPECT_EQ(json["findings"][0]["repair"]["helps"], false);
}

TEST(Nameless, AccumulatorsThatOverflowAreAllListed) {
  const Diagnosis d =
      Of(Shipped().model(), Healthy({"hardware.acc_bits=17", "hardware.acc_policy=wrap"}));
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(Name(d.findings[0].cause), "overflow");
  std::size_t listed = 0;
  for (const Evidence& e : d.findings[0].evidence) listed += e.unit == "% of the sums";
  EXPECT_GT(listed, 5U);
  EXPECT_THAT(d.findings[0].text, HasSubstr(fmt::format("in {} products", listed)));
  EXPECT_GT(d.repaired_db, 40);
}

network::Network Retrained(double share) {
  network::Network model = Shipped().model();
  std::mt19937_64 engine(7);
  std::vector<std::string> names;
  for (const network::Node& node : model.nodes()) names.push_back(node.name);
  for (const std::string& name : names) {
    auto* layer = std::get_if<network::Projection>(&model.At(name).function);
    if (layer == nullptr) continue;
    double square = 0;
    for (const float w : layer->layer.weight.data) square += static_cast<double>(w) * w;
    const double deviation =
        share * std::sqrt(square / static_cast<double>(layer->layer.weight.data.size()));
    for (float& w : layer->layer.weight.data)
      w += static_cast<float>(deviation * (static_cast<double>(engine() >> 11) * 0x1p-52 - 1));
  }
  model.weights_hash = std::string(64, 'a');
  return model;
}

TEST(Nameless, ABundleOfOtherWeights) {
  const Bundle bundle = Healthy();
  const network::Network model = Retrained(0.2);
  const Diagnosis d = Of(model, bundle);
  ASSERT_FALSE(d.findings.empty());
  EXPECT_EQ(Name(d.findings[0].cause), "stale_weights") << DiagnosisText(d);
  EXPECT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_GT(d.repaired_db, 38);
  EXPECT_THAT(DiagnosisText(d), StartsWith("stale_weights: the bundle's hash is"));
  const nlohmann::json json = nlohmann::json::parse(DiagnosisJsonText(d));
  EXPECT_EQ(json["stale_weights"], true);
  EXPECT_EQ(json["provenance"]["weights_sha256"], model.weights_hash);
  EXPECT_EQ(json["provenance"]["bundle_weights_sha256"], Shipped().model().weights_hash);
}

// Another file of the same weights is said, and is no culprit.
TEST(Nameless, AnotherHashOfTheSameWeights) {
  const Diagnosis d = Of(Retrained(0), Healthy());
  EXPECT_TRUE(d.healthy()) << DiagnosisText(d);
  EXPECT_THAT(DiagnosisText(d), StartsWith("stale_weights: the bundle's hash is"));
}

// As one calibration value of 3.4e38 leaves it.
TEST(Nameless, AnOutlierInEveryTensorOfTheStream) {
  Bundle bundle = Healthy();
  const Rederivation rederivation(Shipped().model(), Shipped().evaluation());
  for (const char* tensor : {"blocks.0.residual1", "blocks.0.residual2", "blocks.1.residual1"}) {
    Activation grid = StatedUnits(bundle, tensor);
    for (double& s : grid.scale) s *= 1e5;
    rederivation.Regrid(grid, bundle);
  }
  const Diagnosis d = Of(Shipped().model(), bundle);
  ASSERT_FALSE(d.findings.empty()) << DiagnosisText(d);
  EXPECT_EQ(Name(d.findings[0].cause), "channel_outliers") << DiagnosisText(d);
  EXPECT_THAT(d.findings[0].tensor, StartsWith("blocks."));
  EXPECT_GT(d.repaired_db, 30) << DiagnosisText(d);
}

}  // namespace
}  // namespace qsim::testing
