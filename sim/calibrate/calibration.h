// Runs the float reference over the calibration inputs and observes every tensor that needs a
// scale.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/calibrate/observer.h"
#include "sim/calibrate/plan.h"
#include "sim/model/float_reference.h"

namespace qsim {

// What one block's tensors were seen to span. One range per group of the plan's granularity: one
// for layer_wise, one per head for head_wise, one per channel for channel_wise.
struct AttentionRanges {
  std::vector<RealRange> input, norm1, qkv_output, q, k, v, scores, attention, proj_output,
      residual1;
  // Squared error of the softmax output at scale 2^-(8+j), j = 0..7, saturating at 255.
  std::array<double, 8> softmax_error{};
  // channel_wise Q or K: reciprocal factors f_c moved between the rows of the weights. Q is
  // observed divided by f_c and K multiplied by it; all ones otherwise. Q's and K's ranges are then
  // those of one layer_wise group.
  std::vector<double> qk_factor;
};

struct MlpRanges {
  std::vector<RealRange> norm2, fc1, gelu, fc2_output, residual2;
};

struct HeadRanges {
  std::vector<RealRange> norm, logits;
};

// Images run in parallel on `threads` threads; observers see them in order. Throws InputError for
// observers that are not available.
class Calibration {
 public:
  Calibration(const VitModel& model, const ModelInputs& inputs, int threads);

  // Observes a block on the activations that reach it, and moves past it. Blocks must be visited in
  // order from 0. With `mlp`, its ranges go to *mlp_ranges.
  AttentionRanges Observe(std::int64_t block, const AttentionPlan& plan,
                          const MlpPlan* mlp = nullptr, MlpRanges* mlp_ranges = nullptr);
  // Behind the last block.
  HeadRanges ObserveHead(const EndsPlan& plan);
  // Moves past a block that is not wanted.
  void Advance(std::int64_t block);

 private:
  class BlockObservers;
  void Pass(std::int64_t block, BlockObservers& observers, bool advance);

  FloatReference reference_;
  const VitModel& model_;
  int threads_;
  std::vector<FloatTensor> x_;  // the residual stream of every calibration input
};

}  // namespace qsim
