// The histogram whose state is a function of the values alone: against a direct count at the final
// width, for every split, order and tree of merges, and at the edges of float.
#include "sim/statistics/doubling_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Values = std::vector<float>;

DoublingHistogram Of(const Values& values, std::int32_t half_bins) {
  DoublingHistogram histogram(half_bins);
  histogram.Add(values);
  return histogram;
}

// Any finite float: every exponent and sign, subnormals and zeros among them.
float AnyFloat(testing::SeededRandom& random) {
  while (true) {
    const auto bits = static_cast<std::uint32_t>(random.Between(0, 0xFFFFFFFFLL));
    const float value = std::bit_cast<float>(bits);
    if (std::isfinite(value)) return value;
  }
}

// Values of one of several kinds of data.
Values RandomValues(testing::SeededRandom& random, std::int64_t count) {
  Values values;
  const std::int64_t kind = random.Between(0, 4);
  const int exponent = static_cast<int>(random.Between(-140, 120));
  for (std::int64_t i = 0; i < count; ++i) {
    const auto step = static_cast<float>(random.Between(-100000, 100000));
    switch (kind) {
      case 0:
        values.push_back(AnyFloat(random));
        break;
      case 1:
        values.push_back(std::fabs(std::ldexp(step, exponent - 17)));
        break;
      case 2:  // exactly on the edges of bins
        values.push_back(std::ldexp(static_cast<float>(random.Between(-64, 64)), exponent));
        break;
      case 3:
        values.push_back(i % 3 == 0 ? -0.0F : 0.0F);
        break;
      default:
        values.push_back(std::ldexp(step, exponent - 17));
    }
  }
  return values;
}

// Written from the definition: the smallest exponent that holds every value, in exact arithmetic.
int SmallestExponent(const Values& values, std::int32_t half_bins) {
  for (int e = DoublingHistogram::kMinExponent;; ++e) {
    const double limit = std::ldexp(static_cast<double>(half_bins), e);
    if (std::ranges::all_of(values, [&](float v) {
          return static_cast<double>(v) >= -limit && static_cast<double>(v) < limit;
        })) {
      return e;
    }
  }
}

void ExpectDefinition(const DoublingHistogram& histogram, const Values& values) {
  ASSERT_EQ(histogram.count(), static_cast<std::int64_t>(values.size()));
  ASSERT_EQ(histogram.exponent(), SmallestExponent(values, histogram.half_bins()));
  EXPECT_EQ(histogram.min(), *std::ranges::min_element(values));
  EXPECT_EQ(histogram.max(), *std::ranges::max_element(values));
  std::map<std::int64_t, std::int64_t> expected;
  for (const float value : values) {
    ++expected[static_cast<std::int64_t>(
        std::floor(std::ldexp(static_cast<double>(value), -histogram.exponent())))];
  }
  std::map<std::int64_t, std::int64_t> found;
  std::int64_t bin = histogram.first_bin();
  for (const std::int64_t count : histogram.bins()) {
    if (count != 0) found[bin] = count;
    ++bin;
  }
  EXPECT_EQ(found, expected);
}

TEST(DoublingHistogram, IsTheHistogramOfItsDefinition) {
  testing::SeededRandom random;
  for (int repeat = 0; repeat < 400; ++repeat) {
    const auto half = static_cast<std::int32_t>(2 * random.Between(1, repeat % 2 == 0 ? 5 : 600));
    const Values values = RandomValues(random, random.Between(1, 60));
    SCOPED_TRACE(repeat);
    ExpectDefinition(Of(values, half), values);
  }
}

// Merges the pieces in a random tree, some added value by value and some at once.
DoublingHistogram Tree(testing::SeededRandom& random, std::span<const float> values,
                       std::int32_t half_bins) {
  DoublingHistogram histogram(half_bins);
  if (values.size() < 2 || random.Between(0, 3) == 0) {
    if (random.Between(0, 1) == 0) {
      histogram.Add(values);
    } else {
      for (const float value : values) histogram.Add(value);
    }
    return histogram;
  }
  const auto cut =
      static_cast<std::size_t>(random.Between(0, static_cast<std::int64_t>(values.size())));
  histogram = Tree(random, values.first(cut), half_bins);
  const DoublingHistogram right = Tree(random, values.subspan(cut), half_bins);
  if (random.Between(0, 1) == 0) {
    histogram.Merge(right);
    return histogram;
  }
  DoublingHistogram reversed = right;
  reversed.Merge(histogram);
  return reversed;
}

TEST(DoublingHistogram, EverySplitOrderAndTreeOfMergesGivesTheSameState) {
  testing::SeededRandom random;
  for (int repeat = 0; repeat < 600; ++repeat) {
    const auto half = static_cast<std::int32_t>(2 * random.Between(1, 300));
    Values values = RandomValues(random, random.Between(1, 80));
    const DoublingHistogram expected = Of(values, half);
    std::ranges::shuffle(values, random.engine());
    const DoublingHistogram found = Tree(random, values, half);
    ASSERT_EQ(found, expected) << repeat;
    // The bytes of a stored state, too: no -0, no bins beyond the values.
    const auto a = expected.state();
    const auto b = found.state();
    EXPECT_EQ(a.counts, b.counts);
    EXPECT_EQ(a.first, b.first);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(a.min), std::bit_cast<std::uint32_t>(b.min));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(a.max), std::bit_cast<std::uint32_t>(b.max));
    EXPECT_EQ(DoublingHistogram::FromState(a), expected);
  }
}

