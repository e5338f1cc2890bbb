// Exp and Gelu of elementary.h for vectors of doubles, with the same operations on each lane: bit
// for bit. To be included by sources with vectors, once for each instruction set.
#if defined(QSIM_STATISTICS_ELEMENTARY_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QSIM_STATISTICS_ELEMENTARY_INL_H
#undef QSIM_STATISTICS_ELEMENTARY_INL_H
#else
#define QSIM_STATISTICS_ELEMENTARY_INL_H
#endif

#include <hwy/highway.h>
#include <array>
#include <cstddef>
#include <cstdint>

#include "sim/statistics/elementary_constants.h"

HWY_BEFORE_NAMESPACE();
namespace qsim::statistics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// p[0] x^(n-1) + ... + p[n-1]; no multiplication is fused with an addition.
template <class D, class V = hn::Vec<D>, std::size_t N>
HWY_INLINE V HornerOf(D d, const std::array<double, N>& p, V x) {
  V value = hn::Set(d, p[0]);
  for (std::size_t i = 1; i < N; ++i) value = hn::Add(hn::Mul(value, x), hn::Set(d, p[i]));
  return value;
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ExpOf(D d, V x) {
  const hn::RebindToUnsigned<D> bits;
  const auto tiny = hn::Lt(x, hn::Set(d, -kLargestExponent));
  x = hn::Min(hn::Max(x, hn::Set(d, -kLargestExponent)), hn::Set(d, kLargestExponent));
  const V k = hn::Floor(hn::Add(hn::Mul(x, hn::Set(d, kLog2E)), hn::Set(d, 0.5)));
  const V r =
      hn::Sub(hn::Sub(x, hn::Mul(k, hn::Set(d, kLn2High))), hn::Mul(k, hn::Set(d, kLn2Low)));
  // 2^k: a number that ends in the biased exponent, shifted to its place. Exact, and so is the
  // product: neither is subnormal.
  constexpr double kBiased = 4503599627370496.0 + 1023;  // 2^52
  const V power =
      hn::BitCast(d, hn::ShiftLeft<52>(hn::BitCast(bits, hn::Add(k, hn::Set(d, kBiased)))));
  return hn::IfThenZeroElse(tiny, hn::Mul(HornerOf(d, kInverseFactorials, r), power));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V ErfOf(D d, V x) {
  const V one = hn::Set(d, 1.0);
  const V magnitude = hn::Abs(x);
  const V square = hn::Mul(x, x);
  const V near = hn::Div(hn::Mul(x, HornerOf(d, kErfP, square)), HornerOf(d, kErfQ, square));
  const auto is_near = hn::Le(magnitude, hn::Set(d, kErfNear));
  if (hn::AllTrue(d, is_near)) return near;
  V scaled = hn::Div(HornerOf(d, kErfcP, magnitude), HornerOf(d, kErfcQ, magnitude));
  const auto is_middle = hn::Le(magnitude, hn::Set(d, kErfcMiddle));
  if (!hn::AllTrue(d, is_middle)) {
    const V y = hn::Div(one, hn::Mul(magnitude, magnitude));
    const V tail = hn::Div(hn::Mul(y, HornerOf(d, kErfcFarP, y)), HornerOf(d, kErfcFarQ, y));
    const V far = hn::Div(hn::Sub(hn::Set(d, kInverseSqrtPi), tail), magnitude);
    scaled = hn::IfThenElse(is_middle, scaled, far);
  }
  V erf = hn::Sub(one, hn::Mul(ExpOf(d, hn::Mul(hn::Neg(x), x)), scaled));
  erf = hn::IfThenElse(hn::Gt(magnitude, hn::Set(d, kErfOne)), one, erf);
  erf = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Neg(erf), erf);
  return hn::IfThenElse(is_near, near, erf);
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V GeluOf(D d, V x) {
  const V erf = ErfOf(d, hn::Mul(x, hn::Set(d, kSqrtHalf)));
  return hn::Mul(hn::Mul(hn::Set(d, 0.5), x), hn::Add(hn::Set(d, 1.0), erf));
}

}  // namespace qsim::statistics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
