// What the tensors of a network were seen to span. One range per group of the plan's granularity:
// one for layer_wise, one per head for head_wise, one per channel for channel_wise.
#pragma once

#include <array>
#include <vector>

#include "sim/semantics/quantization.h"

namespace qsim {

struct AttentionRanges {
  std::vector<RealRange> input, norm1, qkv_output, q, k, v, scores, attention, proj_output,
      residual1;
  // Squared error of the softmax output at scale 2^-(8+j), j = 0..7, saturating at 255.
  std::array<double, 8> softmax_error{};
  // channel_wise Q or K: reciprocal factors f_c moved between the rows of the weights. Q's ranges
  // are those of Q divided by f_c and K's those of K multiplied by it; all ones otherwise. The one
  // that was channel_wise then has the range of one layer_wise group.
  std::vector<double> qk_factor;
};

struct MlpRanges {
  std::vector<RealRange> norm2, fc1, gelu, fc2_output, residual2;
};

struct HeadRanges {
  std::vector<RealRange> norm, logits;
};

}  // namespace qsim
