#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"
#include "sim/io/tensors/shape.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

TEST(NearestWordTest, FindsTypingMistakes) {
  const std::vector<std::string> words = {"bits", "signed", "symmetric", "MinmaxObserver",
                                          "PercentileObserver"};
  // Of two beginnings the one with fewer letters to change.
  EXPECT_EQ(NearestWord("softmax_divison", {"softmax", "softmax_division"}), "softmax_division");
  EXPECT_EQ(NearestWord("bit", words), "bits");
  EXPECT_EQ(NearestWord("singed", words), "signed");
  EXPECT_EQ(NearestWord("minmaxobserver", words), "MinmaxObserver");
  EXPECT_EQ(NearestWord("Percentile", words), "PercentileObserver");
  EXPECT_EQ(NearestWord("zzzzzzzz", words), std::nullopt);
  EXPECT_EQ(NearestWord(std::string(1'000'000, 'b'), words), std::nullopt);
  EXPECT_EQ(NearestWord("a", {}), std::nullopt);
  EXPECT_EQ(SuggestWord("qqqqqqqqq", {"bits", "name"}), "valid here: bits, name");
}

TEST(NearestWordTest, EditDistanceIsLevenshteins) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("ABC", "abc"), 0u);
}

TEST(PrintableTest, KeepsMessagesOnOneLine) {
  EXPECT_EQ(Printable("a\nb\x01\xff"), "a\\x0ab\\x01\\xff");
  EXPECT_EQ(Printable("é€𝄞"), "é€𝄞");
  EXPECT_EQ(Printable("\xc3"), "\\xc3");
  EXPECT_EQ(Printable(std::string(100, 'x')), std::string(80, 'x') + "...");
}

TEST(ShapeTest, FormatsShapesAndIndices) {
  EXPECT_EQ(FormatShape({}), "[]");
  EXPECT_EQ(FormatShape({3, 4}), "[3, 4]");
  EXPECT_EQ(FormatIndex({3, 4}, 5), "[1, 1]");
  EXPECT_EQ(FormatIndex({2, 3, 4}, 23), "[1, 2, 3]");
  EXPECT_EQ(FormatIndex({}, 0), "[]");
}

TEST(ShapeTest, CountsWithoutOverflow) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(CheckedElementCount({}), 1);
  EXPECT_EQ(CheckedElementCount({3, 4}), 12);
  EXPECT_EQ(CheckedElementCount({kMax}), kMax);
  EXPECT_EQ(CheckedElementCount({kMax, 2}), std::nullopt);
  EXPECT_EQ(CheckedElementCount({kMax, kMax, 0}), 0);
  EXPECT_EQ(CheckedElementCount({0, -1}), std::nullopt);
}

}  // namespace
}  // namespace qsim::testing
