// Recognising causes: faults in many places and on two models, bundles edited by hand, and models
// that have nothing.
#include "sim/diagnose/causes/causes.h"
#include "golden/program/queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/faults.h"
#include "sim/io/files/output_directory.h"
#include "sim/semantics/mixed.h"
#include "sim/semantics/multiplier.h"
#include "tests/diagnose/shipped_model.h"
#include "tests/support/second_geometry.h"

namespace qsim::testing {
namespace {

using testing::ShippedModel;

const ShippedModel& Digits() {
  static const ShippedModel kModel;
  return kModel;
}

// dim 96, 3 heads, 65 tokens, dead channels and a zero gamma.
const ShippedModel& OtherModel() {
  static const ShippedModel kModel = [] {
    const testing::TempDir temp;
    testing::SecondGeometryOptions options;
    options.depth = 2;
    testing::SecondGeometry::Write(temp.path(), options);
    return ShippedModel(temp.path());
  }();
  return kModel;
}

struct Calibrated {
  Config config;
  ModelInputs calibration;
  Bundle bundle;
};

Calibrated Faulty(const ShippedModel& shipped, const std::vector<std::string>& words, Scope scope,
                  const std::vector<std::string>& settings = {}) {
  const Faults faults(words);
  Calibrated result{ShippedModel::ConfigWith(settings), shipped.calibration(), {}};
  faults.PlantInConfig(shipped.model(), result.config);
  faults.PlantInCalibration(result.calibration);
  CalibrateOptions options;
  options.scope = scope;
  options.realise = Realise::kNearest;
  options.threads = 2;
  result.bundle = Calibrate(shipped.model(), result.config, result.calibration, options);
  faults.PlantInBundle(shipped.model(), result.calibration, result.bundle);
  return result;
}

std::vector<Suspicion> Recognise(const ShippedModel& shipped, const Calibrated& calibrated) {
  const DiagnosisSubject subject = {shipped.model(), calibrated.bundle, shipped.evaluation(),
                                    &calibrated.config, &calibrated.calibration};
  return RecogniseCauses(subject, 2);
}

std::string Describe(const std::vector<Suspicion>& suspicions) {
  std::string text;
  for (const Suspicion& s : suspicions) {
    text += std::string(Name(s.cause)) + " at " + s.tensor + ": " + s.text + "\n";
  }
  return text;
}

double EvidenceOf(const Suspicion& suspicion, const std::string& name) {
  for (const Evidence& e : suspicion.evidence) {
    if (e.name == name) return e.value;
  }
  ADD_FAILURE() << "no evidence '" << name << "'";
  return 0;
}

// ---- every fault, in many places ----

struct Planted {
  std::string word;
  std::string tensor;  // the output of the operation at fault; empty: any
  Cause cause;
};
void PrintTo(const Planted& p, std::ostream* out) { *out << p.word; }

std::vector<Planted> PlantedIn(int block) {
  const std::string b = "blocks." + std::to_string(block) + ".";
  const auto at = [&](const std::string& fault, const std::string& tap, Cause cause,
                      const std::string& seen = "") {
    return Planted{fault + "@" + b + tap, b + (seen.empty() ? tap : seen), cause};
  };
  return {
      at("double_quantization", "attn_qkv", Cause::kDoubleQuantization),
      at("double_quantization", "mlp_fc1", Cause::kDoubleQuantization),
      at("stacked_scale", "attn_qkv", Cause::kStackedScale),
      at("unsigned_on_signed", "attn_q_out", Cause::kUnsignedOnSigned),
      at("unsigned_on_signed", "attn_v_out", Cause::kUnsignedOnSigned),
      at("unsigned_on_signed", "norm2", Cause::kUnsignedOnSigned),
      at("clipping", "attn_k_out", Cause::kClipping),
      at("clipping", "norm1", Cause::kClipping),
      at("clipping", "attn_v_out", Cause::kClipping),
      at("scale_mismatch", "attn_v_input", Cause::kScaleMismatch),
      at("scale_mismatch", "attn_kv_out", Cause::kScaleMismatch),
      at("scale_mismatch", "residual1", Cause::kScaleMismatch),
      at("scale_mismatch", "norm2", Cause::kScaleMismatch),
      at("zero_point_mismatch", "attn_q_out", Cause::kZeroPointMismatch),
      at("zero_point_mismatch", "residual2", Cause::kZeroPointMismatch),
      at("zero_point_mismatch", "norm1", Cause::kZeroPointMismatch),
      at("channel_outliers", "attn_v_input", Cause::kChannelOutliers),
      at("channel_outliers", "attn_v_out", Cause::kChannelOutliers),
      at("channel_outliers", "norm2", Cause::kChannelOutliers),
      at("head_dim_scale", "attn_kv_out", Cause::kHeadDimScale),
      at("head_layout", "attn_q_out", Cause::kHeadLayout, "attn_qkv"),
      at("head_layout", "attn_v_input", Cause::kHeadLayout, "attn_qkv"),
      at("head_transpose", "attn_v_input", Cause::kHeadLayout, "attn_qkv"),
      at("channels_swapped", "attn_k_out", Cause::kHeadLayout, "attn_qkv"),
      at("narrow_multiplier", "attn_k_out", Cause::kNarrowMultiplier),
      at("narrow_multiplier", "norm1", Cause::kNarrowMultiplier),
      at("narrow_multiplier", "residual1", Cause::kNarrowMultiplier),
      at("variance_underflow", "residual1", Cause::kVarianceUnderflow, "norm2"),
      at("variance_underflow", "input", Cause::kVarianceUnderflow, "norm1"),
      at("bias_dropped", "attn_qkv", Cause::kConstants),
      at("weight_row_zeroed", "attn_qkv", Cause::kConstants),
      at("weight_row_zeroed", "mlp_fc2", Cause::kConstants),
      at("sign_flipped", "attn_proj", Cause::kConstants),
      at("gelu_table", "mlp_gelu", Cause::kTable),
      at("softmax_constants", "intSoft", Cause::kConstants),
      Planted{"calibration_coverage", "", Cause::kCalibrationCoverage},
  };
}

class CausesOf : public ::testing::TestWithParam<Planted> {
 protected:
  static void ExpectNamedFirst(const ShippedModel& shipped) {
    const Planted& planted = GetParam();
    const std::vector<Suspicion> found =
        Recognise(shipped, Faulty(shipped, {planted.word}, Scope::kBlock));
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(Name(found[0].cause), Name(planted.cause)) << Describe(found);
    if (!planted.tensor.empty()) {
      EXPECT_EQ(found[0].tensor, planted.tensor) << Describe(found);
    }
    EXPECT_FALSE(found[0].repairs.empty());
    EXPECT_FALSE(found[0].evidence.empty());
    EXPECT_FALSE(found[0].text.empty());
  }
};
class CausesOnDigits : public CausesOf {};
class CausesOnAnotherModel : public CausesOf {};

TEST_P(CausesOnDigits, NamedFirst) { ExpectNamedFirst(Digits()); }
TEST_P(CausesOnAnotherModel, NamedFirst) { ExpectNamedFirst(OtherModel()); }

std::string NameOf(const ::testing::TestParamInfo<Planted>& info) {
  std::string name;
  for (const char c : info.param.word) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) name += c;
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Block0, CausesOnDigits, ::testing::ValuesIn(PlantedIn(0)), NameOf);
INSTANTIATE_TEST_SUITE_P(Block2, CausesOnDigits, ::testing::ValuesIn(PlantedIn(2)), NameOf);
INSTANTIATE_TEST_SUITE_P(Block1, CausesOnAnotherModel, ::testing::ValuesIn(PlantedIn(1)), NameOf);

// ---- a repair mends ----

TEST(Causes, ChangesOfTheBundleMend) {
  for (const char* fault : {"double_quantization", "scale_mismatch", "zero_point_mismatch",
                            "head_dim_scale", "head_transpose", "channel_outliers",
                            "variance_underflow", "bias_dropped", "softmax_constants"}) {
    SCOPED_TRACE(fault);
    Calibrated faulty = Faulty(Digits(), {fault}, Scope::kBlock);
    const std::vector<Suspicion> found = Recognise(Digits(), faulty);
    ASSERT_FALSE(found.empty());
    found[0].repairs.back().change(faulty.bundle);
    Validate(faulty.bundle.program);
    EXPECT_EQ(Describe(Recognise(Digits(), faulty)), "");
  }
}

TEST(Causes, SettingsMend) {
  for (const char* fault : {"clipping", "unsigned_on_signed@blocks.1.attn_q_out"}) {
    SCOPED_TRACE(fault);
    const std::vector<Suspicion> found =
        Recognise(Digits(), Faulty(Digits(), {fault}, Scope::kAttention));
    ASSERT_FALSE(found.empty());
    ASSERT_FALSE(found[0].repairs[0].settings.empty());
    const Faults faults({fault});
    Calibrated mended{ShippedModel::ConfigWith(), Digits().calibration(), {}};
    faults.PlantInConfig(Digits().model(), mended.config);
    for (const std::string& setting : found[0].repairs[0].settings) mended.config.Set(setting);
    mended.bundle = Digits().Calibrated(mended.config, Scope::kAttention);
    EXPECT_EQ(Describe(Recognise(Digits(), mended)), "");
  }
}

TEST(Causes, SeveralAtOnceAreAllNamed) {
  const std::vector<Suspicion> found = Recognise(
      Digits(),
      Faulty(Digits(),
             {"double_quantization", "clipping@blocks.1.attn_k_out",
              "zero_point_mismatch@blocks.2.residual1", "head_dim_scale@blocks.3.attn_kv_out"},
             Scope::kModel));
  std::vector<std::string> tensors;
  for (const Suspicion& s : found) tensors.push_back(s.tensor);
  EXPECT_THAT(tensors,
              ::testing::UnorderedElementsAre("blocks.0.attn_qkv", "blocks.1.attn_k_out",
                                              "blocks.2.residual1", "blocks.3.attn_kv_out"))
      << Describe(found);
}

TEST(Causes, ThreadsChangeNothing) {
  const Calibrated faulty = Faulty(OtherModel(), {"clipping"}, Scope::kBlock);
  const DiagnosisSubject subject = {OtherModel().model(), faulty.bundle, OtherModel().evaluation(),
                                    &faulty.config, &faulty.calibration};
  const std::vector<Suspicion> one = RecogniseCauses(subject, 1);
  const std::vector<Suspicion> three = RecogniseCauses(subject, 3);
  ASSERT_EQ(Describe(one), Describe(three));
  for (std::size_t i = 0; i < one.size(); ++i) {
    for (std::size_t e = 0; e < one[i].evidence.size(); ++e)
      EXPECT_EQ(one[i].evidence[e].value, three[i].evidence[e].value);
  }
}

// ---- the story of a weight that looked fine ----

TEST(Causes, TheWeightAloneLooksFine) {
  const std::vector<Suspicion> found =
      Recognise(Digits(), Faulty(Digits(), {"double_quantization"}, Scope::kAttention));
  ASSERT_FALSE(found.empty());
  EXPECT_GT(EvidenceOf(found[0], "own QSNR of the weights"), 35);
  EXPECT_LT(EvidenceOf(found[0], "QSNR in place"), 0);
  EXPECT_GT(EvidenceOf(found[0], "output range ratio"), 2);
}

// Of a tensor of block 0, over a few inputs, in the integer program.
double QsnrOf(const Bundle& bundle, const std::string& tap) {
  const MixedExecutor network(bundle, Digits().model(), Digits().evaluation());
  double signal = 0;
  double noise = 0;
  for (std::int64_t image = 0; image < 8; ++image) {
    const MixedState inputs = network.ExactInputs(image);
    const MixedState exact = network.Run(inputs, network.AllOf(Exactness::All()));
    const MixedState integers = network.Run(inputs, network.AllOf(Exactness::Golden()));
    const FloatTensor& x = exact.at("blocks.0." + tap)->real();
    const FloatTensor& y = integers.at("blocks.0." + tap)->real();
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      const auto v = static_cast<double>(x.data[i]);
      signal += v * v;
      noise += (v - static_cast<double>(y.data[i])) * (v - static_cast<double>(y.data[i]));
    }
  }
  return 10 * std::log10(signal / noise);
}

