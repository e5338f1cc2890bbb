// The recurrence of golden/ops, fast: equal to it bit for bit. docs/numerics.md section 17.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "golden/kernels/ratios.h"
#include "golden/ops/recurrence.h"
#include "golden/program/ops/recurrence.h"

namespace qsim::golden::kernels {

// The states of all heads, from row to row. Parameters and operands are those of a program that
// was validated.
class GatedStates {
 public:
  GatedStates(const GatedUpdateParams& params, const StateHeads& heads, QuantRange range,
              std::span<const std::int32_t> past);

  // Equation 17.1 with one row of each operand. `seen` as in GatedUpdate.
  void Update(std::span<const std::int32_t> key, std::span<const std::int32_t> value,
              std::span<const std::int32_t> decay, AccRange* seen);
  // Equation 17.2 for one head of the state. Returns how many elements the clamp changed.
  std::int64_t Read(std::int64_t head, std::span<const std::int32_t> query,
                    const StateReadoutParams& params, std::span<std::int32_t> out);

  // How many elements the clamp changed so far.
  std::int64_t saturated() const { return saturated_; }
  std::vector<std::int32_t> States() const;

 private:
  // visit(index in states_, index in the tensor)
  template <typename Visit>
  void ForEachElement(Visit visit) const;
  std::int32_t* Of(std::int64_t head) { return states_.data() + head * keys_ * stride_; }

  const GatedUpdateParams& params_;
  StateHeads heads_;
  QuantRange range_;
  std::int64_t keys_, values_;
  std::int64_t stride_;               // values, padded to whole vectors
  std::vector<std::int32_t> states_;  // [head][key][stride]
  std::vector<std::int32_t> value_, decay_, low_, high_;
  std::vector<std::int64_t> sums_;
  std::int64_t saturated_ = 0;
};

// One head's update, in vector registers. A factor, key times multiplier, is high 2^16 + low, or
// low alone.
struct HeadUpdate {
  std::int32_t* state;
  std::int64_t keys, stride;  // a multiple of the lanes
  const std::int32_t* decay;
  std::int64_t decay_step;         // 0: one for all keys
  const std::int32_t *low, *high;  // high: null where it is 0
  const std::int32_t* value;
  RoundingStep keep, add;
  QuantRange range;
};
// Returns how many elements the clamp changed.
std::int64_t UpdateHead(const HeadUpdate& head, AccRange* seen);

// The sums of its readout.
struct HeadRead {
  const std::int32_t* state;
  std::int64_t stride;
  std::span<const std::int32_t> query;
  std::int32_t query_zero;
  RoundingStep narrow;
  std::int64_t* sums;  // [stride]
};
void ReadHead(const HeadRead& head);

}  // namespace qsim::golden::kernels
