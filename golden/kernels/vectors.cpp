#include "golden/kernels/vectors.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "golden/kernels/vectors.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::golden::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<std::int32_t>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = HWY_LANES(std::int32_t);

std::int32_t LargestOf(std::span<const std::int32_t> row) {
  const D d;
  std::size_t i = 0;
  V largest = hn::Set(d, row[0]);
  for (; i + kLanes <= row.size(); i += kLanes)
    largest = hn::Max(largest, hn::LoadU(d, row.data() + i));
  std::int32_t result = hn::GetLane(hn::MaxOfLanes(d, largest));
  for (; i < row.size(); ++i) result = std::max(result, row[i]);
  return result;
}

std::int64_t ScaleRowOf(std::span<std::int32_t> row, std::int64_t factor, std::int64_t half,
                        int shift, std::int32_t most) {
  const hn::Repartition<std::uint32_t, D> du;
  const hn::Repartition<std::uint64_t, D> d64;
  using V64 = hn::Vec<decltype(d64)>;
  const auto low = hn::Set(du, static_cast<std::uint32_t>(factor));
  const auto high = hn::Set(du, static_cast<std::uint32_t>(factor >> 32));
  const V64 add = hn::Set(d64, static_cast<std::uint64_t>(half));
  std::size_t i = 0;
  std::int64_t saturated = 0;
  const V limit = hn::Set(D(), most);
  const auto scaled = [&](auto x) {
    const V64 product = hn::Add(hn::MulEven(x, low), hn::ShiftLeft<32>(hn::MulEven(x, high)));
    return hn::ShiftRightSame(hn::Add(product, add), shift);
  };
  for (; i + kLanes <= row.size(); i += kLanes) {
    const auto x = hn::BitCast(du, hn::LoadU(D(), row.data() + i));
    const auto odd = hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(d64, x)));
    // Results of at most 2^16 2^34 / 2^shift: below 2^31 from shifts of 19 on.
    const V y = hn::BitCast(D(), hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(scaled(odd))),
                                             hn::BitCast(du, scaled(x))));
    saturated += static_cast<std::int64_t>(hn::CountTrue(D(), hn::Gt(y, limit)));
    hn::StoreU(hn::Min(y, limit), D(), row.data() + i);
  }
  for (; i < row.size(); ++i) {
    const std::int64_t y = (row[i] * factor + half) >> shift;
    saturated += y > most;
    row[i] = static_cast<std::int32_t>(std::min<std::int64_t>(y, most));
  }
  return saturated;
}

template <typename T>
HWY_INLINE void WidenTo(std::span<const T> from, std::int32_t* to) {
  const D d;
  const hn::Rebind<T, D> narrow;
  std::size_t i = 0;
  for (; i + kLanes <= from.size(); i += kLanes)
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(narrow, from.data() + i)), d, to + i);
  for (; i < from.size(); ++i) to[i] = from[i];
}

template <typename T>
HWY_INLINE void NarrowTo(std::span<const std::int32_t> from, T* to) {
  const D d;
  const hn::Rebind<T, D> narrow;
  std::size_t i = 0;
  for (; i + kLanes <= from.size(); i += kLanes)
    hn::StoreU(hn::DemoteTo(narrow, hn::LoadU(d, from.data() + i)), narrow, to + i);
  for (; i < from.size(); ++i) to[i] = static_cast<T>(from[i]);
}

// One function for each type: a table of targets holds no templates.
#define QSIM_TYPE(Type, T)                                                           \
  void Widen##Type(std::span<const T> from, std::int32_t* to) { WidenTo(from, to); } \
  void Narrow##Type(std::span<const std::int32_t> from, T* to) { NarrowTo(from, to); }
QSIM_TYPE(Int8, std::int8_t)
QSIM_TYPE(Uint8, std::uint8_t)
QSIM_TYPE(Int16, std::int16_t)
QSIM_TYPE(Uint16, std::uint16_t)
#undef QSIM_TYPE

}  // namespace HWY_NAMESPACE
}  // namespace qsim::golden::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::golden::kernels {
HWY_EXPORT(LargestOf);
HWY_EXPORT(ScaleRowOf);

std::int32_t Largest(std::span<const std::int32_t> row) {
  return HWY_DYNAMIC_DISPATCH(LargestOf)(row);
}

std::int64_t ScaleRow(std::span<std::int32_t> row, std::int64_t factor, std::int64_t half,
                      int shift, std::int32_t most) {
  return HWY_DYNAMIC_DISPATCH(ScaleRowOf)(row, factor, half, shift, most);
}

#define QSIM_TYPE(Type, T)                                 \
  HWY_EXPORT(Widen##Type);                                 \
  HWY_EXPORT(Narrow##Type);                                \
  void Widen(std::span<const T> from, std::int32_t* to) {  \
    HWY_DYNAMIC_DISPATCH(Widen##Type)(from, to);           \
  }                                                        \
  void Narrow(std::span<const std::int32_t> from, T* to) { \
    HWY_DYNAMIC_DISPATCH(Narrow##Type)(from, to);          \
  }
QSIM_TYPE(Int8, std::int8_t)
QSIM_TYPE(Uint8, std::uint8_t)
QSIM_TYPE(Int16, std::int16_t)
QSIM_TYPE(Uint16, std::uint16_t)
#undef QSIM_TYPE

}  // namespace qsim::golden::kernels
#endif
