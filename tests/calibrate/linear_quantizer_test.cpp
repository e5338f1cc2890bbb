// Weights and biases to integers.
#include "sim/calibrate/lower/linear_quantizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sim/calibrate/observe/observer.h"
#include "sim/error.h"
#include "tests/test_support.h"

namespace qsim {
namespace {

using ::testing::HasSubstr;

class LinearQuantizerTest : public ::testing::Test {
 protected:
  // Random weights, and an input with a zero point per channel.
  LinearRequest Request(std::int64_t rows, std::int64_t depth) {
    LinearRequest request;
    request.name = "blocks.0.layer";
    request.weight.shape = {rows, depth};
    for (std::int64_t i = 0; i < rows * depth; ++i)
      request.weight.data.push_back(static_cast<float>(random_.Between(-1000, 1300)) / 1000.0F);
    for (std::int64_t n = 0; n < rows; ++n)
      request.bias.push_back(static_cast<float>(random_.Between(-1000, 1000)) / 500.0F);
    request.row_groups = rows;
    request.input.scale = 0.02;
    for (std::int64_t k = 0; k < depth; ++k)
      request.input.zero.push_back(static_cast<std::int32_t>(random_.Between(-128, 255)));
    request.bias_limit = std::ldexp(1.0, 30);
    return request;
  }
  testing::SeededRandom random_;
  std::vector<LoweringNote> notes_;
};

TEST_F(LinearQuantizerTest, WeightsAreWithinHalfAStepOfTheFloats) {
  for (const bool symmetric : {true, false}) {
    for (int bits = 2; bits <= 8; ++bits) {
      for (const std::int64_t groups : {1, 3, 12}) {
        LinearRequest request = Request(12, 7);
        request.row_groups = groups;
        request.section.bits = bits;
        request.section.is_signed = symmetric;
        request.section.has_zero_point = !symmetric;
        const QuantizedLinear q = QuantizeLinear(request, notes_);
        for (std::size_t n = 0; n < 12; ++n) {
          EXPECT_EQ(q.scale[n], q.scale[n - n % (12 / static_cast<std::size_t>(groups))]);
          if (symmetric) {
            EXPECT_EQ(q.zero[n], 0);
          }
          for (std::size_t k = 0; k < 7; ++k) {
            const double w = q.scale[n] * (q.weight.As<std::int8_t>()[n * 7 + k] - q.zero[n]);
            // With a zero point, rounding it moves the end of the range by up to half a step.
            EXPECT_NEAR(w, static_cast<double>(request.weight.data[n * 7 + k]),
                        q.scale[n] * (symmetric ? 0.5001 : 1.0001));
          }
        }
      }
    }
  }
  EXPECT_TRUE(notes_.empty());
}

TEST_F(LinearQuantizerTest, FoldedZeroPointsEqualTheDirectFormula) {
  for (int repeat = 0; repeat < 100; ++repeat) {
    LinearRequest request = Request(4, 9);
    request.section.is_signed = repeat % 2 == 0;
    request.section.has_zero_point = repeat % 2 != 0;
    const QuantizedLinear q = QuantizeLinear(request, notes_);
    std::vector<std::int64_t> x;
    for (int k = 0; k < 9; ++k) x.push_back(random_.Between(-128, 255));
    for (std::size_t n = 0; n < 4; ++n) {
      std::int64_t folded = q.bias.As<std::int32_t>()[n];
      auto direct = static_cast<std::int64_t>(std::nearbyint(static_cast<double>(request.bias[n]) /
                                                             (request.input.scale * q.scale[n])));
      for (std::size_t k = 0; k < 9; ++k) {
        const std::int64_t w = q.weight.As<std::int8_t>()[n * 9 + k] - q.zero[n];
        folded += x[k] * w;
        direct += (x[k] - request.input.zero[k]) * w;
      }
      EXPECT_EQ(folded, direct);
    }
  }
}

TEST_F(LinearQuantizerTest, ADeadChannelIsRaisedUntilItsBiasFits) {
  LinearRequest request = Request(3, 5);
  std::fill(request.weight.data.begin() + 5, request.weight.data.begin() + 10, 0.0F);
  request.bias[1] = 1.5F;
  request.bias_limit = std::ldexp(1.0, 14);
  const QuantizedLinear q = QuantizeLinear(request, notes_);
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_EQ(notes_[0].kind, LoweringNote::Kind::kRaisedScale);
  EXPECT_EQ(notes_[0].tensor, "blocks.0.layer");
  EXPECT_THAT(notes_[0].text, HasSubstr("output channel 1: weight scale raised from 1.19e-07"));
  const std::int32_t bias = q.bias.As<std::int32_t>()[1];
  EXPECT_LE(bias, 1 << 14);
  EXPECT_GT(bias, 1 << 13) << "raised no further than needed";
  EXPECT_NEAR(bias * q.scale[1] * request.input.scale, 1.5, q.scale[1] * request.input.scale);
  // A power of two times the observed scale, so that power-of-two mode stays one.
  int exponent = 0;
  EXPECT_EQ(std::frexp(q.scale[1] / kMinScale, &exponent), 0.5);
}

TEST_F(LinearQuantizerTest, AdjustDecidesTheScale) {
  LinearRequest request = Request(6, 4);
  request.row_groups = 3;
  std::vector<std::int64_t> rows;
  request.adjust = [&](std::int64_t row, double observed) {
    rows.push_back(row);
    return observed * 3;
  };
  const std::vector<double> adjusted = QuantizeLinear(request, notes_).scale;
  EXPECT_EQ(rows, (std::vector<std::int64_t>{0, 2, 4}));
  request.adjust = nullptr;
  const std::vector<double> observed = QuantizeLinear(request, notes_).scale;
  for (std::size_t n = 0; n < 6; ++n) EXPECT_DOUBLE_EQ(adjusted[n], 3 * observed[n]);
}

TEST_F(LinearQuantizerTest, AFoldedBiasBeyondInt32IsAnError) {
  LinearRequest request = Request(2, 3000);
  request.input.zero.assign(3000, 65536);
  std::fill(request.weight.data.begin(), request.weight.data.begin() + 3000, 0.0F);
  std::fill(request.weight.data.begin() + 3000, request.weight.data.end(), 1.0F);
  request.bias = {0.0F, 0.0F};
  try {
    QuantizeLinear(request, notes_);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("blocks.0.layer: output channel 1: bias -"));
    EXPECT_THAT(error.what(), HasSubstr("does not fit int32"));
  }
}

}  // namespace
}  // namespace qsim
