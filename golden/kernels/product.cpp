#include "golden/kernels/product.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "golden/kernels/product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::golden::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<std::int32_t>;
using V = hn::Vec<D>;
constexpr std::int64_t kLanes = HWY_LANES(std::int32_t);
// Accumulators, and operands beside them, fill the registers.
constexpr std::int64_t kVectors = kLanes == 16 ? 4 : 2;
constexpr std::int64_t kRows = kLanes == 16 ? 6 : 4;
constexpr std::int64_t kPanel = kVectors * kLanes;

std::int64_t PanelColumnsOf() { return kPanel; }
Group BestGroupOf() { return HWY_TARGET == HWY_AVX3_DL ? Group::kBytes : Group::kWords; }

// acc + the dot product of the groups in each lane.
template <Group kGroup>
HWY_INLINE V Dot(V acc, V a, V b) {
#if HWY_TARGET == HWY_AVX3_DL
  if constexpr (kGroup == Group::kBytes) {
    // Highway has no name for it yet.
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc.raw) : "v"(a.raw), "v"(b.raw));
    return acc;
  }
#endif
  const D d;
  (void)d;
#if HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_AVX2 || \
    HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  const hn::Repartition<std::int16_t, D> words;
  V none = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, hn::BitCast(words, a), hn::BitCast(words, b), acc, none);
#else
  const auto low = [](V v) { return hn::ShiftRight<16>(hn::ShiftLeft<16>(v)); };
  const V sum = hn::Add(acc, hn::Mul(low(a), low(b)));
  return hn::Add(sum, hn::Mul(hn::ShiftRight<16>(a), hn::ShiftRight<16>(b)));
#endif
}

HWY_INLINE V LeftGroup(const std::uint8_t* a) {
  std::int32_t group;
  std::memcpy(&group, a, sizeof(group));
  return hn::Set(D(), group);
}
HWY_INLINE V RightGroup(const std::uint8_t* b, std::int64_t vector) {
  return hn::BitCast(D(), hn::Load(hn::Repartition<std::uint8_t, D>(), b + 4 * kLanes * vector));
}

template <Group kGroup, std::int64_t kCount>
HWY_INLINE void MultiplyRows(const std::uint8_t* a, std::int64_t a_stride, const std::uint8_t* b,
                             std::int64_t groups, const std::int32_t* init, std::int32_t* out,
                             std::int64_t stride) {
  const D d;
  V acc[static_cast<std::size_t>(kCount)][static_cast<std::size_t>(kVectors)];
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kVectors; ++v) acc[r][v] = hn::LoadU(d, init + v * kLanes);
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    V right[kVectors];
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kVectors; ++v) right[v] = RightGroup(b + 4 * kPanel * g, v);
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < kCount; ++r) {
      const V left = LeftGroup(a + r * a_stride + 4 * g);
#pragma GCC unroll 4
      for (std::int64_t v = 0; v < kVectors; ++v)
        acc[r][v] = Dot<kGroup>(acc[r][v], left, right[v]);
    }
  }
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kVectors; ++v)
      hn::StoreU(acc[r][v], d, out + r * stride + v * kLanes);
  }
}

template <Group kGroup>
void Multiply(const LeftOperand& left, const std::uint8_t* b, std::int64_t first, std::int64_t last,
              const std::int32_t* init, std::int32_t* out, std::int64_t stride) {
  b += 4 * kPanel * first;
  const std::uint8_t* a = left.data + 4 * first;
  if (left.rows < kRows) {
    for (std::int64_t m = 0; m < left.rows; ++m) {
      MultiplyRows<kGroup, 1>(a + m * left.stride, left.stride, b, last - first, init,
                              out + m * stride, stride);
    }
    return;
  }
  // The last rows are computed twice where their number is no multiple.
  for (std::int64_t m = 0; m < left.rows; m += kRows) {
    const std::int64_t row = std::min(m, left.rows - kRows);
    MultiplyRows<kGroup, kRows>(a + row * left.stride, left.stride, b, last - first, init,
                                out + row * stride, stride);
  }
}

void MultiplyPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                     std::int64_t first, std::int64_t last, const std::int32_t* init,
                     std::int32_t* out, std::int64_t stride) {
  const std::uint8_t* b = right.Panel(first_column);
  if (right.group == Group::kBytes) {
    Multiply<Group::kBytes>(left, b, first, last, init, out, stride);
  } else {
    Multiply<Group::kWords>(left, b, first, last, init, out, stride);
  }
}

// The smallest and largest value of each lane, over steps.
struct Range {
  V low, high;
  HWY_INLINE void Include(V value) {
    low = hn::Min(low, value);
    high = hn::Max(high, value);
  }
  void Widen(AccRange& seen) const {
    const D d;
    seen.Include(hn::GetLane(hn::MinOfLanes(d, low)));
    seen.Include(hn::GetLane(hn::MaxOfLanes(d, high)));
  }
};

