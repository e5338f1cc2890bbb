#include "golden/ops/chunked_recurrence.h"

#include <algorithm>
#include <cstddef>

#include "golden/ops/int128.h"
#include "golden/ops/require.h"

namespace qsim::golden {
namespace {

constexpr int kGuarded = kChunkFraction - kChunkGuard;

using Numbers = std::vector<std::int64_t>;

// What rows leave of each channel of a key: the product of their decays, which never rounds up.
class Left {
 public:
  explicit Left(const GatedChunk& chunk)
      : chunk_(chunk),
        left_(static_cast<std::size_t>(chunk.keys), std::int64_t{1} << kChunkFraction) {}

  void Pass(std::int64_t row) {
    const std::size_t each = chunk_.decay.size() / static_cast<std::size_t>(chunk_.rows);
    const auto decay = std::span(chunk_.decay).subspan(static_cast<std::size_t>(row) * each, each);
    for (std::size_t k = 0; k < left_.size(); ++k)
      left_[k] = left_[k] * EntryFor(decay, k) >> chunk_.decay_shift;
  }
  std::int64_t operator[](std::size_t k) const { return left_[k]; }

 private:
  const GatedChunk& chunk_;
  Numbers left_;
};

// Appends a row times what is left of its channels, in steps of 2^-kChunkGuard.
void AppendLeft(std::span<const std::int32_t> rows, std::int64_t row, std::int64_t keys,
                const Left& left, Rounding rounding, Numbers& to) {
  for (std::int64_t k = 0; k < keys; ++k) {
    const std::int64_t x = rows[static_cast<std::size_t>(row * keys + k)];
    to.push_back(RoundShift(x * left[static_cast<std::size_t>(k)], kGuarded, rounding));
  }
}

// The keys of rows first..boundary-1, as the rows between each and the boundary leave them: the
// last one first.
Numbers KeysUpTo(const GatedChunk& chunk, std::int64_t first, std::int64_t boundary) {
  Numbers keys;
  Left left(chunk);
  for (std::int64_t row = boundary; row-- > first;) {
    AppendLeft(chunk.key, row, chunk.keys, left, Rounding::kTowardZero, keys);
    left.Pass(row);
  }
  return keys;
}

// The queries of rows boundary..last-1, with what the rows from the boundary on leave.
Numbers QueriesFrom(const GatedChunk& chunk, std::span<const std::int32_t> query,
                    std::int64_t boundary, std::int64_t last, Rounding rounding) {
  Numbers queries;
  Left left(chunk);
  for (std::int64_t row = boundary; row < last; ++row) {
    left.Pass(row);
    AppendLeft(query, row, chunk.keys, left, rounding, queries);
  }
  return queries;
}

// Equation 17.6, [rows, rows], 0 above the diagonal: halves of 2, 4, 8, ... rows meet where the
// second begins.
Numbers ScoresOf(const GatedChunk& chunk, std::span<const std::int32_t> query, int score_shift,
                 Rounding rounding) {
  const std::int64_t rows = chunk.rows, keys = chunk.keys;
  Numbers scores(static_cast<std::size_t>(rows * rows));
  for (std::int64_t half = 1; half < rows; half *= 2) {
    for (std::int64_t boundary = half; boundary < rows; boundary += 2 * half) {
      const std::int64_t last = std::min(boundary + half, rows);
      const Numbers k = KeysUpTo(chunk, boundary - half, boundary);
      const Numbers q = QueriesFrom(chunk, query, boundary, last, rounding);
      for (std::int64_t t = boundary; t < last; ++t) {
        for (std::int64_t j = boundary - half; j < boundary; ++j) {
          const std::int64_t* const a = q.data() + (t - boundary) * keys;
          const std::int64_t* const b = k.data() + (boundary - 1 - j) * keys;
          std::int64_t sum = 0;
          for (std::int64_t i = 0; i < keys; ++i) sum += a[i] * b[i];
          scores[static_cast<std::size_t>(t * rows + j)] = RoundShift(sum, score_shift, rounding);
        }
      }
    }
  }
  for (std::int64_t t = 0; t < rows; ++t) {
    std::int64_t sum = 0;
    for (std::int64_t i = t * keys; i < (t + 1) * keys; ++i) {
      const auto at = static_cast<std::size_t>(i);
      sum += std::int64_t{query[at]} * chunk.key[at];
    }
    scores[static_cast<std::size_t>(t * (rows + 1))] =
        RoundShift(sum * (std::int64_t{1} << 2 * kChunkGuard), score_shift, rounding);
  }
  return scores;
}

void RequireRows(const GatedChunk& chunk, std::size_t state) {
  const auto rows = static_cast<std::size_t>(chunk.rows);
  const auto keys = static_cast<std::size_t>(chunk.keys);
  const auto values = static_cast<std::size_t>(chunk.values);
  Require(rows >= 1 && chunk.key.size() == rows * keys && chunk.value.size() == rows * values &&
              (chunk.decay.size() == rows || chunk.decay.size() == rows * keys) &&
              state == keys * values,
          "a chunk must have a row of each operand, and the state a value for each pair of a key "
          "and a value");
}

}  // namespace

std::int64_t ChunkUpdate(const GatedChunk& chunk, Multiplier scale, Rounding rounding,
                         QuantRange range, std::span<std::int32_t> state, AccRange* seen) {
  RequireRows(chunk, state.size());
  const std::int64_t rows = chunk.rows, values = chunk.values;
  const Numbers keys = KeysUpTo(chunk, 0, rows);
  Left left(chunk);
  for (std::int64_t row = 0; row < rows; ++row) left.Pass(row);
  std::int64_t saturated = 0;
  Numbers sums(static_cast<std::size_t>(values));
  for (std::int64_t k = 0; k < chunk.keys; ++k) {
    std::fill(sums.begin(), sums.end(), 0);
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t key = keys[static_cast<std::size_t>((rows - 1 - row) * chunk.keys + k)];
      const std::int32_t* const value = chunk.value.data() + row * values;
      for (std::int64_t v = 0; v < values; ++v) sums[static_cast<std::size_t>(v)] += key * value[v];
    }
    for (std::int64_t v = 0; v < values; ++v) {
      std::int32_t& s = state[static_cast<std::size_t>(k * values + v)];
      const std::int64_t sum =
          RoundShift(left[static_cast<std::size_t>(k)] * s, kChunkFraction, rounding) +
          RoundShift(sums[static_cast<std::size_t>(v)] * scale.m, scale.shift + kChunkGuard,
                     rounding);
      if (seen != nullptr) seen->Include(sum);
      saturated += StoreClamped(sum, range, s);
    }
  }
  return saturated;
}

