// The published observers on random data, against their formulas written a second time, straight
// from the publications: FQ-ViT's range estimators (with its ranges as they are, not widened to
// contain 0) and TensorRT's entropy calibration.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/calibrate/observe/observer.h"
#include "sim/calibrate/observe/observers/entropy_threshold.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Batch = std::vector<float>;  // [rows, channels]

struct Case {
  Section section;
  std::int64_t channels = 1;
  bool channel_wise = false;
  std::vector<Batch> batches;

  std::int64_t groups() const { return channel_wise ? channels : 1; }
  ChannelLayout Layout(std::size_t size) const {
    const auto n = static_cast<std::int64_t>(size);
    return channel_wise ? ChannelLayout{n / channels, channels, 1} : ChannelLayout{1, 1, n};
  }
  // The values of one group, in order.
  std::vector<double> Group(const Batch& batch, std::int64_t group) const {
    std::vector<double> values;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!channel_wise || static_cast<std::int64_t>(i) % channels == group) {
        values.push_back(static_cast<double>(batch[i]));
      }
    }
    return values;
  }
};

Case RandomCase(testing::SeededRandom& random, ObserverKind kind) {
  Case c;
  c.section.observer = kind;
  c.section.bits = static_cast<int>(random.Between(2, 8));
  c.section.is_signed = random.Between(0, 1) == 0;
  c.section.has_zero_point = !c.section.is_signed;
  c.section.percentile_sigma = static_cast<double>(random.Between(1, 100)) / 100;
  c.section.percentile_alpha = 1 - static_cast<double>(random.Between(0, 400)) / 1000;
  c.channels = random.Between(1, 5);
  c.channel_wise = random.Between(0, 1) == 0;
  const auto count = random.Between(1, 4);
  const double offset = static_cast<double>(random.Between(-300, 300)) / 1000;
  for (std::int64_t b = 0; b < count; ++b) {
    Batch batch(static_cast<std::size_t>(c.channels * random.Between(2, 40)));
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const double spread =
          static_cast<double>(1 << (static_cast<std::int64_t>(i) % c.channels)) / 4;
      batch[i] = static_cast<float>(
          spread * (static_cast<double>(random.Between(-100000, 100000)) / 77777 + offset));
    }
    c.batches.push_back(std::move(batch));
  }
  return c;
}

std::vector<RealRange> Observed(const Case& c) {
  const auto observer =
      Observer::Make(c.section, c.Layout(c.batches.front().size()), ObserverStyle::kPublished);
  for (const Batch& batch : c.batches) {
    observer->Add(batch, c.Layout(batch.size()));
    observer->EndBatch();
  }
  return observer->Ranges();
}

// ---- FQ-ViT, from its formulas ----

struct Params {
  double scale = 0;
  double zero = 0;
};

constexpr double kLeast = 1.0 / 8388608;

Params Unsigned(double lo, double hi, double qmin, double qmax) {
  const double scale = std::max((hi - lo) / (qmax - qmin), kLeast);
  return {scale, std::clamp(qmin - std::nearbyint(lo / scale), qmin, qmax)};
}

Params Formula(const Case& c, double lo, double hi) {
  const double qmin = c.section.is_signed ? -std::ldexp(1.0, c.section.bits - 1) : 0;
  const double qmax = std::ldexp(1.0, c.section.bits - (c.section.is_signed ? 1 : 0)) - 1;
  if (!c.section.is_signed) return Unsigned(lo, hi, qmin, qmax);
  return {std::max(std::max(-lo, hi) / ((qmax - qmin) / 2), kLeast), 0};
}

double SquaredError(const std::vector<double>& values, const Params& p, double qmin, double qmax) {
  double sum = 0;
  for (const double x : values) {
    const double q = std::clamp(std::nearbyint(x / p.scale + p.zero), qmin, qmax);
    sum += (x - (q - p.zero) * p.scale) * (x - (q - p.zero) * p.scale);
  }
  return sum;
}