void CorrectOf(const Corrections& corrections, std::int64_t rows, std::int32_t* out,
               std::int64_t stride, AccRange* seen) {
  const D d;
  Range range{hn::Zero(d), hn::Zero(d)};
  for (std::int64_t m = 0; m < rows; ++m) {
    for (std::int64_t n = 0; n < kPanel; n += kLanes) {
      std::int32_t* at = out + m * stride + n;
      V sum = hn::LoadU(d, at);
      if (corrections.rhs_zero != nullptr) {
        const V row = hn::Set(d, corrections.row_sums[m]);
        sum = hn::Sub(sum, hn::Mul(hn::LoadU(d, corrections.rhs_zero + n), row));
        range.Include(sum);
      }
      if (corrections.left_zero_sums != nullptr) {
        sum = hn::Sub(sum, hn::LoadU(d, corrections.left_zero_sums + n));
        range.Include(sum);
      }
      if (corrections.constant != nullptr) {
        sum = hn::Add(sum, hn::LoadU(d, corrections.constant + n));
        range.Include(sum);
      }
      hn::StoreU(sum, d, at);
    }
  }
  if (seen != nullptr) range.Widen(*seen);
}

// acc = step(acc + a[k] b[k]) for each vector of columns and `depth` k, ascending.
template <Group kGroup, typename Step>
HWY_INLINE void StepRow(const std::uint8_t* a, const std::uint8_t* b, std::int64_t depth,
                        bool biased, V* acc, Step step) {
  constexpr std::int64_t kMembers = kGroup == Group::kBytes ? 4 : 2;
  constexpr std::uint32_t kFirst = kGroup == Group::kBytes ? 0xFF : 0xFFFF;
  const D d;
  const V excess = hn::Set(d, static_cast<std::int32_t>(0x80808080));
  for (std::int64_t g = 0; g * kMembers < depth; ++g) {
    const V left = LeftGroup(a + 4 * g);
    V right[kVectors];
    for (std::int64_t v = 0; v < kVectors; ++v) right[v] = RightGroup(b + 4 * kPanel * g, v);
    const std::int64_t members = std::min(kMembers, depth - g * kMembers);
    for (std::int64_t member = 0; member < members; ++member) {
      const V mask = hn::Set(d, static_cast<std::int32_t>(kFirst << (member * 32 / kMembers)));
#pragma GCC unroll 4
      for (std::int64_t v = 0; v < kVectors; ++v) {
        const V one = hn::And(right[v], mask);
        acc[v] = Dot<kGroup>(acc[v], left, one);
        if (biased) acc[v] = hn::Sub(acc[v], Dot<kGroup>(hn::Zero(d), excess, one));
        acc[v] = step(acc[v]);
      }
    }
  }
}

template <Group kGroup>
void Watch(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
           const std::int32_t* init, std::int32_t* out, std::int64_t stride, AccRange& seen) {
  const D d;
  const std::int64_t block_groups = kBlock / (kGroup == Group::kBytes ? 4 : 2);
  const std::uint8_t* b = right.Panel(first_column);
  Range start{hn::LoadU(d, init), hn::LoadU(d, init)};
  for (std::int64_t n = 0; n < kPanel; n += kLanes) start.Include(hn::LoadU(d, init + n));
  start.Widen(seen);
  for (std::int64_t m = 0; m < left.rows; ++m) std::copy_n(init, kPanel, out + m * stride);
  static thread_local std::vector<std::int32_t> sums;
  sums.resize(static_cast<std::size_t>(left.rows * kPanel));
  HWY_ALIGN std::int32_t excess[kPanel];
  for (std::int64_t block = 0; block * block_groups < left.groups; ++block) {
    const std::int64_t first = block * block_groups;
    const std::int64_t last = std::min(first + block_groups, left.groups);
    const std::int32_t* block_sums = right.block_sums.data() + block * right.padded + first_column;
    const std::int32_t* norms = right.block_norms.data() + block * right.padded + first_column;
    for (std::int64_t n = 0; n < kPanel; ++n) excess[n] = -left.bias * block_sums[n];
    Multiply<kGroup>(left, b, first, last, excess, sums.data(), kPanel);
    for (std::int64_t m = 0; m < left.rows; ++m) {
      const std::int32_t* added = sums.data() + m * kPanel;
      std::int32_t* at = out + m * stride;
      const V low = hn::Set(d, static_cast<std::int32_t>(seen.min));
      const V high = hn::Set(d, static_cast<std::int32_t>(seen.max));
      const V norm = hn::Set(d, left.block_norms[static_cast<std::size_t>(block * left.rows + m)]);
      auto wider = hn::MaskFromVec(hn::Zero(d));
      for (std::int64_t n = 0; n < kPanel; n += kLanes) {
        const V before = hn::LoadU(d, at + n), sum = hn::LoadU(d, added + n);
        // By Cauchy and Schwarz the absolute values of the block's products add up to at most this;
        // the positive ones to half of it and of the sum.
        const V most = hn::Mul(norm, hn::LoadU(d, norms + n));
        const V up = hn::ShiftRight<1>(hn::Add(hn::Add(most, sum), hn::Set(d, 1)));
        const V down = hn::ShiftRight<1>(hn::Sub(sum, most));
        wider = hn::Or(
            wider, hn::Or(hn::Gt(hn::Add(before, up), high), hn::Lt(hn::Add(before, down), low)));
      }
      if (!hn::AllFalse(d, wider)) {
        V acc[kVectors];
        for (std::int64_t v = 0; v < kVectors; ++v) acc[v] = hn::LoadU(d, at + v * kLanes);
        Range range{low, high};
        StepRow<kGroup>(left.data + m * left.stride + 4 * first, b + 4 * kPanel * first,
                        std::min(kBlock, left.depth - block * kBlock), left.bias != 0, acc,
                        [&](V sum) {
                          range.Include(sum);
                          return sum;
                        });
        range.Widen(seen);
      }
      for (std::int64_t n = 0; n < kPanel; n += kLanes)
        hn::StoreU(hn::Add(hn::LoadU(d, at + n), hn::LoadU(d, added + n)), d, at + n);
    }
  }
}

void WatchPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                  const std::int32_t* init, std::int32_t* out, std::int64_t stride,
                  AccRange& seen) {
  if (right.group == Group::kBytes) {
    Watch<Group::kBytes>(left, right, first_column, init, out, stride, seen);
  } else {
    Watch<Group::kWords>(left, right, first_column, init, out, stride, seen);
  }
}

template <Group kGroup>
void StepAll(const LeftOperand& left, const std::uint8_t* b, const std::int32_t* init,
             Accumulator width, std::int32_t* out, std::int64_t stride, AccRange& seen) {
  const D d;
  const std::int32_t most = (1 << (width.bits - 1)) - 1;
  const V low = hn::Set(d, -most - 1), high = hn::Set(d, most);
  const int unused_bits = 32 - width.bits;
  Range range{hn::Zero(d), hn::Zero(d)};
  for (std::int64_t m = 0; m < left.rows; ++m) {
    V acc[kVectors];
    for (std::int64_t v = 0; v < kVectors; ++v) acc[v] = hn::LoadU(d, init + v * kLanes);
    const std::uint8_t* a = left.data + m * left.stride;
    if (width.policy == AccPolicy::kWrap) {
      StepRow<kGroup>(a, b, left.depth, left.bias != 0, acc, [&](V sum) {
        range.Include(sum);
        return hn::ShiftRightSame(hn::ShiftLeftSame(sum, unused_bits), unused_bits);
      });
    } else {
      StepRow<kGroup>(a, b, left.depth, left.bias != 0, acc, [&](V sum) {
        range.Include(sum);
        return hn::Min(hn::Max(sum, low), high);
      });
    }
    for (std::int64_t v = 0; v < kVectors; ++v)
      hn::StoreU(acc[v], d, out + m * stride + v * kLanes);
  }
  range.Widen(seen);
}

void StepPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                 const std::int32_t* init, Accumulator acc, std::int32_t* out, std::int64_t stride,
                 AccRange& seen) {
  const std::uint8_t* b = right.Panel(first_column);
  if (right.group == Group::kBytes) {
    StepAll<Group::kBytes>(left, b, init, acc, out, stride, seen);
  } else {
    StepAll<Group::kWords>(left, b, init, acc, out, stride, seen);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace qsim::golden::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::golden::kernels {
HWY_EXPORT(BestGroupOf);
HWY_EXPORT(PanelColumnsOf);
HWY_EXPORT(MultiplyPanelOf);
HWY_EXPORT(CorrectOf);
HWY_EXPORT(WatchPanelOf);
HWY_EXPORT(StepPanelOf);

Group BestGroup() { return HWY_DYNAMIC_DISPATCH(BestGroupOf)(); }
std::int64_t PanelColumns() { return HWY_DYNAMIC_DISPATCH(PanelColumnsOf)(); }

void MultiplyPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                   std::int64_t first, std::int64_t last, const std::int32_t* init,
                   std::int32_t* out, std::int64_t stride) {
  HWY_DYNAMIC_DISPATCH(MultiplyPanelOf)(left, right, first_column, first, last, init, out, stride);
}

void Correct(const Corrections& corrections, std::int64_t rows, std::int32_t* out,
             std::int64_t stride, AccRange* seen) {
  HWY_DYNAMIC_DISPATCH(CorrectOf)(corrections, rows, out, stride, seen);
}

void WatchPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                const std::int32_t* init, std::int32_t* out, std::int64_t stride, AccRange& seen) {
  HWY_DYNAMIC_DISPATCH(WatchPanelOf)(left, right, first_column, init, out, stride, seen);
}

void StepPanel(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
               const std::int32_t* init, Accumulator acc, std::int32_t* out, std::int64_t stride,
               AccRange& seen) {
  HWY_DYNAMIC_DISPATCH(StepPanelOf)(left, right, first_column, init, acc, out, stride, seen);
}

}  // namespace qsim::golden::kernels
#endif
