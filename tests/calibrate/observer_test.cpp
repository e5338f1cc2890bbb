// Range estimators: direct cases, and FQ-ViT's own results (shared/conformance/observer).
#include "sim/calibrate/observe/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/error.h"
#include "sim/io/tensors/npy.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

Section SectionOf(ObserverKind observer, int bits, bool is_signed, bool has_zero_point) {
  Section section;
  section.observer = observer;
  section.bits = bits;
  section.is_signed = is_signed;
  section.has_zero_point = has_zero_point;
  return section;
}

std::vector<RealRange> RangesOf(const Section& section, const ChannelLayout& layout,
                                const std::vector<std::vector<float>>& batches) {
  const auto observer = Observer::Make(section, layout);
  for (const std::vector<float>& batch : batches) {
    const std::span<const float> image = batch;
    observer->Observe({&image, 1});
  }
  return observer->Ranges();
}

TEST(Observer, GroupsFollowTheLayout) {
  const Section section = SectionOf(ObserverKind::kMinmax, 8, true, false);
  const std::vector<std::vector<float>> batches = {{1, -2, 3, -4, 5, -6, 7, -8}};
  const auto ranges = [&](ChannelLayout layout) {
    std::vector<std::pair<double, double>> result;
    for (const RealRange& r : RangesOf(section, layout, batches)) result.emplace_back(r.min, r.max);
    return result;
  };
  using Pairs = std::vector<std::pair<double, double>>;
  EXPECT_EQ(ranges({1, 1, 8}), (Pairs{{-8, 7}}));
  EXPECT_EQ(ranges({4, 2, 1}), (Pairs{{0, 7}, {-8, 0}}));   // last axis
  EXPECT_EQ(ranges({2, 2, 2}), (Pairs{{-6, 5}, {-8, 7}}));  // two heads of two channels
  EXPECT_EQ(ranges({1, 2, 4}), (Pairs{{-4, 3}, {-8, 7}}));  // first axis
}

TEST(Observer, RangesContainZero) {
  for (const ObserverKind kind : {ObserverKind::kMinmax, ObserverKind::kEma,
                                  ObserverKind::kPercentile, ObserverKind::kOmse}) {
    for (const float sign : {1.0F, -1.0F}) {
      const auto ranges =
          RangesOf(SectionOf(kind, 8, false, true), {1, 1, 3}, {{3 * sign, 4 * sign, 5 * sign}});
      EXPECT_LE(ranges[0].min, 0) << Name(kind);
      EXPECT_GE(ranges[0].max, 0) << Name(kind);
    }
  }
}

TEST(Observer, EmaSmoothsBetweenBatches) {
  Section section = SectionOf(ObserverKind::kEma, 8, true, false);
  section.percentile_sigma = 0.25;
  const auto ranges = RangesOf(section, {1, 1, 2}, {{-1, 8}, {-5, 4}, {-1, 4}});
  EXPECT_DOUBLE_EQ(ranges[0].max, 8 + 0.25 * (4 - 8) + 0.25 * (4 - 7));
  EXPECT_DOUBLE_EQ(ranges[0].min, -1 + 0.25 * (-5 + 1) + 0.25 * (-1 + 2));
}

TEST(Observer, PercentileIsLinearBetweenOrderStatistics) {
  Section section = SectionOf(ObserverKind::kPercentile, 8, true, false);
  section.percentile_alpha = 0.9;
  std::vector<float> values;
  for (int i = 0; i <= 14; ++i) values.push_back(static_cast<float>((i * 11) % 15 - 7));
  // Sorted: -7 .. 7; the position of the quantile 0.9 is 0.9 * 14 = 12.6.
  const auto ranges = RangesOf(section, {1, 1, 15}, {values});
  EXPECT_NEAR(ranges[0].max, 5.6, 1e-12);
  EXPECT_NEAR(ranges[0].min, -5.6, 1e-12);
}

TEST(Observer, PercentileOneIsMinmax) {
  Section section = SectionOf(ObserverKind::kPercentile, 8, true, false);
  section.percentile_alpha = 1;
  const auto ranges = RangesOf(section, {1, 1, 4}, {{-3, 9, 1, 0}});
  EXPECT_EQ(ranges[0].min, -3);
  EXPECT_EQ(ranges[0].max, 9);
}

