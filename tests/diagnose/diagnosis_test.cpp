#include "sim/diagnose/diagnosis.h"
#include "golden/program/queries.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <sstream>

#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis_json.h"
#include "sim/diagnose/diagnosis_text.h"
#include "tests/diagnose/shipped_model.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

const ShippedModel& Shipped() {
  static const ShippedModel shipped;
  return shipped;
}

ModelInputs FirstImages(std::int64_t count) { return Shipped().FirstImages(count); }

Op& OpOf(Bundle& bundle, const std::string& tensor) { return *ProducerOf(bundle.program, tensor); }

// A multiplier half as large as the scales say.
void HalveMultiplier(Bundle& bundle, const std::string& tensor) {
  for (Multiplier& m : std::get<RequantizeOp>(OpOf(bundle, tensor)).scale) m.m /= 2;
}

// Block 1 alone, which is quick.
Bundle OneBlock(const std::vector<std::string>& settings = {}) {
  return Shipped().Calibrated(ShippedModel::ConfigWith(settings), Scope::kBlock, {1});
}

Diagnosis Of(const Bundle& bundle, const ModelInputs& inputs, DiagnoseOptions options = {}) {
  if (options.threads == 1) options.threads = 2;
  return Diagnose({Shipped().model(), bundle, inputs}, options);
}

TEST(Diagnosis, AHealthyModelHasNoCulprit) {
  const ModelInputs inputs = FirstImages(4);
  const auto expect = [&](const std::vector<std::string>& settings, Scope scope) {
    const Diagnosis d = Of(Shipped().Calibrated(settings, scope), inputs);
    EXPECT_TRUE(d.healthy()) << DiagnosisText(d);
    EXPECT_THAT(DiagnosisText(d), HasSubstr("no culprit; most of the loss: "));
  };
  expect({}, Scope::kModel);
  expect({}, Scope::kAttention);
  expect({"attn_qkv.weight.rounding=squant", "attn_proj.weight.rounding=squant",
          "mlp_fc1.weight.rounding=squant", "mlp_fc2.weight.rounding=squant"},
         Scope::kModel);
}

TEST(Diagnosis, TheBudgetAddsUp) {
  const Bundle bundle = OneBlock();
  const Diagnosis d = Of(bundle, FirstImages(3));
  const LossBudget& b = d.budget;
  // Three functions are approximated, beside what every network loses.
  ASSERT_EQ(b.entries.size(), 8U);
  double sum = b.remainder;
  double before = b.total.Ratio();
  for (const LossEntry& e : b.entries) {
    sum += e.noise;
    EXPECT_DOUBLE_EQ(e.noise, before - e.after.Ratio());
    before = e.after.Ratio();
  }
  EXPECT_NEAR(sum, b.total.Ratio(), 1e-12 * b.total.Ratio());
  // Without its last cause the network is the float one.
  EXPECT_EQ(b.remainder, 0);
  EXPECT_EQ(b.total.Ratio(), d.measured.output.Ratio());
}

// What is printed adds up too, to the last digit.
TEST(Diagnosis, ThePrintedBudgetAddsUp) {
  const Bundle bundle = OneBlock();
  const Diagnosis d = Of(bundle, FirstImages(2));
  const std::string text = DiagnosisText(d);
  std::istringstream lines(text.substr(text.find("integers as they are")));
  std::string line;
  std::getline(lines, line);
  long tenths = 0;
  std::size_t rows = 0;
  while (std::getline(lines, line)) {
    std::smatch share;
    ASSERT_TRUE(std::regex_search(line, share, std::regex(R"( (-?\d+)\.(\d) %)"))) << line;
    const long whole = std::stol(share[1]) * 10;
    const long part = std::stol(share[2]);
    tenths += share[1].str()[0] == '-' ? whole - part : whole + part;
    ++rows;
    if (line.starts_with("what is left")) break;
  }
  EXPECT_EQ(rows, d.budget.entries.size() + 1);
  EXPECT_EQ(tenths, 1000);
}

TEST(Diagnosis, NoLineIsTooLong) {
  Bundle bundle = OneBlock();
  HalveMultiplier(bundle, "blocks.1.attn_k_out");
  const Diagnosis d = Of(bundle, FirstImages(2));
  for (const bool verbose : {false, true}) {
    std::istringstream lines(DiagnosisText(d, {verbose}));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  }
}

TEST(Diagnosis, ThreadsChangeNothing) {
  Bundle bundle = OneBlock();
  HalveMultiplier(bundle, "blocks.1.attn_q_out");
  const ModelInputs inputs = FirstImages(3);
  const DiagnosisSubject subject = {Shipped().model(), bundle, inputs};
  DiagnoseOptions one, three;
  three.threads = 3;
  EXPECT_EQ(DiagnosisJsonText(Diagnose(subject, one)), DiagnosisJsonText(Diagnose(subject, three)));
}

