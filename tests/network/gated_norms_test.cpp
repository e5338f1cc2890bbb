// RMS norms as nodes of a network, with and without a gate, and the eps of each: float, golden and
// fast side by side, a bundle, equations, a diagnosis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "golden/kernels/fast_backend.h"
#include "sim/calibrate/calibrate.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/error.h"
#include "sim/export/describe.h"
#include "sim/io/files/output_directory.h"
#include "sim/run/run_images.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kRows = 6, kChannels = 24;
constexpr double kSpread = 0.03;  // of the input

float Normal(SeededRandom& random, double spread) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(random.Between(-1000, 1000)) / 2000;
  return static_cast<float>(spread * sum);
}

FloatTensor Tensor(SeededRandom& random, Shape shape, double spread) {
  FloatTensor tensor{std::move(shape), {}};
  for (std::int64_t i = 0; i < ElementCount(tensor.shape); ++i)
    tensor.data.push_back(Normal(random, spread));
  return tensor;
}

double Relu(double x) { return std::max(x, 0.0); }

// x + out(rms(x) relu(up(rms(x)))), then a norm.
network::Network Build(double eps) {
  SeededRandom random(5);
  network::Network net;
  const auto add = [&](const std::string& name, network::Function function,
                       std::vector<std::string> inputs) -> network::Node& {
    return net.Add({.name = name,
                    .function = std::move(function),
                    .inputs = std::move(inputs),
                    .shape = {kRows, kChannels},
                    .section = {{name}}});
  };
  const auto rms = [&] {
    network::Norm norm{std::vector<float>(kChannels, 1), {}, eps};
    for (float& gamma : norm.gamma) gamma += Normal(random, 0.2);
    norm.gamma[3] = 0;  // dead
    return network::LayerNorm{norm, false};
  };
  const auto layer = [&](const std::string& name, const std::string& x) {
    network::Linear linear{Tensor(random, {kChannels, kChannels}, 0.2),
                           Tensor(random, {kChannels}, 0.1).data};
    network::Node& node = add(name, network::Projection{std::move(linear)}, {x});
    node.section = {{name + ".output"}};
    node.weight_section = {{name + ".weight"}};
  };
  add("x", network::Activations{}, {}).stream = true;
  add("plain", rms(), {"x"});
  layer("up", "plain");
  add("gate", network::Elementwise{{&Relu}}, {"up"});
  add("gated", rms(), {"x", "gate"});
  layer("out", "gated");
  add("sum", network::Sum{}, {"out", "x"}).stream = true;
  add("last", rms(), {"sum"});
  return net;
}

struct GatedSubject {
  explicit GatedSubject(double eps) : model(Build(eps)) {
    SeededRandom random(6);
    calibration.data = Tensor(random, {128, kRows, kChannels}, kSpread);
    evaluation.data = Tensor(random, {6, kRows, kChannels}, kSpread);
  }
  Config ConfigOf(const std::vector<std::string>& settings) const {
    Config config = Config::Load({}, model.Vocabulary());
    for (const std::string& setting : settings) config.Set(setting);
    return config;
  }
  Bundle Calibrated(const Config& config) const {
    CalibrateOptions options;
    options.scope = Scope::kModel;
    return Calibrate(model, config, calibration, options);
  }
  Bundle BundleOf(const std::vector<std::string>& settings = {}) const {
    return Calibrated(ConfigOf(settings));
  }
  RunReport Run(const Bundle& bundle) const {
    const FloatSource floats = {model, evaluation};
    RunSettings settings;
    settings.images = evaluation.count();
    settings.threads = 2;
    return RunImages(bundle, &floats, settings);
  }
  Diagnosis Diagnosed(const std::vector<std::string>& settings) const {
    const Config config = ConfigOf(settings);
    const Bundle bundle = Calibrated(config);
    DiagnoseOptions options;
    options.threads = 2;
    options.recognise = RecogniseCauses;
    options.calibrate = [this](const Config& c) { return Calibrated(c); };
    return Diagnose({model, bundle, evaluation, &config, &calibration}, options);
  }

  network::Network model;
  ModelInputs calibration, evaluation;
};

double Qsnr(const RunReport& report, const std::string& name) {
  for (const TapReport& tap : report.taps) {
    if (tap.name == name) return tap.qsnr_db.value();
  }
  throw std::out_of_range(name);
}

