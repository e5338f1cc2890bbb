#include "golden/ops/recurrence.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/require.h"

namespace qsim::golden {

std::int64_t GatedUpdate(const GatedUpdateInputs& inputs, const GatedUpdateParams& params,
                         Multiplier scale, QuantRange range, std::span<std::int32_t> state,
                         AccRange* seen) {
  const std::size_t keys = inputs.key.size(), values = inputs.value.size();
  Require(keys >= 1 && values >= 1 && state.size() == keys * values,
          "GatedUpdate: the state must have a value for each pair of a key and a value");
  Require(inputs.decay.size() == 1 || inputs.decay.size() == keys,
          "GatedUpdate: needs one decay, or one for each key");
  Require(params.decay_shift >= 1 && params.decay_shift <= 16,
          "GatedUpdate: decay_shift must be in 1..16");
  Require(range.qmin <= 0 && range.qmax >= 0, "GatedUpdate: the state's range must hold 0");
  std::int64_t saturated = 0;
  for (std::size_t k = 0; k < keys; ++k) {
    const std::int64_t decay = std::int64_t{EntryFor(inputs.decay, k)} - params.decay_zero;
    Require(decay >= 0 && decay <= std::int64_t{1} << params.decay_shift,
            "GatedUpdate: a decay must be in 0..2^decay_shift");
    const std::int64_t key = std::int64_t{inputs.key[k]} - params.key_zero;
    for (std::size_t v = 0; v < values; ++v) {
      std::int32_t& s = state[k * values + v];
      std::int64_t update = 0;
      Require(!__builtin_mul_overflow(key, std::int64_t{inputs.value[v]} - params.value_zero,
                                      &update) &&
                  !__builtin_mul_overflow(update, std::int64_t{scale.m}, &update),
              "GatedUpdate: a product leaves 64 bits");
      const std::int64_t kept =
          RoundShift(decay * std::int64_t{s}, params.decay_shift, params.rounding);
      std::int64_t sum = 0;
      Require(!__builtin_add_overflow(kept, RoundShift(update, scale.shift, params.rounding), &sum),
              "GatedUpdate: a sum leaves 64 bits");
      if (seen != nullptr) seen->Include(sum);
      saturated += StoreClamped(sum, range, s);
    }
  }
  return saturated;
}

std::int64_t StateReadout(std::span<const std::int32_t> query, std::span<const std::int32_t> state,
                          const StateReadoutParams& params, std::span<std::int32_t> out) {
  Require(!query.empty() && !out.empty() && state.size() == query.size() * out.size(),
          "StateReadout: the state must have a row for each key, as long as out");
  Require(params.state_shift >= 0 && params.state_shift <= 31,
          "StateReadout: state_shift must be in 0..31");
  std::int64_t saturated = 0;
  for (std::size_t v = 0; v < out.size(); ++v) {
    std::int64_t sum = 0;
    for (std::size_t k = 0; k < query.size(); ++k) {
      const std::int64_t narrow =
          RoundShift(std::int64_t{state[k * out.size() + v]}, params.state_shift, params.rounding);
      // At most (2^32 - 1) 2^31.
      const std::int64_t product = (std::int64_t{query[k]} - params.query_zero) * narrow;
      Require(!__builtin_add_overflow(sum, product, &sum), "StateReadout: a sum leaves 64 bits");
    }
    out[v] = RequantizeValue(sum, params.scale, 0, params.zero, params.rounding, params.range,
                             &saturated);
  }
  return saturated;
}

}  // namespace qsim::golden
