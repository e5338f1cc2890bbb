#include "golden/kernels/ratios.h"

#include <algorithm>
#include <limits>

namespace qsim::golden::kernels {

// Equation 2.2.
RoundingStep StepOf(Rounding rounding, int shift) {
  RoundingStep step{.half = shift == 0 ? 0 : std::int64_t{1} << (shift - 1), .shift = shift};
  switch (rounding) {
    case Rounding::kHalfUp:
      break;
    case Rounding::kHalfEven:
      step.even = true;
      break;
    case Rounding::kHalfAway:
      step.below = shift == 0 ? 0 : -1;
      break;
    case Rounding::kFloor:
      step.half = 0;
      break;
    case Rounding::kTowardZero:
      step.half = 0;
      step.below = (std::int64_t{1} << shift) - 1;
      break;
  }
  return step;
}

Ratios::Ratios(std::int64_t channels, bool one) : one_(one) {
  const std::int64_t padded = one ? kTile : (channels + kTile - 1) / kTile * kTile;
  const auto count = static_cast<std::size_t>(padded);
  m_a.resize(count);
  m_b.resize(count);
  zero.resize(count);
  for (Alternate* list : {&wide_m, &addend, &low, &high, &first.half, &first.below, &first.shift,
                          &second.half, &second.below, &second.shift})
    *list = Alternate(count);
}

// Section 4.5.
void Ratios::SetChannel(std::size_t c, RequantScheme scheme, Multiplier scale) {
  const auto [m, shift] = scale;
  const std::int64_t half = shift == 0 ? 0 : std::int64_t{1} << (shift - 1);
  m_a[c] = m;
  wide_m[c] = m;
  first.shift[c] = shift;
  first.half[c] = half;
  first.below[c] = 0;
  if (scheme == RequantScheme::kRoundShift || scheme == RequantScheme::kRequantShift ||
      scheme == RequantScheme::kIbertDyadic) {
    const RoundingStep step = StepOf(EquivalentRounding(scheme, rounding_), shift);
    first.half[c] = step.half;
    first.below[c] = step.below;
    even = even || step.even;
  } else if (scheme == RequantScheme::kTosaScale32Double && shift > 31) {
    first.half[c] = half + (std::int64_t{1} << 30);
    first.below[c] = -(std::int64_t{1} << 31);
  } else if (scheme == RequantScheme::kIta && shift > 22) {
    first.half[c] = half + (std::int64_t{1} << (shift - 23));
  } else if (scheme == RequantScheme::kTfliteDouble) {
    // The first step ends at 2^31 - 1, whatever the shift.
    twice = true;
    const int rest = std::max(shift - 31, 0);
    first.shift[c] = shift - rest;
    first.half[c] = std::int64_t{1} << (shift - rest - 1);
    second.shift[c] = rest;
    second.half[c] = rest == 0 ? 0 : std::int64_t{1} << (rest - 1);
    second.below[c] = rest == 0 ? 0 : -1;
  }
  signs = signs || first.below[c] != 0;
}

void Ratios::SetClamp(std::size_t c, std::int64_t after, QuantRange range) {
  zero[c] = static_cast<std::int32_t>(after);
  low[c] = range.qmin - after;
  high[c] = range.qmax - after;
}

Ratios::Ratios(const RequantizeParams& params, std::int64_t columns)
    : Ratios(columns,
             params.scale.size() == 1 && params.zero.size() == 1 && params.addend.size() <= 1) {
  scheme_ = params.scheme;
  rounding_ = params.rounding;
  const bool after_shift = LimitsOf(scheme_).addend == AddendUse::kAfterShift;
  const std::int64_t count = one_ ? kTile : columns;
  for (std::int64_t c = 0; c < count; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const std::int64_t channel = one_ ? 0 : c;
    const Multiplier scale = params.ScaleOf(channel);
    const std::int64_t of_channel = params.AddendOf(channel);
    SetChannel(at, scheme_, scale);
    addend[at] =
        (after_shift ? 0 : of_channel) - std::int64_t{params.input_zero} * std::int64_t{scale.m};
    SetClamp(at, params.ZeroOf(channel) + (after_shift ? of_channel : 0), params.range);
  }
}

Ratios::Ratios(const ResidualAddParams& params, std::int64_t columns)
    : Ratios(columns, params.a_multiplier.size() == 1 && params.b_multiplier.size() == 1) {
  rounding_ = params.rounding;
  const std::int64_t count = one_ ? kTile : columns;
  for (std::int64_t c = 0; c < count; ++c) {
    const auto at = static_cast<std::size_t>(c);
    const auto channel = static_cast<std::size_t>(one_ ? 0 : c);
    const std::int64_t m = EntryFor(params.a_multiplier, channel);
    const std::int64_t other = EntryFor(params.b_multiplier, channel);
    SetChannel(at, scheme_, {static_cast<std::int32_t>(m), params.shift});
    m_b[at] = static_cast<std::int32_t>(other);
    addend[at] = -params.a_zero * m - params.b_zero * other;
    SetClamp(at, params.out_zero, params.range);
  }
}

Ratios::Ratios(std::span<const Multiplier> scale, std::span<const std::int32_t> zeros,
               Rounding rounding, QuantRange range, std::int64_t columns)
    : Ratios(columns, /*one=*/false) {
  rounding_ = rounding;
  for (std::int64_t c = 0; c < columns; ++c) {
    SetChannel(static_cast<std::size_t>(c), scheme_, EntryFor(scale, c));
    SetClamp(static_cast<std::size_t>(c), EntryFor(zeros, c), range);
  }
}

void Ratios::SetScale(Multiplier scale) {
  SetChannel(0, scheme_, scale);
  std::fill(m_a.begin(), m_a.end(), scale.m);
  for (Alternate* list : {&first.half, &first.below, &first.shift}) {
    const std::int64_t value = (*list)[0];
    for (auto& parity : list->of) std::fill(parity.begin(), parity.end(), value);
  }
}

}  // namespace qsim::golden::kernels
