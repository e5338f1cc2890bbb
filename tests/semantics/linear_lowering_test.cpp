// Weights and biases to integers.
#include "sim/semantics/linear_lowering.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"
#include "sim/semantics/quantization.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

class LinearLoweringTest : public ::testing::Test {
 protected:
  // Random weights, and an input with a zero point per channel.
  RealLayer Layer(std::int64_t rows, std::int64_t depth) {
    RealLayer layer;
    layer.name = "blocks.0.layer";
    layer.weight.shape = {rows, depth};
    for (std::int64_t i = 0; i < rows * depth; ++i)
      layer.weight.data.push_back(static_cast<float>(random_.Between(-1000, 1300)) / 1000.0F);
    for (std::int64_t n = 0; n < rows; ++n)
      layer.bias.push_back(static_cast<float>(random_.Between(-1000, 1000)) / 500.0F);
    layer.input_scale = 0.02;
    for (std::int64_t k = 0; k < depth; ++k)
      layer.input_zero.push_back(static_cast<std::int32_t>(random_.Between(-128, 255)));
    return layer;
  }
  // MinMax over equal groups of rows.
  static Activation GridOf(const RealLayer& layer, const Section& section, std::size_t groups) {
    Activation grid;
    grid.range = RangeOf(section);
    const std::size_t size = layer.weight.data.size() / groups;
    for (std::size_t g = 0; g < groups; ++g) {
      const auto first = layer.weight.data.begin() + static_cast<std::ptrdiff_t>(g * size);
      const auto [least, most] =
          std::minmax_element(first, first + static_cast<std::ptrdiff_t>(size));
      const Quantization q = QuantizationOf(
          {std::min(0.0, static_cast<double>(*least)), std::max(0.0, static_cast<double>(*most))},
          grid.range, section.has_zero_point);
      grid.scale.push_back(q.scale);
      grid.zero.push_back(q.zero);
    }
    grid.scale = Expanded(grid.scale, layer.bias.size());
    grid.zero = Expanded(grid.zero, layer.bias.size());
    return grid;
  }
  testing::SeededRandom random_;
  std::vector<LoweringNote> notes_;
};

// With the mean of the input, the layer's integers give what its real numbers give.
TEST_F(LinearLoweringTest, ACorrectedBiasKeepsTheMean) {
  constexpr std::size_t kDepth = 96;
  const RealLayer layer = Layer(24, kDepth);
  std::vector<double> mean;
  for (std::size_t k = 0; k < kDepth; ++k)
    mean.push_back(static_cast<double>(random_.Between(-1000, 3000)) * 1e-3);
  Section section;
  section.bits = 4;
  for (const bool symmetric : {true, false}) {
    section.has_zero_point = !symmetric;
    section.is_signed = symmetric;
    const Activation grid = GridOf(layer, section, 24);
    const QuantizedLinear q = QuantizeLinear(layer, grid, mean);
    const QuantizedLinear plain = QuantizeLinear(layer, grid);
    EXPECT_EQ(q.weight, plain.weight);
    const std::vector<std::int32_t> zero = Recentred(grid).zero;
    double worst = 0;
    for (std::size_t n = 0; n < 24; ++n) {
      double real = static_cast<double>(layer.bias[n]);
      const auto units = [&](const QuantizedLinear& of) {
        double sum = static_cast<double>(of.bias.As<std::int32_t>()[n]);
        for (std::size_t k = 0; k < kDepth; ++k) {
          const double w =
              static_cast<double>(of.weight.As<std::int8_t>()[n * kDepth + k] - zero[n]);
          sum += w * (mean[k] / layer.input_scale + static_cast<double>(layer.input_zero[k]));
        }
        return sum;
      };
      for (std::size_t k = 0; k < kDepth; ++k)
        real += static_cast<double>(layer.weight.data[n * kDepth + k]) * mean[k];
      const double step = layer.input_scale * grid.scale[n];
      EXPECT_NEAR(units(q), real / step, 0.51) << n;
      worst = std::max(worst, std::fabs(units(plain) - real / step));
    }
    EXPECT_GT(worst, 5) << "nothing to correct";
  }
}

