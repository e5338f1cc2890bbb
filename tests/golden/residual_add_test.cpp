#include "golden/ops/residual_add.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

TEST(ResidualAdd, EqualsTheExactSumRoundedOnce) {
  testing::SeededRandom random;
  testing::Exercised exercised;
  for (int round = 0; round < 60; ++round) {
    const bool per_channel = round % 2 == 0;
    const std::int64_t channels = 1 + round % 5;
    const ChannelLayout layout{7, channels, 1};
    const auto size = static_cast<std::size_t>(layout.size());
    const std::size_t entries = per_channel ? static_cast<std::size_t>(channels) : 1;
    std::vector<std::int32_t> a(size), b(size), out(size), m_a(entries), m_b(entries);
    // A few bits below the point are often exactly a half of it.
    const bool ties = round % 3 == 0;
    const std::int64_t a_reach = ties ? 5000 : 1 << 24;
    for (auto& v : a) v = static_cast<std::int32_t>(random.Between(-a_reach, a_reach));
    for (auto& v : b) v = static_cast<std::int32_t>(random.Between(-32768, 32767));
    for (auto& m : m_a)
      m = static_cast<std::int32_t>(ties ? random.Between(-3, 3) : random.Between(-65535, 65535));
    for (auto& m : m_b) m = static_cast<std::int32_t>(random.Between(1, ties ? 3 : 1 << 30));
    ResidualAddParams params{
        .layout = layout,
        .a_multiplier = m_a,
        .b_multiplier = m_b,
        .shift = static_cast<int>(ties ? random.Between(1, 3) : random.Between(0, 40)),
        .a_zero = static_cast<std::int32_t>(random.Between(-128, 255)),
        .b_zero = static_cast<std::int32_t>(random.Between(-40000, 65535)),
        .out_zero = static_cast<std::int32_t>(random.Between(-99, 99)),
        .rounding = kAllRoundings[static_cast<std::size_t>(round % 5)],
        .range = {-32768, 32767}};
    std::int64_t expected_saturated = 0;
    const std::int64_t saturated = ResidualAdd(a, b, params, out);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t c =
          per_channel ? static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(i)))
                      : 0;
      const Int128 sum =
          (Int128{a[i]} - params.a_zero) * m_a[c] + (Int128{b[i]} - params.b_zero) * m_b[c];
      const testing::OracleResult expected = testing::OracleRequantize(
          sum, params.shift, params.out_zero, params.rounding, params.range);
      ASSERT_EQ(out[i], expected.y) << "element " << i << " of round " << round;
      expected_saturated += expected.saturated();
      exercised.Include(expected);
    }
    EXPECT_EQ(saturated, expected_saturated);
  }
  exercised.ExpectEach(20);
}

TEST(ResidualAdd, LegalExtremesFit) {
  const std::int32_t max_m = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t a : {std::numeric_limits<std::int32_t>::min(), max_m}) {
    for (const std::int32_t b : {-32768, 65535}) {
      for (const std::int32_t m_a : {-max_m, max_m}) {
        for (const std::int32_t m_b : {-max_m, max_m}) {
          for (const int shift : {0, 31, 62}) {
            for (const Rounding rounding : kAllRoundings) {
              std::int32_t out = 0;
              const ResidualAddParams params{.layout = {1, 1, 1},
                                             .a_multiplier = {&m_a, 1},
                                             .b_multiplier = {&m_b, 1},
                                             .shift = shift,
                                             .b_zero = b < 0 ? 65535 : -32768,
                                             .rounding = rounding,
                                             .range = {-32768, 32767}};
              ResidualAdd({&a, 1}, {&b, 1}, params, {&out, 1});
              const Int128 sum = Int128{a} * m_a + (Int128{b} - params.b_zero) * m_b;
              EXPECT_EQ(out, testing::OracleRequantize(sum, shift, 0, rounding, params.range).y);
            }
          }
        }
      }
    }
  }
}

TEST(ResidualAdd, WrongSizesThrow) {
  const std::vector<std::int32_t> a(4), b(4), one(1, 1), three(3, 1);
  std::vector<std::int32_t> out(4);
  const ResidualAddParams good{
      .layout = {2, 2, 1}, .a_multiplier = one, .b_multiplier = one, .shift = 1};
  EXPECT_EQ(ResidualAdd(a, b, good, out), 0);
  EXPECT_THROW(ResidualAdd(a, std::span(b).first(3), good, out), std::invalid_argument);
  ResidualAddParams bad = good;
  bad.b_multiplier = three;
  EXPECT_THROW(ResidualAdd(a, b, bad, out), std::invalid_argument);
  bad = good;
  bad.shift = 63;
  EXPECT_THROW(ResidualAdd(a, b, bad, out), std::invalid_argument);
}

}  // namespace
}  // namespace qsim::testing
