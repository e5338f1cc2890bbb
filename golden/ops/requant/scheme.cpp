#include "golden/ops/requant/scheme.h"

#include <limits>

#include "golden/ops/requant/cmsisnn.h"
#include "golden/ops/requant/deeploy.h"
#include "golden/ops/requant/ibert.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/requant/tosa.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

constexpr std::int32_t kMaxM = std::numeric_limits<std::int32_t>::max();

std::int64_t RoundShiftScaled(Rounding rounding, std::int64_t v, Multiplier scale,
                              std::int64_t addend) {
  std::int64_t sum = 0;
  const bool overflow = __builtin_mul_overflow(v, std::int64_t{scale.m}, &sum) ||
                        __builtin_add_overflow(sum, addend, &sum);
  Require(!overflow, "Requantize: x * M + addend leaves 64 bits");
  return RoundShift(sum, scale.shift, rounding);
}

}  // namespace

RequantLimits LimitsOf(RequantScheme scheme) {
  switch (scheme) {
    case RequantScheme::kRoundShift:
      return {-kMaxM, kMaxM, 0, 62, AddendUse::kBeforeShift};
    case RequantScheme::kTfliteDouble:
    case RequantScheme::kTfliteSingle:
      return {0, kMaxM, 1, 62, AddendUse::kNone};
    case RequantScheme::kTosaScale32:
    case RequantScheme::kTosaScale32Double:
      return {0, kMaxM, 2, 62, AddendUse::kNone};
    case RequantScheme::kTosaScale16:
      return {0, (1 << 15) - 1, 2, 62, AddendUse::kNone};
    case RequantScheme::kIta:
      return {0, 255, 0, 62, AddendUse::kAfterShift};
    case RequantScheme::kItaRtl:
      return {0, 255, 0, 31, AddendUse::kAfterShift};
    case RequantScheme::kRequantShift:
      return {-kMaxM, kMaxM, 0, 62, AddendUse::kBeforeShift};
    case RequantScheme::kIbertDyadic:
      return {-kMaxM, kMaxM, 0, 62, AddendUse::kNone};
    case RequantScheme::kCmsisnnS64:
      return {0, (1 << 15) - 1, 1, 62, AddendUse::kNone};
  }
  throw std::invalid_argument("Requantize: unknown scheme");
}

std::string_view FormulaOf(RequantScheme scheme) {
  switch (scheme) {
    case RequantScheme::kRoundShift:
    case RequantScheme::kRequantShift:
      return "rounding(((x - input_zero) multiplier + addend) / 2^shift)";
    case RequantScheme::kTfliteDouble:
    case RequantScheme::kTosaScale32Double:
      return "half_away(half_up((x - input_zero) multiplier / 2^min(shift, 31)) / "
             "2^max(shift - 31, 0))";
    case RequantScheme::kTfliteSingle:
    case RequantScheme::kTosaScale32:
    case RequantScheme::kTosaScale16:
    case RequantScheme::kCmsisnnS64:
      return "half_up((x - input_zero) multiplier / 2^shift)";
    case RequantScheme::kIta:
      return "addend + floor((x - input_zero) multiplier / 2^shift + 1/2 + 2^-23)";
    case RequantScheme::kItaRtl:
      return "addend + half_up((x - input_zero) multiplier / 2^shift)";
    case RequantScheme::kIbertDyadic:
      return "half_even((x - input_zero) multiplier / 2^shift)";
  }
  throw std::invalid_argument("Requantize: unknown scheme");
}

void CheckRequantScheme(RequantScheme scheme, Rounding rounding, Multiplier scale,
                        std::int64_t addend) {
  const RequantLimits limits = LimitsOf(scheme);
  Require(scale.m >= limits.min_multiplier && scale.m <= limits.max_multiplier,
          "Requantize: the multiplier is outside the scheme's range");
  Require(scale.shift >= limits.min_shift && scale.shift <= limits.max_shift,
          "Requantize: the shift is outside the scheme's range");
  const std::int64_t highest = limits.addend == AddendUse::kNone          ? 0
                               : limits.addend == AddendUse::kBeforeShift ? std::int64_t{1} << 61
                                                                          : std::int64_t{1} << 16;
  Require(addend >= -highest && addend <= highest,
          "Requantize: the addend is outside the scheme's range");
  Require(scheme != RequantScheme::kRequantShift || rounding == Rounding::kHalfUp ||
              rounding == Rounding::kFloor,
          "Requantize: requant_shift rounds half_up or floor");
}

Rounding EquivalentRounding(RequantScheme scheme, Rounding rounding) {
  switch (scheme) {
    case RequantScheme::kRoundShift:
    case RequantScheme::kRequantShift:
      return rounding;
    case RequantScheme::kIbertDyadic:
      return Rounding::kHalfEven;
    default:
      return Rounding::kHalfUp;
  }
}

bool HasEquivalentRounding(RequantScheme scheme, int shift) {
  switch (scheme) {
    case RequantScheme::kTfliteDouble:
    case RequantScheme::kTosaScale32Double:
      return shift <= 31;
    case RequantScheme::kIta:
      return shift <= 22;
    default:
      return true;
  }
}

std::int64_t RequantizeScaled(RequantScheme scheme, Rounding rounding, std::int64_t v,
                              Multiplier scale, std::int64_t addend) {
  const auto [m, shift] = scale;
  switch (scheme) {
    case RequantScheme::kRoundShift:
      return RoundShiftScaled(rounding, v, scale, addend);
    case RequantScheme::kTfliteDouble:
      return TfliteDoubleRounding(v, m, 31 - shift);
    case RequantScheme::kTfliteSingle:
      return TfliteSingleRounding(v, m, 31 - shift);
    case RequantScheme::kTosaScale32:
      return TosaScale32(v, m, shift, /*double_round=*/false);
    case RequantScheme::kTosaScale32Double:
      return TosaScale32(v, m, shift, /*double_round=*/true);
    case RequantScheme::kTosaScale16:
      return TosaScale16(v, m, shift);
    case RequantScheme::kIta:
      return static_cast<std::int64_t>(ItaRequantize(v, m, shift)) + addend;
    case RequantScheme::kItaRtl:
      return ItaRtlRequantize(v, m, shift) + addend;
    case RequantScheme::kRequantShift:
      return RequantShift(v, m, addend, shift, rounding == Rounding::kHalfUp);
    case RequantScheme::kIbertDyadic:
      return static_cast<std::int64_t>(DyadicScale(v, {m, shift}));
    case RequantScheme::kCmsisnnS64:
      return CmsisnnRequantizeS64(v, m, 15 - shift);
  }
  throw std::invalid_argument("Requantize: unknown scheme");
}

}  // namespace qsim::golden