TEST_F(LinearLoweringTest, WeightsAreWithinHalfAStepOfTheFloats) {
  for (const bool symmetric : {true, false}) {
    for (int bits = 2; bits <= 8; ++bits) {
      for (const std::size_t groups : {1U, 3U, 12U}) {
        const RealLayer layer = Layer(12, 7);
        Section section;
        section.bits = bits;
        section.is_signed = symmetric;
        section.has_zero_point = !symmetric;
        const Activation grid = GridOf(layer, section, groups);
        const QuantizedLinear q = QuantizeLinear(layer, grid);
        const Activation stored = Recentred(grid);
        for (std::size_t n = 0; n < 12; ++n) {
          for (std::size_t k = 0; k < 7; ++k) {
            const std::int8_t code = q.weight.As<std::int8_t>()[n * 7 + k];
            EXPECT_GE(code, stored.range.qmin);
            EXPECT_LE(code, stored.range.qmax);
            const double w = grid.scale[n] * (code - stored.zero[n]);
            // With a zero point, rounding it moves the end of the range by up to half a step.
            EXPECT_NEAR(w, static_cast<double>(layer.weight.data[n * 7 + k]),
                        grid.scale[n] * (symmetric ? 0.5001 : 1.0001));
          }
        }
      }
    }
  }
}

TEST_F(LinearLoweringTest, FoldedZeroPointsEqualTheDirectFormula) {
  for (int repeat = 0; repeat < 100; ++repeat) {
    const RealLayer layer = Layer(4, 9);
    Section section;
    section.is_signed = repeat % 2 == 0;
    section.has_zero_point = repeat % 2 != 0;
    const Activation grid = GridOf(layer, section, 4);
    const QuantizedLinear q = QuantizeLinear(layer, grid);
    const std::vector<std::int32_t> zero = Recentred(grid).zero;
    std::vector<std::int64_t> x;
    for (int k = 0; k < 9; ++k) x.push_back(random_.Between(-128, 255));
    for (std::size_t n = 0; n < 4; ++n) {
      std::int64_t folded = q.bias.As<std::int32_t>()[n];
      auto direct = static_cast<std::int64_t>(
          std::nearbyint(static_cast<double>(layer.bias[n]) / (layer.input_scale * grid.scale[n])));
      for (std::size_t k = 0; k < 9; ++k) {
        const std::int64_t w = q.weight.As<std::int8_t>()[n * 9 + k] - zero[n];
        folded += x[k] * w;
        direct += (x[k] - layer.input_zero[k]) * w;
      }
      EXPECT_EQ(folded, direct);
    }
  }
}

TEST_F(LinearLoweringTest, ADeadChannelIsRaisedUntilItsBiasFits) {
  RealLayer layer = Layer(3, 5);
  std::fill(layer.weight.data.begin() + 5, layer.weight.data.begin() + 10, 0.0F);
  layer.bias[1] = 1.5F;
  Activation grid = GridOf(layer, {}, 3);
  for (std::int64_t n = 0; n < 3; ++n) {
    double& scale = grid.scale[static_cast<std::size_t>(n)];
    scale = RaisedForBias(layer, n, 1, scale, std::ldexp(1.0, 14), notes_);
  }
  const QuantizedLinear q = QuantizeLinear(layer, grid);
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_EQ(notes_[0].kind, LoweringNote::Kind::kRaisedScale);
  EXPECT_EQ(notes_[0].tensor, "blocks.0.layer");
  EXPECT_THAT(notes_[0].text, HasSubstr("output channel 1: weight scale raised from 1.19e-07"));
  std::int64_t bias = q.bias.As<std::int32_t>()[1];
  for (std::size_t k = 0; k < 5; ++k)
    bias += std::int64_t{layer.input_zero[k]} * q.weight.As<std::int8_t>()[5 + k];
  EXPECT_LE(bias, 1 << 14);
  EXPECT_GT(bias, 1 << 13) << "raised no further than needed";
  EXPECT_NEAR(static_cast<double>(bias) * grid.scale[1] * layer.input_scale, 1.5,
              grid.scale[1] * layer.input_scale);
  // A power of two times the observed scale, so that power-of-two mode stays one.
  int exponent = 0;
  EXPECT_EQ(std::frexp(grid.scale[1] / kMinScale, &exponent), 0.5);
}

TEST_F(LinearLoweringTest, AFoldedBiasBeyondInt32IsAnError) {
  RealLayer layer = Layer(2, 3000);
  layer.input_zero.assign(3000, 65536);
  std::fill(layer.weight.data.begin(), layer.weight.data.begin() + 3000, 0.0F);
  std::fill(layer.weight.data.begin() + 3000, layer.weight.data.end(), 1.0F);
  layer.bias = {0.0F, 0.0F};
  try {
    QuantizeLinear(layer, GridOf(layer, {}, 2));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("blocks.0.layer: output channel 1: bias -"));
    EXPECT_THAT(error.what(), HasSubstr("does not fit int32"));
  }
}

}  // namespace
}  // namespace qsim::testing
