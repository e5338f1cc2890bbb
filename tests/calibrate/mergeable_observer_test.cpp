// Observers whose result is a function of the values alone: for every split, order and merge.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/calibrate/observe/observer.h"
#include "sim/calibrate/observe/observers/histogram_omse_observer.h"
#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

constexpr ObserverKind kMergeable[] = {ObserverKind::kMinmax, ObserverKind::kHistogramPercentile,
                                       ObserverKind::kHistogramKl, ObserverKind::kHistogramOmse};

constexpr std::int64_t kChannels = 4;

// One input of [rows, 4], rows of its own.
using Input = std::vector<float>;

Input RandomInput(testing::SeededRandom& random) {
  Input input(static_cast<std::size_t>(kChannels * random.Between(1, 30)));
  for (std::size_t i = 0; i < input.size(); ++i) {
    double sum = 0;
    for (int k = 0; k < 4; ++k) sum += static_cast<double>(random.Between(-1000, 1000)) / 500;
    if (random.Between(0, 60) == 0) sum *= 5;
    input[i] = static_cast<float>(std::ldexp(sum, static_cast<int>(i % kChannels) - 2));
  }
  return input;
}

ChannelLayout LayoutOf(CalibrationMode mode, const Input& input) {
  const auto rows = static_cast<std::int64_t>(input.size()) / kChannels;
  switch (mode) {
    case CalibrationMode::kChannelWise:
      return {rows, kChannels, 1};
    case CalibrationMode::kHeadWise:
      return {rows, 2, kChannels / 2};
    case CalibrationMode::kLayerWise:
      break;
  }
  return {1, 1, rows * kChannels};
}

struct SameRange {
  bool operator()(const RealRange& a, const RealRange& b) const {
    return a.min == b.min && a.max == b.max;
  }
};

TEST(MergeableObserver, EverySplitAndOrderGivesTheSameBits) {
  testing::SeededRandom random;
  for (int n = 0; n < 240; ++n) {
    Section section;
    section.observer = kMergeable[n % 4];
    section.bits = static_cast<int>(random.Between(2, 16));
    section.is_signed = random.Between(0, 1) == 0;
    section.has_zero_point = random.Between(0, 1) == 0;
    section.percentile_alpha = 0.99;
    section.kl_bins = static_cast<int>(random.Between(16, 400));
    section.calibration_mode = static_cast<CalibrationMode>(random.Between(0, 2));
    std::vector<Input> inputs;
    for (std::int64_t i = random.Between(1, 12); i > 0; --i) inputs.push_back(RandomInput(random));
    const auto make = [&] {
      return Observer::Make(section, LayoutOf(section.calibration_mode, inputs.front()));
    };
    const auto add = [&](Observer& observer, const Input& input) {
      observer.Add(input, LayoutOf(section.calibration_mode, input));
    };
    const auto whole = make();
    for (const Input& input : inputs) add(*whole, input);
    whole->EndBatch();

    std::ranges::shuffle(inputs, random.engine());
    const auto merged = make();
    std::size_t next = 0;
    while (next < inputs.size()) {
      const auto part = make();
      for (std::int64_t take = random.Between(1, 4); take > 0 && next < inputs.size(); --take) {
        add(*part, inputs[next++]);
        if (random.Between(0, 1) == 0) part->EndBatch();
      }
      merged->Merge(part->State());
    }
    ASSERT_TRUE(std::ranges::equal(merged->Ranges(), whole->Ranges(), SameRange()))
        << Name(section.observer) << " " << n;
    EXPECT_TRUE(merged->observed());
    for (const RealRange& range : whole->Ranges()) {
      EXPECT_LE(range.min, 0);
      EXPECT_GE(range.max, 0);
    }
  }
}

