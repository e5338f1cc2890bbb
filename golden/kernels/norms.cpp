#include "golden/kernels/norms.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "golden/kernels/ratios.h"
#include "golden/ops/integer_sqrt.h"
#include "golden/ops/rounding.h"

namespace qsim::golden::kernels {
namespace {

// From here on the squares of a row may leave 64 bits, or x' 25 of them.
constexpr std::int64_t kMostChannels = 4096;
constexpr std::int64_t kMostInput = std::int64_t{1} << 24;
constexpr std::int64_t kMost = std::int64_t{1} << 62;

std::int64_t LargestMultiplier(std::span<const Multiplier> scale) {
  std::int64_t largest = 0;
  for (const Multiplier& s : scale) largest = std::max(largest, std::abs(std::int64_t{s.m}));
  return largest;
}

// Whether every (x - zero) << shift stays within what ShiftedSum takes.
bool Small(QuantRange x, std::int64_t zero, int shift) {
  return std::max(std::abs(x.qmin - zero), std::abs(x.qmax - zero)) <= kMostInput >> shift;
}

int LargestShift(const std::vector<std::int32_t>& shifts) {
  return shifts.empty() ? 0 : *std::max_element(shifts.begin(), shifts.end());
}
const std::int32_t* OrNull(const std::vector<std::int32_t>& shifts) {
  return shifts.empty() ? nullptr : shifts.data();
}

// The rows of one norm: what each has of its own, and which of them 64 bits hold.
class Rows {
 public:
  Rows(std::span<const std::int32_t> x, std::int64_t channels)
      : x_(x),
        width_(static_cast<std::size_t>(channels)),
        d_(x.size()),
        factors_(x.size() / width_),
        held_(factors_.size()) {}

  std::size_t count() const { return factors_.size(); }
  std::span<const std::int32_t> x(std::size_t row) const { return Of(x_, row); }
  std::span<std::int32_t> d(std::size_t row) { return std::span(d_).subspan(row * width_, width_); }

  // d * factor >> 1 + bias, times what follows: whether the row's factor is one that the tiles
  // take, and no product behind it leaves 63 bits.
  void Take(std::size_t row, std::int64_t largest, std::int64_t factor, std::int64_t largest_bias,
            std::int64_t further) {
    if (factor >= std::int64_t{1} << 31) return;
    const std::int64_t y = (largest * factor >> 1) + 1 + largest_bias;  // below 2^57 + 2^62
    if (y >= kMost / std::max<std::int64_t>(further, 1)) return;
    factors_[row] = static_cast<std::int32_t>(factor);
    held_[row] = true;
  }

  // Tile by tile where the rows are held, `reference(row)` for the others.
  template <typename Reference>
  std::int64_t Finish(const Ratios& ratios, const Alternate* bias, const std::int32_t* gate,
                      std::span<std::int32_t> out, bool& by_reference, Reference reference) {
    const auto width = static_cast<std::int64_t>(width_);
    std::int64_t saturated = 0;
    for (std::size_t row = 0; row < count();) {
      if (!held_[row]) {
        by_reference = true;
        saturated += reference(row++);
        continue;
      }
      std::size_t end = row;
      while (end < count() && held_[end]) ++end;
      for (std::int64_t column = 0; column < width; column += Ratios::kTile) {
        const NormTile tile{.column = column,
                            .rows = static_cast<std::int64_t>(end - row),
                            .columns = std::min(Ratios::kTile, width - column),
                            .d = d_.data() + row * width_,
                            .factors = factors_.data() + row,
                            .bias = bias,
                            .gate = gate == nullptr ? nullptr : gate + row * width_,
                            .stride = width};
        saturated += ScaleNormTile(ratios, tile, out.data() + row * width_);
      }
      row = end;
    }
    return saturated;
  }

  std::span<const std::int32_t> Of(std::span<const std::int32_t> values, std::size_t row) const {
    return values.empty() ? values : values.subspan(row * width_, width_);
  }
  std::span<std::int32_t> Of(std::span<std::int32_t> values, std::size_t row) const {
    return values.subspan(row * width_, width_);
  }

