#include "golden/kernels/ratios.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "golden/kernels/ratios_vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::golden::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<std::int32_t>;
using D64 = hn::Repartition<std::int64_t, D>;
using V = hn::Vec<D>;
using V64 = hn::Vec<D64>;
constexpr std::int64_t kLanes = HWY_LANES(std::int32_t);

// The odd lanes of 32 bits, where MulEven reads.
HWY_INLINE V Odd(V v) {
  const hn::Repartition<std::uint64_t, D> d;
  return hn::BitCast(D(), hn::ShiftRight<32>(hn::BitCast(d, v)));
}
HWY_INLINE V Joined(V64 even, V64 odd) {
  const D d;
  return hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
}

// What of the lanes counts: all, or the first so many columns of a vector.
struct Counted {
  hn::Mask<D64> even, odd;
};
HWY_INLINE Counted FirstColumns(std::int64_t count) {
  const D64 d;
  return {hn::FirstN(d, static_cast<std::size_t>((count + 1) / 2)),
          hn::FirstN(d, static_cast<std::size_t>(count / 2))};
}

// The parameters of one vector of columns, of one parity.
struct Lane {
  const Ratios& ratios;
  std::int64_t at;  // in the lists of `parity`
  int parity;

  HWY_INLINE V64 Of(const Alternate& list) const {
    return hn::LoadU(D64(), list.of[parity].data() + at);
  }

  HWY_INLINE V64 Shifted(V64 p, const RoundedShift& step, bool signs, bool even) const {
    const D64 d;
    const V64 half = Of(step.half);
    V64 sum = hn::Add(p, half);
    if (signs) sum = hn::Add(sum, hn::And(hn::BroadcastSignBit(p), Of(step.below)));
    V64 r = hn::Shr(sum, hn::BitCast(D64(), Of(step.shift)));
    if (even) {
      const V64 one = hn::Set(d, 1);
      const V64 rest = hn::And(sum, hn::Sub(hn::Add(half, half), one));
      r = hn::Sub(r, hn::And(hn::And(r, one), hn::VecFromMask(d, hn::Eq(rest, hn::Zero(d)))));
    }
    return r;
  }

  // Less the zero point. Counts what the clamp changes.
  HWY_INLINE V64 Clamped(V64 p, hn::Mask<D64> counted, std::int64_t& saturated) const {
    const D64 d;
    V64 r = Shifted(p, ratios.first, ratios.signs, ratios.even);
    if (ratios.twice) {
      r = hn::Min(r, hn::Set(d, (std::int64_t{1} << 31) - 1));
      r = Shifted(r, ratios.second, true, false);
    }
    const V64 y = hn::Min(hn::Max(r, Of(ratios.low)), Of(ratios.high));
    saturated += static_cast<std::int64_t>(hn::CountTrue(d, hn::And(hn::Ne(y, r), counted)));
    return y;
  }
};

struct Vector {
  Lane even, odd;
  V zero;
  Vector(const Ratios& ratios, std::int64_t at)
      : even{ratios, at / 2, 0},
        odd{ratios, at / 2, 1},
        zero(hn::LoadU(D(), ratios.zero.data() + at)) {}

  HWY_INLINE V Result(V64 p_even, V64 p_odd, const Counted& counted,
                      std::int64_t& saturated) const {
    const V y = Joined(even.Clamped(p_even, counted.even, saturated),
                       odd.Clamped(p_odd, counted.odd, saturated));
    return hn::Add(y, zero);
  }
};

template <typename Out>
HWY_INLINE void Store(V y, std::int64_t count, Out* out) {
  if constexpr (sizeof(Out) < 4) {
    const hn::Rebind<Out, D> narrow;
    if (count == kLanes) return hn::StoreU(hn::DemoteTo(narrow, y), narrow, out);
  } else {
    if (count == kLanes) return hn::StoreU(y, D(), out);
  }
  HWY_ALIGN std::int32_t values[HWY_LANES(std::int32_t)];
  hn::Store(y, D(), values);
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(values[i]);
}

HWY_INLINE V LoadFirst(const std::int32_t* from, std::int64_t count) {
  if (count == kLanes) return hn::LoadU(D(), from);
  HWY_ALIGN std::int32_t values[HWY_LANES(std::int32_t)] = {};
  for (std::int64_t i = 0; i < count; ++i) values[i] = from[i];
  return hn::Load(D(), values);
}