TEST(MergeableObserver, ForeignStatesAreRefused) {
  Section section;
  for (const ObserverKind kind : kMergeable) {
    section.observer = kind;
    const auto observer = Observer::Make(section, {1, 2, 2});
    observer->Observe({});
    EXPECT_FALSE(observer->observed());
    const float values[] = {1, -2, 3, -4};
    observer->Add(values);
    const ObserverState good = observer->State();
    const auto rejects = [&](const ObserverState& state) {
      EXPECT_THROW(Observer::Make(section, {1, 2, 2})->Merge(state), InputError) << Name(kind);
    };
    rejects({});
    rejects(Observer::Make(section, {1, 2, 2})->State());  // of nothing
    ObserverState bad = good;
    if (kind == ObserverKind::kMinmax) {
      bad.extremes[1].min = 5;
      rejects(bad);
      bad.extremes[1] = {0, HUGE_VAL};
      rejects(bad);
      bad.extremes.pop_back();
      rejects(bad);
    } else {
      bad.histograms[0].half_bins = 64;
      rejects(bad);
      bad = good;
      bad.histograms.pop_back();
      rejects(bad);
      bad = good;
      bad.extremes.push_back({0, 1});
      rejects(bad);
    }
  }
  section.observer = ObserverKind::kEma;
  EXPECT_THROW(Observer::Make(section, {1, 1, 1})->State(), InternalError);
}

TEST(MergeableObserver, KindsSayWhetherTheyMerge) {
  int mergeable = 0;
  for (int kind = 0; kind <= static_cast<int>(ObserverKind::kHistogramOmse); ++kind) {
    mergeable += Observer::IsMergeable(static_cast<ObserverKind>(kind)) ? 1 : 0;
  }
  EXPECT_EQ(mergeable, 4);
  for (const ObserverKind kind : kMergeable) EXPECT_TRUE(Observer::IsMergeable(kind));
}

TEST(HistogramPercentile, IsWithinOneBinOfTheQuantiles) {
  testing::SeededRandom random;
  Section section;
  section.observer = ObserverKind::kHistogramPercentile;
  section.percentile_alpha = 0.97;
  for (int n = 0; n < 50; ++n) {
    Input values = RandomInput(random);
    values.insert(values.end(), {0.0F, -0.001F, 0.001F});  // 0 is within the range
    const auto size = static_cast<std::int64_t>(values.size());
    const auto observer = Observer::Make(section, {1, 1, size});
    observer->Add(values);
    const RealRange found = observer->Ranges().front();
    std::ranges::sort(values);
    const double largest = std::max(std::fabs(static_cast<double>(values.front())),
                                    std::fabs(static_cast<double>(values.back())));
    const double bin = largest / 1024;  // 2048 bins on either side, at least half of them used
    const auto quantile = [&](double q) {
      const double position = q * static_cast<double>(size - 1);
      const auto i = static_cast<std::size_t>(position);
      const double a = static_cast<double>(values[i]);
      return i + 1 == values.size()
                 ? a
                 : a + (position - std::floor(position)) * (static_cast<double>(values[i + 1]) - a);
    };
    EXPECT_NEAR(found.max, std::max(quantile(0.97), 0.0), bin);
    EXPECT_NEAR(found.min, std::min(quantile(0.03), 0.0), bin);
  }
}

