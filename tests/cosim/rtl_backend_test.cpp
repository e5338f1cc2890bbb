// The executor around the RTL: tensors and channels, statistics, threads, waveforms, and what goes
// wrong.
#include "sim/cosim/rtl_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <thread>

#include "sim/error.h"
#include "tests/cosim/cosim_test_support.h"

namespace qsim::cosim {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

RtlOptions OptionsFor(ArrayShape shape) {
  RtlOptions options;
  options.array = shape;
  return options;
}

std::vector<std::int32_t> RandomTensor(testing::SeededRandom& random, std::size_t size,
                                       std::int64_t low, std::int64_t high) {
  std::vector<std::int32_t> tensor(size);
  for (auto& v : tensor) v = static_cast<std::int32_t>(random.Between(low, high));
  return tensor;
}

class RtlBackendTest : public ::testing::TestWithParam<ArrayShape> {};

// Per tensor, per channel along the last axis, per head along the first, and a layout of which
// nobody ships a tensor: channels in the middle that do not line up with rows.
TEST_P(RtlBackendTest, RequantizeMapsChannels) {
  testing::SeededRandom random;
  struct Tensor {
    ChannelLayout layout;
    std::int64_t row_length;
  };
  for (const Tensor& t : {Tensor{{1, 1, 19 * 37}, 37}, Tensor{{19, 37, 1}, 37},
                          Tensor{{1, 3, 19 * 5}, 19}, Tensor{{2, 5, 6}, 4}}) {
    const auto channels = static_cast<std::size_t>(t.layout.channels);
    const auto size = static_cast<std::size_t>(t.layout.size());
    const auto in = RandomTensor(random, size, -100000, 100000);
    std::vector<Multiplier> scale(channels);
    for (auto& s : scale) {
      s = {static_cast<std::int32_t>(random.Between(-65535, 65535)) | 1,
           static_cast<int>(random.Between(22, 27))};
    }
    const auto zero = RandomTensor(random, channels, -128, 127);
    RequantizeParams params{.layout = t.layout,
                            .scale = scale,
                            .zero = zero,
                            .input_zero = -7,
                            .rounding = Rounding::kHalfEven,
                            .range = {-128, 127}};
    RtlBackend backend(OptionsFor(GetParam()));
    std::vector<std::int32_t> out(size, 99999);
    const std::int64_t saturated = backend.Requantize({"q"}, in, t.row_length, params, out);
    std::int64_t expected_saturated = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const auto c = static_cast<std::size_t>(t.layout.ChannelOf(static_cast<std::int64_t>(i)));
      bool flag = false;
      ASSERT_EQ(out[i], oracle::Requantize(std::int64_t{in[i]} + 7, scale[c].m, scale[c].shift, 0,
                                           zero[c], params.rounding, params.range, &flag))
          << i;
      expected_saturated += flag ? 1 : 0;
    }
    EXPECT_EQ(saturated, expected_saturated);
    EXPECT_GT(saturated, 0);
    EXPECT_EQ(backend.stats().at("q").macs, size);
  }
}

TEST_P(RtlBackendTest, ResidualAddMapsChannels) {
  testing::SeededRandom random(2);
  const ChannelLayout layout{21, 35, 1};
  const auto a = RandomTensor(random, 21 * 35, -100000, 100000);
  const auto b = RandomTensor(random, 21 * 35, -32768, 32767);
  const auto a_m = RandomTensor(random, 35, 1000, 65535);
  const auto b_m = RandomTensor(random, 1, 60000, 65535);
  const ResidualAddParams params{.layout = layout,
                                 .a_multiplier = a_m,
                                 .b_multiplier = b_m,
                                 .shift = 17,
                                 .a_zero = 3,
                                 .b_zero = -100,
                                 .out_zero = 50,
                                 .rounding = Rounding::kHalfUp,
                                 .range = {-32768, 32767}};
  RtlBackend backend(OptionsFor(GetParam()));
  std::vector<std::int32_t> out(a.size());
  const std::int64_t saturated = backend.ResidualAdd({"r"}, a, b, 35, params, out);
  std::int64_t expected_saturated = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    bool flag = false;
    ASSERT_EQ(out[i], oracle::Requantize(std::int64_t{a[i]} - 3, a_m[i % 35], 17,
                                         (std::int64_t{b[i]} + 100) * b_m[0], 50, params.rounding,
                                         params.range, &flag));
    expected_saturated += flag ? 1 : 0;
  }
  EXPECT_EQ(saturated, expected_saturated);
  EXPECT_GT(saturated, 0);
}

// The largest zero point of all, which is one more than the port of b holds.
TEST_P(RtlBackendTest, ResidualAddOfTheLargestZeroPoint) {
  const std::vector<std::int32_t> a = {5, -7, 0}, b = {-32768, 65535, 12};
  const std::vector<std::int32_t> a_m = {3}, b_m = {1};
  const ResidualAddParams params{.layout = {1, 1, 3},
                                 .a_multiplier = a_m,
                                 .b_multiplier = b_m,
                                 .shift = 0,
                                 .a_zero = 0,
                                 .b_zero = 1 << 16,
                                 .out_zero = 1 << 16,
                                 .rounding = Rounding::kHalfUp,
                                 .range = {-32768, 65535}};
  std::vector<std::int32_t> out(3);
  RtlBackend(OptionsFor(GetParam())).ResidualAdd({"r"}, a, b, 3, params, out);
  EXPECT_THAT(out, ::testing::ElementsAre(15 - 32768, -21 + 65535, 12));
}