double Min(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }
double Max(const std::vector<double>& v) { return *std::max_element(v.begin(), v.end()); }

double LinearQuantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto i = static_cast<std::size_t>(position);
  if (i + 1 == values.size()) return values[i];
  return values[i] + (position - static_cast<double>(i)) * (values[i + 1] - values[i]);
}

void ExpectParams(const Case& c, const std::vector<Params>& expected, bool with_zero_point) {
  const std::vector<RealRange> ranges = Observed(c);
  ASSERT_EQ(ranges.size(), expected.size());
  for (std::size_t g = 0; g < ranges.size(); ++g) {
    const Quantization found = QuantizationOf(ranges[g], RangeOf(c.section), with_zero_point);
    EXPECT_NEAR(found.scale, expected[g].scale, 1e-12 * expected[g].scale) << "group " << g;
    EXPECT_EQ(static_cast<double>(found.zero), expected[g].zero) << "group " << g;
  }
}

constexpr int kCases = 300;

TEST(PublishedObserver, Minmax) {
  testing::SeededRandom random;
  for (int n = 0; n < kCases; ++n) {
    const Case c = RandomCase(random, ObserverKind::kMinmax);
    std::vector<Params> expected;
    for (std::int64_t g = 0; g < c.groups(); ++g) {
      double lo = HUGE_VAL;
      double hi = -HUGE_VAL;
      for (const Batch& batch : c.batches) {
        lo = std::min(lo, Min(c.Group(batch, g)));
        hi = std::max(hi, Max(c.Group(batch, g)));
      }
      expected.push_back(Formula(c, lo, hi));
    }
    ExpectParams(c, expected, c.section.has_zero_point);
  }
}

TEST(PublishedObserver, EmaAndPercentile) {
  testing::SeededRandom random;
  for (int n = 0; n < 2 * kCases; ++n) {
    const bool percentile = n % 2 == 0;
    const Case c = RandomCase(random, percentile ? ObserverKind::kPercentile : ObserverKind::kEma);
    std::vector<Params> expected;
    for (std::int64_t g = 0; g < c.groups(); ++g) {
      double lo = 0;
      double hi = 0;
      for (std::size_t b = 0; b < c.batches.size(); ++b) {
        const std::vector<double> values = c.Group(c.batches[b], g);
        const double alpha = c.section.percentile_alpha;
        const double low = percentile ? LinearQuantile(values, 1 - alpha) : Min(values);
        const double high = percentile ? LinearQuantile(values, alpha) : Max(values);
        lo = b == 0 ? low : lo + c.section.percentile_sigma * (low - lo);
        hi = b == 0 ? high : hi + c.section.percentile_sigma * (high - hi);
      }
      expected.push_back(Formula(c, lo, hi));
    }
    ExpectParams(c, expected, c.section.has_zero_point);
  }
}

TEST(PublishedObserver, Omse) {
  testing::SeededRandom random;
  for (int n = 0; n < kCases; ++n) {
    const Case c = RandomCase(random, ObserverKind::kOmse);
    const QuantRange q = RangeOf(c.section);
    std::vector<double> lo;
    std::vector<double> hi;
    for (std::int64_t g = 0; g < c.groups(); ++g) {
      lo.push_back(HUGE_VAL);
      hi.push_back(-HUGE_VAL);
      for (const Batch& batch : c.batches) {
        lo.back() = std::min(lo.back(), Min(c.Group(batch, g)));
        hi.back() = std::max(hi.back(), Max(c.Group(batch, g)));
      }
    }
    std::vector<Params> expected;
    double least = HUGE_VAL;
    for (int i = 0; i < 90; ++i) {
      std::vector<Params> trial;
      double error = 0;
      for (std::int64_t g = 0; g < c.groups(); ++g) {
        const auto slot = static_cast<std::size_t>(g);
        trial.push_back(
            Unsigned(lo[slot] * (1 - 0.01 * i), hi[slot] * (1 - 0.01 * i), q.qmin, q.qmax));
        error += SquaredError(c.Group(c.batches.back(), g), trial.back(), q.qmin, q.qmax);
      }
      if (error < least * (1 - 1e-12)) {  // sums in another order
        least = error;
        expected = trial;
      }
    }
    ExpectParams(c, expected, /*with_zero_point=*/true);
  }
}