TEST(Causes, TheTableOfTheStory) {
  Calibrated model = Faulty(Digits(),
                            {"double_quantization", "unsigned_on_signed@blocks.0.attn_v_input",
                             "clipping@blocks.0.attn_k_out"},
                            Scope::kAttention);
  EXPECT_LT(QsnrOf(model.bundle, "attn_qkv"), 0);
  EXPECT_LT(QsnrOf(model.bundle, "attn_v_out"), 5);
  std::vector<std::string> named;
  for (std::vector<Suspicion> found = Recognise(Digits(), model); !found.empty();
       found = Recognise(Digits(), model)) {
    named.emplace_back(Name(found[0].cause));
    ASSERT_LE(named.size(), 3U) << Describe(found);
    found[0].repairs.back().change(model.bundle);
  }
  EXPECT_EQ(named.front(), "double_quantization");
  EXPECT_THAT(named, ::testing::UnorderedElementsAre("double_quantization", "unsigned_on_signed",
                                                     "clipping"));
  EXPECT_GT(QsnrOf(model.bundle, "attn_qkv"), 30);
  EXPECT_GT(QsnrOf(model.bundle, "attn_q_out"), 30);
  EXPECT_GT(QsnrOf(model.bundle, "attn_k_out"), 30);
  EXPECT_GT(QsnrOf(model.bundle, "attn_v_input"), 25);
  EXPECT_GT(QsnrOf(model.bundle, "attn_v_out"), 20);
}

