// ProgramBuilder::Layernorm: the constants of each layer norm. docs/numerics.md section 6.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "sim/calibrate/lower/program_builder.h"
#include "sim/error.h"

namespace qsim {
namespace {

// Of rq_layernorm: enough fraction bits that its two truncations cost nothing beside the output's
// rounding, few enough that a weight stays within 31 bits.
constexpr int kMostFractionBits = 20;
constexpr double kMaxDeeployWeight = 1073741824.0;  // 2^30

double LargestMagnitude(const std::vector<float>& values) {
  double largest = 0;
  for (const float v : values) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  return largest;
}

}  // namespace

// I-BERT's y has the real scale sqrt(C) / 2^30 * gamma. A (nearly) dead gamma is raised until the
// bias, counted in that scale, fits.
std::vector<double> ProgramBuilder::EffectiveGamma(const std::string& name, const Norm& norm,
                                                   double unit) {
  const double largest = LargestMagnitude(norm.gamma);
  std::vector<double> gammas;
  for (std::size_t c = 0; c < norm.gamma.size(); ++c) {
    const double gamma = static_cast<double>(norm.gamma[c]);
    const double beta = std::fabs(static_cast<double>(norm.beta[c]));
    const double least =
        std::max({beta / (unit * std::ldexp(1.0, 40)), std::ldexp(largest, -20), kMinScale});
    if (std::fabs(gamma) < least) {
      Note(LoweringNote::Kind::kRaisedScale, name,
           fmt::format(
               "channel {}: gamma {:.3g} raised to {:.3g}, so that its bias fits (a nearly dead "
               "channel)",
               c, gamma, least));
    }
    gammas.push_back(std::copysign(std::max(std::fabs(gamma), least), gamma));
  }
  return gammas;
}

// ibert and ivit: the root of the sum of squares, one multiplier per channel.
void ProgramBuilder::RootOfSumLayernorm(const Norm& norm, const Section& section,
                                        const std::vector<RealRange>& range,
                                        const Activation& input, Activation& out, LayernormOp& op) {
  const std::size_t channels = norm.gamma.size();
  const double unit = std::ldexp(std::sqrt(static_cast<double>(channels)), -30);
  const std::vector<double> gamma = EffectiveGamma(out.name, norm, unit);
  for (std::size_t c = 0; c < channels; ++c) {
    double scale = QuantizationOf(range[c], out.range, section.has_zero_point).scale;
    // gamma is given, so a power-of-two ratio leaves the output scale as the only choice; it is
    // absorbed into the next layer's weights like any channel_wise scale.
    if (power_of_two()) scale = SnapUp(scale, unit * std::fabs(gamma[c]));
    out.scale.push_back(scale);
    out.zero.push_back(ZeroPointFor(range[c], scale, out.range, section.has_zero_point));
    op.bias.push_back(
        static_cast<std::int64_t>(std::floor(static_cast<double>(norm.beta[c]) / gamma[c] / unit)));
    op.scale.push_back(MakeMultiplier(unit * gamma[c] / scale, out.name, c));
  }
  if (power_of_two() && section.calibration_mode == CalibrationMode::kLayerWise) {
    Note(LoweringNote::Kind::kInfo, out.name,
         "requant: power_of_two makes the output scale per channel (gamma times a power of two), "
         "absorbed "
         "into the next layer's weights");
  }
  op.zero = Compressed(out.zero);
  op.rounding = numerics_.requantize.rounding;
  const double smallest = *std::min_element(input.scale.begin(), input.scale.end());
  int widest = 0;
  for (const double s : input.scale) {
    op.input_shift.push_back(std::ilogb(s / smallest));
    widest = std::max(widest, op.input_shift.back());
  }
  if (widest == 0) op.input_shift.clear();
  // sum((d >> k)^2) must fit 62 bits; d is a bit wider than the input, and another for the zero
  // point.
  const int d_bits = BitsFor({input.range.qmin, input.range.qmax}) + 2 + widest;
  const int count_bits = std::ilogb(static_cast<double>(channels)) + 1;
  op.std_shift = std::max(0, (2 * d_bits + count_bits - 62 + 1) / 2);
  if (op.kind == LayernormKind::kIvit && op.std_shift > 0) {
    throw InputError(
        fmt::format("{}: {}: layernorm ivit has no shift for sums of squares beyond 62 "
                    "bits; use a layer_wise residual stream, or layernorm ibert",
                    section.origin, out.name));
  }
}

// rq_layernorm: gamma and beta counted in output steps, with log2d fraction bits; half a step in
// the bias turns its last floor into a rounding.
void ProgramBuilder::DeeployLayernorm(const Norm& norm, const Section& section,
                                      const std::vector<RealRange>& range, const Activation& input,
                                      Activation& out, LayernormOp& op) {
  if (std::adjacent_find(input.scale.begin(), input.scale.end(), std::not_equal_to()) !=
      input.scale.end()) {
    throw InputError(
        fmt::format("{}: {}: layernorm rq_layernorm needs one scale for its input; "
                    "make the residual stream layer_wise, or use layernorm ibert",
                    section.origin, out.name));
  }
  double largest = 0;
  for (std::size_t c = 0; c < norm.gamma.size(); ++c) {
    const Quantization q = QuantizationOf(range[c], out.range, section.has_zero_point);
    out.scale.push_back(q.scale);
    out.zero.push_back(q.zero);
    largest = std::max({largest, std::fabs(static_cast<double>(norm.gamma[c])) / q.scale,
                        std::fabs(static_cast<double>(norm.beta[c])) / q.scale});
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

Activation ProgramBuilder::Layernorm(const std::string& name, const Norm& norm,
                                     const Section& section, const std::vector<RealRange>& ranges,
                                     const Activation& input, std::int64_t tokens) {
  WarnClippedNegatives(name, section, ranges);
  const std::vector<RealRange> range = Expanded(ranges, norm.gamma.size());
  Activation out;
  out.name = name;
  out.range = RangeOf(section);
  LayernormOp op;
  op.output = name;
  op.input = input.name;
  op.kind = numerics_.layernorm;
  op.input_zero = input.zero[0];
  if (op.kind == LayernormKind::kDeeploy) {
    DeeployLayernorm(norm, section, range, input, out, op);
  } else {
    RootOfSumLayernorm(norm, section, range, input, out, op);
  }
  DefineActivation(out, tokens);
  program().ops.emplace_back(std::move(op));
  return out;
}

}  // namespace qsim
