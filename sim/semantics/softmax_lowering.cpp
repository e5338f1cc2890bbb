#include "sim/semantics/softmax_lowering.h"

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim {
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
  SoftmaxParams params;
  params.kind = SoftmaxKind::kTflite;
  const double multiplier = std::min(std::ldexp(scale, 26), std::ldexp(1.0, 31) - 1);
  int exponent = 0;
  const double fraction = std::frexp(multiplier, &exponent);
  std::int64_t q31 = std::llround(std::ldexp(fraction, 31));
  if (q31 > INT32_MAX) {
    q31 /= 2;
    ++exponent;
  }
  params.tflite.beta_multiplier = static_cast<std::int32_t>(q31);
  params.tflite.beta_left_shift = exponent;
  params.tflite.diff_min = -static_cast<std::int32_t>(std::floor(std::ldexp(31.0, 26 - exponent)));
  return params;
}

ScoreChoice Shiftmax(std::int32_t k) {
  ScoreChoice choice{1.0 / k, {}};
  choice.params.kind = SoftmaxKind::kShiftmax;
  choice.params.shiftmax.x0 = -k;
  return choice;
}

ScoreChoice Ita(SoftmaxKind kind, int shift_bits) {
  ScoreChoice choice{std::ldexp(kLn2, -shift_bits), {}};
  choice.params.kind = kind;
  choice.params.ita.shift_bits = shift_bits;
  return choice;
}

// I-BERT's polynomial 0.35815147 (p + 1.353)^2 + 0.344, divided by its first coefficient.
ScoreChoice Isoftmax(std::int32_t k) {
  ScoreChoice choice{kLn2 / k, {}};
  choice.params.kind = SoftmaxKind::kDeeploy;
  IsoftmaxParams& isoftmax = choice.params.isoftmax;
  isoftmax.coeff_a = 1;
  isoftmax.coeff_b = static_cast<std::int32_t>(std::floor(1.353 / choice.scale));
  isoftmax.coeff_c =
      static_cast<std::int64_t>(std::floor(0.344 / 0.35815147 / (choice.scale * choice.scale)));
  isoftmax.log2 = k;
  return choice;
}

ScoreChoice Ibert(SoftmaxKind kind, std::int32_t k, int extra_bits) {
  return {kIbertLn2 / k, IbertSoftmaxParams(kind, k, extra_bits)};
}

}  // namespace

std::optional<ScoreChoice> ChooseScores(SoftmaxKind kind, double observed, int extra_bits) {
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

TensorScale SoftmaxOutputScale(const SoftmaxParams& params) {
  TensorScale scale;
  scale.zero = {0};
  switch (params.kind) {
    case SoftmaxKind::kIbert:
    case SoftmaxKind::kIbertRn:
      scale.scale = {std::ldexp(1.0, -(8 + params.extra_bits))};
      break;
    case SoftmaxKind::kLogInt:
      scale.kind = TensorScale::Kind::kLog2;
      scale.scale = {1.0};
      break;
    case SoftmaxKind::kShiftmax:
      scale.scale = {std::ldexp(1.0, 1 - params.shiftmax.output_bits)};
      break;
    case SoftmaxKind::kIta:
    case SoftmaxKind::kItaStreaming:
      scale.scale = {1.0 / 255};
      scale.zero = {params.ita.output_offset};
      break;
    case SoftmaxKind::kTflite:
      scale.scale = {std::ldexp(1.0, -params.tflite.output_bits)};
      scale.zero = {SoftmaxOutputRange(params).qmin};
      break;
    case SoftmaxKind::kDeeploy:
      scale.scale = {1.0 / (params.isoftmax.levels - 1)};
      scale.zero = {params.isoftmax.output_offset};
      break;
  }
  return scale;
}

SoftmaxParams IbertSoftmaxParams(SoftmaxKind kind, std::int32_t k, int extra_bits) {
  // I-BERT: exp(p) = 0.35815147 p^2 + 0.96963238 p + 1 on (-ln 2, 0], normalised by the first
  // coefficient.
  constexpr double kLinear = 0.96963238 / 0.35815147;
  constexpr double kConstant = 1.0 / 0.35815147;
  const double scale = kIbertLn2 / k;
  SoftmaxParams params;
  params.kind = kind;
  params.exp.x0 = -k;
  params.exp.b = static_cast<std::int64_t>(std::floor(kLinear / scale));
  params.exp.c = static_cast<std::int64_t>(std::floor(kConstant / (scale * scale)));
  params.extra_bits = extra_bits;
  if (kind == SoftmaxKind::kLogInt) return params;
  // exp(0) = c 2^n becomes 32767: M / 2^shift = 32767 / (c 2^n) with 31 bits.
  const double ratio = std::ldexp(32767.0 / static_cast<double>(params.exp.c), -params.exp.n);
  int exponent = 0;
  std::frexp(ratio, &exponent);
  params.act16_shift = 31 - exponent;
  params.act16_multiplier = std::llrint(std::ldexp(ratio, params.act16_shift));
  if (params.act16_multiplier > INT32_MAX) {
    --params.act16_shift;
    params.act16_multiplier = std::llrint(std::ldexp(ratio, params.act16_shift));
  }
  return params;
}

}  // namespace qsim
