#include "golden/ops/rounding.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <limits>
#include <regex>
#include <stdexcept>
#include <string>

#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::OracleDivide;

// docs/numerics.md (2.2), the four middle columns.
TEST(Rounding, TieTable) {
  struct Row {
    Rounding rounding;
    std::array<std::int64_t, 4> expected;  // of -1.5, -0.5, 0.5, 1.5
  };
  const std::array<Row, 5> table = {{{Rounding::kHalfUp, {-1, 0, 1, 2}},
                                     {Rounding::kHalfAway, {-2, -1, 1, 2}},
                                     {Rounding::kHalfEven, {-2, 0, 0, 2}},
                                     {Rounding::kFloor, {-2, -1, 0, 1}},
                                     {Rounding::kTowardZero, {-1, 0, 0, 1}}}};
  const std::array<std::int64_t, 4> halves = {-3, -1, 1, 3};
  for (const Row& row : table) {
    for (std::size_t i = 0; i < halves.size(); ++i) {
      EXPECT_EQ(RoundShift(halves[i], 1, row.rounding), row.expected[i]) << Name(row.rounding);
      EXPECT_EQ(RoundDivide(halves[i], 2, row.rounding), row.expected[i]) << Name(row.rounding);
      EXPECT_TRUE(RoundShift(Int128{halves[i]}, 1, row.rounding) == row.expected[i]);
    }
  }
}

// The table as people read it: in docs/numerics.md and above the functions themselves.
TEST(Rounding, WrittenTieTablesAreTheFunctions) {
  for (const std::string file : {"/docs/numerics.md", "/golden/ops/rounding.h"}) {
    std::ifstream stream(QSIM_SOURCE_DIR + file);
    std::size_t rows = 0;
    for (std::string line; std::getline(stream, line);) {
      static const std::regex kRow(
          R"(^(?: *|// +)(\w+) .*\s(-?\d)\s+(-?\d)\s+(-?\d)\s+(-?\d)(\s.*)?$)");
      std::smatch match;
      if (!std::regex_match(line, match, kRow)) continue;
      const std::optional<Rounding> rounding = FromName<Rounding>(match[1].str());
      if (!rounding) continue;
      ++rows;
      for (const int i : {0, 1, 2, 3}) {
        EXPECT_EQ(std::stoi(match[static_cast<std::size_t>(2 + i)].str()),
                  RoundShift(std::int64_t{2} * i - 3, 1, *rounding))
            << file << ": " << line;
      }
    }
    EXPECT_EQ(rows, kAllRoundings.size()) << file;
  }
}

// The hardware's form, the last column of (2.2).
std::int64_t ByOneAddition(std::int64_t v, int shift, Rounding rounding) {
  if (shift == 0) return v;
  const std::int64_t half = std::int64_t{1} << (shift - 1);
  const std::int64_t negative = v < 0 ? 1 : 0;
  switch (rounding) {
    case Rounding::kHalfUp:
      return (v + half) >> shift;
    case Rounding::kHalfAway:
      return (v + half - negative) >> shift;
    case Rounding::kHalfEven:
      return (v + half - 1 + ((v >> shift) & 1)) >> shift;
    case Rounding::kFloor:
      return v >> shift;
    case Rounding::kTowardZero:
      return (v + negative * (2 * half - 1)) >> shift;
  }
  return 0;
}

TEST(Rounding, EverySixteenBitValueAndShiftEqualsTheDefinitionAndTheHardwareForm) {
  for (const Rounding rounding : kAllRoundings) {
    for (int shift = 0; shift <= 18; ++shift) {
      const Int128 divisor = Int128{1} << shift;
      for (std::int64_t v = -32768; v <= 32767; ++v) {
        const auto expected = static_cast<std::int64_t>(OracleDivide(v, divisor, rounding));
        ASSERT_EQ(RoundShift(v, shift, rounding), expected) << v << " >> " << shift;
        ASSERT_EQ(ByOneAddition(v, shift, rounding), expected) << v << " >> " << shift;
      }
    }
  }
}

TEST(Rounding, ShiftOfZeroChangesNothing) {
  for (const Rounding rounding : kAllRoundings) {
    for (const std::int64_t v : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1},
                                 std::int64_t{0}, std::numeric_limits<std::int64_t>::max()}) {
      EXPECT_EQ(RoundShift(v, 0, rounding), v);
      EXPECT_TRUE(RoundShift(Int128{v}, 0, rounding) == v);
    }
  }
}