// ---- healthy models ----

struct Healthy {
  std::string name;
  std::vector<std::string> settings;
};
void PrintTo(const Healthy& h, std::ostream* out) { *out << h.name; }
class HealthyModels : public ::testing::TestWithParam<Healthy> {};

TEST_P(HealthyModels, RaiseNoSuspicion) {
  for (const ShippedModel* shipped : {&Digits(), &OtherModel()}) {
    const Scope scope = shipped == &Digits() ? Scope::kModel : Scope::kBlock;
    const Calibrated healthy = Faulty(*shipped, {}, scope, GetParam().settings);
    EXPECT_EQ(Describe(Recognise(*shipped, healthy)), "");
  }
}

std::vector<std::string> Everywhere(const std::string& setting) {
  std::vector<std::string> settings;
  for (const char* tensor :
       {"norm1", "attn_q_out", "attn_k_out", "attn_v_input", "attn_kv_out", "attn_v_out", "norm2",
        "mlp_fc1.output", "mlp_gelu", "residual1", "residual2"}) {
    settings.push_back(std::string(tensor) + "." + setting);
  }
  return settings;
}
std::vector<std::string> EveryWeight(const std::string& setting) {
  std::vector<std::string> settings;
  for (const char* layer : {"attn_qkv", "attn_proj", "mlp_fc1", "mlp_fc2"})
    settings.push_back(std::string(layer) + ".weight." + setting);
  return settings;
}
std::vector<std::string> Percentiles() {
  std::vector<std::string> settings = Everywhere("observer_type=PercentileObserver");
  for (std::string& s : Everywhere("percentile_alpha=0.9995")) settings.push_back(std::move(s));
  return settings;
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, HealthyModels,
    ::testing::Values(Healthy{"Shipped", {}},
                      Healthy{"LayerWiseWeights", EveryWeight("calibration_mode=layer_wise")},
                      Healthy{"SixBitWeights", EveryWeight("bit_type.bits=6")},
                      Healthy{"ErrorsCancel", EveryWeight("rounding=squant")},
                      Healthy{"SixBits", Everywhere("bit_type.bits=6")},
                      Healthy{"Asymmetric", Everywhere("bit_type.symmetric=False")},
                      Healthy{"Percentiles", Percentiles()},
                      Healthy{"PowerOfTwo", {"hardware.requant=power_of_two"}},
                      Healthy{"NarrowButEnough", {"hardware.multiplier_bits=14"}},
                      Healthy{"ChannelWise", Everywhere("calibration_mode=channel_wise")},
                      Healthy{"HeadWise", Everywhere("calibration_mode=head_wise")}),
    [](const auto& param) { return param.param.name; });

