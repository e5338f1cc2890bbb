#include "golden/kernels/recurrence.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "golden/kernels/recurrence_vectors.cpp"
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

HWY_INLINE V64 Rounded(V64 p, const RoundingStep& step) {
  const D64 d;
  V64 sum = hn::Add(p, hn::Set(d, step.half));
  if (step.below != 0) sum = hn::Add(sum, hn::And(hn::BroadcastSignBit(p), hn::Set(d, step.below)));
  V64 r = hn::ShiftRightSame(sum, step.shift);
  if (step.even) {
    const V64 one = hn::Set(d, 1);
    const V64 rest = hn::And(sum, hn::Set(d, 2 * step.half - 1));
    r = hn::Sub(r, hn::And(hn::And(r, one), hn::VecFromMask(d, hn::Eq(rest, hn::Zero(d)))));
  }
  return r;
}

template <bool kWide, bool kSeen>
std::int64_t Updated(const HeadUpdate& head, AccRange* seen) {
  const D d;
  const D64 d64;
  const V64 least = hn::Set(d64, head.range.qmin), most = hn::Set(d64, head.range.qmax);
  std::int64_t saturated = 0;
  V64 low_seen = hn::Zero(d64), high_seen = hn::Zero(d64);
  for (std::int64_t k = 0; k < head.keys; ++k) {
    const V decay = hn::Set(d, head.decay[k * head.decay_step]);
    const V low = hn::Set(d, head.low[k]), high = hn::Set(d, kWide ? head.high[k] : 0);
    std::int32_t* const row = head.state + k * head.stride;
    const auto step = [&](V s, V v) {
      V64 product = hn::MulEven(v, low);
      if constexpr (kWide) product = hn::Add(product, hn::ShiftLeft<16>(hn::MulEven(v, high)));
      const V64 sum =
          hn::Add(Rounded(hn::MulEven(s, decay), head.keep), Rounded(product, head.add));
      if constexpr (kSeen) {
        low_seen = hn::Min(low_seen, sum);
        high_seen = hn::Max(high_seen, sum);
      }
      const V64 y = hn::Min(hn::Max(sum, least), most);
      saturated += static_cast<std::int64_t>(hn::CountTrue(d64, hn::Ne(y, sum)));
      return y;
    };
    for (std::int64_t n = 0; n < head.stride; n += kLanes) {
      const V s = hn::LoadU(d, row + n), v = hn::LoadU(d, head.value + n);
      const V64 even = step(s, v), odd = step(Odd(s), Odd(v));
      hn::StoreU(hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even)), d,
                 row + n);
    }
  }
  if constexpr (kSeen) {
    seen->Include(hn::GetLane(hn::MinOfLanes(d64, low_seen)));
    seen->Include(hn::GetLane(hn::MaxOfLanes(d64, high_seen)));
  }
  return saturated;
}

std::int64_t UpdateHeadOf(const HeadUpdate& head, AccRange* seen) {
  if (head.high != nullptr)
    return seen != nullptr ? Updated<true, true>(head, seen) : Updated<true, false>(head, seen);
  return seen != nullptr ? Updated<false, true>(head, seen) : Updated<false, false>(head, seen);
}

void ReadHeadOf(const HeadRead& head) {
  const D d;
  const D64 d64;
  HWY_ALIGN std::int64_t lanes[2][HWY_LANES(std::int64_t)];
  for (std::int64_t n = 0; n < head.stride; n += kLanes) {
    V64 even = hn::Zero(d64), odd = hn::Zero(d64);
    const std::int32_t* column = head.state + n;
    for (const std::int32_t q : head.query) {
      const V query = hn::Set(d, q - head.query_zero);
      const V s = hn::LoadU(d, column);
      column += head.stride;
      // Sign-extended; the low half of what is narrowed is all of it.
      const V one = hn::Set(d, 1);
      const V64 narrow_even = Rounded(hn::MulEven(s, one), head.narrow);
      const V64 narrow_odd = Rounded(hn::MulEven(Odd(s), one), head.narrow);
      even = hn::Add(even, hn::MulEven(hn::BitCast(d, narrow_even), query));
      odd = hn::Add(odd, hn::MulEven(hn::BitCast(d, narrow_odd), query));
    }
    hn::Store(even, d64, lanes[0]);
    hn::Store(odd, d64, lanes[1]);
    for (std::int64_t i = 0; i < kLanes; ++i) head.sums[n + i] = lanes[i % 2][i / 2];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qsim::golden::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::golden::kernels {
HWY_EXPORT(UpdateHeadOf);
HWY_EXPORT(ReadHeadOf);

std::int64_t UpdateHead(const HeadUpdate& head, AccRange* seen) {
  return HWY_DYNAMIC_DISPATCH(UpdateHeadOf)(head, seen);
}

void ReadHead(const HeadRead& head) { HWY_DYNAMIC_DISPATCH(ReadHeadOf)(head); }

}  // namespace qsim::golden::kernels
#endif
