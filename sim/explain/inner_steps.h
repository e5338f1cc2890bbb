// Softmax and layer norm with an inner step done otherwise: the maximum, the sum's reciprocal, the
// last division; the mean, the root, the factor. No field of theirs says so, so that a row is
// computed here, from the exponentials and roots of golden/ops.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/rounding.h"
#include "golden/program/program.h"
#include "sim/namespaces.h"

namespace qsim::explain {

struct InnerStep {
  enum class What : std::uint8_t {
    kMaximumOfFirst,  // the maximum of the first `number`; what is beyond it counts as it
    kMaximumOfTile,   // each tile of `number` has its own
    kReciprocal,      // rounded, of the sum or of the root
    kReciprocalBits,  // of 2^number, not of what the algorithm says
    kDivision,        // one division in place of a reciprocal, rounded
    kLast,            // the last step rounded
    kMean,            // rounded
    kMeanOmitted,
    kMeanOf,   // the sum divided by `number` in place of C
    kRoot,     // rounded
    kHalving,  // the >> 1 behind the factor rounded
  };
  std::string id, phrase;
  What what = What::kLast;
  Rounding rounding = Rounding::kFloor;
  std::int64_t number = 0;
};

// All that this operation has: none, if it is another one. `width` of its rows.
std::vector<InnerStep> InnerStepsOf(const Op& op, std::int64_t width);

// One row under it. `x`: what the row sees. Not limited to the output's range.
void RunRow(const Op& op, const InnerStep& step, std::size_t head, std::span<const std::int32_t> x,
            std::span<std::int64_t> out);

}  // namespace qsim::explain
