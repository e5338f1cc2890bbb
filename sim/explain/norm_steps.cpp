// A row of each normalization, up to its inner steps: docs/numerics.md section 6.
#include <algorithm>
#include <type_traits>

#include "golden/ops/one_or_each.h"
#include "sim/explain/inner_steps.h"

namespace qsim::explain {
namespace {

using Numbers = std::vector<std::int64_t>;

template <typename Params>
Numbers Shifted(const Params& params, std::span<const std::int32_t> x) {
  Numbers d(x.size());
  for (std::size_t c = 0; c < x.size(); ++c) {
    d[c] = std::int64_t{x[c]} - params.input_zero;
    if constexpr (requires { params.input_shift; })
      d[c] <<= params.input_shift.empty() ? 0 : params.input_shift[c];
  }
  return d;
}

void Centre(Numbers& d, RoundRule rounding, bool subtracted, Inner& inner) {
  Int128 sum = 0;
  for (const std::int64_t value : d) sum += value;
  const std::int64_t count = inner.Number(Site::kMeanCount, std::ssize(d));
  const auto mean = static_cast<std::int64_t>(inner.Divide(Site::kMean, sum, count, rounding));
  if (!inner.Does(Site::kMeanSubtracted, subtracted)) return;
  for (std::int64_t& value : d) value -= mean;
}

UInt128 SumOfSquares(const Numbers& d, int shift, std::int64_t eps, Inner& inner) {
  UInt128 squares = StartingAt(eps);
  for (const std::int64_t value : d) {
    const Int128 scaled = inner.Shift(Site::kSquares, value, shift, RoundRule::kFloor);
    squares += static_cast<UInt128>(scaled * scaled);
  }
  return squares;
}

std::int64_t RootOf(const Numbers& d, int shift, std::int64_t eps, Inner& inner) {
  return std::max<std::int64_t>(inner.Root(SumOfSquares(d, shift, eps, inner)) << shift, 1);
}

// Newton's steps from 2^16.
std::int64_t NewtonRootOf(const Numbers& d, std::int64_t eps, Inner& inner) {
  const UInt128 squares = SumOfSquares(d, 0, eps, inner);
  const std::int64_t steps = inner.Number(Site::kNewton, 10);
  if (inner.Does(Site::kExactRoot, false)) return std::max<std::int64_t>(inner.Root(squares), 1);
  UInt128 k = UInt128{1} << 16;
  for (std::int64_t step = 0; step < steps; ++step) k = (k + squares / k) >> 1;
  return static_cast<std::int64_t>(k);
}

template <typename Params>
std::int64_t Requantized(const Params& params, Int128 value, std::size_t c) {
  const Multiplier scale = EntryFor(params.scale, c);
  return static_cast<std::int64_t>(RoundShift(value * scale.m, scale.shift, params.rounding) +
                                   EntryFor(params.zero, c));
}

template <typename Params>
void Normalized(const Params& params, std::span<const std::int32_t> x, Inner& inner,
                std::span<std::int64_t> out) {
  Numbers d = Shifted(params, x);
  Centre(d, RoundRule::kHalfEven, true, inner);
  std::int64_t root = 0;
  Int128 numerator = kIbertNumerator;
  if constexpr (std::is_same_v<Params, IvitLayernormParams>) {
    root = NewtonRootOf(d, params.eps, inner);
    numerator = kIvitNumerator;
  } else {
    root = RootOf(d, params.std_shift, params.eps, inner);
  }
  const int halving = inner.Does(Site::kHalved, true) ? 1 : 0;
  for (std::size_t c = 0; c < d.size(); ++c)
    out[c] = Requantized(params,
                         inner.ByReciprocal(Site::kFactor, Site::kHalving, d[c], root, numerator,
                                            halving, RoundRule::kFloor) +
                             params.bias[c],
                         c);
}

void Normalized(const DeeployLayernormParams& params, std::span<const std::int32_t> x, Inner& inner,
                std::span<std::int64_t> out) {
  Numbers d = Shifted(params, x);
  Centre(d, RoundRule::kTowardZero, true, inner);
  const auto squares = static_cast<Int128>(SumOfSquares(d, 0, params.eps, inner));
  const Int128 variance =
      inner.Divide(Site::kVariance, squares, inner.Number(Site::kVarianceCount, std::ssize(d)),
                   RoundRule::kFloor);
  const std::int64_t one = inner.Does(Site::kPlusOne, true) ? 1 : 0;
  const std::int64_t root =
      std::max<std::int64_t>(inner.Root(static_cast<UInt128>(variance + one)), 1);
  for (std::size_t c = 0; c < d.size(); ++c) {
    const Int128 scaled = inner.Divide(Site::kQuotient, Int128{d[c]} * params.weight[c], root,
                                       RoundRule::kTowardZero);
    const auto y = static_cast<std::int64_t>(
        inner.Shift(Site::kLast, scaled + params.bias[c], params.log2d, RoundRule::kFloor));
    out[c] = params.wrap ? static_cast<std::int8_t>(y) : y;
  }
}

}  // namespace

void LayernormRow(const LayernormParams& params, std::span<const std::int32_t> x, Inner& inner,
                  std::span<std::int64_t> out) {
  std::visit([&](const auto& p) { Normalized(p, x, inner, out); }, params);
}

void RmsnormRow(const RmsnormParams& params, std::span<const std::int32_t> x,
                std::span<const std::int32_t> gate, Inner& inner, std::span<std::int64_t> out) {
  Numbers d = Shifted(params, x);
  Centre(d, RoundRule::kHalfEven, false, inner);
  const std::int64_t root = RootOf(d, params.rms_shift, params.eps, inner);
  const int halving = inner.Does(Site::kHalved, true) ? 1 : 0;
  const bool gated = !gate.empty() && inner.Does(Site::kGate, true);
  for (std::size_t c = 0; c < d.size(); ++c) {
    const Int128 norm = inner.ByReciprocal(Site::kFactor, Site::kHalving, d[c], root,
                                           kIbertNumerator, halving, RoundRule::kFloor);
    const std::int64_t g = gated ? std::int64_t{gate[c]} - params.gate_zero : 1;
    out[c] = Requantized(params, norm * g, c);
  }
}

}  // namespace qsim::explain