// Strided views: a head of a wider matrix, and a transposed right operand.
TEST_P(RtlBackendTest, StridedViews) {
  testing::SeededRandom random(3);
  std::vector<std::int8_t> q(20 * 30), k(20 * 30);
  for (auto& v : q) v = static_cast<std::int8_t>(random.Between(-128, 127));
  for (auto& v : k) v = static_cast<std::int8_t>(random.Between(-128, 127));
  // Head 2 of 3: columns 20..29; scores = Q K^T.
  RtlBackend backend(OptionsFor(GetParam()));
  std::vector<std::int32_t> out(400);
  backend.Gemm({"scores"}, MatrixView<const std::int8_t>{q.data() + 20, 20, 10, 30, 1},
               {k.data() + 20, 10, 20, 1, 30}, {}, {out.data(), 20, 20, 20, 1}, nullptr);
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t j = 0; j < 20; ++j) {
      int sum = 0;
      for (std::size_t c = 20; c < 30; ++c) sum += q[i * 30 + c] * k[j * 30 + c];
      ASSERT_EQ(out[i * 20 + j], sum);
    }
  }
}

TEST_P(RtlBackendTest, StatisticsDoNotDependOnThreads) {
  testing::SeededRandom random(4);
  const oracle::Product p =
      RandomProduct(random, LhsKind::kInt8, GetParam().rows + 1, 30, GetParam().cols + 1);
  const auto expected = oracle::Gemm(p).out;
  RtlOptions options = OptionsFor(GetParam());
  options.stalls = {0.25, random.seed()};

  RtlBackend alone(options);
  for (std::int64_t image = 0; image < 4; ++image) {
    EXPECT_THAT(RunOn(alone, p, {"product", image, 0}), ElementsAreArray(expected));
  }
  RtlBackend first(options);
  RtlBackend second(options);
  std::vector<std::int32_t> out[4];
  std::thread other([&] {
    for (const int image : {3, 1}) out[image] = RunOn(second, p, {"product", image, 0});
  });
  for (const int image : {2, 0}) out[image] = RunOn(first, p, {"product", image, 0});
  other.join();
  for (const auto& result : out) EXPECT_THAT(result, ElementsAreArray(expected));
  StatsByTap merged = first.stats();
  Merge(second.stats(), merged);
  EXPECT_EQ(merged, alone.stats());
  EXPECT_GT(alone.stats().at("product").stalled_cycles, 0U);
  EXPECT_EQ(alone.stats().at("product").tiles, 16U);
}

// A long product is run in parts, on as many arrays as there are threads.
TEST_P(RtlBackendTest, ThreadsShareTheTilesOfAProduct) {
  testing::SeededRandom random(7);
  oracle::Product p = RandomProduct(random, LhsKind::kInt8, 30 * GetParam().rows - 1, 200,
                                    25 * GetParam().cols - 1);
  AddZeroPoints(random, p, true);
  const auto expected = oracle::Gemm(p).out;
  RtlOptions options = OptionsFor(GetParam());
  options.stalls = {0.02, random.seed()};
  std::optional<StatsByTap> alone;
  for (const int threads : {1, 2, 3}) {
    options.threads = threads;
    RtlBackend backend(options);
    ASSERT_THAT(RunOn(backend, p), ElementsAreArray(expected)) << threads;
    if (!alone) alone = backend.stats();
    EXPECT_EQ(backend.stats(), *alone) << threads;
  }
  EXPECT_EQ(alone->at("product").tiles, 30U * 25U);

  // Of several overflowing tiles the first is named, whichever thread is first.
  p.acc = {16, AccPolicy::kError};
  RtlBackend backend(options);
  try {
    RunOn(backend, p);
    FAIL() << "no overflow was reported";
  } catch (const AccumulatorOverflow& error) {
    EXPECT_THAT(error.what(), HasSubstr("tile (0, 0)"));
  }
}