TEST(Observer, OmseClipsAnOutlierOfManyValues) {
  testing::SeededRandom random;
  std::vector<float> values;
  for (int i = 0; i < 4000; ++i)
    values.push_back(static_cast<float>(random.Between(-1000, 1000)) / 1000.0F);
  values.back() = 4.0F;
  const auto ranges =
      RangesOf(SectionOf(ObserverKind::kOmse, 4, true, false), {1, 1, 4000}, {values});
  EXPECT_LT(ranges[0].max, 3.5);
  EXPECT_GT(ranges[0].max, 0.9);
}

// Every kind, type and width, on groups of ordinary values, of one sign, of zeros, of one value,
// and of a huge and a tiny one.
TEST(Observer, EveryKindGivesAUsableRangeForEveryType) {
  testing::SeededRandom random;
  constexpr std::int64_t kRows = 40;
  constexpr std::int64_t kGroups = 6;
  std::vector<std::vector<float>> batches(3);
  for (std::vector<float>& batch : batches) {
    for (std::int64_t row = 0; row < kRows; ++row) {
      const auto x = static_cast<float>(random.Between(-1000, 1000)) / 300;
      batch.insert(batch.end(),
                   {x, std::fabs(x), -std::fabs(x), 0.0F, 0.75F, row % 2 == 0 ? 1e30F : -1e-30F});
    }
  }
  for (int kind = 0; kind <= static_cast<int>(ObserverKind::kHistogramOmse); ++kind) {
    for (int bits = 2; bits <= 16; ++bits) {
      for (const bool is_signed : {false, true}) {
        for (const bool zero_point : {false, true}) {
          Section section = SectionOf(static_cast<ObserverKind>(kind), bits, is_signed, zero_point);
          section.kl_bins = 128;
          const ChannelLayout channels = {kRows, kGroups, 1};
          const ChannelLayout heads = {kRows, kGroups / 2, 2};
          const ChannelLayout all = {1, 1, kRows * kGroups};
          for (const ChannelLayout& layout : {channels, heads, all}) {
            SCOPED_TRACE(std::string(Name(section.observer)) + " " + std::to_string(bits));
            const auto ranges = RangesOf(section, layout, batches);
            ASSERT_EQ(ranges.size(), static_cast<std::size_t>(layout.channels));
            for (const RealRange& range : ranges) {
              ASSERT_TRUE(std::isfinite(range.min) && std::isfinite(range.max));
              ASSERT_TRUE(range.min <= 0 && range.max >= 0);
              const QuantRange q = RangeOf(section);
              const Quantization z = QuantizationOf(range, q, zero_point);
              ASSERT_GE(z.scale, kMinScale);
              ASSERT_TRUE(z.zero >= q.qmin && z.zero <= q.qmax);
              ASSERT_EQ(Quantize(0, z, q), z.zero);
            }
          }
        }
      }
    }
  }
}

TEST(Quantization, FormulasAndEdges) {
  const QuantRange int8 = {-128, 127};
  const QuantRange uint8 = {0, 255};
  // The largest value is 127.5 steps.
  EXPECT_DOUBLE_EQ(QuantizationOf({-2, 1}, int8, false).scale, 2 / 127.5);
  EXPECT_EQ(QuantizationOf({-2, 1}, int8, false).zero, 0);
  EXPECT_DOUBLE_EQ(QuantizationOf({-2, 3}, uint8, true).scale, 5.0 / 255);
  EXPECT_EQ(QuantizationOf({-2, 3}, uint8, true).zero, 102);
  EXPECT_DOUBLE_EQ(QuantizationOf({-2, 3}, uint8, false).scale, 3.0 / 255);
  EXPECT_EQ(QuantizationOf({-2, 3}, uint8, false).zero, 0);
  EXPECT_EQ(QuantizationOf({0, 0}, int8, false).scale, kMinScale);
  EXPECT_EQ(QuantizationOf({0, 0}, uint8, true).zero, 0);
  EXPECT_EQ(QuantizationOf({-3, 0}, uint8, true).zero, 255);
  EXPECT_EQ(QuantizationOf({0, 3}, uint8, true).zero, 0);
  EXPECT_TRUE((RealRange{0, 0}).constant_zero());
}

