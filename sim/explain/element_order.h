// Outputs at places that are not theirs. Which order it is, is solved: by looking up where runs of
// the actual outputs, or slices along an axis, stand among the golden ones.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/explain/hypotheses.h"

namespace qsim::explain {

struct OrderRule {
  static constexpr std::int64_t kZero = -1;  // no element's result: 0
  // From where each element has its result; empty: from its own place.
  std::function<std::int64_t(std::int64_t)> source = {};
};

// The golden order, a transposition, and what is found.
void AddOrderRules(const Shape& shape, const std::vector<std::string>& axis_names,
                   std::span<const std::int64_t> golden, std::span<const std::int64_t> actual,
                   Coordinate& coordinate, std::vector<OrderRule>& rules);

// Which index along an axis holds the slice that is found at each one; its own where none is, or
// where several are.
std::vector<std::int64_t> SliceSources(std::span<const std::int64_t> golden,
                                       std::span<const std::int64_t> actual, std::int64_t length,
                                       std::int64_t inner);

// A known order of the indices 0 .. length-1.
struct KnownOrder {
  enum class Kind : std::uint8_t {
    kReversed,
    kRotated,            // late by `n`
    kTileReversed,       // within each tile of `n`, the last short one as well
    kWholeTileReversed,  // a short one stays in order
    kTilesReversed,      // tiles of `n` in reverse order
    kTilesExchanged,     // each tile of `n` with its neighbour
    kInterleaved,        // index h * (length / n) + d holds what d * n + h should
  };
  Kind kind = Kind::kReversed;
  std::int64_t n = 0;
  // From which index the one at `i` comes; its own where that would be none.
  std::int64_t SourceOf(std::int64_t i, std::int64_t length) const;
  std::string Id() const;
  std::string Phrase(const std::string& things) const;  // "columns in reverse order"
};
// All of them, the simpler first.
std::vector<KnownOrder> KnownOrders(std::int64_t length);

// An order of indices that was found, in words.
struct IndexOrder {
  std::string id, phrase;
  std::int64_t freedom = 0;
  std::vector<std::int64_t> sources;
};
// What such sources follow, the nearest first; at last the sources as they are. Empty where every
// index holds its own. `things`: "columns".
std::vector<IndexOrder> OrdersOf(const std::vector<std::int64_t>& sources,
                                 const std::string& things);

}  // namespace qsim::explain
