// Equations 6.10 to 6.12, FQ-ViT's layer norm: M, N and B of a row. Rational where the root D is,
// which is where ties can occur; else in 1,024 bits, far more than any of the integers can need to
// be told from its neighbours.
#include <cmath>

#include "derivation/exact.h"
#include "derivation/layernorm_rows.h"
#include "golden/ops/one_or_each.h"

namespace qsim::derivation {
namespace {

constexpr mp_bitcnt_t kBits = 1024;

mpf_class Wide(const mpq_class& x) {
  return mpf_class(x.get_num(), kBits) / mpf_class(x.get_den(), kBits);
}

// rational + irrational / sqrt(radicand), as an integer.
struct Number {
  mpq_class rational, irrational;
  mpz_class radicand;

  bool IsRational() const {
    return irrational == 0 || mpz_perfect_square_p(radicand.get_mpz_t()) != 0;
  }
  mpq_class Exact() const {
    return irrational == 0 ? rational
                           : mpq_class(rational + irrational / mpq_class(sqrt(radicand)));
  }
  mpf_class Real() const {
    return Wide(rational) + Wide(irrational) / sqrt(mpf_class(radicand, kBits));
  }
  mpz_class Floored() const { return IsRational() ? Floor(Exact()) : mpz_class(floor(Real())); }
  mpz_class ToEven() const {
    return IsRational() ? HalfEven(Exact()) : mpz_class(floor(mpf_class(Real() + 0.5)));
  }
  Number TimesPower2(int exponent) const {
    return {Scaled(rational, exponent), Scaled(irrational, exponent), radicand};
  }
};

}  // namespace

DerivedFqvit DeriveFqvitParameters(std::span<const std::int32_t> x,
                                   std::span<const std::int32_t> mask,
                                   std::span<const double> weight, std::span<const double> bias,
                                   std::span<const double> out_scale) {
  const mpz_class channels = Big(static_cast<std::int64_t>(x.size()));
  mpz_class sum = 0, squares = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const mpz_class z = Big(x[c]) * mask[c];
    sum += z;
    squares += z * z;
  }
  const mpz_class radicand = channels * squares - sum * sum;
  DerivedFqvit derived;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const mpq_class s = EntryFor(out_scale, c), w = weight[c], b = bias[c];
    const Number magnitude{0, channels * abs(w) / s, radicand};
    // The largest N with |A| 2^N below 256, from the top down; an |A| of 256 and more has none.
    int n = 31;
    while (n > 0 && magnitude.TimesPower2(n).Floored() >= 256) --n;
    const mpz_class m = Clamp(magnitude.TimesPower2(n).Floored(), 0, 255);
    derived.n.push_back(n);
    derived.m.push_back(static_cast<std::int32_t>(w < 0 ? -Small(m) : Small(m)));
    const Number shift{b / s, -sum * w / s, radicand};
    derived.b.push_back(Small(shift.TimesPower2(n).ToEven()));
  }
  return derived;
}

}  // namespace qsim::derivation
