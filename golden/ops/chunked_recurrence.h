// The recurrence by chunks of rows: products of matrices within a chunk, decays between. One head
// of a state and one chunk. docs/numerics.md section 17.2.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "golden/ops/recurrence.h"

namespace qsim::golden {

inline constexpr int kChunkFraction = 24;  // bits of what rows leave of those before them
inline constexpr int kChunkGuard = 6;      // bits that a decayed key or query has beside its own
inline constexpr int kMaxChunk = 256;

// The rows of one head, behind their zero points: key [rows, dk], value [rows, dv], and decays in
// fractions of 2^decay_shift, [rows, dk] or one for each row.
struct GatedChunk {
  std::int64_t rows = 0, keys = 1, values = 1;
  std::vector<std::int32_t> key, value, decay;
  int decay_shift = 8;
};

// Equation 17.8: the state [dk, dv] behind the chunk. Counts and notes like GatedUpdate.
std::int64_t ChunkUpdate(const GatedChunk& chunk, Multiplier scale, Rounding rounding,
                         QuantRange range, std::span<std::int32_t> state, AccRange* seen = nullptr);

// Equations 17.5 to 17.7: what every row reads, out [rows, dv], by queries [rows, dk] behind their
// zero point, from the state that the chunk begins with. `most`: the largest sum that a state
// within its range gives; others are clamped to it. Counts like StateReadout.
std::int64_t ChunkReadout(const GatedChunk& chunk, std::span<const std::int32_t> query,
                          std::span<const std::int32_t> state, Multiplier update, int score_shift,
                          std::int64_t most, const StateReadoutParams& params,
                          std::span<std::int32_t> out);

// The largest magnitudes of a chunk's operands behind their zero points.
struct ChunkBounds {
  std::int64_t rows = 0, keys = 0;
  std::int64_t query = 0, key = 0, value = 0;
};
// Of codes in this range.
inline std::int64_t Widest(QuantRange range, std::int32_t zero) {
  return std::max(std::int64_t{range.qmax} - zero, std::int64_t{zero} - range.qmin);
}
// The smallest shift of the scores with which their products with values, times such an update
// multiplier, stay within 2^62.
int LeastScoreShift(const ChunkBounds& bounds, std::int64_t multiplier);
// Of the shift of those products, which brings them to the units of the readout.
inline int WithinShift(Multiplier update, int state_shift, int score_shift) {
  return update.shift + state_shift + 2 * kChunkGuard - score_shift;
}

}  // namespace qsim::golden
