// A gated linear recurrence over tokens: one head's update and readout. docs/numerics.md section
// 17.
//
//   S_t[k][v] = clamp(round_shift((a[k] - a_zero) S_(t-1)[k][v], F)
//                     + round_shift((key[k] - key_zero) (value[v] - value_zero) M, S), qmin, qmax)
//   out[v] = clamp(z + round_shift(M_o sum_k (q[k] - q_zero) round_shift(S_t[k][v], s), S_o))
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

inline constexpr std::int32_t kMaxUpdateMultiplier = (1 << 16) - 1;

struct GatedUpdateParams {
  int key_width = 1, value_width = 1;  // columns of one head
  std::int32_t key_zero = 0, value_zero = 0, decay_zero = 0;
  int decay_shift = 8;                  // F, 1..16: a code of decay_zero + 2^F is a decay of 1
  std::vector<Multiplier> update = {};  // one, or one for each head of the state; |m| < 2^16
  Rounding rounding = Rounding::kHalfUp;
  bool value_first = false;  // stored states are [dv, dk], not [dk, dv]
  int chunk = 0;             // rows of a chunk (chunked_recurrence.h), 1..256; 0: row by row
  bool operator==(const GatedUpdateParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"key_width", Role::kSize, 32, false}, self.key_width);
    v(Field{"value_width", Role::kSize, 32, false}, self.value_width);
    v(Field{"key_zero", Role::kInputZero}, self.key_zero);
    v(Field{"value_zero", Role::kInputZero}, self.value_zero);
    v(Field{"decay_zero", Role::kInputZero}, self.decay_zero);
    v(Field{"decay_shift", Role::kCoefficient, 8, false}, self.decay_shift);
    v(Field{"update_multiplier", Role::kMultiplier, 32, true, Axis::kHead}, self.update);
    v(Field{"state_rounding", Role::kChoice}, self.rounding);
    v(Field{"value_first", Role::kSize, 8, false, Axis::kTensor, true}, self.value_first);
    v(Field{"chunk", Role::kSize, 16, false, Axis::kTensor, true}, self.chunk);
  }
};

// What one token brings to one head: key[dk], value[dv], and a decay for each key channel, or one.
struct GatedUpdateInputs {
  std::span<const std::int32_t> key, value, decay;
};

// Equation 17.1, on a state [dk, dv] of so many values. Returns how many of them the clamp changed;
// `seen`, if not null, is widened by every value before it. Throws std::invalid_argument where a
// size disagrees, a decay is not in [0, 2^F] or 64 bits would overflow.
std::int64_t GatedUpdate(const GatedUpdateInputs& inputs, const GatedUpdateParams& params,
                         Multiplier scale, QuantRange range, std::span<std::int32_t> state,
                         AccRange* seen = nullptr);

struct StateReadoutParams {
  std::int32_t query_zero = 0;
  int state_shift = 0;  // s, 0..31
  Multiplier scale = {1, 0};
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
};

// Equation 17.2: query[dk], state [dk, dv], out[dv]. Returns how many elements the clamp changed.
// Throws std::invalid_argument where a size disagrees or 64 bits would overflow.
std::int64_t StateReadout(std::span<const std::int32_t> query, std::span<const std::int32_t> state,
                          const StateReadoutParams& params, std::span<std::int32_t> out);

}  // namespace qsim::golden
