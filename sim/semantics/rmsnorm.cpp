#include "sim/semantics/rmsnorm.h"

#include <algorithm>
#include <cmath>

#include "golden/ops/gemm.h"
#include "sim/semantics/multiplier.h"

namespace qsim {

FloatTensor ExactRmsnorm(const network::Norm& norm, const FloatTensor& x, const FloatTensor* gate) {
  FloatTensor out = x;
  const std::size_t channels = norm.gamma.size();
  for (std::size_t begin = 0; begin < x.data.size(); begin += channels) {
    double squares = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double value = static_cast<double>(x.data[begin + c]);
      squares += value * value;
    }
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(channels) + norm.eps);
    for (std::size_t c = 0; c < channels; ++c) {
      const double y =
          static_cast<double>(x.data[begin + c]) * inverse * static_cast<double>(norm.gamma[c]);
      const double g = gate == nullptr ? 1 : static_cast<double>(gate->data[begin + c]);
      out.data[begin + c] = static_cast<float>(y * g);
    }
  }
  return out;
}

RmsnormOp DeriveRmsnorm(const network::Norm& norm, const GridOfTensor& input,
                        const GridOfTensor* gate, const GridOfTensor& output, Rounding rounding,
                        int multiplier_bits) {
  RmsnormOp op;
  op.output = output.info.name;
  op.input = input.info.name;
  RmsnormParams& p = op.params;
  p.input_zero = input.scale.At(0).zero;
  p.rounding = rounding;
  if (gate != nullptr) {
    op.gate = gate->info.name;
    p.gate_zero = gate->scale.At(0).zero;
  }
  const std::size_t channels = norm.gamma.size();
  const double unit = std::ldexp(std::sqrt(static_cast<double>(channels)), -30);
  const std::vector<double>& scales = input.scale.scale;
  const double smallest = *std::min_element(scales.begin(), scales.end());
  int widest = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const Quantization out = output.scale.At(c);
    const double of_gate = gate == nullptr ? 1 : gate->scale.At(c).scale;
    p.scale.push_back(MultiplierFor(unit * static_cast<double>(norm.gamma[c]) * of_gate / out.scale,
                                    multiplier_bits, op.output + " channel " + std::to_string(c)));
    p.zero.push_back(out.zero);
    p.input_shift.push_back(std::ilogb(input.scale.At(c).scale / smallest));
    widest = std::max(widest, p.input_shift.back());
  }
  if (widest == 0) p.input_shift.clear();
  // sum((x' >> k)^2) within 62 bits; the zero point may cost the input one.
  const int bits = BitsFor({input.info.range.qmin, input.info.range.qmax}) + 1 + widest;
  const int count_bits = std::ilogb(static_cast<double>(channels)) + 1;
  p.rms_shift = std::max(0, (2 * bits + count_bits - 62 + 1) / 2);
  return op;
}

}  // namespace qsim