TEST(DoublingHistogram, DistinguishesStates) {
  const Values values = {1, 2, 3};
  EXPECT_NE(Of(values, 64), Of({1, 2, 2}, 64));
  EXPECT_NE(Of(values, 64), Of({1, 2, 3, 3}, 64));
  EXPECT_NE(Of(values, 64), Of(values, 128));
  EXPECT_NE(Of(values, 64), Of({1, 2, 3.001F}, 64));
}

TEST(DoublingHistogram, EdgesOfFloat) {
  using Limits = std::numeric_limits<float>;
  for (const std::int32_t half : {2, 2048, DoublingHistogram::kMaxHalfBins}) {
    SCOPED_TRACE(half);
    ExpectDefinition(Of({0.0F, 0.0F, -0.0F}, half), {0.0F, 0.0F, -0.0F});
    const Values subnormal = {Limits::denorm_min(), -Limits::denorm_min()};
    ExpectDefinition(Of(subnormal, half), subnormal);
    const Values huge = {Limits::max(), Limits::lowest(), Limits::denorm_min(),
                         -Limits::denorm_min()};
    ExpectDefinition(Of(huge, half), huge);
  }
  // The lowest bin reaches exactly to -N w; at +N w the width doubles.
  EXPECT_EQ(Of({-4, 3.99F}, 4).exponent(), 0);
  EXPECT_EQ(Of({-4, 4}, 4).exponent(), 1);
  EXPECT_EQ(Of({-4.001F}, 4).exponent(), 1);
}

TEST(DoublingHistogram, CountsBeyond32Bits) {
  DoublingHistogram histogram = Of({1, 1, 1, 2}, 16);
  for (int i = 0; i < 36; ++i) histogram.Merge(DoublingHistogram(histogram));
  EXPECT_EQ(histogram.count(), std::int64_t{4} << 36);
  EXPECT_EQ(histogram.bins().front(), std::int64_t{3} << 36);
}

TEST(DoublingHistogram, EmptyIsNeutral) {
  DoublingHistogram histogram = Of({}, 16);
  EXPECT_EQ(histogram.count(), 0);
  EXPECT_TRUE(histogram.bins().empty());
  histogram.Merge(Of({3, -1}, 16));
  EXPECT_EQ(histogram, Of({-1, 3}, 16));
  histogram.Merge(DoublingHistogram(16));
  EXPECT_EQ(histogram, Of({-1, 3}, 16));
  EXPECT_EQ(DoublingHistogram::FromState(DoublingHistogram(16).state()), DoublingHistogram(16));
}

double LinearQuantile(Values values, double q) {
  std::ranges::sort(values);
  const double position = q * static_cast<double>(values.size() - 1);
  const auto rank = static_cast<std::size_t>(position);
  const double lower = static_cast<double>(values[rank]);
  const double upper = static_cast<double>(values[std::min(rank + 1, values.size() - 1)]);
  return lower + (position - std::floor(position)) * (upper - lower);
}

TEST(DoublingHistogram, QuantilesAreWithinOneBin) {
  testing::SeededRandom random;
  for (int repeat = 0; repeat < 300; ++repeat) {
    const Values values = RandomValues(random, random.Between(1, 500));
    const DoublingHistogram histogram =
        Of(values, static_cast<std::int32_t>(2 * random.Between(4, 1024)));
    double previous = -std::numeric_limits<double>::infinity();
    for (const double q : {0.0, 0.0005, 0.01, 0.3, 0.5, 0.77, 0.99, 0.9995, 1.0}) {
      const double found = histogram.Quantile(q);
      EXPECT_NEAR(found, LinearQuantile(values, q), histogram.width()) << q;
      EXPECT_GE(found, previous);
      previous = found;
    }
    EXPECT_EQ(histogram.Quantile(0), static_cast<double>(histogram.min()));
    EXPECT_EQ(histogram.Quantile(1), static_cast<double>(histogram.max()));
  }
}

TEST(DoublingHistogram, RejectsWhatNoValuesLeadTo) {
  const DoublingHistogram::State good = Of({-1, 0.5F, 3}, 16).state();
  const auto rejects = [&](auto change) {
    DoublingHistogram::State state = good;
    change(state);
    EXPECT_THROW(DoublingHistogram::FromState(state), InputError);
  };
  using State = DoublingHistogram::State;
  rejects([](State& s) { s.half_bins = 15; });
  rejects([](State& s) { s.half_bins = 0; });
  rejects([](State& s) { s.exponent += 1; });
  rejects([](State& s) { s.exponent = -200; });
  rejects([](State& s) { s.exponent = std::numeric_limits<int>::max(); });
  rejects([](State& s) { s.max = std::numeric_limits<float>::infinity(); });
  rejects([](State& s) { s.min = std::numeric_limits<float>::quiet_NaN(); });
  rejects([](State& s) { std::swap(s.min, s.max); });
  rejects([](State& s) { s.first -= 1; });
  rejects([](State& s) { s.first = std::numeric_limits<std::int64_t>::min(); });
  rejects([](State& s) { s.counts.pop_back(); });
  rejects([](State& s) { s.counts.push_back(0); });
  rejects([](State& s) { s.counts.clear(); });
  rejects([](State& s) { s.counts.front() = 0; });
  rejects([](State& s) { s.counts[1] = -1; });
  rejects([](State& s) { s.counts.front() = std::numeric_limits<std::int64_t>::max(); });
  EXPECT_THROW(DoublingHistogram(3), InternalError);
}

}  // namespace
}  // namespace qsim::testing