class HealthyContracts : public ::testing::TestWithParam<std::string> {};
TEST_P(HealthyContracts, RaiseNoSuspicion) {
  const Calibrated healthy =
      Faulty(Digits(), {}, Scope::kModel, {"numerics.contract=" + GetParam()});
  EXPECT_EQ(Describe(Recognise(Digits(), healthy)), "");
}
INSTANTIATE_TEST_SUITE_P(Contracts, HealthyContracts,
                         ::testing::Values("deeploy", "fqvit", "ibert", "ita", "ivit",
                                           "power-of-two", "tflite-double", "tflite-single",
                                           "tosa"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::erase(name, '-');
                           return name;
                         });

// ---- bundles edited by hand ----

// A healthy bundle, written, read back and edited.
template <typename Edit>
std::vector<Suspicion> AfterEdit(Edit edit) {
  Calibrated healthy = Faulty(Digits(), {}, Scope::kBlock);
  for (const std::string& name : healthy.bundle.program.inputs) {
    const TensorInfo& info = healthy.bundle.program.Tensor(name);
    Shape shape = info.shape;
    shape.insert(shape.begin(), 1);
    healthy.bundle.inputs.emplace(name, IntTensor(info.dtype, shape));
  }
  const testing::TempDir temp;
  OutputDirectory output(temp.path() / "bundle");
  SaveBundle(healthy.bundle, output);
  healthy.bundle = LoadBundle(temp.path() / "bundle");
  edit(healthy.bundle);
  Validate(healthy.bundle.program);
  return Recognise(Digits(), healthy);
}

