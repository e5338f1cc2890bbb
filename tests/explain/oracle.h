// An implementation's arithmetic, written independently of sim/explain: floor division and
// comparison of doubled remainders in arbitrary precision.
#pragma once

#include <gmpxx.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/explain/requant_model.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline mpz_class Big(std::int64_t value) { return mpz_class(static_cast<long>(value)); }

inline mpz_class PowerOfTwo(int exponent) {
  return mpz_class(1) << static_cast<unsigned>(exponent);
}

// numerator / denominator, denominator > 0, by the rule's name.
inline mpz_class Rounded(const mpz_class& numerator, const mpz_class& denominator,
                         const std::string& rule) {
  mpz_class quotient, rest;
  mpz_fdiv_qr(quotient.get_mpz_t(), rest.get_mpz_t(), numerator.get_mpz_t(),
              denominator.get_mpz_t());
  const int half = cmp(mpz_class(2 * rest), denominator);
  const bool whole = rest == 0;
  const bool negative = numerator < 0;
  bool up = false;
  if (rule == "half_up") up = half >= 0;
  if (rule == "half_down") up = half > 0;
  if (rule == "half_away") up = half > 0 || (half == 0 && !negative);
  if (rule == "half_toward_zero") up = half > 0 || (half == 0 && negative);
  if (rule == "half_even") up = half > 0 || (half == 0 && mpz_odd_p(quotient.get_mpz_t()) != 0);
  if (rule == "ceil") up = !whole;
  if (rule == "toward_zero") up = negative && !whole;
  if (rule == "away_from_zero") up = !negative && !whole;
  if (rule == "floor_plus_one") up = true;
  if (rule == "half_then_toward_zero") {
    mpz_class truncated;  // as C divides
    mpz_tdiv_q(truncated.get_mpz_t(), mpz_class(2 * numerator + denominator).get_mpz_t(),
               mpz_class(2 * denominator).get_mpz_t());
    return truncated;
  }
  return up ? mpz_class(quotient + 1) : quotient;
}

inline std::int64_t Clamped(const mpz_class& value, std::int64_t low, std::int64_t high) {
  if (value < Big(low)) return low;
  if (value > Big(high)) return high;
  return value.get_si();
}

inline std::int64_t Wrapped(const mpz_class& value, int bits) {
  mpz_class rest;
  mpz_fdiv_r_2exp(rest.get_mpz_t(), value.get_mpz_t(), static_cast<mp_bitcnt_t>(bits));
  if (rest >= PowerOfTwo(bits - 1)) rest -= PowerOfTwo(bits);
  return rest.get_si();
}

// Roughly normal: the sum of twelve uniform numbers.
inline std::int64_t Normal(SeededRandom& random, std::int64_t deviation) {
  std::int64_t sum = 0;
  for (int i = 0; i < 12; ++i) sum += random.Between(-deviation, deviation);
  return sum / 2;
}

struct Layer {
  std::int64_t rows = 256, channels = 64;
  int multiplier_bits = 16;
  bool per_channel = true;
  int shift = 22;
  std::int64_t deviation = 0;  // of accumulators; 0: so that about one in fifty saturates
  std::int64_t zero = 0;
  std::string rounding = "half_up";
  std::int64_t set_bits = 0;  // of every multiplier
};

// Accumulators and parameters as a linear layer has them.
inline RequantSpec MakeSpec(SeededRandom& random, const Layer& setup) {
  RequantSpec spec;
  spec.shape = {setup.rows, setup.channels};
  spec.axis_names = {"row", "channel"};
  const std::int64_t low = std::int64_t{1} << (setup.multiplier_bits - 1);
  const std::int64_t entries = setup.per_channel ? setup.channels : 1;
  for (std::int64_t c = 0; c < entries; ++c) {
    spec.multiplier.push_back(random.Between(low, 2 * low - 1) | setup.set_bits);
    spec.shift.push_back(setup.shift);
  }
  spec.zero = {setup.zero};
  spec.layout = setup.per_channel ? ChannelLayout{setup.rows, setup.channels, 1}
                                  : ChannelLayout{1, 1, setup.rows * setup.channels};
  const std::int64_t step = (std::int64_t{1} << setup.shift) / low;
  const std::int64_t deviation = setup.deviation != 0 ? setup.deviation : 45 * step / 2;
  for (std::int64_t i = 0; i < setup.rows * setup.channels; ++i)
    spec.x.push_back(Normal(random, deviation));
  spec.rounding = *RoundSchemeFromName(setup.rounding);
  return spec;
}

// What the implementation computes for one element.
struct Element {
  std::size_t index = 0, channel = 0;
  mpz_class x, m;
  int shift = 0;
  mpz_class zero;
  mpz_class product() const { return x * m; }
  mpz_class step() const { return PowerOfTwo(shift); }
};

inline std::vector<std::int64_t> Implementation(
    const RequantSpec& spec, const std::function<std::int64_t(const Element&)>& compute) {
  std::vector<std::int64_t> out(spec.x.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto c = static_cast<std::size_t>(spec.layout.ChannelOf(static_cast<std::int64_t>(i)));
    const auto entry = [c](std::size_t size) { return size == 1 ? 0 : c; };
    out[i] =
        compute({i, c, Big(spec.x[i]), Big(spec.multiplier[entry(spec.multiplier.size())]),
                 spec.shift[entry(spec.shift.size())], Big(spec.zero[entry(spec.zero.size())])});
  }
  return out;
}

}  // namespace qsim::testing