// Two faults in different operations: both are named, the more harmful first, and the repairs
// together give what the healthy network has.
TEST(Diagnosis, TwoFaultsAreBothNamed) {
  const Bundle healthy = OneBlock();
  const ModelInputs inputs = FirstImages(4);
  Bundle bundle = healthy;
  HalveMultiplier(bundle, "blocks.1.attn_v_out");
  HalveMultiplier(bundle, "blocks.1.mlp_fc1.quant");
  const Diagnosis d = Of(bundle, inputs);
  ASSERT_EQ(d.findings.size(), 2U) << DiagnosisText(d);
  std::vector<std::string> names = {d.findings[0].tensor, d.findings[1].tensor};
  EXPECT_THAT(names,
              ::testing::UnorderedElementsAre("blocks.1.attn_v_out", "blocks.1.mlp_fc1.quant"));
  EXPECT_NEAR(d.repaired_db, Of(healthy, inputs).measured.output.Db(), 3);
}

// A suspicion is not a finding: its repair must help, and its step must lose more than its bits.
TEST(Diagnosis, ARepairThatDoesNotHelpNamesNoCulprit) {
  const Bundle bundle = OneBlock();
  DiagnoseOptions options;
  int asked = 0;
  options.recognise = [&](const DiagnosisSubject&, int) {
    ++asked;
    Suspicion s;
    s.cause = Cause::kScaleMismatch;
    s.tensor = "blocks.1.attn_k_out";
    s.repairs.push_back({"change nothing", {}, [](Bundle&) {}});
    s.repairs.push_back(
        {"do harm", {}, [](Bundle& b) { HalveMultiplier(b, "blocks.1.attn_q_out"); }});
    return std::vector<Suspicion>{s};
  };
  EXPECT_TRUE(Of(bundle, FirstImages(2), options).healthy());
  EXPECT_GT(asked, 0);
}

TEST(Diagnosis, AConfirmedSuspicionGivesItsCauseAndNumbers) {
  const Bundle healthy = OneBlock();
  Bundle bundle = healthy;
  HalveMultiplier(bundle, "blocks.1.attn_k_out");
  DiagnoseOptions options;
  options.recognise = [&](const DiagnosisSubject& subject, int) {
    std::vector<Suspicion> suspicions;
    if (subject.bundle.program == healthy.program) return suspicions;
    Suspicion s;
    s.cause = Cause::kScaleMismatch;
    s.tensor = "blocks.1.attn_k_out";
    s.text = "half";
    s.evidence = {{"ratio", 0.5, "x"}};
    s.repairs.push_back({"double it", {}, [&](Bundle& b) { b = healthy; }});
    suspicions.push_back(s);
    return suspicions;
  };
  const Diagnosis d = Of(bundle, FirstImages(4), options);
  ASSERT_EQ(d.findings.size(), 1U);
  const Culprit& f = d.findings[0];
  EXPECT_EQ(f.cause, Cause::kScaleMismatch);
  EXPECT_NEAR(f.trial.own_before, 6, 0.5);
  EXPECT_GT(f.trial.own_after, 35);
  EXPECT_GT(f.trial.output_after, f.trial.output_before + 3);
  EXPECT_THAT(DiagnosisText(d), HasSubstr("1. blocks.1.attn_k_out: scale_mismatch"));
  EXPECT_THAT(DiagnosisText(d), HasSubstr("ratio 0.5 x"));
}

// A scale that is stated wrongly harms no integer, but every reader of the bundle.
TEST(Diagnosis, AStatedScaleIsMendedWhereItIsStated) {
  Bundle bundle = OneBlock();
  bundle.scales.at("blocks.1.attn_k_out").scale[0] *= 1.5;
  DiagnoseOptions options;
  options.recognise = RecogniseCauses;
  const Diagnosis d = Of(bundle, FirstImages(2), options);
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.attn_k_out");
  EXPECT_EQ(d.findings[0].cause, Cause::kScaleMismatch);
  EXPECT_GT(d.findings[0].trial.own_after, 35);
}

// A product is a step together with its requantization, and its own faults are found there.
TEST(Diagnosis, AProductsZeroPointIsFound) {
  Bundle bundle = OneBlock();
  std::get<MatmulOp>(OpOf(bundle, "blocks.1.attn_v_out.acc")).rhs_zero = {9};
  DiagnoseOptions options;
  options.recognise = RecogniseCauses;
  const Diagnosis d = Of(bundle, FirstImages(2), options);
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.attn_v_out.acc");
  EXPECT_EQ(d.findings[0].cause, Cause::kZeroPointMismatch);
}

