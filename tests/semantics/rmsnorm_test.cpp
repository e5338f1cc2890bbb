// RMS normalization: its exact function, and the integers that Derive makes of it.
#include "sim/semantics/rmsnorm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "golden/program/backend.h"
#include "golden/program/executor.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::SeededRandom;

TEST(ExactRmsnorm, TwoChannelsByHand) {
  network::Norm norm{{2.0F, -1.0F}, {}, 0};
  const FloatTensor x = {{2, 2}, {3, 4, 0.5F, 0}};
  const FloatTensor plain = ExactRmsnorm(norm, x, nullptr);
  const float rms = std::sqrt(12.5F);
  EXPECT_FLOAT_EQ(plain.data[0], 2 * 3 / rms);
  EXPECT_FLOAT_EQ(plain.data[1], -4 / rms);
  EXPECT_FLOAT_EQ(plain.data[2], 2 * std::sqrt(2.0F));
  EXPECT_EQ(plain.data[3], 0);
  const FloatTensor gate = {{2, 2}, {10, -1, 0, 7}};
  const FloatTensor gated = ExactRmsnorm(norm, x, &gate);
  EXPECT_FLOAT_EQ(gated.data[0], 10 * plain.data[0]);
  EXPECT_FLOAT_EQ(gated.data[1], -plain.data[1]);
  EXPECT_EQ(gated.data[2], 0);
  norm.eps = 12.5;
  EXPECT_FLOAT_EQ(ExactRmsnorm(norm, x, nullptr).data[0], 6.0F / 5.0F);
}

TEST(ExactRmsnorm, GroupsOfColumnsHaveAMeanSquareEach) {
  const network::Norm norm{{2.0F, -1.0F, 1.0F, 3.0F}, {}, 0};
  const FloatTensor x = {{1, 4}, {3, 4, 0.5F, 0}};
  const FloatTensor y = ExactRmsnorm(norm, x, nullptr, 2);
  EXPECT_FLOAT_EQ(y.data[0], 2 * 3 / std::sqrt(12.5F));
  EXPECT_FLOAT_EQ(y.data[1], -4 / std::sqrt(12.5F));
  EXPECT_FLOAT_EQ(y.data[2], std::sqrt(2.0F));
  EXPECT_EQ(y.data[3], 0);
}

// The golden operation with derived integers is within half a step of the exact one, and the little
// that sixteen bits of multiplier and the floors of root and reciprocal take.
TEST(DeriveRmsnorm, IsWithinARoundingOfTheExactFunction) {
  SeededRandom random;
  for (int i = 0; i < 200; ++i) {
    const bool gated = random.Between(0, 1) == 1;
    const bool by_channel = random.Between(0, 1) == 1;
    const std::int64_t channels = random.Between(1, 48);
    const Shape shape = {3, channels};
    Program program;
    program.tensors = {{"x", shape, DType::kInt16, {-32768, 32767}},
                       {"g", shape, DType::kInt8, {-128, 127}},
                       {"y", shape, DType::kInt8, {-128, 127}}};
    program.inputs = gated ? std::vector<std::string>{"x", "g"} : std::vector<std::string>{"x"};
    TensorScale x_scale{TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.01}, {0}};
    if (by_channel) {
      x_scale = {TensorScale::Kind::kLinear, ChannelAxis::kLast, {}, {}};
      for (std::int64_t c = 0; c < channels; ++c) {
        x_scale.scale.push_back(std::ldexp(0.01, static_cast<int>(random.Between(0, 3))));
        x_scale.zero.push_back(0);
      }
    } else {
      x_scale.zero = {static_cast<std::int32_t>(random.Between(-900, 900))};
    }
    const TensorScale g_scale{TensorScale::Kind::kLinear,
                              ChannelAxis::kNone,
                              {0.02},
                              {static_cast<std::int32_t>(random.Between(-20, 20))}};
    const TensorScale y_scale{TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.05}, {-4}};
    network::Norm norm;
    // Rows have a mean square of about 300 or, by channel, up to some thousands.
    norm.eps = static_cast<double>(random.Between(0, 1) * random.Between(0, 5000));
    for (std::int64_t c = 0; c < channels; ++c) {
      const double gamma = static_cast<double>(random.Between(20, 100)) / 100;
      norm.gamma.push_back(static_cast<float>(random.Between(0, 1) == 0 ? gamma : -gamma));
    }
    const auto grid = [&](const TensorInfo& info, const TensorScale& scale) {
      const auto count = static_cast<std::size_t>(channels);
      return Activation{
          info.name, info.range, Expanded(scale.scale, count), Expanded(scale.zero, count), {}};
    };
    const Activation gate = grid(program.tensors[1], g_scale);
    const std::int64_t groups = channels % 3 == 0 ? 3 : 1;
    const network::LayerNorm layer{norm, /*centred=*/false, groups};
    program.ops = {DeriveRmsnorm(layer, {}, {}, grid(program.tensors[0], x_scale),
                                 gated ? &gate : nullptr, grid(program.tensors[2], y_scale))};
    Validate(program);
    TensorMap inputs;
    std::vector<std::int16_t> codes;
    std::vector<std::int8_t> gates;
    FloatTensor x{shape, {}}, g{shape, {}};
    for (std::int64_t e = 0; e < 3 * channels; ++e) {
      codes.push_back(static_cast<std::int16_t>(random.Between(-3000, 3000)));
      gates.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
      const Quantization q = x_scale.At(static_cast<std::size_t>(e % channels));
      x.data.push_back(static_cast<float>(q.scale * (codes.back() - q.zero)));
      g.data.push_back(static_cast<float>(0.02 * (gates.back() - g_scale.zero[0])));
    }
    inputs["x"] = IntTensor(shape, codes);
    if (gated) inputs["g"] = IntTensor(shape, gates);
    GoldenBackend backend;
    const IntTensor y = Execute(program, inputs, 0, backend).at("y");
    const FloatTensor exact = ExactRmsnorm(norm, x, gated ? &g : nullptr, groups);
    for (std::int64_t e = 0; e < y.size(); ++e) {
      const double units = std::clamp(
          static_cast<double>(exact.data[static_cast<std::size_t>(e)]) / 0.05 - 4, -128.0, 127.0);
      ASSERT_NEAR(static_cast<double>(y.At(e)), units, 0.6) << "element " << e;
    }
  }
}

}  // namespace
}  // namespace qsim::testing
