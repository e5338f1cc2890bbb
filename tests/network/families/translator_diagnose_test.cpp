// The second family is diagnosed: nothing of a healthy one is suspected, and what is broken is
// named.
#include <gtest/gtest.h>

#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/diagnose/faults.h"
#include "tests/network/families/translator_test.h"

namespace qsim::testing {
namespace {

Diagnosis Of(const std::vector<std::string>& words) {
  const Faults faults(words);
  Config config = Subject().ConfigOf();
  faults.PlantInConfig(Subject().model, config);
  Bundle bundle = Calibrate(Subject().model, config, Subject().calibration, Subject().Options());
  faults.PlantInBundle(Subject().model, Subject().calibration, bundle);
  DiagnoseOptions options;
  options.threads = 2;
  options.recognise = RecogniseCauses;
  return Diagnose({Subject().model, bundle, Subject().evaluation, &config, &Subject().calibration},
                  options);
}

void ExpectFirst(const std::string& word, const std::string& tensor, Cause cause) {
  SCOPED_TRACE(word);
  const Diagnosis d = Of({word});
  ASSERT_FALSE(d.healthy());
  EXPECT_EQ(d.findings[0].tensor, tensor) << d.findings[0].text;
  EXPECT_EQ(Name(d.findings[0].cause), Name(cause)) << d.findings[0].text;
}

TEST(TranslatorDiagnose, NothingOfAHealthyOneIsSuspected) {
  const Diagnosis d = Of({});
  for (const Culprit& f : d.findings) ADD_FAILURE() << f.tensor << ": " << f.text;
  std::vector<std::string> causes;
  for (const LossEntry& e : d.budget.entries) causes.push_back(e.cause);
  EXPECT_EQ(causes, (std::vector<std::string>{"integer weights", "rounding of activations",
                                              "clipping", "softmax approximation",
                                              "layer norm approximation", "table approximation",
                                              "scales as multipliers", "residual stream's width"}));
}

TEST(TranslatorDiagnose, FaultsAreNamedWhereTheyAre) {
  ExpectFirst("head_dim_scale@decoder.read.likeness", "decoder.read.likeness",
              Cause::kHeadDimScale);
  ExpectFirst("head_layout@decoder.read.key", "decoder.read.tell", Cause::kHeadLayout);
  ExpectFirst("scale_mismatch@encoder.look.sum", "encoder.look.sum", Cause::kScaleMismatch);
  ExpectFirst("zero_point_mismatch@decoder.think.normed", "decoder.think.normed",
              Cause::kZeroPointMismatch);
  ExpectFirst("double_quantization@encoder.think.up", "encoder.think.up",
              Cause::kDoubleQuantization);
}

TEST(TranslatorDiagnose, RepairsRestoreWhatAHealthyOneHas) {
  const double healthy = Of({}).measured.output.Db();
  for (const char* tensor : {"decoder.read.key", "encoder.look.value"}) {
    const Diagnosis d = Of({std::string("scale_mismatch@") + tensor});
    ASSERT_EQ(d.findings.size(), 1u) << tensor;
    EXPECT_EQ(d.findings[0].tensor, tensor);
    EXPECT_NEAR(d.repaired_db, healthy, 0.1) << tensor;
  }
}

}  // namespace
}  // namespace qsim::testing
