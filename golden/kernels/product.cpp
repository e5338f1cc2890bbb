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

// kCount rows and the panel's first kWidth vectors of columns.
template <Group kGroup, std::int64_t kCount, std::int64_t kWidth>
HWY_INLINE void MultiplyRows(const std::uint8_t* a, std::int64_t a_stride, const std::uint8_t* b,
                             std::int64_t groups, const std::int32_t* init, std::int32_t* out,
                             std::int64_t stride) {
  const D d;
  V acc[static_cast<std::size_t>(kCount)][static_cast<std::size_t>(kWidth)];
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kWidth; ++v) acc[r][v] = hn::LoadU(d, init + v * kLanes);
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    V right[static_cast<std::size_t>(kWidth)];
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kWidth; ++v) right[v] = RightGroup(b + 4 * kPanel * g, v);
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < kCount; ++r) {
      const V left = LeftGroup(a + r * a_stride + 4 * g);
#pragma GCC unroll 4
      for (std::int64_t v = 0; v < kWidth; ++v) acc[r][v] = Dot<kGroup>(acc[r][v], left, right[v]);
    }
  }
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kCount; ++r) {
#pragma GCC unroll 4
    for (std::int64_t v = 0; v < kWidth; ++v)
      hn::StoreU(acc[r][v], d, out + r * stride + v * kLanes);
  }
}

template <Group kGroup, std::int64_t kWidth>
void MultiplyWidth(const LeftOperand& left, const std::uint8_t* b, std::int64_t first,
                   std::int64_t last, const std::int32_t* init, std::int32_t* out,
                   std::int64_t stride) {
  b += 4 * kPanel * first;
  const std::uint8_t* a = left.data + 4 * first;
  if (left.rows < kRows) {
    for (std::int64_t m = 0; m < left.rows; ++m) {
      MultiplyRows<kGroup, 1, kWidth>(a + m * left.stride, left.stride, b, last - first, init,
                                      out + m * stride, stride);
    }
    return;
  }
  // The last rows are computed twice where their number is no multiple.
  for (std::int64_t m = 0; m < left.rows; m += kRows) {
    const std::int64_t row = std::min(m, left.rows - kRows);
    MultiplyRows<kGroup, kRows, kWidth>(a + row * left.stride, left.stride, b, last - first, init,
                                        out + row * stride, stride);
  }
}

// No more vectors of the panel than hold its columns.
template <Group kGroup, std::int64_t kWidth = kVectors>
void Multiply(const LeftOperand& left, const std::uint8_t* b, std::int64_t columns,
              std::int64_t first, std::int64_t last, const std::int32_t* init, std::int32_t* out,
              std::int64_t stride) {
  if constexpr (kWidth > 1) {
    if (columns <= (kWidth - 1) * kLanes)
      return Multiply<kGroup, kWidth - 1>(left, b, columns, first, last, init, out, stride);
  }
  MultiplyWidth<kGroup, kWidth>(left, b, first, last, init, out, stride);
}

void MultiplyPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                     std::int64_t first, std::int64_t last, const std::int32_t* init,
                     std::int32_t* out, std::int64_t stride) {
  const std::uint8_t* b = right.Panel(first_column);
  const std::int64_t columns = right.columns - first_column;
  if (right.group == Group::kBytes) {
    Multiply<Group::kBytes>(left, b, columns, first, last, init, out, stride);
  } else {
    Multiply<Group::kWords>(left, b, columns, first, last, init, out, stride);
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

// A vector of sums on their way: a row's groups, one vector of columns of its panel's.
struct Walk {
  const std::uint8_t* a;
  const std::uint8_t* b;
};
constexpr std::int64_t kWalks = 4;  // side by side, since a step waits for the one before

// acc = step(acc + a[k] b[k]) for each of the walks and `depth` k, ascending.
template <Group kGroup, bool kBiased, typename Step>
HWY_INLINE void StepWalks(const Walk* walks, std::int64_t depth, V* acc, Step step) {
  constexpr std::int64_t kMembers = kGroup == Group::kBytes ? 4 : 2;
  constexpr std::uint32_t kFirst = kGroup == Group::kBytes ? 0xFF : 0xFFFF;
  const D d;
  const V excess = hn::Set(d, static_cast<std::int32_t>(0x80808080));
  V masks[static_cast<std::size_t>(kMembers)];
  for (std::int64_t i = 0; i < kMembers; ++i)
    masks[i] = hn::Set(d, static_cast<std::int32_t>(kFirst << (i * 32 / kMembers)));
  const auto group = [&](std::int64_t g, std::int64_t members) HWY_ATTR {
    V left[kWalks], right[kWalks];
#pragma GCC unroll 4
    for (std::int64_t w = 0; w < kWalks; ++w) {
      left[w] = LeftGroup(walks[w].a + 4 * g);
      right[w] = RightGroup(walks[w].b + 4 * kPanel * g, 0);
    }
#pragma GCC unroll 4
    for (std::int64_t i = 0; i < members; ++i) {
#pragma GCC unroll 4
      for (std::int64_t w = 0; w < kWalks; ++w) {
        const V one = hn::And(right[w], masks[i]);
        acc[w] = Dot<kGroup>(acc[w], left[w], one);
        if (kBiased) acc[w] = hn::Sub(acc[w], Dot<kGroup>(hn::Zero(d), excess, one));
        acc[w] = step(acc[w]);
      }
    }
  };
  std::int64_t g = 0;
  for (; (g + 1) * kMembers <= depth; ++g) group(g, kMembers);
  if (g * kMembers < depth) group(g, depth - g * kMembers);
}

// What of a block could widen the range, some walks at a time.
template <Group kGroup, bool kBiased>
class Suspects {
 public:
  Suspects(std::int64_t depth, AccRange& seen) : depth_(depth), seen_(seen) {}
  HWY_INLINE void Add(Walk walk, V sum) {
    walks_[count_] = walk;
    sums_[count_] = sum;
    if (++count_ == kWalks) Step();
  }
  void Step() {
    if (count_ == 0) return;
    for (std::int64_t w = count_; w < kWalks; ++w) {
      walks_[w] = walks_[0];
      sums_[w] = sums_[0];
    }
    count_ = 0;
    Range range{sums_[0], sums_[0]};
    StepWalks<kGroup, kBiased>(walks_, depth_, sums_, [&](V sum) HWY_ATTR {
      range.Include(sum);
      return sum;
    });
    range.Widen(seen_);
  }

 private:
  std::int64_t depth_;
  AccRange& seen_;
  std::int64_t count_ = 0;
  Walk walks_[kWalks];
  V sums_[kWalks];
};

template <Group kGroup, bool kBiased>
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
    Multiply<kGroup>(left, b, kPanel, first, last, excess, sums.data(), kPanel);
    Suspects<kGroup, kBiased> suspects(std::min(kBlock, left.depth - block * kBlock), seen);
    for (std::int64_t m = 0; m < left.rows; ++m) {
      const std::int32_t* added = sums.data() + m * kPanel;
      std::int32_t* at = out + m * stride;
      const V low = hn::Set(d, static_cast<std::int32_t>(seen.min));
      const V high = hn::Set(d, static_cast<std::int32_t>(seen.max));
      const V norm = hn::Set(d, left.block_norms[static_cast<std::size_t>(block * left.rows + m)]);
      for (std::int64_t v = 0; v < kVectors; ++v) {
        const std::int64_t n = v * kLanes;
        const V before = hn::LoadU(d, at + n), sum = hn::LoadU(d, added + n);
        // By Cauchy and Schwarz the absolute values of the block's products add up to at most this;
        // the positive ones to half of it and of the sum.
        const V most = hn::Mul(norm, hn::LoadU(d, norms + n));
        const V up = hn::ShiftRight<1>(hn::Add(hn::Add(most, sum), hn::Set(d, 1)));
        const V down = hn::ShiftRight<1>(hn::Sub(sum, most));
        const auto wider =
            hn::Or(hn::Gt(hn::Add(before, up), high), hn::Lt(hn::Add(before, down), low));
        if (!hn::AllFalse(d, wider)) {
          suspects.Add(
              {left.data + m * left.stride + 4 * first, b + 4 * kPanel * first + 4 * kLanes * v},
              before);
        }
        hn::StoreU(hn::Add(before, sum), d, at + n);
      }
    }
    suspects.Step();
  }
}

// Calls run<group, whether the left operand is biased>().
template <typename Run>
void ByKind(const LeftOperand& left, Run run) {
  if (left.group == Group::kWords) return run.template operator()<Group::kWords, false>();
  if (left.bias != 0) return run.template operator()<Group::kBytes, true>();
  run.template operator()<Group::kBytes, false>();
}

void WatchPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                  const std::int32_t* init, std::int32_t* out, std::int64_t stride,
                  AccRange& seen) {
  ByKind(left, [&]<Group kGroup, bool kBiased>() {
    Watch<kGroup, kBiased>(left, right, first_column, init, out, stride, seen);
  });
}

template <Group kGroup, bool kBiased>
void StepAll(const LeftOperand& left, const std::uint8_t* b, const std::int32_t* init,
             Accumulator width, std::int32_t* out, std::int64_t stride, AccRange& seen) {
  const D d;
  const std::int32_t most = (1 << (width.bits - 1)) - 1;
  const V low = hn::Set(d, -most - 1), high = hn::Set(d, most);
  const int unused_bits = 32 - width.bits;
  Range range{hn::Zero(d), hn::Zero(d)};
  // A row's vectors of columns one after another, as many side by side as there are walks.
  const std::int64_t total = left.rows * kVectors;
  for (std::int64_t first = 0; first < total; first += kWalks) {
    Walk walks[kWalks];
    V acc[kWalks];
    std::int32_t* to[kWalks];
    for (std::int64_t w = 0; w < kWalks; ++w) {
      const std::int64_t i = std::min(first + w, total - 1), v = i % kVectors, m = i / kVectors;
      walks[w] = {left.data + m * left.stride, b + 4 * kLanes * v};
      acc[w] = hn::LoadU(d, init + v * kLanes);
      to[w] = out + m * stride + v * kLanes;
    }
    if (width.policy == AccPolicy::kWrap) {
      StepWalks<kGroup, kBiased>(walks, left.depth, acc, [&](V sum) HWY_ATTR {
        range.Include(sum);
        return hn::ShiftRightSame(hn::ShiftLeftSame(sum, unused_bits), unused_bits);
      });
    } else {
      StepWalks<kGroup, kBiased>(walks, left.depth, acc, [&](V sum) HWY_ATTR {
        range.Include(sum);
        return hn::Min(hn::Max(sum, low), high);
      });
    }
    for (std::int64_t w = 0; w < kWalks; ++w) hn::StoreU(acc[w], d, to[w]);
  }
  range.Widen(seen);
}

void StepPanelOf(const LeftOperand& left, const RightOperand& right, std::int64_t first_column,
                 const std::int32_t* init, Accumulator acc, std::int32_t* out, std::int64_t stride,
                 AccRange& seen) {
  ByKind(left, [&]<Group kGroup, bool kBiased>() {
    StepAll<kGroup, kBiased>(left, right.Panel(first_column), init, acc, out, stride, seen);
  });
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
