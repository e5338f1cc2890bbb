#include "sim/semantics/softmax_lowering.h"

#include <algorithm>
#include <cmath>

#include "sim/error.h"
#include "sim/statistics/elementary.h"

namespace qsim::semantics {
namespace {

constexpr double kIbertLn2 = 0.6931;  // as published, not the exact logarithm
constexpr double kLn2 = 0.693147180559945309417;
constexpr int kMostShiftBits = 16;

// k of a scale unit / k: the largest in 1..most with unit / k >= observed; 0 where there is none.
std::int32_t Steps(double unit, double observed, std::int32_t most) {
  const double k = std::floor(unit / observed);
  return k < 1 ? 0 : static_cast<std::int32_t>(std::min(k, static_cast<double>(most)));
}

// TensorFlow Lite's QuantizeMultiplierGreaterThanOne for beta = 1 and CalculateInputRadius.
SoftmaxParams TfliteParams(double scale) {
  TfliteSoftmaxParams params;
  const double multiplier = std::min(std::ldexp(scale, 26), std::ldexp(1.0, 31) - 1);
  int exponent = 0;
  const double fraction = std::frexp(multiplier, &exponent);
  std::int64_t q31 = std::llround(std::ldexp(fraction, 31));
  if (q31 > INT32_MAX) {
    q31 /= 2;
    ++exponent;
  }
  params.beta_multiplier = static_cast<std::int32_t>(q31);
  params.beta_left_shift = exponent;
  params.diff_min = -static_cast<std::int32_t>(std::floor(std::ldexp(31.0, 26 - exponent)));
  return params;
}

// round(2^15 exp(-step k)) for k = 0, 1, ...
std::vector<std::int32_t> ExpTable(double step, std::int64_t entries) {
  std::vector<std::int32_t> table;
  for (std::int64_t k = 0; k < entries; ++k)
    table.push_back(static_cast<std::int32_t>(
        std::nearbyint(kTableExpOne * Exp(-step * static_cast<double>(k)))));
  return table;
}

ScoreChoice Table(double scale, int extra_bits, QuantRange scores) {
  constexpr std::int64_t kEntries = 256;
  TableSoftmaxParams params{extra_bits, ExpTable(scale, kEntries)};
  const std::int64_t differences = std::int64_t{scores.qmax} - scores.qmin + 1;
  if (differences > kEntries)
    params.exp_high = ExpTable(scale * kEntries, (differences + kEntries - 1) / kEntries);
  return {scale, params};
}

ScoreChoice Shiftmax(std::int32_t k) { return {1.0 / k, ShiftmaxParams{.x0 = -k}}; }

ScoreChoice Ita(SoftmaxKind kind, int shift_bits) {
  const double scale = std::ldexp(kLn2, -shift_bits);
  if (kind == SoftmaxKind::kIta) return {scale, ItaSoftmaxParams{.shift_bits = shift_bits}};
  return {scale, ItaStreamingSoftmaxParams{.shift_bits = shift_bits}};
}

// I-BERT's polynomial 0.35815147 (p + 1.353)^2 + 0.344, divided by its first coefficient.
ScoreChoice Isoftmax(std::int32_t k) {
  const double scale = kLn2 / k;
  IsoftmaxParams params;
  params.coeff_a = 1;
  params.coeff_b = static_cast<std::int32_t>(std::floor(1.353 / scale));
  params.coeff_c = static_cast<std::int64_t>(std::floor(0.344 / 0.35815147 / (scale * scale)));
  params.log2 = k;
  return {scale, params};
}

ScoreChoice Ibert(SoftmaxKind kind, std::int32_t k, int extra_bits) {
  return {kIbertLn2 / k, IbertConstants(kind, k, extra_bits)};
}

}  // namespace

std::optional<ScoreChoice> ChooseScores(SoftmaxKind kind, double observed, int extra_bits,
                                        QuantRange scores) {
  std::int32_t k = 0;
  switch (kind) {
    case SoftmaxKind::kIbert:
    case SoftmaxKind::kIbertRn:
    case SoftmaxKind::kLogInt:
      k = Steps(kIbertLn2, observed, kMaxSoftmaxK);
      if (k == 0) return std::nullopt;
      return Ibert(kind, k, extra_bits);
    case SoftmaxKind::kShiftmax:
      // |x0| 2^15 must stay below 2^31, so that the output is 0..127.
      k = Steps(1.0, observed, 65535);
      if (k == 0) return std::nullopt;
      return Shiftmax(k);
    case SoftmaxKind::kIta:
    case SoftmaxKind::kItaStreaming: {
      k = Steps(kLn2, observed, 1 << kMostShiftBits);
      if (k == 0) return std::nullopt;
      return Ita(kind, std::ilogb(k));
    }
    case SoftmaxKind::kDeeploy:
      k = Steps(kLn2, observed, kMaxSoftmaxK);
      if (k == 0) return std::nullopt;
      return Isoftmax(k);
    case SoftmaxKind::kTflite:
      return ScoreChoice{observed, TfliteParams(observed)};
    case SoftmaxKind::kTable:
      return Table(observed, extra_bits, scores);
  }
  throw InternalError("softmax of an unknown kind");
}

ScoreChoice CoarsestScores(SoftmaxKind kind, int extra_bits) {
  switch (kind) {
    case SoftmaxKind::kShiftmax:
      return Shiftmax(1);
    case SoftmaxKind::kIta:
    case SoftmaxKind::kItaStreaming:
      return Ita(kind, 0);
    case SoftmaxKind::kDeeploy:
      return Isoftmax(1);
    default:
      return Ibert(kind, 1, extra_bits);
  }
}

namespace {

TensorScale Linear(double scale, std::int32_t zero) {
  TensorScale linear;
  linear.scale = {scale};
  linear.zero = {zero};
  return linear;
}

struct OutputScales {
  TensorScale operator()(const IbertSoftmaxParams&) const { return Linear(std::ldexp(1.0, -8), 0); }
  TensorScale operator()(const IbertRnSoftmaxParams& p) const {
    return Linear(std::ldexp(1.0, -(8 + p.extra_bits)), 0);
  }
  TensorScale operator()(const LogIntSoftmaxParams&) const {
    TensorScale scale = Linear(1.0, 0);
    scale.kind = TensorScale::Kind::kLog2;
    return scale;
  }
  TensorScale operator()(const ShiftmaxParams& p) const {
    return Linear(std::ldexp(1.0, 1 - p.output_bits), 0);
  }
  TensorScale operator()(const ItaSoftmaxParams& p) const {
    return Linear(1.0 / 255, p.output_offset);
  }
  TensorScale operator()(const ItaStreamingSoftmaxParams& p) const {
    return Linear(1.0 / 255, p.output_offset);
  }
  TensorScale operator()(const TfliteSoftmaxParams& p) const {
    return Linear(std::ldexp(1.0, -p.output_bits), TfliteSoftmaxRange(p).qmin);
  }
  TensorScale operator()(const IsoftmaxParams& p) const {
    return Linear(1.0 / (p.levels - 1), p.output_offset);
  }
  TensorScale operator()(const TableSoftmaxParams& p) const {
    return Linear(std::ldexp(1.0, -(8 + p.extra_bits)), 0);
  }
};

}  // namespace

bool TakesAnyScale(SoftmaxKind kind) {
  return kind == SoftmaxKind::kTflite || kind == SoftmaxKind::kTable;
}

ScoreChoice ScoresOf(SoftmaxKind kind, double stated, int extra_bits, QuantRange scores) {
  // A scale is unit / k; a hair less keeps k whichever way the division rounds.
  const double scale = TakesAnyScale(kind) ? stated : stated * (1 - 1e-9);
  return ChooseScores(kind, scale, extra_bits, scores).value_or(CoarsestScores(kind, extra_bits));
}

bool HasExtraBits(SoftmaxKind kind) {
  return kind == SoftmaxKind::kIbertRn || kind == SoftmaxKind::kTable;
}

int ExtraBits(SoftmaxKind kind, double output_scale) {
  return HasExtraBits(kind) ? -8 - std::ilogb(output_scale) : 0;
}

TensorScale SoftmaxOutputScale(const SoftmaxParams& params, SoftmaxDivision division) {
  if (division == SoftmaxDivision::kAfter && KindOf(params) != SoftmaxKind::kLogInt)
    return Linear(1.0 / 255, 0);
  return std::visit(OutputScales{}, params);
}

SoftmaxParams IbertConstants(SoftmaxKind kind, std::int32_t k, int extra_bits) {
  // I-BERT: exp(p) = 0.35815147 p^2 + 0.96963238 p + 1 on (-ln 2, 0], normalised by the first
  // coefficient.
  constexpr double kLinear = 0.96963238 / 0.35815147;
  constexpr double kConstant = 1.0 / 0.35815147;
  const double scale = kIbertLn2 / k;
  IbertExp exp;
  exp.x0 = -k;
  exp.b = static_cast<std::int64_t>(std::floor(kLinear / scale));
  exp.c = static_cast<std::int64_t>(std::floor(kConstant / (scale * scale)));
  if (kind == SoftmaxKind::kLogInt) return LogIntSoftmaxParams{.exp = exp};
  // exp(0) = c 2^n becomes 32767: M / 2^shift = 32767 / (c 2^n) with 31 bits.
  const double ratio = std::ldexp(32767.0 / static_cast<double>(exp.c), -exp.n);
  int exponent = 0;
  std::frexp(ratio, &exponent);
  int shift = 31 - exponent;
  std::int64_t multiplier = std::llrint(std::ldexp(ratio, shift));
  if (multiplier > INT32_MAX) {
    --shift;
    multiplier = std::llrint(std::ldexp(ratio, shift));
  }
  if (kind == SoftmaxKind::kIbert) return IbertSoftmaxParams{exp, multiplier, shift};
  return IbertRnSoftmaxParams{exp, multiplier, shift, extra_bits};
}

}  // namespace qsim::semantics
