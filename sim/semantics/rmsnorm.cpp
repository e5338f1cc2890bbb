#include "sim/semantics/rmsnorm.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "golden/ops/gemm.h"
#include "sim/semantics/layernorm_lowering.h"
#include "sim/semantics/multiplier.h"

namespace qsim::semantics {

namespace {

// How far a tensor is shifted to be as wide as one of 16 bits.
int SpareBits(QuantRange range) {
  constexpr int kBits = 16, kMostShift = 8;
  return std::clamp(kBits - BitsFor({range.qmin, range.qmax}), 0, kMostShift);
}

}  // namespace

FloatTensor ExactRmsnorm(const network::Norm& norm, const FloatTensor& x, const FloatTensor* gate,
                         std::int64_t groups) {
  FloatTensor out = x;
  const std::size_t channels = norm.gamma.size() / static_cast<std::size_t>(groups);
  for (std::size_t begin = 0; begin < x.data.size(); begin += channels) {
    double squares = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double value = static_cast<double>(x.data[begin + c]);
      squares += value * value;
    }
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(channels) + norm.eps);
    for (std::size_t c = 0; c < channels; ++c) {
      const double y = static_cast<double>(x.data[begin + c]) * inverse *
                       static_cast<double>(norm.gamma[(begin + c) % norm.gamma.size()]);
      const double g = gate == nullptr ? 1 : static_cast<double>(gate->data[begin + c]);
      out.data[begin + c] = static_cast<float>(y * g);
    }
  }
  return out;
}

RmsnormOp DeriveRmsnorm(const network::LayerNorm& layer, const Numerics& numerics,
                        const Hardware& hardware, const Activation& input, const Activation* gate,
                        const Activation& out) {
  const network::Norm& norm = layer.norm;
  RmsnormOp op;
  if (layer.groups > 1) op.groups = layer.groups;
  op.output = out.name;
  op.input = input.name;
  RmsnormParams& p = op.params;
  p.input_zero = input.zero[0];
  p.rounding = numerics.requantize.rounding;
  if (gate != nullptr) {
    op.gate = gate->name;
    p.gate_zero = gate->zero[0];
  }
  const std::size_t channels = norm.gamma.size();
  const std::size_t width = channels / static_cast<std::size_t>(layer.groups);
  const double unit = LayernormUnit(width);
  const std::vector<double> gamma = EffectiveGamma(norm);
  for (std::size_t c = 0; c < channels; ++c) {
    const double of_gate = gate == nullptr ? 1 : gate->scale[c];
    p.scale.push_back(HardwareMultiplier(unit * gamma[c] * of_gate / out.scale[c], hardware,
                                         fmt::format("{}, channel {}", out.name, c),
                                         {.bits = hardware.multiplier_bits}));
  }
  p.zero = Compressed(out.zero);
  p.input_shift = ShiftsToSmallest(input.scale);
  // The root is a whole number, so that few bits of input would leave few of it.
  Activation shifted = input;
  const int spare = SpareBits(input.range);
  if (p.input_shift.empty() && spare > 0) {
    p.input_shift.assign(channels, spare);
    for (double& s : shifted.scale) s = std::ldexp(s, -spare);
  }
  // The zero point may cost the input one bit.
  p.rms_shift =
      ShiftOfSquares(BitsFor({input.range.qmin, input.range.qmax}) + 1, p.input_shift, width);
  p.eps = EpsOfSquares(norm.eps, width, numerics.layernorm_eps, shifted, p.rms_shift, out.name);
  return op;
}

}  // namespace qsim::semantics