template <bool kTwoOperands, typename Out>
std::int64_t Scale(const Ratios& ratios, const Tile& tile, Out* out, std::int64_t stride) {
  const D d;
  std::int64_t saturated = 0;
  for (std::int64_t n = 0; n < tile.columns; n += kLanes) {
    const std::int64_t count = HWY_MIN(kLanes, tile.columns - n), at = ratios.At(tile.column) + n;
    const Vector of(ratios, at);
    const Counted counted = FirstColumns(count);
    const V m_a = hn::LoadU(d, ratios.m_a.data() + at), m_a_odd = Odd(m_a);
    const V m_b = hn::LoadU(d, ratios.m_b.data() + at), m_b_odd = Odd(m_b);
    const V64 add_even = of.even.Of(ratios.addend), add_odd = of.odd.Of(ratios.addend);
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      const V x = LoadFirst(tile.a + r * tile.a_stride + n, count);
      V64 even = hn::Add(hn::MulEven(x, m_a), add_even);
      V64 odd = hn::Add(hn::MulEven(Odd(x), m_a_odd), add_odd);
      if constexpr (kTwoOperands) {
        const V z = LoadFirst(tile.b + r * tile.b_stride + n, count);
        even = hn::Add(even, hn::MulEven(z, m_b));
        odd = hn::Add(odd, hn::MulEven(Odd(z), m_b_odd));
      }
      Store(of.Result(even, odd, counted, saturated), count, out + r * stride + n);
    }
  }
  return saturated;
}

template <typename Out>
std::int64_t ScaleTileOf(const Ratios& ratios, const Tile& tile, Out* out, std::int64_t stride) {
  return tile.b == nullptr ? Scale<false>(ratios, tile, out, stride)
                           : Scale<true>(ratios, tile, out, stride);
}

// One function for each type: a table of targets holds no templates.
#define QSIM_SCALE_TILE(name, Out)                                                           \
  std::int64_t name(const Ratios& ratios, const Tile& tile, Out* out, std::int64_t stride) { \
    return ScaleTileOf(ratios, tile, out, stride);                                           \
  }
QSIM_SCALE_TILE(ScaleTileToInt8, std::int8_t)
QSIM_SCALE_TILE(ScaleTileToUint8, std::uint8_t)
QSIM_SCALE_TILE(ScaleTileToInt16, std::int16_t)
QSIM_SCALE_TILE(ScaleTileToUint16, std::uint16_t)
QSIM_SCALE_TILE(ScaleTileToInt32, std::int32_t)
#undef QSIM_SCALE_TILE

std::int64_t ScaleNormTileOf(const Ratios& ratios, const NormTile& tile, std::int32_t* out) {
  const D d32;
  std::int64_t saturated = 0;
  for (std::int64_t i = 0; i < tile.columns; i += kLanes) {
    const std::int64_t n = tile.column + i, count = HWY_MIN(kLanes, tile.columns - i);
    const Vector of(ratios, n);
    const Counted counted = FirstColumns(count);
    const V64 m_even = of.even.Of(ratios.wide_m), m_odd = of.odd.Of(ratios.wide_m);
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      const V x = LoadFirst(tile.d + r * tile.stride + n, count);
      const V times = hn::Set(d32, tile.factors[r]);
      V64 even = hn::ShiftRight<1>(hn::MulEven(x, times));
      V64 odd = hn::ShiftRight<1>(hn::MulEven(Odd(x), times));
      if (tile.bias != nullptr) {
        even = hn::Add(even, of.even.Of(*tile.bias));
        odd = hn::Add(odd, of.odd.Of(*tile.bias));
      }
      if (tile.gate != nullptr) {
        // MulEven's other use: by 1, a lane becomes 64 bits wide.
        const V g = LoadFirst(tile.gate + r * tile.stride + n, count), one = hn::Set(d32, 1);
        even = hn::Mul(even, hn::MulEven(g, one));
        odd = hn::Mul(odd, hn::MulEven(Odd(g), one));
      }
      even = hn::Mul(even, m_even);
      odd = hn::Mul(odd, m_odd);
      Store(of.Result(even, odd, counted, saturated), count, out + r * tile.stride + n);
    }
  }
  return saturated;
}

