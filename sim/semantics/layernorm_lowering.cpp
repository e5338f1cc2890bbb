#include "sim/semantics/layernorm_lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "sim/error.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/quantization.h"

namespace qsim::semantics {
namespace {

// Of rq_layernorm: enough fraction bits that its two truncations cost nothing beside the output's
// rounding, few enough that a weight stays within 31 bits.
constexpr int kMostFractionBits = 20;
constexpr double kMaxDeeployWeight = 1073741824.0;  // 2^30

// ibert and ivit: the root of the sum of squares, one multiplier per channel.
void RootOfSum(const network::Norm& norm, const Numerics& numerics, const Hardware& hardware,
               const Activation& input, const Activation& out, const std::string& origin,
               IbertLayernormParams& op) {
  const std::size_t channels = norm.gamma.size();
  const double unit = LayernormUnit(channels);
  const std::vector<double> gamma = EffectiveGamma(norm);
  for (std::size_t c = 0; c < channels; ++c) {
    op.bias.push_back(
        static_cast<std::int64_t>(std::floor(static_cast<double>(norm.beta[c]) / gamma[c] / unit)));
    op.scale.push_back(HardwareMultiplier(unit * gamma[c] / out.scale[c], hardware,
                                          fmt::format("{}, channel {}", out.name, c),
                                          {.bits = hardware.multiplier_bits}));
  }
  op.zero = Compressed(out.zero);
  op.rounding = numerics.requantize.rounding;
  op.input_shift = ShiftsToSmallest(input.scale);
  // d is a bit wider than the input, and another for the zero point.
  const int d_bits = BitsFor({input.range.qmin, input.range.qmax}) + 2;
  op.std_shift = ShiftOfSquares(d_bits, op.input_shift, channels);
  if (numerics.layernorm == LayernormKind::kIvit && op.std_shift > 0) {
    throw InputError(
        fmt::format("{}: {}: layernorm ivit has no shift for sums of squares beyond 62 "
                    "bits; use a layer_wise residual stream, or layernorm ibert",
                    origin, out.name));
  }
  op.eps = EpsOfSquares(norm.eps, norm.gamma.size(), numerics.layernorm_eps, input, op.std_shift, out.name);
}

// rq_layernorm: gamma and beta counted in output steps, with log2d fraction bits; half a step in
// the bias turns its last floor into a rounding.
void Deeploy(const network::Norm& norm, const Activation& input, const Activation& out,
             const std::string& origin, DeeployLayernormParams& op) {
  if (std::adjacent_find(input.scale.begin(), input.scale.end(), std::not_equal_to()) !=
      input.scale.end()) {
    throw InputError(
        fmt::format("{}: {}: layernorm rq_layernorm needs one scale for its input; "
                    "make the residual stream layer_wise, or use layernorm ibert",
                    origin, out.name));
  }
  double largest = 0;
  for (std::size_t c = 0; c < norm.gamma.size(); ++c) {
    largest = std::max({largest, std::fabs(static_cast<double>(norm.gamma[c])) / out.scale[c],
                        std::fabs(static_cast<double>(norm.beta[c])) / out.scale[c]});
  }
  op.log2d = kMostFractionBits;
  while (op.log2d > 1 && std::ldexp(largest, op.log2d) > kMaxDeeployWeight) --op.log2d;
  const std::int64_t one = std::int64_t{1} << op.log2d;
  for (std::size_t c = 0; c < norm.gamma.size(); ++c) {
    const double step = std::ldexp(1 / out.scale[c], op.log2d);
    op.weight.push_back(
        static_cast<std::int32_t>(std::nearbyint(static_cast<double>(norm.gamma[c]) * step)));
    op.bias.push_back(std::llrint(static_cast<double>(norm.beta[c]) * step) + out.zero[c] * one +
                      one / 2);
  }
}

}  // namespace

double LayernormUnit(std::size_t channels) {
  return std::ldexp(std::sqrt(static_cast<double>(channels)), -30);
}

std::vector<std::int32_t> ShiftsToSmallest(const std::vector<double>& scales) {
  const double smallest = *std::min_element(scales.begin(), scales.end());
  std::vector<std::int32_t> shifts;
  for (const double s : scales) shifts.push_back(std::ilogb(s / smallest));
  if (*std::max_element(shifts.begin(), shifts.end()) == 0) shifts.clear();
  return shifts;
}

int ShiftOfSquares(int bits, const std::vector<std::int32_t>& shifts, std::size_t channels) {
  const int widest = bits + (shifts.empty() ? 0 : *std::max_element(shifts.begin(), shifts.end()));
  const int count_bits = std::ilogb(static_cast<double>(channels)) + 1;
  return std::max(0, (2 * widest + count_bits - 62 + 1) / 2);
}

std::int64_t EpsOfSquares(double eps, std::size_t channels, LayernormEps choice,
                          const Activation& input, int shift, const std::string& tensor) {
  if (choice == LayernormEps::kIgnore) return 0;
  const double step = *std::min_element(input.scale.begin(), input.scale.end());
  const double constant = std::nearbyint(
      std::ldexp(eps * static_cast<double>(channels) / (step * step), -2 * shift));
  // Exact: the limit is a power of two.
  if (!(constant <= static_cast<double>(kMaxNormEps >> 2 * shift))) {
    throw InputError(fmt::format(
        "{}: eps {} is {:.3g} squared steps of '{}': more than 2^62 over {} channels; "
        "give '{}' a larger scale, or set numerics.layernorm_eps: ignore",
        tensor, eps, eps / (step * step), input.name, channels, input.name));
  }
  return static_cast<std::int64_t>(constant);
}

std::vector<double> EffectiveGamma(const network::Norm& norm, std::vector<std::size_t>* raised) {
  const double unit = LayernormUnit(norm.gamma.size());
  double largest = 0;
  for (const float v : norm.gamma) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  std::vector<double> gammas;
  for (std::size_t c = 0; c < norm.gamma.size(); ++c) {
    const double gamma = static_cast<double>(norm.gamma[c]);
    const double beta = norm.beta.empty() ? 0 : std::fabs(static_cast<double>(norm.beta[c]));
    const double least =
        std::max({beta / (unit * std::ldexp(1.0, 40)), std::ldexp(largest, -20), kMinScale});
    if (raised != nullptr && std::fabs(gamma) < least) raised->push_back(c);
    gammas.push_back(std::copysign(std::max(std::fabs(gamma), least), gamma));
  }
  return gammas;
}

LayernormOp DeriveLayernorm(const network::Norm& norm, const Numerics& numerics,
                            const Hardware& hardware, const Activation& input,
                            const Activation& out, const std::string& origin) {
  LayernormOp op;
  op.output = out.name;
  op.input = input.name;
  if (numerics.layernorm == LayernormKind::kDeeploy) {
    DeeployLayernormParams params{.input_zero = input.zero[0]};
    Deeploy(norm, input, out, origin, params);
    params.eps = EpsOfSquares(norm.eps, norm.gamma.size(), numerics.layernorm_eps, input, 0, out.name);
    op.params = std::move(params);
    return op;
  }
  IbertLayernormParams params{.input_zero = input.zero[0]};
  RootOfSum(norm, numerics, hardware, input, out, origin, params);
  if (numerics.layernorm == LayernormKind::kIvit) {
    op.params = IvitLayernormParams{.input_zero = params.input_zero,
                                    .bias = params.bias,
                                    .input_shift = params.input_shift,
                                    .eps = params.eps,
                                    .scale = params.scale,
                                    .zero = params.zero,
                                    .rounding = params.rounding};
  } else {
    op.params = std::move(params);
  }
  return op;
}

}  // namespace qsim::semantics
