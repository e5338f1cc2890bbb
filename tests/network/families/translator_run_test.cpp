// The second family in float, ideal, golden (the reference and the fast one) and RTL, side by side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden/kernels/fast_backend.h"
#include "sim/io/files/output_directory.h"
#include "sim/run/run_images.h"
#include "tests/network/families/translator_test.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

constexpr const char* kMixed = "granularities, zero points and a narrow accumulator";
const std::map<std::string, std::vector<std::string>>& Configurations() {
  static const std::map<std::string, std::vector<std::string>> all = {
      {"defaults", {}},
      {kMixed,
       {"encoder.look.query.calibration_mode=channel_wise",
        "decoder.read.key.calibration_mode=head_wise",
        "decoder.look.likeness.calibration_mode=head_wise",
        "decoder.read.value.calibration_mode=channel_wise",
        "decoder.look.normed.calibration_mode=channel_wise",
        "decoder.read.sum.calibration_mode=channel_wise",
        "encoder.think.normed.bit_type.symmetric=False", "source.bit_type.symmetric=False",
        "decoder.think.relu.bit_type.symmetric=False",
        "decoder.look.out.output.output_quant_enable=True", "hardware.acc_bits=16",
        "hardware.acc_policy=saturate"}},
      {"ita", {"numerics.contract=ita"}},
      {"log_int", {"numerics.softmax=log_int"}}};
  return all;
}

RunResult SideBySide(const Bundle& bundle, bool rtl) {
  const FloatSource floats = {Subject().model, Subject().evaluation};
  RunResult result;
  RunSettings settings;
  settings.images = Subject().evaluation.count();
  settings.threads = 2;
  const TempDir waves;
  if (rtl) settings.rtl = RtlSettings{0.2, 7, false, waves.path(), waves.path()};
  KeptTensors kept(settings.images, result);
  settings.sink = &kept;
  result.report = RunImages(bundle, &floats, settings);
  return result;
}

const TapReport& Tap(const RunReport& report, const std::string& name) {
  for (const TapReport& tap : report.taps) {
    if (tap.name == name) return tap;
  }
  throw std::out_of_range(name);
}

TEST(TranslatorRun, IsAccurateAtEightBits) {
  const RunReport report = SideBySide(Subject().BundleOf(), false).report;
  for (const char* tap : {"encoder.think.normed", "decoder.read.likeness", "words"}) {
    EXPECT_GT(Tap(report, tap).qsnr_db.value(), 25) << tap;
    EXPECT_GT(Tap(report, tap).ideal_qsnr_db.value(), 25) << tap;
  }
  // The integer approximations cost little beside the bits.
  EXPECT_NEAR(*Tap(report, "words").qsnr_db, *Tap(report, "words").ideal_qsnr_db, 3);
  for (const TapReport& tap : report.taps) {
    EXPECT_TRUE(tap.qsnr_db.has_value()) << tap.name;
    if (tap.step_qsnr_db) {
      EXPECT_GT(*tap.step_qsnr_db, 20) << tap.name;
    }
  }
}

TEST(TranslatorRun, TheRtlAgrees) {
  if (!cosim::BuiltWithRtl()) GTEST_SKIP() << "built with -DQSIM_RTL=OFF";
  for (const auto& [name, settings] : Configurations()) {
    const RunResult result = SideBySide(Subject().BundleOf(settings), true);
    EXPECT_EQ(result.report.total_mismatches(), 0) << name;
    EXPECT_EQ(result.golden, result.rtl) << name;
    EXPECT_GT(result.report.cycles.size(), 30u) << name;
  }
}

// The specification and the fast backend, on inputs that the bundle brings along.
TEST(TranslatorRun, ReferenceAndFastAgreeOnTheBundlesOwnInputs) {
  for (const auto& [name, settings] : Configurations()) {
    Bundle bundle = Subject().BundleOf(settings);
    AddBundleInputs(bundle, Subject().model, Subject().evaluation, 2, 1);
    for (std::int64_t image = 0; image < 2; ++image) {
      TensorMap inputs;
      for (const auto& [input, stacked] : bundle.inputs)
        inputs.emplace(input, SliceImage(stacked, image));
      GoldenBackend reference;
      FastBackend fast;
      EXPECT_EQ(Execute(bundle.program, inputs, image, reference),
                Execute(bundle.program, inputs, image, fast))
          << name;
    }
  }
}

TEST(TranslatorRun, ABundleGivesTheSameTaps) {
  const TempDir dir;
  Bundle bundle = Subject().BundleOf(Configurations().at(kMixed));
  AddBundleInputs(bundle, Subject().model, Subject().evaluation, 2, 1);
  OutputDirectory output(dir.path() / "bundle");
  SaveBundle(bundle, output);
  const Bundle loaded = LoadBundle(dir.path() / "bundle");
  EXPECT_EQ(loaded.program.ops, bundle.program.ops);
  EXPECT_EQ(loaded.inputs, bundle.inputs);
  EXPECT_EQ(SideBySide(loaded, false).golden, SideBySide(bundle, false).golden);
}

}  // namespace
}  // namespace qsim::testing