// Settings are tried by calibrating again.
TEST(Diagnosis, ASettingIsTriedByCalibratingAgain) {
  const Config config = ShippedModel::ConfigWith({"blocks.1.attn_v_input.bit_type.symmetric=True",
                                                  "blocks.1.attn_v_input.bit_type.signed=False",
                                                  "blocks.1.attn_v_input.bit_type.name=uint8"});
  const ModelInputs inputs = FirstImages(4);
  const Bundle bundle = Shipped().Calibrated(config, Scope::kBlock, {1});
  DiagnoseOptions options;
  options.threads = 2;
  options.calibrate = [](const Config& c) { return Shipped().Calibrated(c, Scope::kBlock, {1}); };
  options.recognise = [](const DiagnosisSubject& subject, int) {
    std::vector<Suspicion> suspicions;
    if (subject.bundle.program.Tensor("blocks.1.attn_v_input").range.qmin < -100 &&
        subject.bundle.scales.at("blocks.1.attn_v_input").zero[0] == 0)
      return suspicions;
    Suspicion s;
    s.cause = Cause::kUnsignedOnSigned;
    s.tensor = "blocks.1.attn_v_input";
    s.repairs.push_back(
        {"a signed type",
         {"blocks.1.attn_v_input.bit_type.signed=True", "blocks.1.attn_v_input.bit_type.name=int8"},
         {}});
    suspicions.push_back(s);
    return suspicions;
  };
  const DiagnosisSubject subject = {Shipped().model(), bundle, inputs, &config,
                                    &Shipped().calibration()};
  const Diagnosis d = Diagnose(subject, options);
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].cause, Cause::kUnsignedOnSigned);
  EXPECT_THAT(DiagnosisText(d), HasSubstr("--set blocks.1.attn_v_input.bit_type.signed=True"));
}

// The same network in float: one channel of a norm is large, and its weights behind it are small.
TEST(Diagnosis, OneScaleForChannelsThatDiffer) {
  network::Network model = Shipped().model();
  constexpr std::size_t kChannel = 7;
  constexpr float kFactor = 60;
  auto& norm = std::get<network::LayerNorm>(model.At("blocks.1.norm1").function).norm;
  norm.gamma[kChannel] *= kFactor;
  norm.beta[kChannel] *= kFactor;
  auto& qkv = std::get<network::Projection>(model.At("blocks.1.attn_qkv").function).layer;
  const auto width = static_cast<std::size_t>(qkv.in_features());
  for (std::size_t i = kChannel; i < qkv.weight.data.size(); i += width)
    qkv.weight.data[i] /= kFactor;
  const Config config = ShippedModel::ConfigWith({});
  const ModelInputs inputs = FirstImages(4);
  DiagnoseOptions options;
  options.threads = 2;
  options.recognise = RecogniseCauses;
  options.calibrate = [&](const Config& c) {
    CalibrateOptions calibrate;
    calibrate.scope = Scope::kBlock;
    calibrate.blocks = {1};
    return Calibrate(model, c, Shipped().calibration(), calibrate);
  };
  const Bundle bundle = options.calibrate(config);
  const Diagnosis d = Diagnose({model, bundle, inputs, &config, &Shipped().calibration()}, options);
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].cause, Cause::kChannelOutliers);
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.norm1");
  EXPECT_THAT(DiagnosisText(d), HasSubstr("--set blocks.1.norm1.calibration_mode=channel_wise"));
}

