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
    for (std::int64_t c = 0; c < count; ++c) {
      const float* from = b.data + row * b.down + (first + c) * b.right;
      float* to = panel + row * width + c;
      for (std::int64_t r = 0; r < rows; ++r) to[r * width] = from[r * b.down];
    }
  }
}

// Sums of kDown rows of a and kAcross vectors of columns.
template <std::size_t kDown, std::size_t kAcross>
void Tile(const float* HWY_RESTRICT a, std::int64_t a_stride, const float* HWY_RESTRICT panel,
          std::int64_t k, float* HWY_RESTRICT sums) {
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
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kAcross; ++v)
      hn::StoreU(acc[r][v], d, sums + (r * kAcross + v) * lanes);
  }
}

using TileFunction = void (*)(const float*, std::int64_t, const float*, std::int64_t, float*);

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
  for (std::int64_t first = 0; first < n; first += most) {
    const std::int64_t columns = std::min(most, n - first);
    const std::int64_t across = (columns + lanes - 1) / lanes;
    const std::int64_t width = across * lanes;
    Pack(b, first, columns, k, width, panel.data());
    for (std::int64_t row = 0; row < m;) {
      const std::int64_t left = m - row;
      const std::int64_t rows = left >= kMostRows ? kMostRows : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      const TileFunction tile = rows == kMostRows ? TileOf<kRows>(across)
                                : rows == 4       ? TileOf<4>(across)
                                : rows == 2       ? TileOf<2>(across)
                                                  : TileOf<1>(across);
      tile(a + row * a_stride, a_stride, panel.data(), k, sums.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        const float* from = sums.data() + r * width;
        float* to = out + (row + r) * out_stride + first;
        for (std::int64_t c = 0; c < columns; ++c) {
          to[c] = bias.empty() ? from[c] : from[c] + bias[static_cast<std::size_t>(first + c)];
        }
      }
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