template <typename Kind>
Kind& OpOf(Bundle& bundle, const std::string& tap) {
  return std::get<Kind>(*ProducerOf(bundle.program, tap));
}

void ExpectFirst(const std::vector<Suspicion>& found, Cause cause, const std::string& tensor) {
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(Name(found[0].cause), Name(cause)) << Describe(found);
  EXPECT_EQ(found[0].tensor, tensor) << Describe(found);
}

TEST(EditedBundle, UntouchedIsHealthy) {
  EXPECT_EQ(Describe(AfterEdit([](Bundle&) {})), "");
}

TEST(EditedBundle, AMultiplierThatIsTooLarge) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                for (Multiplier& m : OpOf<RequantizeOp>(b, "blocks.1.attn_v_out").scale)
                  m.m = m.m / 4 * 5;
              }),
              Cause::kScaleMismatch, "blocks.1.attn_v_out");
}

TEST(EditedBundle, AShiftOfOneChannel) {
  ExpectFirst(
      AfterEdit([](Bundle& b) { ++OpOf<RequantizeOp>(b, "blocks.3.attn_k_out").scale[5].shift; }),
      Cause::kScaleMismatch, "blocks.3.attn_k_out");
}

TEST(EditedBundle, AStatedScale) {
  ExpectFirst(AfterEdit([](Bundle& b) { b.scales.at("blocks.2.attn_q_out").scale[0] *= 1.5; }),
              Cause::kScaleMismatch, "blocks.2.attn_q_out");
}

TEST(EditedBundle, AStatedScaleBeforeALinearLayer) {
  ExpectFirst(AfterEdit([](Bundle& b) { b.scales.at("blocks.2.attn_v_out").scale[0] *= 0.6; }),
              Cause::kScaleMismatch, "blocks.2.attn_v_out");
}