TEST(Rounding, WideValuesAndShifts) {
  testing::SeededRandom random;
  std::int64_t ties = 0;
  for (int i = 0; i < 200000; ++i) {
    const int shift = static_cast<int>(random.Between(1, 62));
    std::int64_t v = random.Between(std::numeric_limits<std::int64_t>::min(),
                                    std::numeric_limits<std::int64_t>::max());
    v >>= random.Between(0, 40);
    const std::int64_t half = std::int64_t{1} << (shift - 1);
    if (i % 4 == 0) v = (v & ~(2 * half - 1)) | half;  // an exact tie
    ties += (v & (2 * half - 1)) == half;
    for (const Rounding rounding : kAllRoundings) {
      const auto expected =
          static_cast<std::int64_t>(OracleDivide(v, Int128{1} << shift, rounding));
      ASSERT_EQ(RoundShift(v, shift, rounding), expected) << v << " >> " << shift;
      // Scaling numerator and divisor alike changes nothing: reaches shifts that 64 bits cannot.
      const int more = static_cast<int>(random.Between(0, 62));
      ASSERT_TRUE(RoundShift(Int128{v} << more, shift + more, rounding) == expected)
          << v << " * 2^" << more << " >> " << shift + more;
    }
  }
  EXPECT_GE(ties, 50000);
}

TEST(Rounding, SixtyFourBitExtremes) {
  const std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
  const std::int64_t highest = std::numeric_limits<std::int64_t>::max();
  for (const Rounding rounding : kAllRoundings) {
    for (const int shift : {1, 2, 31, 32, 61, 62}) {
      for (const std::int64_t v : {lowest, lowest + 1, highest - 1, highest}) {
        EXPECT_TRUE(RoundShift(v, shift, rounding) ==
                    OracleDivide(v, Int128{1} << shift, rounding));
      }
    }
  }
}

TEST(Rounding, DivisionEqualsTheDefinition) {
  for (const Rounding rounding : kAllRoundings) {
    for (std::int64_t denominator = 1; denominator <= 64; ++denominator) {
      for (std::int64_t numerator = -1000; numerator <= 1000; ++numerator) {
        ASSERT_TRUE(RoundDivide(numerator, denominator, rounding) ==
                    OracleDivide(numerator, denominator, rounding))
            << numerator << " / " << denominator << " " << Name(rounding);
      }
    }
    const std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
    const std::int64_t highest = std::numeric_limits<std::int64_t>::max();
    for (const std::int64_t numerator : {lowest, highest}) {
      for (const std::int64_t denominator : {std::int64_t{1}, std::int64_t{3}, highest}) {
        EXPECT_TRUE(RoundDivide(numerator, denominator, rounding) ==
                    OracleDivide(numerator, denominator, rounding));
      }
    }
  }
}

TEST(Rounding, ArgumentsOutOfRangeThrow) {
  EXPECT_THROW(RoundShift(std::int64_t{1}, -1, Rounding::kFloor), std::invalid_argument);
  EXPECT_THROW(RoundShift(std::int64_t{1}, 63, Rounding::kFloor), std::invalid_argument);
  EXPECT_THROW(RoundShift(Int128{1}, 127, Rounding::kFloor), std::invalid_argument);
  EXPECT_THROW(RoundShift(std::int64_t{1}, 1, static_cast<Rounding>(9)), std::invalid_argument);
  EXPECT_THROW(RoundDivide(1, 0, Rounding::kFloor), std::invalid_argument);
  EXPECT_THROW(RoundDivide(1, -3, Rounding::kFloor), std::invalid_argument);
}

TEST(Rounding, NamesRoundTrip) {
  for (const Rounding rounding : kAllRoundings) {
    EXPECT_FALSE(Name(rounding).empty());
    EXPECT_EQ(FromName<Rounding>(Name(rounding)), rounding);
  }
  EXPECT_EQ(Name(Rounding::kHalfUp), "half_up");
  EXPECT_EQ(Name(Rounding::kTowardZero), "toward_zero");
  EXPECT_EQ(FromName<Rounding>("half_upp"), std::nullopt);
  EXPECT_EQ(FromName<Rounding>(""), std::nullopt);
}

}  // namespace
}  // namespace qsim::testing
