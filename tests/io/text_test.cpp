#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "sim/io/tensors/shape.h"
#include "sim/text/nearest_word.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"
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
  const std::string some = SuggestWord("q", std::vector<std::string>(30, "residual1"));
  EXPECT_EQ(some.substr(0, 34), "valid here: residual1, residual1, ");
  EXPECT_EQ(some.substr(some.size() - 12), " and 16 more");
  EXPECT_EQ(SomeOf({std::string(400, 'x'), "y"}), std::string(400, 'x') + " and 1 more");
}

TEST(NearestWordTest, EditDistanceIsLevenshteins) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("ABC", "abc"), 0u);
}

TEST(NumberTest, IsAllOfTheTextInDecimal) {
  EXPECT_EQ(ParseNumber<int>("0"), 0);
  EXPECT_EQ(ParseNumber<int>("+12"), 12);
  EXPECT_EQ(ParseNumber<int>("-12"), -12);
  EXPECT_EQ(ParseNumber<int>("2147483648"), std::nullopt);
  EXPECT_EQ(ParseNumber<std::uint64_t>("18446744073709551615"),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(ParseNumber<std::uint64_t>("-1"), std::nullopt);
  EXPECT_EQ(ParseNumber<double>("-.5e-1"), -0.05);
  EXPECT_EQ(ParseNumber<double>("0"), 0.0);
  EXPECT_EQ(ParseNumber<double>("1e3"), 1000.0);
  for (const char* text : {"", "+", "-", "+-5", "++5", " 5", "5 ", "0x10", "010", "-010", "5,",
                           "1_000", "nan", "inf", "1e999", "1e-999", "five"}) {
    EXPECT_EQ(ParseNumber<double>(text), std::nullopt) << text;
    EXPECT_EQ(ParseNumber<std::int64_t>(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseIndex("12"), 12);
  for (const char* text : {"+1", "-0", "01", ""}) EXPECT_EQ(ParseIndex(text), std::nullopt) << text;
  for (const char* text : {"5.0", "1e3", "9223372036854775808"})
    EXPECT_EQ(ParseNumber<std::int64_t>(text), std::nullopt) << text;
}

TEST(PrintableTest, KeepsMessagesOnOneLine) {
  EXPECT_EQ(Printable("a\nb\x01\xff"), "a\\x0ab\\x01\\xff");
  EXPECT_EQ(Printable("é€𝄞"), "é€𝄞");
  EXPECT_EQ(Printable("\xc3"), "\\xc3");
  EXPECT_EQ(Printable("a\u202eb\u2028"), "a\\xe2\\x80\\xaeb\\xe2\\x80\\xa8");
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
  EXPECT_EQ(CheckedElementCount({kMax, 0}), 0);
  EXPECT_EQ(CheckedElementCount({kMax, kMax, 0}), std::nullopt);
  EXPECT_EQ(CheckedElementCount({0, kMax, kMax}), std::nullopt);
  EXPECT_EQ(CheckedElementCount({0, -1}), std::nullopt);
}

}  // namespace
}  // namespace qsim::testing
