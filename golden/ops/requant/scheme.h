// Named requantizers: how a value times M / 2^S becomes an integer. docs/numerics.md section 4.5.
//
// One Multiplier{m, shift} serves every scheme: shift is S, the right shift of the whole product.
// Sources that count otherwise: TFLite and CMSIS-NN's shift s, where s > 0 is a left shift of the
// high half, is s = 31 - S; CMSIS-NN's s64, with its 16-bit multiplier, s = 15 - S. TOSA's shift,
// ITA's shift, Deeploy's log2D and I-BERT's e are S.
#pragma once

#include <cstdint>

#include "golden/ops/rounding.h"

namespace qsim::golden {

enum class RequantScheme : std::uint8_t {
  kRoundShift,         // one rounding, in the operation's mode: section 4.1
  kTfliteDouble,       // requant/tflite.h
  kTfliteSingle,       // requant/tflite.h
  kTosaScale32,        // requant/tosa.h, double_round = false
  kTosaScale32Double,  // requant/tosa.h, double_round = true
  kTosaScale16,        // requant/tosa.h
  kIta,                // requant/ita.h, the Python model
  kItaRtl,             // requant/ita.h, the hardware
  kRequantShift,       // requant/deeploy.h
  kIbertDyadic,        // requant/ibert.h
  kCmsisnnS64,         // requant/cmsisnn.h
};

constexpr auto NamesOf(RequantScheme /*enum*/) {
  return std::to_array<NamedValue<RequantScheme>>({
      {RequantScheme::kRoundShift, "round_shift"},
      {RequantScheme::kTfliteDouble, "tflite_double"},
      {RequantScheme::kTfliteSingle, "tflite_single"},
      {RequantScheme::kTosaScale32, "tosa_scale32"},
      {RequantScheme::kTosaScale32Double, "tosa_scale32_double"},
      {RequantScheme::kTosaScale16, "tosa_scale16"},
      {RequantScheme::kIta, "ita"},
      {RequantScheme::kItaRtl, "ita_rtl"},
      {RequantScheme::kRequantShift, "requant_shift"},
      {RequantScheme::kIbertDyadic, "ibert_dyadic"},
      {RequantScheme::kCmsisnnS64, "cmsisnn_s64"},
  });
}
inline constexpr auto kAllRequantSchemes = AllOf<RequantScheme>();

// M / 2^S, the integers that stand for a ratio of scales.
struct Multiplier {
  std::int32_t m = 1;  // |m| in 1 .. 2^31 - 1
  int shift = 0;       // 0..62
  bool operator==(const Multiplier&) const = default;
};

// What a scheme does with a channel's `addend`.
enum class AddendUse : std::uint8_t {
  kNone,         // it has none
  kBeforeShift,  // added to v * m; |addend| <= 2^61
  kAfterShift,   // added to the rounded value, like the zero point; |addend| <= 2^16
};

// The multipliers that a scheme's source defines. A lowering chooses M and S within them.
struct RequantLimits {
  std::int32_t min_multiplier;
  std::int32_t max_multiplier;
  int min_shift;
  int max_shift;
  AddendUse addend;
};
RequantLimits LimitsOf(RequantScheme scheme);

// What it makes of x before the zero point and the clamp, in the names of a requantization's
// fields.
std::string_view FormulaOf(RequantScheme scheme);

// Throws std::invalid_argument where a multiplier or an addend lies outside LimitsOf(scheme), or
// `rounding` is none of the scheme's. Only round_shift (any) and requant_shift (half_up, or floor
// for the source's rounding = false) have a choice; the others fix theirs and ignore `rounding`.
void CheckRequantScheme(RequantScheme scheme, Rounding rounding, Multiplier scale,
                        std::int64_t addend);

// The mode in which round_shift gives the scheme's result for every |v| <= 2^31, wherever
// HasEquivalentRounding: for every shift but S > 31 of tflite_double and tosa_scale32_double and
// S > 22 of ita. (A saturation of tflite_double at 2^31 - 1, which takes S < 31, shows only in
// outputs of 32 bits.) `rounding` counts for round_shift and requant_shift only.
Rounding EquivalentRounding(RequantScheme scheme, Rounding rounding);
bool HasEquivalentRounding(RequantScheme scheme, int shift);

// Before the zero point and the clamp. |v| <= 2^31; the operands must have passed
// CheckRequantScheme.
std::int64_t RequantizeScaled(RequantScheme scheme, Rounding rounding, std::int64_t v,
                              Multiplier scale, std::int64_t addend);

}  // namespace qsim::golden