TEST(Quantization, ZeroHasACodeAndEndsAreNotLost) {
  testing::SeededRandom random;
  for (int repeat = 0; repeat < 5000; ++repeat) {
    const int bits = static_cast<int>(random.Between(2, 16));
    const QuantRange q = {0, (1 << bits) - 1};
    const RealRange range = {static_cast<double>(random.Between(-1000000, 0)) / 977.0,
                             static_cast<double>(random.Between(1, 1000000)) / 977.0};
    const Quantization z = QuantizationOf(range, q, true);
    EXPECT_EQ(Quantize(0.0, z, q), z.zero);
    for (const double x : {range.min, range.max, range.min / 3, range.max / 3})
      EXPECT_NEAR(z.scale * (Quantize(x, z, q) - z.zero), x, z.scale * 1.0001) << bits;
  }
}

TEST(Quantization, RoundsHalfToEvenAndCountsSaturation) {
  const Quantization z = {0.5, 1};
  std::int64_t saturated = 0;
  EXPECT_EQ(Quantize(0.25, z, {-8, 7}, &saturated), 2);   // 1.5
  EXPECT_EQ(Quantize(0.75, z, {-8, 7}, &saturated), 2);   // 2.5
  EXPECT_EQ(Quantize(-0.75, z, {-8, 7}, &saturated), 0);  // -0.5
  EXPECT_EQ(saturated, 0);
  EXPECT_EQ(Quantize(100, z, {-8, 7}, &saturated), 7);
  EXPECT_EQ(Quantize(-1e300, z, {-8, 7}, &saturated), -8);
  EXPECT_EQ(saturated, 2);
}

TEST(Quantization, RangeOfASection) {
  for (int bits = 2; bits <= 16; ++bits) {
    const Section section = SectionOf(ObserverKind::kMinmax, bits, true, false);
    EXPECT_EQ(RangeOf(section), (QuantRange{-(1 << (bits - 1)), (1 << (bits - 1)) - 1}));
    const Section positive = SectionOf(ObserverKind::kMinmax, bits, false, true);
    EXPECT_EQ(RangeOf(positive), (QuantRange{0, (1 << bits) - 1}));
  }
}

// ---- FQ-ViT ----

// The library reads float64 as float32; expected scales need all their bits.
std::vector<double> ReadFloat64(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const std::size_t data =
      10 + static_cast<unsigned char>(bytes.at(8)) + 256u * static_cast<unsigned char>(bytes.at(9));
  EXPECT_NE(bytes.substr(0, data).find("'<f8'"), std::string::npos) << path;
  std::vector<double> values((bytes.size() - data) / 8);
  std::memcpy(values.data(), bytes.data() + data, values.size() * 8);
  return values;
}

struct FqvitCount {
  int cases = 0;
  int groups = 0;
};