constexpr double kSmall = 1e-6;  // beside mean squares of 1e-3

TEST(GatedNorms, AreAccurateAtEightBits) {
  const GatedSubject subject(kSmall);
  const std::vector<std::vector<std::string>> configurations = {
      {},
      {"plain.calibration_mode=channel_wise", "gated.calibration_mode=channel_wise",
       "gate.bit_type.symmetric=False", "last.bit_type.symmetric=False"},
      {"sum.calibration_mode=channel_wise", "x.calibration_mode=channel_wise"},
      {"hardware.requant=power_of_two"},
      {"numerics.contract=deeploy", "numerics.requantize=half_up"}};
  for (const std::vector<std::string>& settings : configurations) {
    SCOPED_TRACE(::testing::PrintToString(settings));
    Bundle bundle = subject.BundleOf(settings);
    const RunReport report = subject.Run(bundle);
    for (const char* tap : {"plain", "gated", "last"}) EXPECT_GT(Qsnr(report, tap), 27) << tap;
    AddBundleInputs(bundle, subject.model, subject.evaluation, 1, 1);
    TensorMap inputs;
    for (const auto& [name, stacked] : bundle.inputs) inputs.emplace(name, SliceImage(stacked, 0));
    GoldenBackend reference;
    FastBackend fast;
    EXPECT_EQ(Execute(bundle.program, inputs, 0, reference),
              Execute(bundle.program, inputs, 0, fast));
    const TempDir dir;
    OutputDirectory output(dir.path() / "bundle");
    SaveBundle(bundle, output);
    EXPECT_EQ(LoadBundle(dir.path() / "bundle").program, bundle.program);
  }
}

TEST(GatedNorms, EquationsNameGateAndEps) {
  const GatedSubject subject(1e-3);
  EXPECT_THAT(DescribeProgram(subject.BundleOf(), "gated"), HasSubstr("eps = "));
  EXPECT_THAT(DescribeProgram(subject.BundleOf({"numerics.layernorm_eps=ignore"}), "gated"),
              ::testing::Not(HasSubstr("eps")));
}

TEST(GatedNorms, AnEpsBesideTheMeanSquareCounts) {
  const GatedSubject subject(kSpread * kSpread);
  const RunReport added = subject.Run(subject.BundleOf());
  const RunReport ignored = subject.Run(subject.BundleOf({"numerics.layernorm_eps=ignore"}));
  for (const char* tap : {"plain", "gated"}) {
    EXPECT_GT(Qsnr(added, tap), 27) << tap;
    EXPECT_LT(Qsnr(ignored, tap), 10) << tap;
  }
}

TEST(GatedNorms, ADiagnosisNamesTheEpsThatIsLeftOut) {
  const GatedSubject subject(kSpread * kSpread);
  const Diagnosis healthy = subject.Diagnosed({});
  for (const Culprit& f : healthy.findings) ADD_FAILURE() << f.tensor << ": " << f.text;
  const Diagnosis d = subject.Diagnosed({"numerics.layernorm_eps=ignore"});
  ASSERT_EQ(d.findings.size(), 1U);
  EXPECT_EQ(Name(d.findings[0].cause), "norm_eps") << d.findings[0].text;
  EXPECT_EQ(d.findings[0].trial.settings, (std::vector<std::string>{"numerics.layernorm_eps=add"}));
  EXPECT_NEAR(d.repaired_db, healthy.measured.output.Db(), 1e-9);
}

TEST(GatedNorms, WhatANodeCannotBeIsRefused) {
  network::Network net = Build(kSmall);
  const network::Norm layer_norm{{1, 1}, {0, 0}, kSmall}, rms{{1, 1}, {}, kSmall};
  const auto add = [&](const network::LayerNorm& norm, std::vector<std::string> inputs) {
    net.Add({.name = "new", .function = norm, .inputs = std::move(inputs), .shape = {kRows, 2}});
  };
  EXPECT_THROW(add({layer_norm, true}, {"x", "gate"}), InternalError);
  EXPECT_THROW(add({layer_norm, false}, {"x"}), InternalError);
  EXPECT_NO_THROW(add({rms, false}, {"x", "gate"}));
}

}  // namespace
}  // namespace qsim::testing
