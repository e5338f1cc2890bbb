// I-BERT's softmax after the exponential, as published and with a rounded last step.
// docs/numerics.md sections 5.2 and 5.3.
//
// Source: IntSoftmax of I-BERT (Kim et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/softmax/ibert_exp.h"

namespace qsim {

struct IbertSoftmaxParams {
  IbertExp exp = {};
  // exp16 = clamp(half_even(exp * act16_multiplier / 2^act16_shift), -32768, 32767).
  std::int64_t act16_multiplier = 0;  // 1 .. 2^31 - 1
  int act16_shift = 0;                // 0..126
  int extra_bits = 0;                 // output scale 2^-(8 + extra_bits), 0..7
  bool round_output = false;          // the last shift half up instead of floor
};

// Throws std::invalid_argument where a parameter is out of its range, or where exp16 of every row's
// maximum, c << n, would be 0.
void CheckIbertSoftmax(const IbertSoftmaxParams& params);

// One row, 1..65536 scores. out: 0..255, scale 2^-(8 + extra_bits). exp_int, exp16: the
// intermediates, empty or as long as the row. Returns how many elements saturated at 255.
// Parameters must have passed CheckIbertSoftmax.
std::int64_t IbertSoftmax(std::span<const std::int32_t> scores, const IbertSoftmaxParams& params,
                          std::span<std::int32_t> out, std::span<std::int64_t> exp_int,
                          std::span<std::int32_t> exp16);

}  // namespace qsim
