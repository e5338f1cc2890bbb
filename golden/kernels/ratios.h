// Multiplication by ratios of scales in vector registers: what requantization, the residual sums
// and the last step of the norms have in common. Private to golden/kernels.
//
//   p = a m_a + b m_b + addend;  y = clamp(zero + round(p / 2^shift), qmin, qmax)
//
// in 64 bits, where the headers of the operations say that this suffices. Every rounding and every
// named scheme (docs/numerics.md sections 2 and 4.5) is one or two steps of
//
//   r = (p + half + (p < 0 ? below : 0)) >> shift
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "golden/ops/requantize.h"
#include "golden/ops/residual_add.h"

namespace qsim::golden::kernels {

// One rounding, as such a step; `even`: a tie goes to the even neighbour.
struct RoundingStep {
  std::int64_t half = 0, below = 0;
  int shift = 0;
  bool even = false;

  std::int64_t operator()(std::int64_t p) const {
    const std::int64_t sum = p + half + (p < 0 ? below : 0), r = sum >> shift;
    return even && (sum & (2 * half - 1)) == 0 ? r - (r & 1) : r;
  }
};
RoundingStep StepOf(Rounding rounding, int shift);

// One number for each channel, even and odd ones apart, since lanes of 64 bits hold every other
// one.
struct Alternate {
  std::vector<std::int64_t> of[2];
  explicit Alternate(std::size_t channels = 0)
      : of{std::vector<std::int64_t>(channels / 2), std::vector<std::int64_t>(channels / 2)} {}
  std::int64_t& operator[](std::size_t c) { return of[c % 2][c / 2]; }
};

struct RoundedShift {
  Alternate half, below, shift;
};

// The parameters of some channels, padded to whole tiles.
class Ratios {
 public:
  // Columns of a tile: what a call takes at most.
  static constexpr std::int64_t kTile = 64;

  // One set for all columns, or one for each of so many.
  Ratios(const RequantizeParams& params, std::int64_t columns);
  Ratios(const ResidualAddParams& params, std::int64_t columns);
  // Of the last step of a norm, y m / 2^shift; the multipliers stay with it.
  Ratios(std::span<const Multiplier> scale, std::span<const std::int32_t> zero, Rounding rounding,
         QuantRange range, std::int64_t columns);

  // Another multiplier for all columns of a requantization with one, by scheme round_shift.
  void SetScale(Multiplier scale);

  // Where in the lists a column's numbers are.
  std::int64_t At(std::int64_t column) const { return one_ ? 0 : column; }

  std::vector<std::int32_t> m_a, m_b, zero;
  Alternate wide_m, addend, low, high;  // low and high: the clamp's, less zero
  RoundedShift first, second;
  bool even = false;   // ties go to even
  bool signs = false;  // some `below` is not 0
  bool twice = false;  // a second step follows, from at most 2^31 - 1

 private:
  Ratios(std::int64_t channels, bool one);
  void SetChannel(std::size_t c, RequantScheme scheme, Multiplier scale);
  void SetClamp(std::size_t c, std::int64_t after, QuantRange range);

  bool one_;
  RequantScheme scheme_ = RequantScheme::kRoundShift;
  Rounding rounding_ = Rounding::kHalfUp;
};

// Rows of at most Ratios::kTile columns. Strides in elements; no b: null.
struct Tile {
  std::int64_t column = 0;  // of the parameters: even
  std::int64_t rows = 0, columns = 0;
  const std::int32_t* a = nullptr;
  std::int64_t a_stride = 0;
  const std::int32_t* b = nullptr;
  std::int64_t b_stride = 0;
};
// Returns how many elements the clamp changed.
std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, std::int8_t* out,
                       std::int64_t stride);
std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, std::uint8_t* out,
                       std::int64_t stride);
std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, std::int16_t* out,
                       std::int64_t stride);
std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, std::uint16_t* out,
                       std::int64_t stride);
std::int64_t ScaleTile(const Ratios& ratios, const Tile& tile, std::int32_t* out,
                       std::int64_t stride);

// Rows of a norm, as many columns as a tile's: d * factor >> 1, plus bias (null: none), times gate
// (null: none), and then as above. d of at most 26 bits, a factor for each row, below 2^31; no
// product may leave 63 bits.
struct NormTile {
  std::int64_t column = 0;  // of the parameters, d and gate: even
  std::int64_t rows = 0, columns = 0;
  const std::int32_t* d = nullptr;
  const std::int32_t* factors = nullptr;
  const Alternate* bias = nullptr;
  const std::int32_t* gate = nullptr;
  std::int64_t stride = 0;  // of d, gate and the output
};
std::int64_t ScaleNormTile(const Ratios& ratios, const NormTile& tile, std::int32_t* out);

// What a norm's row needs first: the sum of d = (x - zero) << shift[c] (shift null: none), values
// of at most 25 bits.
std::int64_t ShiftedSum(std::span<const std::int32_t> x, std::int32_t zero,
                        const std::int32_t* shift, std::int32_t* d);
// d -= mean; the sum of (d >> k)^2, and the largest |d|. At most 4,096 values of 26 bits.
struct Spread {
  std::int64_t squares = 0, largest = 0;
};
Spread Centre(std::span<std::int32_t> d, std::int32_t mean, int k);

}  // namespace qsim::golden::kernels
