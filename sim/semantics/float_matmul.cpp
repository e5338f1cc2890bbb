#include "sim/semantics/float_matmul.h"

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/semantics/float_matmul.cpp"
#include <hwy/foreach_target.h>
// After it: what is compiled for each instruction set.
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace qsim::semantics::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Lanes hold columns. So many sums are in registers at once that the latency of an addition hides
// behind the others: 24 of 32 registers with AVX-512, 12 of 16 elsewhere.
using Floats = hn::ScalableTag<float>;
constexpr std::size_t kVectors = HWY_TARGET <= HWY_AVX3 ? 3 : 2;
constexpr std::size_t kRows = HWY_TARGET <= HWY_AVX3 ? 8 : 6;

// Columns first .. first + count of b, row after row, `width` apart. Blocks of rows, so that of a
// transposed matrix each line of the cache is read once.
void Pack(const StridedMatrix& b, std::int64_t first, std::int64_t count, std::int64_t k,
          std::int64_t width, float* panel) {
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t row = 0; row < k; row += kBlock) {
    const std::int64_t rows = std::min(kBlock, k - row);
    std::int64_t packed = 0;
#if HWY_TARGET != HWY_SCALAR
    constexpr std::int64_t kSquare = 4;
    if (b.down == 1 && rows == kBlock) {
      const hn::FixedTag<float, kSquare> d;
      const hn::FixedTag<double, kSquare / 2> pairs;
      const auto low = [&](auto x, auto y) HWY_ATTR {
        return hn::BitCast(d, hn::InterleaveLower(hn::BitCast(pairs, x), hn::BitCast(pairs, y)));
      };
      const auto high = [&](auto x, auto y) HWY_ATTR {
        return hn::BitCast(
            d, hn::InterleaveUpper(pairs, hn::BitCast(pairs, x), hn::BitCast(pairs, y)));
      };
      for (; packed + kSquare <= count; packed += kSquare) {
        const float* from = b.data + row + (first + packed) * b.right;
        float* to = panel + row * width + packed;
        for (std::int64_t r = 0; r < kBlock; r += kSquare) {
          const auto c0 = hn::LoadU(d, from + r), c1 = hn::LoadU(d, from + r + b.right);
          const auto c2 = hn::LoadU(d, from + r + 2 * b.right);
          const auto c3 = hn::LoadU(d, from + r + 3 * b.right);
          const auto low01 = hn::InterleaveLower(d, c0, c1), low23 = hn::InterleaveLower(d, c2, c3);
          const auto up01 = hn::InterleaveUpper(d, c0, c1), up23 = hn::InterleaveUpper(d, c2, c3);
          hn::StoreU(low(low01, low23), d, to + r * width);
          hn::StoreU(high(low01, low23), d, to + (r + 1) * width);
          hn::StoreU(low(up01, up23), d, to + (r + 2) * width);
          hn::StoreU(high(up01, up23), d, to + (r + 3) * width);
        }
      }
    }
#endif
    for (std::int64_t c = packed; c < count; ++c) {
      const float* from = b.data + row * b.down + (first + c) * b.right;
      float* to = panel + row * width + c;
      for (std::int64_t r = 0; r < rows; ++r) to[r * width] = from[r * b.down];
    }
  }
}

// kDown rows of a and kAcross vectors of columns; `bias` may be null.
template <std::size_t kDown, std::size_t kAcross>
void Tile(const float* HWY_RESTRICT a, std::int64_t a_stride, const float* HWY_RESTRICT panel,
          std::int64_t k, const float* HWY_RESTRICT bias, float* HWY_RESTRICT out,
          std::int64_t out_stride) {
  const Floats d;
  const std::size_t lanes = hn::Lanes(d);
  hn::Vec<Floats> acc[kDown][kAcross];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kDown; ++r) {
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kAcross; ++v) acc[r][v] = hn::Zero(d);
  }
  for (std::int64_t i = 0; i < k; ++i) {
    hn::Vec<Floats> b[kAcross];
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kAcross; ++v) b[v] = hn::LoadU(d, panel + v * lanes);
    panel += kAcross * lanes;
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kDown; ++r) {
      const auto x = hn::Set(d, a[static_cast<std::int64_t>(r) * a_stride + i]);
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kAcross; ++v) acc[r][v] = hn::Add(acc[r][v], hn::Mul(x, b[v]));
    }
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kDown; ++r) {
    float* const row = out + static_cast<std::int64_t>(r) * out_stride;
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kAcross; ++v) {
      const auto sum = acc[r][v];
      hn::StoreU(bias == nullptr ? sum : hn::Add(sum, hn::LoadU(d, bias + v * lanes)), d,
                 row + v * lanes);
    }
  }
}

using TileFunction = void (*)(const float*, std::int64_t, const float*, std::int64_t, const float*,
                              float*, std::int64_t);

template <std::size_t kDown>
TileFunction TileOf(std::int64_t across) {
  if constexpr (kVectors > 2) {
    if (across > 2) return &Tile<kDown, kVectors>;
  }
  return across == 2 ? &Tile<kDown, 2> : &Tile<kDown, 1>;
}

void Matmul(const float* a, std::int64_t a_stride, const StridedMatrix& b,
            std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k, float* out,
            std::int64_t out_stride) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(Floats()));
  constexpr auto kMostRows = static_cast<std::int64_t>(kRows);
  const std::int64_t most = static_cast<std::int64_t>(kVectors) * lanes;
  std::vector<float> panel(static_cast<std::size_t>(k * most));
  std::vector<float> sums(static_cast<std::size_t>(kMostRows * most));
  std::vector<float> offsets(static_cast<std::size_t>(bias.empty() ? 0 : most));
  for (std::int64_t first = 0; first < n; first += most) {
    const std::int64_t columns = std::min(most, n - first);
    const std::int64_t across = (columns + lanes - 1) / lanes;
    const std::int64_t width = across * lanes;
    Pack(b, first, columns, k, width, panel.data());
    if (!bias.empty()) std::copy_n(bias.data() + first, columns, offsets.data());
    const float* const offset = bias.empty() ? nullptr : offsets.data();
    const bool whole = columns == width;
    for (std::int64_t row = 0; row < m;) {
      const std::int64_t left = m - row;
      const std::int64_t rows = left >= kMostRows ? kMostRows : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const TileFunction tile = rows == kMostRows ? TileOf<kRows>(across)
                                : rows == 4       ? TileOf<4>(across)
                                : rows == 2       ? TileOf<2>(across)
                                                  : TileOf<1>(across);
      float* const to = out + row * out_stride + first;
      tile(a + row * a_stride, a_stride, panel.data(), k, offset, whole ? to : sums.data(),
           whole ? out_stride : width);
      for (std::int64_t r = 0; r < (whole ? 0 : rows); ++r)
        std::copy_n(sums.data() + r * width, columns, to + r * out_stride);
      row += rows;
    }
  }
}

}  // namespace

// Sought by its name from the dispatch below.
void FloatMatmul(const float* a, std::int64_t a_stride, const StridedMatrix& b,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride) {
  Matmul(a, a_stride, b, bias, m, n, k, out, out_stride);
}

}  // namespace qsim::semantics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::semantics {
namespace {

HWY_EXPORT(FloatMatmul);

}  // namespace

void FloatMatmul(const float* a, std::int64_t a_stride, const StridedMatrix& b,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride) {
  HWY_DYNAMIC_DISPATCH(FloatMatmul)(a, a_stride, b, bias, m, n, k, out, out_stride);
}

}  // namespace qsim::semantics
#endif
