// Faults that are planted in networks of sequences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/causes.h"
#include "sim/diagnose/diagnosis.h"
#include "sim/diagnose/faults.h"
#include "sim/error.h"
#include "tests/network/sequence.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

std::string Planted(const SequenceSubjects& subject, const std::string& word, Bundle& bundle) {
  try {
    Faults({word}).PlantInBundle(subject.model, subject.calibration, bundle);
  } catch (const InputError& error) {
    return error.what();
  }
  return bundle.notes.back().tensor;
}

TEST(SequenceFaults, OfAConvolutionsWeights) {
  const Bundle healthy = TheSequence().BundleOf({});
  for (const std::string name :
       {"weight_row_zeroed", "sign_flipped", "bias_dropped", "double_quantization"}) {
    SCOPED_TRACE(name);
    Bundle bundle = healthy;
    EXPECT_EQ(Planted(TheSequence(), name + "@conv.acc", bundle), "conv.acc");
    for (const auto& [constant, values] : healthy.program.constants) {
      if (constant.starts_with("conv.acc.")) continue;
      EXPECT_EQ(bundle.program.Constant(constant), values) << constant;
    }
    DiagnoseOptions options;
    options.scope = "model";
    options.recognise = RecogniseCauses;
    const Diagnosis found =
        Diagnose({TheSequence().model, bundle, TheSequence().evaluation}, options);
    ASSERT_FALSE(found.healthy());
    EXPECT_EQ(found.findings[0].tensor, "conv.acc");
    EXPECT_EQ(found.findings.size(), 1U);
  }
}

// Where no layer but the convolution has a bias, and where none has.
TEST(SequenceFaults, ABiasIsDroppedWhereThereIsOne) {
  SequenceSubjects subject;
  for (const network::Node& node : subject.model.nodes()) {
    auto* layer = std::get_if<network::Projection>(&subject.model.At(node.name).function);
    if (layer != nullptr) std::fill(layer->layer.bias.begin(), layer->layer.bias.end(), 0.0F);
  }
  const Bundle healthy = subject.BundleOf({});
  Bundle bundle = healthy;
  EXPECT_EQ(Planted(subject, "bias_dropped", bundle), "conv.acc");
  EXPECT_NE(bundle.program.Constant("conv.acc.bias"), healthy.program.Constant("conv.acc.bias"));
  bundle = healthy;
  EXPECT_THAT(Planted(subject, "bias_dropped@q", bundle),
              HasSubstr("'q' is no tensor of this program that can have it; valid here: conv.acc"));
  auto& conv = std::get<network::CausalConvolution>(subject.model.At("conv").function);
  std::fill(conv.bias.begin(), conv.bias.end(), 0.0F);
  bundle = subject.BundleOf({});
  EXPECT_THAT(Planted(subject, "bias_dropped", bundle),
              HasSubstr("this program has no tensor that can have it"));
}

}  // namespace
}  // namespace qsim::testing