std::int64_t ShiftedSumOf(std::span<const std::int32_t> x, std::int32_t zero,
                          const std::int32_t* shift, std::int32_t* d) {
  const D d32;
  const D64 d64;
  const V from = hn::Set(d32, zero), one = hn::Set(d32, 1);
  V64 sum = hn::Zero(d64);
  const auto length = static_cast<std::int64_t>(x.size());
  std::int64_t n = 0;
  for (; n + kLanes <= length; n += kLanes) {
    V value = hn::Sub(hn::LoadU(d32, x.data() + n), from);
    if (shift != nullptr) value = hn::Shl(value, hn::LoadU(d32, shift + n));
    hn::StoreU(value, d32, d + n);
    sum = hn::Add(sum, hn::Add(hn::MulEven(value, one), hn::MulEven(Odd(value), one)));
  }
  std::int64_t total = hn::GetLane(hn::SumOfLanes(d64, sum));
  for (; n < length; ++n) {
    d[n] = (x[static_cast<std::size_t>(n)] - zero) << (shift == nullptr ? 0 : shift[n]);
    total += d[n];
  }
  return total;
}

Spread CentreOf(std::span<std::int32_t> d, std::int32_t mean, int k) {
  const D d32;
  const D64 d64;
  const V middle = hn::Set(d32, mean);
  V64 squares = hn::Zero(d64);
  V largest = hn::Zero(d32);
  const auto length = static_cast<std::int64_t>(d.size());
  std::int64_t n = 0;
  for (; n + kLanes <= length; n += kLanes) {
    const V value = hn::Sub(hn::LoadU(d32, d.data() + n), middle);
    hn::StoreU(value, d32, d.data() + n);
    largest = hn::Max(largest, hn::Abs(value));
    const V small = hn::ShiftRightSame(value, k), odd = Odd(small);
    squares = hn::Add(squares, hn::Add(hn::MulEven(small, small), hn::MulEven(odd, odd)));
  }
  Spread spread{hn::GetLane(hn::SumOfLanes(d64, squares)),
                hn::GetLane(hn::MaxOfLanes(d32, largest))};
  for (; n < length; ++n) {
    std::int32_t& value = d[static_cast<std::size_t>(n)];
    value -= mean;
    const std::int64_t small = value >> k;
    spread.squares += small * small;
    const std::int64_t magnitude = value < 0 ? -std::int64_t{value} : value;
    if (magnitude > spread.largest) spread.largest = magnitude;
  }
  return spread;
}

}  // namespace HWY_NAMESPACE
}  // namespace qsim::golden::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::golden::kernels {
#define QSIM_SCALE_TILE(name, Out)                                                                \
  HWY_EXPORT(name);                                                                               \
  std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, Out* out, std::int64_t stride) { \
    return HWY_DYNAMIC_DISPATCH(name)(ratios, tile, out, stride);                                 \
  }
QSIM_SCALE_TILE(ScaleTileToInt8, std::int8_t)
QSIM_SCALE_TILE(ScaleTileToUint8, std::uint8_t)
QSIM_SCALE_TILE(ScaleTileToInt16, std::int16_t)
QSIM_SCALE_TILE(ScaleTileToUint16, std::uint16_t)
QSIM_SCALE_TILE(ScaleTileToInt32, std::int32_t)
#undef QSIM_SCALE_TILE

HWY_EXPORT(ScaleNormTileOf);
HWY_EXPORT(ShiftedSumOf);
HWY_EXPORT(CentreOf);

std::int64_t ScaleNormTile(const Ratios& ratios, const NormTile& tile, std::int32_t* out) {
  return HWY_DYNAMIC_DISPATCH(ScaleNormTileOf)(ratios, tile, out);
}

std::int64_t ShiftedSum(std::span<const std::int32_t> x, std::int32_t zero,
                        const std::int32_t* shift, std::int32_t* d) {
  return HWY_DYNAMIC_DISPATCH(ShiftedSumOf)(x, zero, shift, d);
}

Spread Centre(std::span<std::int32_t> d, std::int32_t mean, int k) {
  return HWY_DYNAMIC_DISPATCH(CentreOf)(d, mean, k);
}

}  // namespace qsim::golden::kernels
#endif
