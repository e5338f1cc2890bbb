// Causes in the language models that are shipped.
#include <gtest/gtest.h>

#include "sim/calibrate/calibrate.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/inputs/input_reader.h"
#include "sim/network/families/families.h"
#include "sim/run/pieces.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

const std::filesystem::path kSource = QSIM_SOURCE_DIR;

Diagnosis DiagnosedWith(const std::string& model, const std::string& setting) {
  Manifest manifest = Manifest::Load(kSource / "vectors" / model);
  const network::Network net = network::LoadNetwork(manifest);
  manifest.geometry.vocabulary = std::get<network::Tokens>(net.nodes().front().function).vocabulary;
  Config config = Config::Load({kSource / "configs" / "lm_w8a8.yaml"}, net.Vocabulary());
  if (!setting.empty()) config.Set(setting);
  CalibrateOptions calibrate;
  calibrate.scope = Scope::kModel;
  const InputReader calibration(manifest, manifest.Calibration(), InputUse::kCalibration);
  const Bundle bundle = Calibrate(net, config, calibration.Read(0, calibration.count()), calibrate);
  ModelInputs evaluation =
      InputReader(manifest, manifest.Evaluation(), InputUse::kEvaluation).Read(0, 2);
  KeepFirst(evaluation, 64);
  DiagnoseOptions options;
  options.scope = "model";
  options.recognise = RecogniseCauses;
  return Diagnose({net, bundle, evaluation}, options);
}

// In steps of 1/16 the slow ones never forget.
void ExpectDecaysNamed(const std::string& model, const std::string& decay) {
  EXPECT_TRUE(DiagnosedWith(model, "").healthy());
  for (const char* block : {"0", "1"}) {
    const Diagnosis found =
        DiagnosedWith(model, std::string("blocks.") + block + "." + decay + ".bit_type.bits=4");
    ASSERT_FALSE(found.healthy()) << model << " " << block;
    EXPECT_EQ(found.findings.size(), 1U);
    EXPECT_EQ(Name(found.findings[0].cause), Name(Cause::kDecayRoundsToOne));
    EXPECT_EQ(found.findings[0].tensor, std::string("layers.") + block + "." + decay);
  }
}

TEST(LanguageCauses, DecaysOfGlaInTooFewBits) { ExpectDecaysNamed("gla", "attn.decay"); }
TEST(LanguageCauses, DecaysOfMamba2InTooFewBits) { ExpectDecaysNamed("mamba2", "mixer.decay"); }

}  // namespace
}  // namespace qsim::testing
