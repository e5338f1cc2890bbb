#include "sim/bundle/grid_vectors.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/bundle/grid.h"
#include "tests/namespaces.h"
#include "tests/support/every_target.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

template <typename Bits, typename T>
std::vector<Bits> BitsOf(const std::vector<T>& values) {
  std::vector<Bits> bits;
  for (const T v : values) bits.push_back(std::bit_cast<Bits>(v));
  return bits;
}

// One tensor with its grid, and real numbers on it, off it, between two codes and beyond them.
struct Case {
  TensorInfo info;
  TensorScale scale;
  std::vector<double> real;

  Case(DType dtype, Shape shape, ChannelAxis axis, SeededRandom& random) {
    info.name = "x";
    info.shape = shape;
    info.dtype = dtype;
    const std::int32_t most = BitsOf(dtype) >= 32 ? 1 << 30 : 1 << (BitsOf(dtype) - 1);
    info.range = IsSigned(dtype) ? QuantRange{-most, most - 1} : QuantRange{0, 2 * most - 1};
    scale.axis = axis;
    const std::int64_t channels = axis == ChannelAxis::kLast    ? shape.back()
                                  : axis == ChannelAxis::kFirst ? shape.front()
                                                                : 1;
    for (std::int64_t c = 0; c < channels; ++c) {
      scale.scale.push_back(static_cast<double>(random.Between(1, 1000)) / 8192.0);
      scale.zero.push_back(static_cast<std::int32_t>(random.Between(-3, 100)));
    }
    const Grid grid(info, scale);
    const auto size = static_cast<std::size_t>(ElementCount(info.shape));
    const std::int64_t farthest = 2 * std::int64_t{most} + 10;
    for (std::size_t i = 0; i < size; ++i) {
      const Quantization q = grid.At(grid.ChannelOf(i, size));
      const auto step = static_cast<double>(random.Between(-farthest, farthest));
      const double part = std::array{0.0, 0.5, -0.5, 0.25, -0.3, 1e-9}[i % 6];
      real.push_back(i % 11 == 7 ? -0.0 : q.scale * (step + part - q.zero));
    }
    if (size > 3) real[3] = std::numeric_limits<double>::quiet_NaN();
    if (size > 4) real[4] = -std::numeric_limits<double>::infinity();
  }
};

void Compare(const Case& c, const Stepping& stepping) {
  const Grid grid(c.info, c.scale);
  std::vector<double> units, back;
  std::vector<float> real_float(c.real.begin(), c.real.end());
  bool on_grid = stepping.round;
  std::int64_t changed = 0;
  std::vector<double> codes;
  for (std::size_t i = 0; i < c.real.size(); ++i) {
    const Quantization q = grid.At(grid.ChannelOf(i, c.real.size()));
    double u = grid.Units(q, c.real[i]);
    if (stepping.round) u = std::nearbyint(u);
    if (stepping.clamp) u = grid.Clamped(u);
    if (!stepping.error.empty()) u += stepping.error[i];
    if (stepping.clamp) u = grid.Clamped(u);
    on_grid = on_grid && u == grid.Clamped(u);
    units.push_back(u);
    back.push_back(grid.Real(q, u));
    const double rounded = std::nearbyint(grid.Units(q, static_cast<double>(real_float[i])));
    codes.push_back(grid.Clamped(rounded));
    changed += codes.back() != rounded;
  }
  OnEveryTarget([&] {
    std::vector<double> out(c.real.size());
    EXPECT_EQ(grid.ToUnits(c.real, stepping, out), on_grid);
    EXPECT_EQ(BitsOf<std::uint64_t>(out), BitsOf<std::uint64_t>(units));
    grid.ToReal(out);
    EXPECT_EQ(BitsOf<std::uint64_t>(out), BitsOf<std::uint64_t>(back));
    std::int64_t saturated = 5;
    const IntTensor quantized = grid.Quantize(real_float, &saturated);
    EXPECT_EQ(saturated, 5 + changed);
    std::vector<double> expected;
    std::vector<float> expected_float;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      ASSERT_EQ(quantized.At(static_cast<std::int64_t>(i)), static_cast<std::int64_t>(codes[i]));
      expected.push_back(grid.Real(grid.At(grid.ChannelOf(i, codes.size())), std::trunc(codes[i])));
      expected_float.push_back(static_cast<float>(expected.back()));
    }
    EXPECT_EQ(grid.Dequantize(quantized), expected);
    EXPECT_EQ(grid.DequantizeToFloat(quantized), expected_float);
  });
}

TEST(GridVectors, EqualEveryElementByItself) {
  SeededRandom random;
  for (const DType dtype :
       {DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16, DType::kInt32, DType::kInt64}) {
    for (const ChannelAxis axis : {ChannelAxis::kNone, ChannelAxis::kLast, ChannelAxis::kFirst}) {
      for (const Shape& shape :
           {Shape{1, 1}, Shape{3, 5}, Shape{4, 8}, Shape{2, 3, 7}, Shape{7, 33}, Shape{5, 1}}) {
        SCOPED_TRACE(::testing::Message() << Name(dtype) << ' ' << Name(axis) << " of "
                                          << shape.front() << ", " << shape.back());
        const Case c(dtype, shape, axis, random);
        std::vector<double> error;
        for (std::size_t i = 0; i < c.real.size(); ++i)
          error.push_back(static_cast<double>(random.Between(-2, 2)));
        for (const bool round : {false, true}) {
          for (const bool clamp : {false, true}) {
            Compare(c, {.round = round, .clamp = clamp});
            Compare(c, {.round = round, .clamp = clamp, .error = error});
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace qsim::testing