void CheckFqvitCase(const fs::path& dir, ObserverKind kind, FqvitCount& count) {
  std::ifstream stream(dir / "case.json");
  const nlohmann::json json = nlohmann::json::parse(stream);
  const auto& params = json.at("params");
  const QuantRange q = {params.at("qmin").get<std::int32_t>(),
                        params.at("qmax").get<std::int32_t>()};
  const bool is_signed = params.at("signed").get<bool>();
  int bits = 2;
  while ((1 << bits) - 1 < q.qmax - q.qmin) ++bits;
  Section section = SectionOf(kind, bits, is_signed, !is_signed);
  section.percentile_alpha = params.value("alpha", 1.0);
  section.percentile_sigma = params.value("sigma", 0.1);
  ASSERT_EQ(RangeOf(section), q);

  std::vector<FloatTensor> batches;
  for (std::int64_t b = 0; b < params.at("batches").get<std::int64_t>(); ++b) {
    const std::string name = "x" + std::to_string(b);
    batches.push_back(ReadFloatNpy(dir / json.at("inputs").at(name).get<std::string>()));
  }
  const std::int64_t channels = batches[0].shape[2];
  const std::int64_t size = ElementCount(batches[0].shape);
  const bool channel_wise = params.at("calibration_mode") == "channel_wise";
  const ChannelLayout layout =
      channel_wise ? ChannelLayout{size / channels, channels, 1} : ChannelLayout{1, 1, size};
  const auto observer = Observer::Make(section, layout);
  for (const FloatTensor& batch : batches) {
    const std::span<const float> image = batch.data;
    observer->Observe({&image, 1});
  }
  const std::vector<RealRange> ranges = observer->Ranges();
  const std::vector<double> scale = ReadFloat64(dir / json.at("outputs").at("scale"));
  const IntTensor zero = ReadIntNpy(dir / json.at("outputs").at("zero_point"));
  const IntTensor codes = ReadIntNpy(dir / json.at("outputs").at("q"));
  ASSERT_EQ(ranges.size(), scale.size());
  // Our ranges are widened to contain 0, so that 0 has a code; FQ-ViT's are not. For signed types
  // only the largest magnitude counts, so nothing changes. An unsigned range would differ, but no
  // published case has unsigned data on one side of 0 only.
  std::vector<RealRange> raw(ranges.size(), {HUGE_VAL, -HUGE_VAL});
  for (const FloatTensor& batch : batches) {
    for (std::size_t i = 0; i < batch.data.size(); ++i) {
      RealRange& r = raw[static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(i)))];
      r.min = std::min(r.min, static_cast<double>(batch.data[i]));
      r.max = std::max(r.max, static_cast<double>(batch.data[i]));
    }
  }
  for (std::size_t g = 0; g < ranges.size(); ++g) {
    ++count.groups;
    const Quantization ours = QuantizationOf(ranges[g], q, section.has_zero_point);
    ASSERT_TRUE(is_signed || (raw[g].min <= 0 && raw[g].max >= 0));
    EXPECT_NEAR(ours.scale, scale[g], 1e-12 * scale[g]) << "group " << g;
    EXPECT_EQ(ours.zero, zero.At(zero.size() == 1 ? 0 : static_cast<std::int64_t>(g)));
    const FloatTensor& last = batches.back();
    std::int64_t differing = 0;
    for (std::size_t i = 0; i < last.data.size(); ++i) {
      if (layout.ChannelOf(static_cast<std::int64_t>(i)) != static_cast<std::int64_t>(g)) continue;
      // The expected scale, since the two may differ by a last bit at a tie.
      const Quantization expected = {scale[g], ours.zero};
      differing += Quantize(static_cast<double>(last.data[i]), expected, q) !=
                   codes.At(static_cast<std::int64_t>(i));
    }
    EXPECT_EQ(differing, 0) << "group " << g;
  }
  ++count.cases;
}

FqvitCount CheckFqvit(const std::string& algorithm, ObserverKind kind) {
  FqvitCount count;
  for (const auto& entry :
       fs::directory_iterator(*testing::SharedDir() / "conformance" / "observer" / algorithm)) {
    SCOPED_TRACE(entry.path().string());
    CheckFqvitCase(entry.path(), kind, count);
  }
  return count;
}

TEST(FqvitObserver, Minmax) {
  if (!testing::SharedDir()) GTEST_SKIP();
  const FqvitCount count = CheckFqvit("fqvit_minmax", ObserverKind::kMinmax);
  EXPECT_EQ(count.cases, 7);
  EXPECT_GT(count.groups, 20);
}
TEST(FqvitObserver, Ema) {
  if (!testing::SharedDir()) GTEST_SKIP();
  EXPECT_EQ(CheckFqvit("fqvit_ema", ObserverKind::kEma).cases, 2);
}
TEST(FqvitObserver, Percentile) {
  if (!testing::SharedDir()) GTEST_SKIP();
  EXPECT_EQ(CheckFqvit("fqvit_percentile", ObserverKind::kPercentile).cases, 2);
}
// Every case is unsigned: there the published formula and ours agree. For signed types FQ-ViT uses
// the unsigned formula with a zero point; ours stays symmetric.
TEST(FqvitObserver, Omse) {
  if (!testing::SharedDir()) GTEST_SKIP();
  EXPECT_EQ(CheckFqvit("fqvit_omse", ObserverKind::kOmse).cases, 3);
}

}  // namespace
}  // namespace qsim::testing
