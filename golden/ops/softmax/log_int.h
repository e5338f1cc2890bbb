// FQ-ViT's log-int-softmax: probabilities as powers of two. docs/numerics.md section 5.4.
//
// Source: QIntSoftmax of FQ-ViT (Lin et al., IJCAI 2022, arXiv:2111.13824).
#pragma once

#include <cstdint>
#include <span>

#include "golden/ops/softmax/ibert_exp.h"

namespace qsim {

// Throws std::invalid_argument unless code_bits is in 1..8 and `exp` is legal.
void CheckLogIntSoftmax(const IbertExp& exp, int code_bits);

// One row, 1..65536 scores. out: code k in 0 .. 2^code_bits - 1 stands for the probability 2^-k,
// 2^code_bits for 0. exp_int: empty or as long as the row. Parameters must have passed
// CheckLogIntSoftmax.
void LogIntSoftmax(std::span<const std::int32_t> scores, const IbertExp& exp, int code_bits,
                   std::span<std::int32_t> out, std::span<std::int64_t> exp_int);

}  // namespace qsim