TEST(PublishedObserver, Ptf) {
  testing::SeededRandom random;
  std::array<int, 4> taken{};
  for (int n = 0; n < kCases; ++n) {
    Case c = RandomCase(random, ObserverKind::kPtf);
    c.channel_wise = true;
    const QuantRange q = RangeOf(c.section);
    double lo = HUGE_VAL;
    double hi = -HUGE_VAL;
    for (const Batch& batch : c.batches) {
      for (const float x : batch) {
        lo = std::min(lo, static_cast<double>(x));
        hi = std::max(hi, static_cast<double>(x));
      }
    }
    const Params base = Unsigned(lo, hi, q.qmin, q.qmax);
    std::vector<Params> expected;
    for (std::int64_t g = 0; g < c.groups(); ++g) {
      double least = HUGE_VAL;
      std::size_t best = 0;
      for (std::size_t f = 0; f < 4; ++f) {
        const Params trial = {base.scale / 8 * std::ldexp(1.0, static_cast<int>(f)), base.zero};
        const double error = SquaredError(c.Group(c.batches.back(), g), trial, q.qmin, q.qmax);
        if (error < least) {
          least = error;
          best = f;
        }
      }
      ++taken[best];
      expected.push_back({base.scale / 8 * std::ldexp(1.0, static_cast<int>(best)), base.zero});
    }
    ExpectParams(c, expected, /*with_zero_point=*/true);
    const std::vector<RealRange> ranges = Observed(c);
    for (std::size_t g = 0; g < ranges.size(); ++g) {
      // Not merely close: the factor is exact.
      EXPECT_EQ(QuantizationOf(ranges[g], q, true).scale, expected[g].scale);
    }
  }
  for (const int count : taken) EXPECT_GT(count, 0);
}

// ---- TensorRT, from Migacz's pseudocode ----

double Divergence(const std::vector<std::int64_t>& bins, std::size_t i, std::size_t levels) {
  std::vector<double> p(bins.begin(), bins.begin() + static_cast<std::ptrdiff_t>(i));
  for (std::size_t j = i; j < bins.size(); ++j) p[i - 1] += static_cast<double>(bins[j]);
  std::vector<double> sum(levels, 0);
  std::vector<double> filled(levels, 0);
  for (std::size_t j = 0; j < i; ++j) {
    sum[j * levels / i] += static_cast<double>(bins[j]);
    filled[j * levels / i] += bins[j] > 0 ? 1 : 0;
  }
  std::vector<double> q(i, 0);
  for (std::size_t j = 0; j < i; ++j) {
    if (bins[j] > 0) q[j] = sum[j * levels / i] / filled[j * levels / i];
  }
  double p_sum = 0;
  double q_sum = 0;
  for (std::size_t j = 0; j < i; ++j) {
    p_sum += p[j];
    q_sum += q[j];
  }
  double divergence = 0;
  for (std::size_t j = 0; j < i; ++j) {
    if (p[j] == 0) continue;
    if (q[j] == 0) return HUGE_VAL;
    divergence += p[j] / p_sum * std::log(p[j] / p_sum / (q[j] / q_sum));
  }
  return divergence;
}

std::vector<std::int64_t> RandomHistogram(testing::SeededRandom& random) {
  const std::int64_t size = random.Between(8, 160);
  const double decay = static_cast<double>(random.Between(2, 60));
  std::vector<std::int64_t> bins;
  for (std::int64_t j = 0; j < size; ++j) {
    const double height = 2000 * std::exp(-static_cast<double>(j) / decay);
    bins.push_back(random.Between(0, static_cast<std::int64_t>(height)));
    if (random.Between(0, 40) == 0) bins.back() += random.Between(1, 20);
  }
  bins.back() = std::max<std::int64_t>(bins.back(), 1);
  return bins;
}

