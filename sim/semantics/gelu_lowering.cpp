#include "sim/semantics/gelu_lowering.h"

#include <algorithm>
#include <cmath>

#include "sim/error.h"
#include "sim/statistics/elementary.h"

namespace qsim::semantics {
namespace {

// erf(t) ~ sign(t) (a (min(|t|, -b) + b)^2 + 1), I-BERT.
constexpr double kA = -0.2888;
constexpr double kB = -1.769;

std::int64_t Floor(double v) { return static_cast<std::int64_t>(std::floor(v)); }

double Set(double s, GeluIbertParams& params) {
  const double t = s / 1.4142;
  params.b = Floor(kB / t);
  params.c = Floor(1.0 / kA / (t * t));
  // Published with n = 14 for wide inputs; an 8-bit input's polynomial has no 14 bits to drop.
  params.n = std::clamp(std::ilogb(static_cast<double>(-params.c)) - 13, 0, 14);
  params.shift_int = Floor(1.0 / (kA * t * t * std::ldexp(1.0, params.n)));
  // y = x (erf_int + shift): erf_int's real scale is that of t^2 a, times 2^n; y carries x's scale
  // and the 1/2.
  return s * (kA * t * t * std::ldexp(1.0, params.n)) / 2;
}

double Set(double s, GeluItaParams& params) {
  const double t = s / std::sqrt(2.0);
  params.q_b = Floor(kB / t);
  params.q_c = Floor(1.0 / (kA * t * t));
  params.q_1 = params.q_c;
  return s * (kA * t * t) / 2;
}

// one stands for the 1 of 1 + erf, which is halved inside.
double Set(double s, GeluDeeployParams& params) {
  const double t = s / std::sqrt(2.0);
  params.b = Floor(kB / t);
  params.one = Floor(-1.0 / (kA * t * t));
  return s / static_cast<double>(params.one);
}

double Set(double s, ShiftGeluParams& params) {
  params.x0 = static_cast<std::int32_t>(
      std::max(std::floor(-1.0 / (1.702 * s)), -static_cast<double>(kMaxShiftGeluX0)));
  return std::ldexp(s, 1 - params.output_bits);
}

double Set(double, GeluTableParams&) { throw InternalError("a GELU table has no constants"); }

}  // namespace

std::vector<std::int32_t> TableOf(const std::function<double(double)>& function, Quantization in,
                                  QuantRange in_range, Quantization out, QuantRange out_range,
                                  int step_bits) {
  const std::int32_t step = 1 << step_bits;
  const std::int32_t last = in_range.qmax + (step_bits == 0 ? 0 : step);
  std::vector<std::int32_t> table;
  for (std::int32_t q = in_range.qmin; q <= last; q += step)
    table.push_back(Quantize(function(in.scale * (q - in.zero)), out, out_range));
  return table;
}

double FinestGeluInput(GeluKind kind) {
  // |b| of the polynomial is at most kMaxGeluB.
  const bool polynomial = kind == GeluKind::kIbert || kind == GeluKind::kDeeploy;
  return polynomial ? 1.415 * -kB / static_cast<double>(kMaxGeluB - 1) : 0;
}

double SetGeluConstants(double s, GeluParams& params) {
  return std::visit([s](auto& p) { return Set(s, p); }, params);
}

double GeluUnit(GeluKind kind, double s) {
  if (kind == GeluKind::kTable) return 1;
  auto params = Alternative<GeluParams>(static_cast<std::size_t>(kind));
  return std::fabs(SetGeluConstants(s, params));
}

}  // namespace qsim::semantics
