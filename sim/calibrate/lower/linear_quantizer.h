// Weights and biases of a linear layer to integers.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim {

// The operand that the weights meet: real = scale * (q - zero[k]), one zero point per input
// channel. A per-channel scale has been absorbed into `weight` before.
struct LinearInput {
  double scale = 1;
  std::vector<std::int32_t> zero;
};

struct LinearRequest {
  std::string name;             // "blocks.0.attn_qkv", for messages and notes
  FloatTensor weight;           // [N, K], scales of the input absorbed
  std::vector<float> bias;      // [N]
  std::int64_t row_groups = 1;  // equal, contiguous groups of rows that share one scale
  Section section;              // of the weights
  LinearInput input;
  double bias_limit = 0;  // largest |round(b / (s_a s_w))|; s_w is raised until it holds
  // The scale a group of rows gets instead of the observed one, never smaller; power-of-two mode
  // and the residual's common shift use it. May be empty.
  std::function<double(std::int64_t first_row, double observed)> adjust;
};

struct QuantizedLinear {
  IntTensor weight;                // int8 [N, K], unsigned codes re-centred
  IntTensor bias;                  // int32 [N], input zero points folded in
  std::vector<double> scale;       // s_w, one per row
  std::vector<std::int32_t> zero;  // one per row; all 0 for symmetric weights
};

// Throws InputError naming layer and channel when a folded bias does not fit int32.
QuantizedLinear QuantizeLinear(const LinearRequest& request, std::vector<LoweringNote>& notes);

}  // namespace qsim
