#include "golden/ops/residual_add.h"

#include <cstddef>

#include "golden/ops/one_or_each.h"
#include "golden/ops/require.h"

namespace qsim::golden {

std::int64_t ResidualAdd(std::span<const std::int32_t> a, std::span<const std::int32_t> b,
                         const ResidualAddParams& params, std::span<std::int32_t> out) {
  const ChannelLayout& layout = params.layout;
  Require(Matches(layout, a.size()) && a.size() == b.size() && a.size() == out.size(),
          "ResidualAdd: a, b and out must have the layout's size");
  Require(OneOrPerChannel(layout, params.a_multiplier.size()) &&
              OneOrPerChannel(layout, params.b_multiplier.size()),
          "ResidualAdd: the multipliers need one entry or one per channel");
  std::int64_t saturated = 0;
  std::size_t i = 0;
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      const auto channel = static_cast<std::size_t>(c);
      const Multiplier scale_a{EntryFor(params.a_multiplier, channel), params.shift};
      const std::int64_t m_b = EntryFor(params.b_multiplier, channel);
      for (std::int64_t n = 0; n < layout.inner; ++n, ++i) {
        // |b - b_zero| <= 2^32 - 1 and |M_b| <= 2^31 for any int32, so the product always fits.
        const std::int64_t addend = (std::int64_t{b[i]} - params.b_zero) * m_b;
        out[i] = RequantizeValue(std::int64_t{a[i]} - params.a_zero, scale_a, addend,
                                 params.out_zero, params.rounding, params.range, &saturated);
      }
    }
  }
  return saturated;
}

}  // namespace qsim::golden