TEST(EditedBundle, ScoresWithoutAnyFactor) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& op = OpOf<RequantizeOp>(b, "blocks.1.attn_kv_out");
                for (Multiplier& m : op.scale) {
                  const double r = std::ldexp(m.m, -m.shift) * std::sqrt(32.0);
                  m = MultiplierFor(r, 16, "scores");
                }
              }),
              Cause::kHeadDimScale, "blocks.1.attn_kv_out");
}

TEST(EditedBundle, AStatedZeroPoint) {
  ExpectFirst(AfterEdit([](Bundle& b) { b.scales.at("blocks.2.attn_k_out").zero[0] += 20; }),
              Cause::kZeroPointMismatch, "blocks.2.attn_k_out");
}

TEST(EditedBundle, AZeroPointOfWeights) {
  ExpectFirst(AfterEdit([](Bundle& b) { OpOf<GemmOp>(b, "blocks.1.mlp_fc2").weight_zero = {11}; }),
              Cause::kZeroPointMismatch, "blocks.1.mlp_fc2");
}

TEST(EditedBundle, OtherWeights) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& codes = b.program.constants.at("blocks.1.attn_qkv.weight").As<std::int8_t>();
                for (std::size_t i = 0; i < codes.size(); i += 7)
                  codes[i] = static_cast<std::int8_t>(codes[i] / 2);
              }),
              Cause::kUnexplained, "blocks.1.attn_qkv");
}

TEST(EditedBundle, OneScaleForEachOfThreeMatrices) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                TensorScale& scale = b.scales.at("blocks.1.attn_qkv");
                const std::vector<double> own = scale.scale;
                for (std::size_t n = 0; n < 192; ++n)
                  scale.scale[n] = *std::max_element(
                      own.begin() + static_cast<std::ptrdiff_t>(n / 64 * 64),
                      own.begin() + static_cast<std::ptrdiff_t>(n / 64 * 64 + 64));
                const Rederivation rederivation(Digits().model(), Digits().evaluation());
                rederivation.Derive(ReadersOf(b.program, "blocks.1.attn_qkv"), b);
              }),
              Cause::kDoubleQuantization, "blocks.1.attn_qkv");
}

TEST(EditedBundle, ANarrowAccumulator) {
  const Calibrated narrow =
      Faulty(Digits(), {}, Scope::kBlock, {"hardware.acc_bits=16", "hardware.acc_policy=wrap"});
  const std::vector<Suspicion> found = Recognise(Digits(), narrow);
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(Name(found[0].cause), Name(Cause::kOverflow)) << Describe(found);
  EXPECT_THAT(found[0].text, ::testing::HasSubstr("accumulators of 16 bits"));
}

TEST(EditedBundle, SettingsOfWeights) {
  for (const char* setting : {"blocks.1.mlp_fc1.weight.observer_type=PercentileObserver",
                              "blocks.1.mlp_fc1.weight.bit_type.bits=3"}) {
    SCOPED_TRACE(setting);
    Calibrated faulty = Faulty(Digits(), {}, Scope::kBlock,
                               {setting, "blocks.1.mlp_fc1.weight.percentile_alpha=0.8"});
    const std::vector<Suspicion> found = Recognise(Digits(), faulty);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].tensor, "blocks.1.mlp_fc1");
    ASSERT_FALSE(found[0].repairs[0].settings.empty()) << Describe(found);
    for (const std::string& repair : found[0].repairs[0].settings) faulty.config.Set(repair);
    faulty.bundle = Digits().Calibrated(faulty.config, Scope::kBlock);
    EXPECT_EQ(Describe(Recognise(Digits(), faulty)), "");
  }
}

