// The second family in float: what makes it another family is computed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/semantics/float_run.h"
#include "tests/network/families/translator_test.h"

namespace qsim::testing {
namespace {

std::map<std::string, FloatTensor> TapsOf(const ModelInputs& inputs) {
  const FloatRun run(Subject().model);
  FloatRun::State state = run.Begin(inputs, 0);
  std::map<std::string, FloatTensor> taps;
  for (int part = 0; part < Subject().model.parts(); ++part) {
    run.Part(part, state,
             [&](const network::Node& node, const FloatTensor& value) { taps[node.name] = value; });
  }
  return taps;
}

TEST(TranslatorFloat, EveryTensorHasItsShape) {
  const auto taps = TapsOf(Subject().evaluation);
  for (const network::Node& node : Subject().model.nodes())
    EXPECT_EQ(taps.at(node.name).shape, node.shape) << node.name;
  EXPECT_EQ(taps.at("decoder.read.likeness").shape,
            (Shape{Translator::kHeads, Translator::kTarget, Translator::kSource}));
}

TEST(TranslatorFloat, ALaterTokenChangesNoEarlierRow) {
  ModelInputs changed = Subject().evaluation;
  FloatTensor& target = changed.more.front();
  const std::int64_t last = (Translator::kTarget - 1) * Translator::kChannels;
  target.data[static_cast<std::size_t>(last)] += 3;
  const FloatTensor before = TapsOf(Subject().evaluation).at("words");
  const FloatTensor after = TapsOf(changed).at("words");
  const std::int64_t rows = (Translator::kTarget - 1) * Translator::kWords;
  EXPECT_TRUE(std::equal(before.data.begin(), before.data.begin() + rows, after.data.begin()));
  EXPECT_NE(before.data, after.data);
}

TEST(TranslatorFloat, NormsAreBehindTheSumsAndSharesAddUp) {
  const auto taps = TapsOf(Subject().evaluation);
  const FloatTensor& shares = taps.at("decoder.look.share");
  for (std::int64_t row = 0; row < ElementCount(shares.shape) / Translator::kTarget; ++row) {
    double sum = 0;
    for (std::int64_t s = 0; s < Translator::kTarget; ++s) {
      const float share = shares.data[static_cast<std::size_t>(row * Translator::kTarget + s)];
      if (s > row % Translator::kTarget) {
        EXPECT_EQ(share, 0);
      }
      sum += static_cast<double>(share);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
  for (const float v : taps.at("encoder.think.relu").data) EXPECT_GE(v, 0);
  EXPECT_EQ(Subject().model.At("encoder.look.normed").inputs.front(), "encoder.look.sum");
}

TEST(TranslatorFloat, AsManyInputsAsTheNetworkHas) {
  ModelInputs inputs = Subject().evaluation;
  inputs.more.push_back(inputs.more.front());
  EXPECT_ANY_THROW(FloatRun(Subject().model).Begin(inputs, 0));
  inputs.more.clear();
  EXPECT_ANY_THROW(FloatRun(Subject().model).Begin(inputs, 0));
}

}  // namespace
}  // namespace qsim::testing
