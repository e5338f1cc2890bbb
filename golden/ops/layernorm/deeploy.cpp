#include "golden/ops/layernorm/deeploy.h"

#include <cstddef>
#include <vector>

#include "golden/ops/integer_sqrt.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

void CheckParams(std::size_t channels, const DeeployLayernormParams& params, std::size_t outputs) {
  constexpr std::int64_t kMaxZero = std::int64_t{1} << 31;
  constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;
  Require(channels >= 1 && channels <= 65536 && outputs == channels,
          "Layernorm: a row must have 1..65536 elements, and y as many");
  Require(params.weight.size() == channels && params.bias.size() == channels,
          "Layernorm: weight and bias must have one entry per channel");
  Require(params.input_zero >= -kMaxZero && params.input_zero <= kMaxZero,
          "Layernorm: |input_zero| must be at most 2^31");
  Require(params.log2d >= 0 && params.log2d <= 62, "Layernorm: log2d must be in 0..62");
  for (const std::int64_t bias : params.bias) {
    Require(bias >= -kMaxBias && bias <= kMaxBias, "Layernorm: |bias| must be at most 2^62");
  }
}

}  // namespace

DeeployLayernormTrace LayernormDeeploy(std::span<const std::int32_t> x,
                                       const DeeployLayernormParams& params,
                                       std::span<std::int64_t> y) {
  CheckParams(x.size(), params, y.size());
  const auto channels = static_cast<std::int64_t>(x.size());
  std::int64_t sum = 0;
  for (const std::int32_t value : x) sum += value - params.input_zero;
  DeeployLayernormTrace trace;
  trace.mean = sum / channels;
  std::vector<std::int64_t> d(x.size());
  UInt128 squares = StartingAt(params.eps);
  for (std::size_t c = 0; c < x.size(); ++c) {
    d[c] = x[c] - params.input_zero - trace.mean;
    squares += static_cast<UInt128>(Int128{d[c]} * d[c]);
  }
  trace.std_int =
      static_cast<std::int64_t>(IntegerSqrt(squares / static_cast<UInt128>(channels) + 1));
  for (std::size_t c = 0; c < x.size(); ++c) {
    // At most 2^40: |d| / std <= 2 sqrt(C).
    const auto scaled = static_cast<std::int64_t>(Int128{d[c]} * params.weight[c] / trace.std_int);
    y[c] = (scaled + params.bias[c]) >> params.log2d;
  }
  return trace;
}

}  // namespace qsim::golden