TEST(PublishedObserver, EntropyThreshold) {
  testing::SeededRandom random;
  int clipped = 0;
  for (int n = 0; n < kCases; ++n) {
    const std::vector<std::int64_t> bins = RandomHistogram(random);
    const auto levels = static_cast<std::size_t>(1) << random.Between(1, 5);
    double least = HUGE_VAL;
    std::size_t best = bins.size();
    for (std::size_t i = levels; i <= bins.size(); ++i) {
      const double d = Divergence(bins, i, levels);
      if (d < least - 1e-10) {
        least = d;
        best = i;
      }
    }
    clipped += best < bins.size() ? 1 : 0;
    EXPECT_EQ(EntropyThreshold(bins, static_cast<std::int64_t>(levels)),
              static_cast<double>(best) + 0.5)
        << n;
  }
  EXPECT_GT(clipped, kCases / 4);
}

TEST(PublishedObserver, EntropyKeepsEverythingWithEnoughLevels) {
  EXPECT_EQ(EntropyThreshold(std::vector<std::int64_t>{5, 0, 3}, 4), 3.5);
  EXPECT_EQ(EntropyThreshold(std::vector<std::int64_t>{5, 0, 3, 1}, 4), 4.5);
}

TEST(PublishedObserver, EntropyLevelsFollowTheCodes) {
  Section section;
  EXPECT_EQ(EntropyLevels(section, {-1, 1}), 128);
  EXPECT_EQ(EntropyLevels(section, {0, 1}), 128);  // symmetric: half the codes are never used
  section.is_signed = false;
  EXPECT_EQ(EntropyLevels(section, {-1, 1}), 256);
  section.has_zero_point = true;
  EXPECT_EQ(EntropyLevels(section, {-1, 1}), 128);
  EXPECT_EQ(EntropyLevels(section, {-1, 0}), 256);
}

// The histogram of KLObserver, collected as NVIDIA's collector does, value by value.
TEST(PublishedObserver, Kl) {
  testing::SeededRandom random;
  for (int n = 0; n < kCases; ++n) {
    Case c = RandomCase(random, ObserverKind::kKl);
    c.section.bits = static_cast<int>(random.Between(2, 5));
    c.section.kl_bins = static_cast<int>(random.Between(16, 120));
    if (random.Between(0, 3) == 0) {
      std::fill(c.batches[0].begin(), c.batches[0].end(), 0.0F);
    }
    const std::vector<RealRange> found = Observed(c);
    for (std::int64_t g = 0; g < c.groups(); ++g) {
      double width = 0;
      double top = 0;
      std::vector<std::int64_t> bins(static_cast<std::size_t>(c.section.kl_bins), 0);
      double lo = HUGE_VAL;
      double hi = -HUGE_VAL;
      for (const Batch& batch : c.batches) {
        const std::vector<double> values = c.Group(batch, g);
        lo = std::min(lo, Min(values));
        hi = std::max(hi, Max(values));
        const double largest = std::max(Max(values), -Min(values));
        if (width == 0) {
          width = largest / static_cast<double>(bins.size());
          top = largest;
        }
        for (; top < largest; top += width) bins.push_back(0);
        for (const double x : values) {
          if (width == 0) {
            ++bins[0];
            continue;
          }
          auto bin = static_cast<std::size_t>(std::fabs(x) / width);
          if (bin == bins.size()) --bin;
          ++bins[bin];
        }
      }
      RealRange expected = {lo, hi};
      if (width > 0) {
        const double t = EntropyThreshold(bins, EntropyLevels(c.section, expected)) * width;
        expected = {std::max(lo, -t), std::min(hi, t)};
      }
      EXPECT_EQ(found[static_cast<std::size_t>(g)].min, expected.min) << n;
      EXPECT_EQ(found[static_cast<std::size_t>(g)].max, expected.max) << n;
    }
  }
}

}  // namespace
}  // namespace qsim::testing