// The same network in float but for an eps as large as the variances, which the contract ignores,
// as I-BERT does; and one norm of another eps than the model's.
TEST(Diagnosis, AnEpsThatIsNotTheModels) {
  network::Network model = Shipped().model();
  for (const char* norm : {"blocks.1.norm1", "blocks.1.norm2"})
    std::get<network::LayerNorm>(model.At(norm).function).norm.eps = 0.5;
  const ModelInputs inputs = FirstImages(4);
  CalibrateOptions calibrate;
  calibrate.scope = Scope::kBlock;
  calibrate.blocks = {1};
  DiagnoseOptions options;
  options.threads = 2;
  options.recognise = RecogniseCauses;
  options.calibrate = [&](const Config& c) {
    return Calibrate(model, c, Shipped().calibration(), calibrate);
  };
  const auto diagnosed = [&](const Config* config, const Bundle& bundle) {
    return Diagnose({model, bundle, inputs, config, &Shipped().calibration()}, options);
  };
  const Config adds = ShippedModel::ConfigWith({});
  const Diagnosis healthy = diagnosed(&adds, options.calibrate(adds));
  EXPECT_TRUE(healthy.healthy()) << DiagnosisText(healthy);
  const Config ignores = ShippedModel::ConfigWith({"numerics.layernorm_eps=ignore"});
  const Diagnosis with_config = diagnosed(&ignores, options.calibrate(ignores));
  ASSERT_EQ(with_config.findings.size(), 1U) << DiagnosisText(with_config);
  EXPECT_THAT(DiagnosisText(with_config), HasSubstr("--set numerics.layernorm_eps=add"));
  // A bundle that came without its configuration is mended by itself, to the same integers.
  const Diagnosis alone = diagnosed(nullptr, options.calibrate(ignores));
  ASSERT_EQ(alone.findings.size(), 1U) << DiagnosisText(alone);
  for (const Diagnosis& d : {with_config, alone}) {
    EXPECT_EQ(Name(d.findings[0].cause), "norm_eps");
    EXPECT_THAT(d.findings[0].text, HasSubstr("the model's eps of 0.5 is left out"));
    EXPECT_GT(d.findings[0].trial.own_after, d.findings[0].trial.own_before + 15);
    EXPECT_NEAR(d.repaired_db, healthy.measured.output.Db(), 1e-9);
  }
  Bundle off = options.calibrate(adds);
  auto& op = std::get<LayernormOp>(*ProducerOf(off.program, "blocks.1.norm2"));
  std::get<IbertLayernormParams>(op.params).eps *= 4;
  const Diagnosis other = diagnosed(&adds, off);
  ASSERT_EQ(other.findings.size(), 1U) << DiagnosisText(other);
  EXPECT_EQ(other.findings[0].tensor, "blocks.1.norm2");
  EXPECT_THAT(other.findings[0].text, HasSubstr("its eps is 4 times the model's 0.5"));
}

// Where nothing mends a step, the exact operation in its place shows that it is the culprit.
TEST(Diagnosis, AStepWithoutARepairIsStillNamed) {
  const Bundle bundle = OneBlock({"blocks.1.attn_v_input.bit_type.symmetric=True",
                                  "blocks.1.attn_v_input.bit_type.signed=False",
                                  "blocks.1.attn_v_input.bit_type.name=uint8"});
  const Diagnosis d = Of(bundle, FirstImages(4));
  ASSERT_EQ(d.findings.size(), 1U) << DiagnosisText(d);
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.attn_v_input");
  EXPECT_EQ(d.findings[0].cause, Cause::kUnexplained);
  EXPECT_TRUE(d.findings[0].exact_instead);
}

// The weights by themselves, whatever scales their inputs and outputs have.
TEST(Diagnosis, WeightsAreMeasuredByThemselves) {
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{},
        std::vector<std::string>{"norm1.calibration_mode=channel_wise",
                                 "attn_q_out.calibration_mode=channel_wise"}}) {
    const Bundle bundle = OneBlock(settings);
    const MixedExecutor network(bundle, Shipped().model(), Shipped().evaluation());
    for (const WeightLoss& w : MeasureWeights(network)) {
      EXPECT_GT(Decibel(w.own.Ratio()), 35) << w.tensor;
      EXPECT_NEAR(w.exact.max, w.integer.max, 0.05 * w.exact.max) << w.tensor;
    }
  }
}

// A scale that has to be a power of two is up to twice what the data need: nothing to wonder about.
TEST(Diagnosis, APowerOfTwoIsExpectedToBeTooCoarse) {
  const Bundle bundle = OneBlock({"hardware.requant=power_of_two"});
  const Diagnosis d = Of(bundle, FirstImages(4));
  int steps = 0;
  for (const TensorLoss& tap : d.measured.taps) {
    if (tap.accumulator) continue;
    ++steps;
    EXPECT_LT(tap.ExcessDb(), 3) << tap.tensor;
  }
  EXPECT_GT(steps, 8);
}

// A large model gets fewer experiments, not fewer culprits.
TEST(Diagnosis, LittleWorkStillFindsTheCulprit) {
  Bundle bundle = OneBlock();
  HalveMultiplier(bundle, "blocks.1.attn_k_out");
  DiagnoseOptions options;
  options.work = 1;
  const Diagnosis d = Of(bundle, FirstImages(2), options);
  EXPECT_EQ(d.effects.size(), 8U);
  ASSERT_EQ(d.findings.size(), 1U);
  EXPECT_EQ(d.findings[0].tensor, "blocks.1.attn_k_out");
  EXPECT_THAT(DiagnosisText(d), HasSubstr("the model is large"));
}

}  // namespace
}  // namespace qsim::testing
