#include "sim/conform/fqvit_parameters.h"

#include <gmpxx.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "golden/ops/one_or_each.h"
#include "golden/ops/require.h"
#include "sim/namespaces.h"

namespace qsim::conform {
namespace {

mpz_class Floor(const mpq_class& value) {
  mpz_class floor;
  mpz_fdiv_q(floor.get_mpz_t(), value.get_num_mpz_t(), value.get_den_mpz_t());
  return floor;
}

mpz_class FromInt64(std::int64_t value) {
  static_assert(sizeof(long) == sizeof(std::int64_t));
  return mpz_class(static_cast<long>(value));
}

// floor(log2(value)) of a positive rational.
std::int64_t FloorLog2(const mpq_class& value) {
  const auto bits = [](const mpz_class& v) {
    return static_cast<std::int64_t>(mpz_sizeinbase(v.get_mpz_t(), 2));
  };
  // num / den lies in (2^(difference - 1), 2^(difference + 1)).
  const std::int64_t difference = bits(value.get_num()) - bits(value.get_den());
  const auto distance = static_cast<mp_bitcnt_t>(std::abs(difference));
  const bool reached = difference >= 0 ? value.get_num() >= (value.get_den() << distance)
                                       : (value.get_num() << distance) >= value.get_den();
  return reached ? difference : difference - 1;
}

// p + sign * sqrt(q), q >= 0.
struct WithRoot {
  mpq_class p;
  int sign = 1;
  mpq_class q;

  // integer against this value: below 0, 0 or above 0.
  int Compare(const mpz_class& integer) const {
    const mpq_class rest = integer - p;  // against sign * sqrt(q)
    const int rest_sign = sgn(rest);
    const int root_sign = sgn(q) == 0 ? 0 : sign;
    if (rest_sign != root_sign) return rest_sign < root_sign ? -1 : 1;
    return rest_sign * cmp(mpq_class(rest * rest), q);
  }

  mpz_class FloorOf() const {
    const mpz_class root = sqrt(Floor(q));
    mpz_class floor = Floor(p) + (sign > 0 ? root : -root - 1);
    while (Compare(floor + 1) <= 0) ++floor;
    return floor;
  }
};

mpz_class HalfEven(const WithRoot& value) {
  // Twice the value tells below, at and above one half.
  const WithRoot twice{value.p * 2, value.sign, value.q * 4};
  const mpz_class halves = twice.FloorOf();
  mpz_class floor;
  mpz_fdiv_q_2exp(floor.get_mpz_t(), halves.get_mpz_t(), 1);
  const bool second_half = mpz_odd_p(halves.get_mpz_t()) != 0;
  const bool tie = second_half && twice.Compare(halves) == 0;
  const bool up = tie ? mpz_odd_p(floor.get_mpz_t()) != 0 : second_half;
  return up ? mpz_class(floor + 1) : floor;
}

}  // namespace

FqvitParameters DeriveFqvitParameters(std::span<const std::int32_t> x_q,
                                      std::span<const std::int32_t> scale_mask,
                                      std::span<const double> weight, std::span<const double> bias,
                                      std::span<const double> out_scale) {
  const std::size_t channels = x_q.size();
  Require(channels >= 1 && scale_mask.size() == channels && weight.size() == channels &&
              bias.size() == channels && (out_scale.size() == 1 || out_scale.size() == channels),
          "scale_mask, weight and bias need one entry per channel, out_scale one or as many");
  mpz_class sum = 0, squares = 0;
  for (std::size_t c = 0; c < channels; ++c) {
    const mpz_class z = FromInt64(x_q[c]) * FromInt64(scale_mask[c]);
    sum += z;
    squares += z * z;
  }
  const mpz_class count = FromInt64(static_cast<std::int64_t>(channels));
  const mpz_class d_squared = count * squares - sum * sum;
  Require(d_squared != 0, "x_q * scale_mask is constant along the row: D = 0 divides by zero");

  FqvitParameters row;
  for (std::size_t c = 0; c < channels; ++c) {
    const double scale = EntryFor(out_scale, c);
    Require(std::isfinite(weight[c]) && std::isfinite(bias[c]) && std::isfinite(scale) && scale > 0,
            "weight and bias must be finite, out_scale positive");
    const mpq_class w(weight[c]), s(scale);
    const mpq_class per_root = count * w / s;  // A times D
    const mpq_class a_squared = per_root * per_root / d_squared;
    std::int64_t n = 31;
    std::int64_t m = 0;
    if (w != 0) {
      // floor(log2 |A|) = floor(log2(A^2) / 2) = floor(floor(log2(A^2)) / 2)
      n = std::clamp<std::int64_t>(7 - (FloorLog2(a_squared) >> 1), 0, 31);
      const mpz_class magnitude =
          sqrt(Floor(a_squared * (mpz_class(1) << static_cast<mp_bitcnt_t>(2 * n))));
      m = magnitude < 255 ? magnitude.get_si() : 255;
    }
    const mpq_class unit = mpq_class(mpz_class(1) << static_cast<mp_bitcnt_t>(n)) / s;
    const mpq_class slope = sum * w * unit;  // (sum / D * w) / s * 2^N, times D
    const mpz_class b =
        HalfEven({mpq_class(bias[c]) * unit, -sgn(slope), slope * slope / d_squared});
    Require(abs(b) <= mpz_class(1) << 62, "B leaves 63 bits");
    row.m.push_back(static_cast<std::int32_t>(w < 0 ? -m : m));
    row.n.push_back(static_cast<std::int32_t>(n));
    row.b.push_back(b.get_si());
  }
  return row;
}

}  // namespace qsim::conform
