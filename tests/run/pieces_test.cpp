// Sequences in pieces: the same tensors for every cut, by every executor; inputs of different
// lengths in one bundle.
#include "sim/run/pieces.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/error.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/tensors/npy.h"
#include "sim/run/run_images.h"
#include "tests/io/io_test_util.h"
#include "tests/support/token_bundle.h"
#include "tests/support/vectors.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RunResult RunIn(const Bundle& bundle, std::vector<std::int64_t> chunk, bool rtl = false) {
  RunSettings settings;
  settings.images = bundle.images();
  settings.chunk = std::move(chunk);
  settings.threads = 2;
  if (rtl) settings.rtl.emplace();
  RunResult result;
  KeptTensors kept(settings.images, result);
  settings.sink = &kept;
  result.report = RunImages(bundle, nullptr, settings);
  return result;
}

TEST(Pieces, OfGivenLengthsTheLastOneAgain) {
  const Program program = TokenProgram(1);
  const auto lengths = [&](std::int64_t length, const std::vector<std::int64_t>& chunk) {
    std::vector<std::int64_t> taken;
    std::int64_t first = 0;
    for (const Piece& piece : PiecesOf(program, length, chunk)) {
      EXPECT_EQ(piece.first, first);
      first += piece.length;
      EXPECT_EQ(piece.last, first == length);
      taken.push_back(piece.length);
    }
    return taken;
  };
  EXPECT_THAT(lengths(9, {3, 1, 2}), ElementsAre(3, 1, 2, 2, 1));
  EXPECT_THAT(lengths(2, {3}), ElementsAre(2));
  EXPECT_THAT(lengths(40, {}), ElementsAre(16, 16, 8));  // what the program takes at once
  EXPECT_THAT(ErrorOf([&] { PiecesOf(program, 40, {17}); }),
              HasSubstr("--chunk 17: the program takes at most 16 tokens at once"));
  EXPECT_THAT(ErrorOf([&] { PiecesOf(CausalAttention(0, false), kLongest + 1, {}); }),
              HasSubstr("an input has 7 tokens, but the program takes at most 6"));
  EXPECT_EQ(PiecesOf(CausalConvolution(0, 3), 0, {}).size(), 1U);  // of a fixed length
}

TEST(Pieces, AreWholeChunksOfARecurrence) {
  Program program = TokenProgram(1);
  for (Op& op : program.ops) {
    std::visit(
        [](auto& o) {
          if constexpr (requires { o.update.chunk; }) o.update.chunk = 5;
        },
        op);
  }
  std::vector<std::int64_t> taken;
  for (const Piece& piece : PiecesOf(program, 40, {})) taken.push_back(piece.length);
  EXPECT_THAT(taken, ElementsAre(15, 15, 10));  // of the 16 that it takes at once
  EXPECT_EQ(PiecesOf(program, 13, {10}).size(), 2U);
  EXPECT_THAT(ErrorOf([&] {
                PiecesOf(program, 40, {10, 7});
              }),
              HasSubstr("--chunk 7: the program's recurrences run by chunks of 5 rows"));
}

TEST(Pieces, EveryCutGivesTheSameTensors) {
  const Bundle bundle = TokenBundle({33, 16, 5});
  const RunResult whole = RunIn(bundle, {});
  EXPECT_THAT(whole.report.lengths, ElementsAre(33, 16, 5));
  EXPECT_EQ(whole.golden.at("logits").shape(), (Shape{3, 33, kVocabulary}));
  EXPECT_EQ(whole.golden.at("next_s").shape(), (Shape{3, 2, 2, 2}));
  EXPECT_FALSE(whole.golden.contains("s"));  // what a piece is handed depends on the cut
  for (const std::vector<std::int64_t>& chunk :
       std::vector<std::vector<std::int64_t>>{{1}, {2}, {7}, {3, 1, 5}, {15, 16}})
    EXPECT_EQ(RunIn(bundle, chunk).golden, whole.golden);
  for (std::int64_t first = 1; first <= 16; ++first)
    EXPECT_EQ(RunIn(bundle, {first, 16}).golden, whole.golden);
  std::set<std::int64_t> different;
  for (std::int64_t i = 0; i < whole.golden.at("o").size(); ++i)
    different.insert(whole.golden.at("o").At(i));
  EXPECT_GT(different.size(), 40U);
}