 private:
  std::span<const std::int32_t> x_;
  std::size_t width_;
  std::vector<std::int32_t> d_;
  std::vector<std::int32_t> factors_;
  std::vector<bool> held_;
};

std::int64_t Std(const IbertLayernormParams& p, std::int64_t squares) {
  return IbertStd({}, p.std_shift, squares);
}
std::int64_t Std(const IvitLayernormParams&, std::int64_t squares) { return IvitStd({}, squares); }
int StdShift(const IbertLayernormParams& p) { return p.std_shift; }
int StdShift(const IvitLayernormParams&) { return 0; }
std::int64_t Numerator(const IbertLayernormParams&) { return kIbertNumerator; }
std::int64_t Numerator(const IvitLayernormParams&) { return kIvitNumerator; }

// ibert and ivit.
template <typename Params>
std::int64_t Rooted(const Params& params, const LayernormParams& all, Rows& rows,
                    std::int64_t channels, QuantRange input, QuantRange range,
                    std::span<std::int32_t> out, bool& by_reference) {
  const Ratios ratios(params.scale, params.zero, params.rounding, range, channels);
  Alternate bias(ratios.m_a.size());
  std::int64_t largest_bias = 0;
  for (std::size_t c = 0; c < params.bias.size(); ++c) {
    bias[c] = params.bias[c];
    largest_bias = std::max(largest_bias, std::abs(params.bias[c]));
  }
  const std::int64_t largest_m = LargestMultiplier(params.scale);
  const bool small = channels <= kMostChannels &&
                     Small(input, params.input_zero, LargestShift(params.input_shift));
  for (std::size_t row = 0; small && row < rows.count(); ++row) {
    const std::int64_t sum =
        ShiftedSum(rows.x(row), params.input_zero, OrNull(params.input_shift), rows.d(row).data());
    const std::int64_t mean = RoundDivide(sum, channels, Rounding::kHalfEven);
    const Spread spread = Centre(rows.d(row), static_cast<std::int32_t>(mean), StdShift(params));
    // Of at most 2^12 2^50 and eps: what the roots take for an eps is the whole sum here.
    if (spread.squares > kMost - params.eps) continue;
    rows.Take(row, spread.largest, Numerator(params) / Std(params, spread.squares + params.eps),
              largest_bias, largest_m);
  }
  return rows.Finish(ratios, &bias, nullptr, out, by_reference, [&](std::size_t row) {
    return Layernorm(rows.x(row), all, range, rows.Of(out, row));
  });
}

std::int64_t Deeploy(const DeeployLayernormParams& params, const LayernormParams& all, Rows& rows,
                     std::int64_t channels, QuantRange input, QuantRange range,
                     std::span<std::int32_t> out, bool& by_reference) {
  std::int64_t saturated = 0;
  // Products of 32-bit weights stay within 63 bits.
  const bool small = channels <= kMostChannels && Small(input, params.input_zero, 0);
  if (!small) by_reference = true;
  for (std::size_t row = 0; row < rows.count(); ++row) {
    const auto y = rows.Of(out, row);
    if (!small) {
      saturated += Layernorm(rows.x(row), all, range, y);
      continue;
    }
    const auto d = rows.d(row);
    const std::int64_t sum =
        ShiftedSum(rows.x(row), static_cast<std::int32_t>(params.input_zero), nullptr, d.data());
    const Spread spread = Centre(d, static_cast<std::int32_t>(sum / channels), 0);
    const UInt128 squares = static_cast<UInt128>(spread.squares) + static_cast<UInt128>(params.eps);
    const auto std_int =
        static_cast<std::int64_t>(IntegerSqrt(squares / static_cast<UInt128>(channels) + 1));
    for (std::size_t c = 0; c < d.size(); ++c) {
      const std::int64_t scaled = std::int64_t{d[c]} * params.weight[c] / std_int;
      std::int64_t value = (scaled + params.bias[c]) >> params.log2d;
      if (params.wrap) value = static_cast<std::int8_t>(value);
      saturated += StoreClamped(value, range, y[c]);
    }
  }
  return saturated;
}

}  // namespace

std::int64_t LayernormOf(std::span<const std::int32_t> x, std::int64_t channels,
                         const LayernormParams& params, QuantRange input, QuantRange range,
                         std::span<std::int32_t> out, bool& by_reference) {
  Rows rows(x, channels);
  return std::visit(
      [&](const auto& p) {
        if constexpr (requires { p.scale; }) {
          return Rooted(p, params, rows, channels, input, range, out, by_reference);
        } else {
          return Deeploy(p, params, rows, channels, input, range, out, by_reference);
        }
      },
      params);
}

std::int64_t RmsnormOf(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                       std::int64_t channels, const RmsnormParams& params, QuantRange input,
                       QuantRange gate_range, QuantRange range, std::span<std::int32_t> out,
                       bool& by_reference) {
  const Ratios ratios(params.scale, params.zero, params.rounding, range, channels);
  const std::int64_t largest_m = LargestMultiplier(params.scale);
  const bool small = channels <= kMostChannels &&
                     Small(input, params.input_zero, LargestShift(params.input_shift)) &&
                     Small(gate_range, params.gate_zero, 0);
  Rows rows(x, channels);
  std::vector<std::int32_t> gates(gate.size());
  for (std::size_t row = 0; small && row < rows.count(); ++row) {
    ShiftedSum(rows.x(row), params.input_zero, OrNull(params.input_shift), rows.d(row).data());
    const Spread spread = Centre(rows.d(row), 0, params.rms_shift);
    if (spread.squares > kMost - params.eps) continue;
    std::int64_t largest_gate = 1;
    if (!gate.empty()) {
      const auto of_row = rows.Of(std::span(gates), row);
      ShiftedSum(rows.Of(gate, row), params.gate_zero, nullptr, of_row.data());
      for (const std::int32_t g : of_row)
        largest_gate = std::max(largest_gate, std::abs(std::int64_t{g}));
    }
    rows.Take(row, spread.largest,
              kIbertNumerator / IbertStd({}, params.rms_shift, spread.squares + params.eps), 0,
              largest_gate * largest_m);
  }
  return rows.Finish(ratios, nullptr, gate.empty() ? nullptr : gates.data(), out, by_reference,
                     [&](std::size_t row) {
                       return Rmsnorm(rows.x(row), rows.Of(gate, row), params, range,
                                      rows.Of(out, row));
                     });
}

}  // namespace qsim::golden::kernels
