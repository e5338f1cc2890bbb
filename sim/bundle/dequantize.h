// From the integers of a tensor back to the real numbers they stand for.
#pragma once

#include <vector>

#include "golden/program/tensor.h"
#include "sim/bundle/bundle.h"

namespace qsim {

// The zero flag of a 4-bit log2 code: one above the largest code (golden/ops/softmax.h, kLogInt).
inline constexpr int kDefaultLog2CodeBits = 4;

// The real numbers a tensor of one image (no image axis) stands for, in storage order.
//   kLinear  scale[c] * (q - zero[c]), c along `scale.axis`: the first or the last axis of the
//   shape. kLog2    2^-q, and 0 for q = 2^code_bits.
// Throws InternalError when the scale's lists have neither one entry nor one per channel.
std::vector<double> Dequantize(const IntTensor& tensor, const TensorScale& scale,
                               int code_bits = kDefaultLog2CodeBits);

}  // namespace qsim
