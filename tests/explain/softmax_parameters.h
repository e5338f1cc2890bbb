// Parameters of every softmax as calibration makes them, of a score scale.
#pragma once

#include <cmath>
#include <cstdint>

#include "golden/ops/softmax.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline IbertExp RandomExp(double s) {
  return {static_cast<std::int32_t>(std::floor(-0.6931 / s)),
          static_cast<std::int64_t>(std::floor(2.70731 / s)),
          static_cast<std::int64_t>(std::floor(2.79211 / (s * s))), 30};
}
inline void Fill(IbertSoftmaxParams& p, SeededRandom&, double s) {
  p.exp = RandomExp(s);
  // To 32767 at the maximum.
  const double ratio = 32767.0 / std::ldexp(static_cast<double>(p.exp.c), p.exp.n);
  int exponent = 0;
  const double mantissa = std::frexp(ratio, &exponent);
  p.act16_multiplier = static_cast<std::int64_t>(std::ldexp(mantissa, 31));
  p.act16_shift = 31 - exponent;
}
inline void Fill(IbertRnSoftmaxParams& p, SeededRandom& random, double s) {
  IbertSoftmaxParams same;
  Fill(same, random, s);
  p = {same.exp, same.act16_multiplier, same.act16_shift, static_cast<int>(random.Between(3, 7))};
}
inline void Fill(LogIntSoftmaxParams& p, SeededRandom&, double s) { p = {RandomExp(s), 4}; }
inline void Fill(ShiftmaxParams& p, SeededRandom&, double s) {
  p = {static_cast<std::int32_t>(std::floor(-1 / s)), 15, 8};
}
template <typename Params>
void FillIta(Params& p, SeededRandom& random) {
  p.shift_bits = static_cast<int>(random.Between(4, 5));
  p.levels = random.Between(0, 1) == 0 ? 256 : 128;
  p.output_offset = p.levels == 256 && random.Between(0, 1) == 0 ? -128 : 0;
}
inline void Fill(ItaSoftmaxParams& p, SeededRandom& random, double) { FillIta(p, random); }
inline void Fill(ItaStreamingSoftmaxParams& p, SeededRandom& random, double) {
  FillIta(p, random);
  p.group = random.Between(4, 12);
}
inline void Fill(TfliteSoftmaxParams& p, SeededRandom&, double s) {
  int exponent = 0;
  const double mantissa = std::frexp(std::ldexp(s, 26), &exponent);
  p.beta_multiplier = static_cast<std::int32_t>(std::ldexp(mantissa, 31));
  p.beta_left_shift = exponent;
  p.diff_min = -static_cast<std::int32_t>(std::floor(31 * std::ldexp(1.0, 26 - exponent)));
}
inline void Fill(IsoftmaxParams& p, SeededRandom& random, double s) {
  p.coeff_a = 1;
  p.coeff_b = static_cast<std::int32_t>(std::floor(1.353 / s));
  p.coeff_c = static_cast<std::int64_t>(std::floor(0.344 / (0.3585 * s * s)));
  p.log2 = static_cast<std::int32_t>(std::floor(0.6931 / s));
  p.output_offset = random.Between(0, 1) == 0 ? 0 : -128;
}
inline void Fill(TableSoftmaxParams& p, SeededRandom& random, double s) {
  p.extra_bits = static_cast<int>(random.Between(0, 7));
  const auto entry = [&](double distance) {
    return static_cast<std::int32_t>(std::lround(32768 * std::exp(-s * distance)));
  };
  for (int d = 0; d < 256; ++d) p.exp.push_back(entry(d));
  if (random.Between(0, 1) == 0) return;
  for (int d = 0; d < 8; ++d) p.exp_high.push_back(entry(256 * d));
}

}  // namespace qsim::testing