// Each sequence begins with the initial state, whatever ran before it.
TEST(Pieces, StatesBeginAnewWithEverySequence) {
  const Bundle three = TokenBundle({9, 9, 9});
  Bundle last = three;
  last.inputs["tokens"] = IntTensor(DType::kInt8, {1, 9});
  for (std::int64_t t = 0; t < 9; ++t) {
    last.inputs["tokens"].As<std::int8_t>()[static_cast<std::size_t>(t)] =
        static_cast<std::int8_t>(three.inputs.at("tokens").At(18 + t));
  }
  last.lengths = {9};
  EXPECT_EQ(SliceImage(RunIn(three, {4}).golden.at("logits"), 2),
            SliceImage(RunIn(last, {4}).golden.at("logits"), 0));
}

TEST(Pieces, TheRtlRunsThemToo) {
  if (!cosim::BuiltWithRtl()) GTEST_SKIP();
  const Bundle bundle = TokenBundle({20, 7});
  const RunResult pieces = RunIn(bundle, {6}, true);
  EXPECT_EQ(pieces.report.total_mismatches(), 0);
  EXPECT_EQ(pieces.rtl, pieces.golden);
  EXPECT_EQ(pieces.golden, RunIn(bundle, {}).golden);
}

// Clamps are counted once for every token, whatever the cut.
TEST(Pieces, SharesOfClampedElementsDoNotDependOnTheCut) {
  const Bundle bundle = TokenBundle({31, 12});
  const RunReport whole = RunIn(bundle, {}).report;
  const RunReport cut = RunIn(bundle, {3, 5}).report;
  bool any = false;
  ASSERT_EQ(whole.taps.size(), cut.taps.size());
  for (std::size_t i = 0; i < whole.taps.size(); ++i) {
    EXPECT_EQ(whole.taps[i].saturated_share, cut.taps[i].saturated_share) << whole.taps[i].name;
    EXPECT_LE(whole.taps[i].saturated_share, 1);
    any = any || whole.taps[i].saturated_share > 0;
  }
  EXPECT_TRUE(any);
}

TEST(Pieces, ABundleKeepsSequencesOfDifferentLengths) {
  const TempDir temp;
  const auto round_trip = [&](const Bundle& bundle) {
    OutputDirectory output(temp.path() / "bundle");
    SaveBundle(bundle, output);
    return LoadBundle(temp.path() / "bundle");
  };
  const Bundle ragged = TokenBundle({33, 5});
  const Bundle loaded = round_trip(ragged);
  EXPECT_EQ(loaded.inputs, ragged.inputs);
  EXPECT_THAT(loaded.lengths, ElementsAre(33, 5));
  EXPECT_EQ(BundleInput(loaded, "tokens", 1).shape(), (Shape{5}));
  EXPECT_EQ(RunIn(loaded, {}).golden, RunIn(ragged, {}).golden);
  WriteNpy(temp.path() / "bundle" / "lengths.npy",
           IntTensor({2}, std::vector<std::int64_t>{33, 34}));
  EXPECT_THAT(ErrorOf([&] { LoadBundle(temp.path() / "bundle"); }),
              HasSubstr("lengths.npy: length 34 at [1] is outside 1..33"));
  Bundle equal = TokenBundle({8, 8});
  equal.lengths.clear();
  EXPECT_EQ(LengthOf(round_trip(equal), 0), 8);
}

TEST(Pieces, AHashIsOfTheContents) {
  const Bundle bundle = TokenBundle({8});
  const std::string hash = HashOf(bundle);
  EXPECT_EQ(HashOf(TokenBundle({9})), hash);  // inputs are none of it
  Bundle other = bundle;
  other.program.constants["w"].As<std::int8_t>()[3]++;
  EXPECT_NE(HashOf(other), hash);
  other = bundle;
  OpNamed<TableOp>(other.program, "decay").table[7]++;
  EXPECT_NE(HashOf(other), hash);
  other = bundle;
  other.scales["o"].scale[0] *= 2;
  EXPECT_NE(HashOf(other), hash);
}

TEST(Pieces, OfInputsAreCutToTokens) {
  ModelInputs inputs;
  inputs.data =
      TokenInputs{IntTensor({2, 4}, std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 0, 0}), {4, 2}};
  KeepFirst(inputs, 3);
  EXPECT_EQ(LengthOf(inputs, 0), 3);
  EXPECT_EQ(LengthOf(inputs, 1), 2);
  const ModelInputs piece = PieceOf(inputs, 0, {1, 2, true});
  EXPECT_THAT(std::get<TokenInputs>(piece.data).Sequence(0).As<std::int32_t>(), ElementsAre(2, 3));
  EXPECT_EQ(LengthOf(PieceOf(inputs, 1, {}), 0), 2);
}

}  // namespace
}  // namespace qsim::testing
