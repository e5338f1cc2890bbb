#include "sim/bundle/grid.h"

#include <gtest/gtest.h>

#include <limits>

#include "sim/error.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

using Kind = TensorScale::Kind;

TensorInfo Info(Shape shape, QuantRange range, DType dtype = DType::kInt8) {
  return {"t", std::move(shape), dtype, range};
}

std::vector<double> Dequantize(const IntTensor& q, const TensorScale& scale) {
  const TensorInfo info = Info(q.shape(), {-128, 127});
  return Grid(info, scale).Dequantize(q);
}

TEST(Grid, DequantizesAlongEveryAxis) {
  const IntTensor q({2, 3}, std::vector<std::int8_t>{-128, 0, 127, 1, 2, 3});
  EXPECT_EQ(Dequantize(q, {Kind::kLinear, ChannelAxis::kNone, {0.5}, {1}}),
            (std::vector<double>{-64.5, -0.5, 63, 0, 0.5, 1}));
  EXPECT_EQ(Dequantize(q, {Kind::kLinear, ChannelAxis::kLast, {1, 2, 4}, {0, 1, 2}}),
            (std::vector<double>{-128, -2, 500, 1, 2, 4}));
  EXPECT_EQ(Dequantize(q, {Kind::kLinear, ChannelAxis::kFirst, {1, 2}, {0}}),
            (std::vector<double>{-128, 0, 127, 2, 4, 6}));
  const IntTensor heads({2, 1, 2}, std::vector<std::uint8_t>{10, 20, 30, 255});
  EXPECT_EQ(Dequantize(heads, {Kind::kLinear, ChannelAxis::kFirst, {1, 0.5}, {10, 5}}),
            (std::vector<double>{0, 10, 12.5, 125}));
  EXPECT_THROW(Dequantize(q, {Kind::kLinear, ChannelAxis::kLast, {1, 2}, {0}}), InternalError);
  EXPECT_THROW(Dequantize(q, {Kind::kLinear, ChannelAxis::kNone, {1}, {}}), InternalError);
}

TEST(Grid, Log2CodesAndTheirZeroFlag) {
  const IntTensor codes({4}, std::vector<std::uint8_t>{0, 1, 15, 16});
  const TensorInfo info = Info({4}, {0, 16}, DType::kUint8);
  const TensorScale scale = {Kind::kLog2, ChannelAxis::kNone, {1}, {0}};
  const Grid grid(info, scale);
  EXPECT_EQ(grid.Dequantize(codes), (std::vector<double>{1, 0.5, 1.0 / 32768, 0}));
  EXPECT_EQ(grid.Quantize(std::vector<float>{0.8F, 0.5F, 1.0F / 32768, 0}), codes);
}

// The channel that the list of scales has for an element is the one that its loop hands out.
TEST(Grid, QuantizesRoundsAndCountsWhatItClamps) {
  const TensorScale scale = {Kind::kLinear, ChannelAxis::kFirst, {1, 0.5}, {0, 10}};
  const TensorInfo info = Info({2, 3}, {-8, 7});
  const Grid grid(info, scale);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::int64_t saturated = 0;
  const IntTensor codes =
      grid.Quantize(std::vector<float>{0.5F, 1.5F, -9, -2, nan, -7}, &saturated);
  EXPECT_EQ(codes.As<std::int8_t>(), (std::vector<std::int8_t>{0, 2, -8, 6, 7, -4}));
  EXPECT_EQ(saturated, 2);  // -9, and the zero point of the NaN
  grid.ForEach(6, [&](std::size_t i, Quantization q) {
    EXPECT_EQ(q, grid.At(grid.ChannelOf(i, 6)));
  });
}

}  // namespace
}  // namespace qsim::testing