TEST(EditedBundle, AnOutlierInTheCalibrationInputs) {
  Calibrated wide = Faulty(Digits(), {}, Scope::kBlock);
  const Rederivation rederivation(Digits().model(), Digits().evaluation());
  Activation grid = StatedUnits(wide.bundle, "blocks.1.attn_q_out");
  for (double& s : grid.scale) s *= 12;
  rederivation.Regrid(grid, wide.bundle);
  ExpectFirst(Recognise(Digits(), wide), Cause::kChannelOutliers, "blocks.1.attn_q_out");
}

TEST(EditedBundle, AZeroPointOfAProduct) {
  ExpectFirst(
      AfterEdit([](Bundle& b) { OpOf<MatmulOp>(b, "blocks.0.attn_v_out.acc").rhs_zero = {9}; }),
      Cause::kZeroPointMismatch, "blocks.0.attn_v_out.acc");
}

TEST(EditedBundle, ColumnsOfAnotherPart) {
  ExpectFirst(
      AfterEdit([](Bundle& b) { OpOf<RequantizeOp>(b, "blocks.0.attn_k_out").first_column = 0; }),
      Cause::kHeadLayout, "blocks.0.attn_k_out");
}

TEST(EditedBundle, UnsignedWeights) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& codes = b.program.constants.at("blocks.2.mlp_fc1.weight").As<std::int8_t>();
                for (std::int8_t& c : codes) c = std::max<std::int8_t>(c, 0);
              }),
              Cause::kUnsignedOnSigned, "blocks.2.mlp_fc1");
}

TEST(EditedBundle, ClampedWeights) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& codes = b.program.constants.at("blocks.1.attn_proj.weight").As<std::int8_t>();
                for (std::int8_t& c : codes)
                  c = std::clamp<std::int8_t>(c, std::int8_t{-20}, std::int8_t{20});
              }),
              Cause::kClipping, "blocks.1.attn_proj");
}

TEST(EditedBundle, ColumnsOfTheProjectionByHead) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& codes = b.program.constants.at("blocks.1.attn_proj.weight").As<std::int8_t>();
                for (std::size_t row = 0; row < 64; ++row)
                  std::rotate(&codes[row * 64], &codes[row * 64 + 32], &codes[row * 64] + 64);
              }),
              Cause::kHeadLayout, "blocks.1.attn_proj");
}

TEST(EditedBundle, TransposedWeights) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& codes = b.program.constants.at("blocks.0.attn_proj.weight").As<std::int8_t>();
                for (std::size_t n = 0; n < 64; ++n) {
                  for (std::size_t k = 0; k < n; ++k)
                    std::swap(codes[n * 64 + k], codes[k * 64 + n]);
                }
              }),
              Cause::kHeadLayout, "blocks.0.attn_proj");
}

TEST(EditedBundle, ABiasThatIsOff) {
  ExpectFirst(AfterEdit([](Bundle& b) {
                auto& bias = b.program.constants.at("blocks.3.mlp_fc1.bias").As<std::int32_t>();
                for (std::int32_t& v : bias) v += 6000;
              }),
              Cause::kZeroPointMismatch, "blocks.3.mlp_fc1");
}

TEST(EditedBundle, FewBits) {
  const Calibrated few =
      Faulty(Digits(), {}, Scope::kAttention, {"blocks.1.attn_k_out.bit_type.bits=3"});
  ExpectFirst(Recognise(Digits(), few), Cause::kTooFewBits, "blocks.1.attn_k_out");
}

// Eight bits are enough for outputs of eight, and not for the stream.
TEST(EditedBundle, NarrowHardware) {
  for (const char* setting : {"hardware.multiplier_bits=3", "hardware.multiplier_bits=8"}) {
    const Calibrated narrow = Faulty(Digits(), {}, Scope::kAttention, {setting});
    const std::vector<Suspicion> found = Recognise(Digits(), narrow);
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(Name(found[0].cause), Name(Cause::kNarrowMultiplier)) << Describe(found);
    EXPECT_THAT(found[0].repairs[0].settings,
                ::testing::ElementsAre("hardware.multiplier_bits=16"));
  }
}

}  // namespace
}  // namespace qsim::testing
