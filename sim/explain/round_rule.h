// Rounding rules that implementations are suspected of: the golden ones and more. Deliberately
// wider than golden/ops/rounding.h, whose five coincide with the first five here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "golden/ops/int128.h"
#include "golden/ops/names.h"
#include "sim/namespaces.h"

namespace qsim::explain {

//                          -1.5  -0.5   0.5   1.5
//   half_up                  -1     0     1     2
//   half_away                -2    -1     1     2
//   half_even                -2     0     0     2
//   floor                    -2    -1     0     1
//   toward_zero              -1     0     0     1
//   half_down                -2    -1     0     1   rounding constant 2^(S-1) - 1
//   half_toward_zero         -1     0     0     1
//   ceil                     -1     0     1     2
//   away_from_zero           -2    -1     1     2
//   floor_plus_one           -1     0     1     2   rounding constant 2^S: an integer x gives x + 1
//   ita                      -1     0     1     2   half_up with 2^-23 on top: ITA's Python model
//   half_then_toward_zero    -1     0     1     2   (x + 1/2) toward zero: -1.6 gives -1
enum class RoundRule : std::uint8_t {
  kHalfUp,
  kHalfAway,
  kHalfEven,
  kFloor,
  kTowardZero,
  kHalfDown,
  kHalfTowardZero,
  kCeil,
  kAwayFromZero,
  kFloorPlusOne,
  kIta,
  kHalfThenTowardZero,
};

constexpr auto NamesOf(RoundRule /*enum*/) {
  return std::to_array<NamedValue<RoundRule>>({
      {RoundRule::kHalfUp, "half_up"},
      {RoundRule::kHalfAway, "half_away"},
      {RoundRule::kHalfEven, "half_even"},
      {RoundRule::kFloor, "floor"},
      {RoundRule::kTowardZero, "toward_zero"},
      {RoundRule::kHalfDown, "half_down"},
      {RoundRule::kHalfTowardZero, "half_toward_zero"},
      {RoundRule::kCeil, "ceil"},
      {RoundRule::kAwayFromZero, "away_from_zero"},
      {RoundRule::kFloorPlusOne, "floor_plus_one"},
      {RoundRule::kIta, "ita"},
      {RoundRule::kHalfThenTowardZero, "half_then_toward_zero"},
  });
}
inline constexpr auto kAllRoundRules = AllOf<RoundRule>();

// ITA's addend is 2^-23 of an output step: nothing is left of it where the value has fewer fraction
// bits.
inline constexpr int kItaAddendBits = 23;

// value / 2^shift, rounded by one rule time and again, without a branch: a value is rounded up
// where what is below its last bit reaches a threshold, which the rule sets by sign and parity.
// `shift` is in 0..bits of Int - 2, and |value| at most 2^(bits of Int - 2).
template <typename Int>
class Rounder {
 public:
  Rounder(int shift, RoundRule rule) : shift_(shift) {
    const Int one = 1;
    const Int never = one << shift;
    const Int half = shift == 0 ? one : one << (shift - 1);
    if (shift == 0) rule = RoundRule::kCeil;  // nothing is below the last bit
    switch (rule) {
      case RoundRule::kHalfUp:
        Set(half, half);
        break;
      case RoundRule::kHalfAway:
        Set(half, half + 1);
        break;
      case RoundRule::kHalfEven:
        Set(half + 1, half + 1);
        least_[0][1] = least_[1][1] = half;
        break;
      case RoundRule::kFloor:
        Set(never, never);
        break;
      case RoundRule::kTowardZero:
        Set(never, one);
        break;
      case RoundRule::kHalfDown:
        Set(half + 1, half + 1);
        break;
      case RoundRule::kHalfTowardZero:
        Set(half + 1, half);
        break;
      case RoundRule::kCeil:
        Set(one, one);
        break;
      case RoundRule::kAwayFromZero:
        Set(one, never);
        break;
      case RoundRule::kFloorPlusOne:
        Set(0, 0);
        break;
      case RoundRule::kIta: {
        const Int least = shift >= kItaAddendBits ? half - (one << (shift - kItaAddendBits)) : half;
        Set(least, least);
        break;
      }
      case RoundRule::kHalfThenTowardZero:
        addend_ = half;
        Set(never, one);
        break;
    }
  }

  Int operator()(Int value) const {
    value += addend_;
    const Int low = value >> shift_;
    const Int rest = value - (low << shift_);  // 0 .. 2^shift - 1
    return low + (rest >= least_[value < 0 ? 1 : 0][static_cast<std::size_t>(low & 1)] ? 1 : 0);
  }

 private:
  void Set(Int positive, Int negative) {
    least_[0][0] = least_[0][1] = positive;
    least_[1][0] = least_[1][1] = negative;
  }

  int shift_;
  Int addend_ = 0;
  Int least_[2][2] = {};  // by whether the value is negative, and its quotient odd
};

// value / 2^shift, rounded. shift in 0..126; 0 returns the value unchanged for every rule.
Int128 RoundBy(Int128 value, int shift, RoundRule rule);

// Between which values those lie that a rule rounds to `result`, give or take the ends.
std::pair<double, double> ValuesRoundedTo(std::int64_t result, RoundRule rule);

// Where a value is rounded, once or twice. `first` acts at bit `at` of the product:
//   kSingle      once, by the whole shift
//   kNormalized  after as many bits as the multiplier's magnitude has: as if it had been normalized
//   to
//                31 bits first, and the product shifted by 31
//   kFixed       after `at` bits
//   kRemaining   so that `at` bits remain for the last rounding
struct RoundScheme {
  enum class Where : std::uint8_t { kSingle, kNormalized, kFixed, kRemaining };
  RoundRule last = RoundRule::kHalfUp;
  Where where = Where::kSingle;
  RoundRule first = RoundRule::kHalfUp;
  int at = 0;
  bool operator==(const RoundScheme&) const = default;
};

// "half_up", "tflite_double", "half_up at bit 20, then half_even".
std::string NameOf(const RoundScheme& scheme);
// A single rule, "tflite_double" (half_up at bit 31, then half_away: section 4.5 of
// docs/numerics.md), or another published scheme, by the rule it comes down to.
std::optional<RoundScheme> RoundSchemeFromName(std::string_view name);
// The same for a sentence, with what the rule does where its name alone does not say it.
std::string SchemePhrase(const RoundScheme& scheme);
// Every name RoundSchemeFromName knows, comma separated.
std::string RoundSchemeNames();
// The published schemes that compute just this, comma separated; empty if there is none.
std::string PublishedAs(const RoundScheme& scheme);

// At which bit the first of two roundings happens, 0: there is none. `multiplier_bits` of the
// magnitude.
int FirstShift(const RoundScheme& scheme, int shift, int multiplier_bits);
Int128 RoundWith(const RoundScheme& scheme, Int128 value, int shift, int multiplier_bits);

}  // namespace qsim::explain