std::int64_t ChunkReadout(const GatedChunk& chunk, std::span<const std::int32_t> query,
                          std::span<const std::int32_t> state, Multiplier update, int score_shift,
                          std::int64_t most, const StateReadoutParams& params,
                          std::span<std::int32_t> out) {
  RequireRows(chunk, state.size());
  const std::int64_t rows = chunk.rows, keys = chunk.keys, values = chunk.values;
  Require(query.size() == static_cast<std::size_t>(rows * keys) &&
              out.size() == static_cast<std::size_t>(rows * values),
          "ChunkReadout: needs a query for each row, and out a value of each");
  const Numbers scores = ScoresOf(chunk, query, score_shift, params.rounding);
  const Numbers queries = QueriesFrom(chunk, query, 0, rows, params.rounding);
  Numbers narrow;
  for (const std::int32_t s : state)
    narrow.push_back(RoundShift(std::int64_t{s}, params.state_shift, params.rounding));
  const int within_shift = WithinShift(update, params.state_shift, score_shift);
  Numbers before(static_cast<std::size_t>(values)), within(before.size());
  std::int64_t saturated = 0;
  for (std::int64_t t = 0; t < rows; ++t) {
    std::fill(before.begin(), before.end(), 0);
    std::fill(within.begin(), within.end(), 0);
    for (std::int64_t k = 0; k < keys; ++k) {
      const std::int64_t q = queries[static_cast<std::size_t>(t * keys + k)];
      const std::int64_t* const s = narrow.data() + k * values;
      for (std::size_t v = 0; v < before.size(); ++v) before[v] += q * s[v];
    }
    for (std::int64_t j = 0; j <= t; ++j) {
      const std::int64_t score = scores[static_cast<std::size_t>(t * rows + j)];
      const std::int32_t* const value = chunk.value.data() + j * values;
      for (std::size_t v = 0; v < within.size(); ++v) within[v] += score * value[v];
    }
    for (std::size_t v = 0; v < before.size(); ++v) {
      const std::int64_t sum = RoundShift(before[v], kChunkGuard, params.rounding) +
                               RoundShift(within[v] * update.m, within_shift, params.rounding);
      const std::int64_t kept = std::clamp(sum, -most, most);
      std::int64_t clamped = kept != sum ? 1 : 0;
      std::int32_t& y = out[static_cast<std::size_t>(t * values) + v];
      y = RequantizeValue(kept, params.scale, 0, params.zero, params.rounding, params.range,
                          &clamped);
      saturated += std::min<std::int64_t>(clamped, 1);
    }
  }
  return saturated;
}

int LeastScoreShift(const ChunkBounds& bounds, std::int64_t multiplier) {
  const Int128 score = Int128{bounds.keys} * bounds.query * bounds.key << 2 * kChunkGuard;
  const Int128 most = Int128{1} << 62;
  int shift = 0;
  while (shift < 62 && ((score >> shift) + 1) * bounds.rows * bounds.value * multiplier > most)
    ++shift;
  return shift;
}

}  // namespace qsim::golden
