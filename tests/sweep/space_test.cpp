#include "sim/sweep/space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "sim/error.h"
#include "tests/config/config_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kDepth = 3;

SweepSpace Space(const std::string& text, const Config& base = Config::Defaults()) {
  const testing::TempDir dir;
  testing::WriteBytes(dir.path() / "space.yaml", text);
  return SweepSpace::Load(dir.path() / "space.yaml", base, kDepth);
}

std::string MessageOf(const std::string& text) {
  try {
    Space(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

constexpr const char* kSmall =
    "axes:\n"
    "  - key: hardware.multiplier_bits\n"
    "    values: [8, 12, 16]\n"
    "  - name: queries and keys\n"
    "    keys: [attn_q_out.bit_type.bits, attn_k_out.bit_type.bits]\n"
    "    values: [8, 6]\n";

TEST(SweepSpace, AllPointsInOrder) {
  const SweepSpace space = Space(kSmall);
  EXPECT_EQ(space.size(), 6);
  const std::vector<SweepPoint> points = space.Draw(6, 1);
  ASSERT_EQ(points.size(), 6u);
  EXPECT_THAT(points[0], ElementsAre(0, 0));
  EXPECT_THAT(points[1], ElementsAre(0, 1));
  EXPECT_THAT(points[5], ElementsAre(2, 1));
  EXPECT_THAT(space.SettingsOf(points[3]),
              ElementsAre("hardware.multiplier_bits=12", "attn_q_out.bit_type.bits=6",
                          "attn_k_out.bit_type.bits=6"));
  // 8 bits and 16 are the defaults.
  EXPECT_THAT(space.ChangesOf(points[3]),
              ElementsAre("hardware.multiplier_bits 12", "queries and keys 6"));
  EXPECT_THAT(space.ChangesOf(points[4]), ElementsAre());
}

TEST(SweepSpace, AnAxisForEachBlock) {
  const SweepSpace space = Space(
      "points: 7\nseed: 5\naxes:\n  - {key: blocks.*.attn_v_input.bit_type.bits, values: [8, "
      "4]}\n");
  ASSERT_EQ(space.axes().size(), 3u);
  EXPECT_EQ(space.axes()[2].name, "blocks.2.attn_v_input.bit_type.bits");
  EXPECT_EQ(space.axes()[2].choices[1].settings[0], "blocks.2.attn_v_input.bit_type.bits=4");
  EXPECT_EQ(space.points(), 7);
  EXPECT_EQ(space.seed(), 5u);
}

TEST(SweepSpace, ChoicesOfSeveralSettings) {
  const SweepSpace space = Space(
      "axes:\n"
      "  - name: norms\n"
      "    choices:\n"
      "      - {name: narrow, norm1.bit_type.bits: 6, norm2.bit_type.bits: 7}\n"
      "      - {norm1.bit_type.bits: 8}\n");
  ASSERT_EQ(space.axes().size(), 1u);
  EXPECT_EQ(space.axes()[0].choices[0].label, "narrow");
  EXPECT_THAT(space.axes()[0].choices[0].settings,
              ElementsAre("norm1.bit_type.bits=6", "norm2.bit_type.bits=7"));
  EXPECT_EQ(space.axes()[0].choices[1].label, "norm1.bit_type.bits=8");
}

// A draw has no point twice, is the same for a seed and another for another one, and takes each
// choice about as often as the others.
TEST(SweepSpace, DrawsWithoutReplacement) {
  const SweepSpace space = Space(
      "axes:\n"
      "  - {key: blocks.*.attn_q_out.bit_type.bits, values: [4, 5, 6, 7, 8]}\n"
      "  - {key: blocks.*.attn_k_out.bit_type.bits, values: [4, 5, 6, 7, 8]}\n");
  EXPECT_EQ(space.size(), 15625);
  const std::vector<SweepPoint> points = space.Draw(3000, 7);
  ASSERT_EQ(points.size(), 3000u);
  EXPECT_EQ(std::set<SweepPoint>(points.begin(), points.end()).size(), 3000u);
  EXPECT_EQ(space.Draw(3000, 7), points);
  EXPECT_NE(space.Draw(3000, 8), points);
  // A shorter draw is the beginning of a longer one.
  EXPECT_EQ(space.Draw(100, 7), std::vector<SweepPoint>(points.begin(), points.begin() + 100));
  std::vector<std::vector<int>> count(6, std::vector<int>(5));
  for (const SweepPoint& point : points) {
    for (std::size_t axis = 0; axis < 6; ++axis) {
      ++count[axis][static_cast<std::size_t>(point[axis])];
    }
  }
  for (const auto& axis : count) {
    for (const int n : axis) EXPECT_NEAR(n, 600, 110);  // five standard deviations
  }
  // All but one of the points, and all of them.
  EXPECT_EQ(space.Draw(15624, 1).size(), 15624u);
  EXPECT_EQ(space.Draw(15626, 1).size(), 15625u);
}

TEST(SweepSpace, AProductBeyondAnyNumberIsDrawnFrom) {
  std::string text = "axes:\n";
  for (const char* key : {"attn_q_out", "attn_k_out", "attn_v_input", "attn_v_out", "norm1",
                          "norm2", "mlp_gelu", "mlp_fc1.weight"}) {
    text += std::string("  - {key: blocks.*.") + key +
            ".bit_type.bits, values: [2, 3, 4, 5, 6, 7, 8]}\n";
  }
  const SweepSpace space = Space(text);  // 7^24
  EXPECT_EQ(space.size(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(space.Draw(10, 1).size(), 10u);
}

TEST(SweepSpace, HashesAxesAndChoicesAlone) {
  const std::string small = kSmall;
  EXPECT_EQ(Space(small).Hash(), Space("points: 3\nseed: 9\n" + small).Hash());
  std::string other = small;
  other.replace(other.find("12"), 2, "13");
  EXPECT_NE(Space(small).Hash(), Space(other).Hash());
}

TEST(SweepSpace, NamesWhatIsWrong) {
  EXPECT_THAT(MessageOf("axis: []\n"),
              HasSubstr("space.yaml:1: key 'axis': unknown key; did you mean 'axes'?"));
  EXPECT_THAT(MessageOf("- a\n"), HasSubstr("a search space is a map with 'axes'"));
  EXPECT_THAT(MessageOf("points: 3\n"), HasSubstr("'axes' must be a list with at least one axis"));
  EXPECT_THAT(MessageOf("axes: []\n"), HasSubstr("'axes' must be a list with at least one axis"));
  EXPECT_THAT(MessageOf("axes: [3]\n"), HasSubstr("each axis is a map"));
  EXPECT_THAT(MessageOf("axes:\n  - values: [1]\n"),
              HasSubstr("space.yaml:2: axes: an axis needs"));
  EXPECT_THAT(MessageOf("axes:\n  - key: norm1.bit_type.bits\n"), HasSubstr("'values' is missing"));
  EXPECT_THAT(MessageOf("axes:\n  - {key: norm1.bit_type.bits, values: []}\n"),
              HasSubstr("an empty list"));
  EXPECT_THAT(MessageOf("axes:\n  - {key: norm1.bit_type.bits, values: [[8]]}\n"),
              HasSubstr("a word or number expected"));
  EXPECT_THAT(MessageOf("axes:\n  - {key: norm1.bit_type.bits, value: [8]}\n"),
              HasSubstr("key 'axes.value': unknown key; did you mean 'values'?"));
  // What no configuration would take is refused at its line.
  EXPECT_THAT(
      MessageOf("axes:\n  - key: norm1.bit_type.bit\n    values: [8]\n"),
      HasSubstr("space.yaml:3: key 'norm1.bit_type.bit': unknown key; did you mean 'bits'?"));
  EXPECT_THAT(MessageOf("axes:\n  - key: norm1.bit_type.bits\n    values: [8,\n      99]\n"),
              HasSubstr("space.yaml:4: key 'norm1.bit_type.bits'"));
  EXPECT_THAT(
      MessageOf(
          "axes:\n  - {keys: [blocks.*.norm1.bit_type.bits, norm2.bit_type.bits], values: [8]}\n"),
      HasSubstr("either every key of an axis begins with 'blocks.*.' or none"));
  EXPECT_THAT(
      MessageOf("axes:\n  - {key: norm1.bit_type.bits, choices: [{norm1.bit_type.bits: 8}]}\n"),
      HasSubstr("'choices' replaces 'key'"));
  EXPECT_THAT(MessageOf("axes:\n  - {choices: [8]}\n"),
              HasSubstr("each choice is a map of settings"));
  EXPECT_THAT(MessageOf("axes:\n  - {choices: [{name: nothing}]}\n"),
              HasSubstr("a choice without settings"));
  EXPECT_THAT(MessageOf(std::string("points: 0\n") + kSmall),
              HasSubstr("key 'points': '0' is not a whole number in 1..10000"));
  EXPECT_THAT(MessageOf(std::string("seed: many\n") + kSmall),
              HasSubstr("key 'seed': 'many' is not a whole number"));
}

// Few bytes that ask for many settings are refused before these are made.
TEST(SweepSpace, HasSoManySettings) {
  const std::string refused = "more than 10000 settings in the choices of all axes; --limits N";
  std::string values;
  for (int i = 0; i < 5001; ++i) values += "8,";
  EXPECT_THAT(MessageOf("axes:\n  - {keys: [norm1.bit_type.bits, norm2.bit_type.bits], values: [" +
                        values + "]}\n"),
              HasSubstr("space.yaml:2: " + refused));
  EXPECT_THAT(
      MessageOf("axes:\n  - {key: blocks.*.norm1.bit_type.bits, values: [" + values + "]}\n"),
      HasSubstr("space.yaml:2: " + refused));
}

}  // namespace
}  // namespace qsim::testing