TEST_P(RtlBackendTest, WritesTheWaveformOfTheTileAskedFor) {
  testing::TempDir dir;
  testing::SeededRandom random(5);
  const oracle::Product p =
      RandomProduct(random, LhsKind::kInt8, GetParam().rows + 1, 30, GetParam().cols + 1);
  RtlOptions options = OptionsFor(GetParam());
  options.trace = {"product", 2, 1, 1, 0, dir.path() / "tile.fst"};
  RtlBackend backend(options);
  RunOn(backend, p, {"product", 2, 0});
  RunOn(backend, p, {"other", 2, 1});
  EXPECT_FALSE(backend.trace_written());
  EXPECT_FALSE(std::filesystem::exists(options.trace->fst));
  EXPECT_THAT(RunOn(backend, p, {"product", 2, 1}), ElementsAreArray(oracle::Gemm(p).out));
  EXPECT_TRUE(backend.trace_written());
  // Block type 0 (header) opens every FST file.
  std::ifstream file(options.trace->fst, std::ios::binary);
  EXPECT_EQ(file.get(), 0);
  EXPECT_GT(std::filesystem::file_size(options.trace->fst), 500U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);

  // An untraced backend spends the same cycles: the trace has its own unit, not another schedule.
  RtlOptions plain = OptionsFor(GetParam());
  RtlBackend untraced(plain);
  RunOn(untraced, p, {"product", 2, 0});
  RunOn(untraced, p, {"product", 2, 1});
  EXPECT_EQ(untraced.stats().at("product"), backend.stats().at("product"));
}

TEST_P(RtlBackendTest, WaveformOfElementwiseTiles) {
  testing::TempDir dir;
  RtlOptions options = OptionsFor(GetParam());
  options.trace = {"q", 0, 0, 0, 1, dir.path() / "requantize.fst"};
  const std::int64_t row_length = 2 * GetParam().cols;
  const auto size = static_cast<std::size_t>(2 * row_length);
  const std::vector<std::int32_t> in(size, 100);
  std::vector<std::int32_t> out(size);
  const std::vector<Multiplier> scale = {{1, 2}};
  const std::vector<std::int32_t> zero = {0};
  const RequantizeParams params{.layout = {1, 1, 2 * row_length}, .scale = scale, .zero = zero};
  RtlBackend backend(options);
  backend.Requantize({"q"}, in, row_length, params, out);
  EXPECT_THAT(out, ::testing::Each(25));
  EXPECT_TRUE(backend.trace_written());

  options.trace->fst = dir.path() / "missing" / "tile.fst";
  RtlBackend nowhere(options);
  EXPECT_THROW(nowhere.Requantize({"q"}, in, row_length, params, out), InputError);
}

TEST_P(RtlBackendTest, AHangIsAnErrorThatNamesTheTile) {
  testing::SeededRandom random(6);
  const oracle::Product p = RandomProduct(random, LhsKind::kInt8, 1, 50, GetParam().cols + 1);
  RtlOptions options = OptionsFor(GetParam());
  options.cycle_limit = 20;
  RtlBackend backend(options);
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      RunOn(backend, p, {"attn_kv_out", 0, 1});
      FAIL() << "no error";
    } catch (const InternalError& error) {
      EXPECT_THAT(error.what(), HasSubstr("tap attn_kv_out, image 0, head 1, tile (0, 0)"));
      EXPECT_THAT(error.what(), HasSubstr("after 40 cycles"));  // 20 for each of two tiles
    }
  }
  // The unit recovers: a short product fits the limit once the array has been reset.
  options.cycle_limit = 400;
  RtlBackend patient(options);
  EXPECT_THROW(RunOn(patient, RandomProduct(random, LhsKind::kInt8, 1, 1000, 1)), InternalError);
  EXPECT_THAT(RunOn(patient, p), ElementsAreArray(oracle::Gemm(p).out));
}

INSTANTIATE_TEST_SUITE_P(Built, RtlBackendTest, ::testing::ValuesIn(BuiltArrays()), ShapeName);

TEST(RtlBackendOptionsTest, AnArrayThatWasNotBuilt) {
  RtlOptions options;
  options.array = {5, 63};
  try {
    const RtlBackend backend(options);
    FAIL() << "no error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no 5x63 array"));
    EXPECT_THAT(error.what(), HasSubstr(ToString(BuiltArrays().front())));
    EXPECT_THAT(error.what(), HasSubstr("cmake -DQSIM_ARRAYS="));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("\n")));
  }
}

TEST(RtlBackendOptionsTest, OptionsOutOfRange) {
  RtlOptions options = OptionsFor(BuiltArrays().front());
  options.k_tile = 0;
  EXPECT_THROW(RtlBackend{options}, InputError);
  options.k_tile = 65536;
  EXPECT_THROW(RtlBackend{options}, InputError);
  options.k_tile = 1;
  for (const double probability : {-0.1, 0.96, std::numeric_limits<double>::quiet_NaN()}) {
    options.stalls.probability = probability;
    EXPECT_THROW(RtlBackend{options}, InputError) << probability;
  }
}

TEST(RtlBackendOptionsTest, BuiltArraysAreSorted) {
  const auto built = BuiltArrays();
  EXPECT_TRUE(BuiltWithRtl());
  EXPECT_FALSE(built.empty());
  EXPECT_TRUE(std::is_sorted(built.begin(), built.end()));
}

TEST(RtlBackendOptionsTest, TileNumbers) {
  EXPECT_EQ(TileOf({8, 16}, 7, 15), (TileIndex{0, 0}));
  EXPECT_EQ(TileOf({8, 16}, 8, 47), (TileIndex{1, 2}));
}

}  // namespace
}  // namespace qsim::cosim