// Values spread evenly in each bin, quantized one by one.
TEST(HistogramOmse, ExpectedErrorIsThatOfEvenlySpreadValues) {
  testing::SeededRandom random;
  for (int n = 0; n < 60; ++n) {
    const bool is_signed = random.Between(0, 1) == 0;
    const bool zero_point = random.Between(0, 1) == 0;
    const int bits = static_cast<int>(random.Between(2, 10));
    const QuantRange q = is_signed ? QuantRange{-(1 << (bits - 1)), (1 << (bits - 1)) - 1}
                                   : QuantRange{0, (1 << bits) - 1};
    // Bins of width 1, filled with 400 values each at their midpoints.
    DoublingHistogram histogram(16);
    std::vector<double> spread;
    for (int bin = -9; bin < 13; ++bin) {
      const std::int64_t weight = random.Between(0, 3);
      for (int i = 0; i < 400; ++i) {
        const double x = bin + (i + 0.5) / 400;
        for (std::int64_t w = 0; w < weight; ++w) {
          histogram.Add(static_cast<float>(x));
          spread.push_back(x);
        }
      }
    }
    if (spread.empty()) continue;
    ASSERT_EQ(histogram.exponent(), 0);
    const RealRange range = {-static_cast<double>(random.Between(0, 1000)) / 100,
                             static_cast<double>(random.Between(1, 1500)) / 100};
    const Quantization z = QuantizationOf(range, q, zero_point);
    double sum = 0;
    for (const double x : spread) {
      const double d = x - z.scale * (Quantize(x, z, q) - z.zero);
      sum += d * d;
    }
    const double expected = sum / static_cast<double>(spread.size());
    EXPECT_NEAR(ExpectedSquaredError(histogram, range, q, zero_point), expected,
                0.02 * expected + 1e-5)
        << n;
  }
}

TEST(HistogramOmse, OfOneValueIsThatValuesOwnError) {
  DoublingHistogram histogram;
  histogram.Add(0.75F);
  histogram.Add(0.75F);
  // scale 1 / 127.5: 95.625 steps.
  const double expected = (0.75 - 96 / 127.5) * (0.75 - 96 / 127.5);
  EXPECT_NEAR(ExpectedSquaredError(histogram, {-1, 1}, {-128, 127}, false), expected, 1e-15);
  // Beyond the codes: 127 / 127.5 of 0.5 is the largest.
  const double clipped = 0.75 - 0.5 * 127 / 127.5;
  EXPECT_NEAR(ExpectedSquaredError(histogram, {-0.5, 0.5}, {-128, 127}, false), clipped * clipped,
              1e-15);
}

// The error on the values themselves, against the range of the extremes.
TEST(HistogramOmse, IsNoWorseThanMinmaxAndClipsOutliers) {
  testing::SeededRandom random;
  for (int n = 0; n < 40; ++n) {
    Section section;
    section.bits = static_cast<int>(random.Between(3, 8));
    section.has_zero_point = random.Between(0, 1) == 0;
    std::vector<float> values;
    for (int i = 0; i < 4000; ++i) {
      values.push_back(static_cast<float>(random.Between(-1000, 1000 + 500 * (n % 3))) / 1000.0F);
    }
    values[17] = 6.0F;
    const auto error_of = [&](ObserverKind kind) {
      section.observer = kind;
      const auto observer = Observer::Make(section, {1, 1, 4000});
      observer->Add(values);
      const Quantization z =
          QuantizationOf(observer->Ranges().front(), RangeOf(section), section.has_zero_point);
      double sum = 0;
      for (const float value : values) {
        const double x = static_cast<double>(value);
        const double d = x - z.scale * (Quantize(x, z, RangeOf(section)) - z.zero);
        sum += d * d;
      }
      return sum;
    };
    const double minmax = error_of(ObserverKind::kMinmax);
    const double omse = error_of(ObserverKind::kHistogramOmse);
    EXPECT_LE(omse, minmax * 1.01) << section.bits;
    if (section.bits <= 4) {
      EXPECT_LT(omse, minmax / 2);
    }
  }
}

TEST(HistogramKl, ClipsALongTail) {
  testing::SeededRandom random;
  Section section;
  section.observer = ObserverKind::kHistogramKl;
  section.bits = 4;
  std::vector<float> values;
  for (int i = 0; i < 20000; ++i) {
    double sum = 0;
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(random.Between(-1000, 1000)) / 1000;
    values.push_back(static_cast<float>(sum));
  }
  values[3] = 40.0F;
  const auto observer = Observer::Make(section, {1, 1, 20000});
  observer->Add(values);
  const RealRange range = observer->Ranges().front();
  EXPECT_LT(range.max, 20);
  EXPECT_GT(range.max, 2);
  EXPECT_GE(range.min, -range.max - 1e-12);
}

}  // namespace
}  // namespace qsim::testing
