// One block's attention datapath (norm1 to residual1) as integer operations. docs/numerics.md gives
// each operation; docs/architecture.md how each granularity is realised.
#pragma once

#include <string>

#include "sim/calibrate/bundle.h"
#include "sim/calibrate/calibration.h"
#include "sim/calibrate/plan.h"
#include "sim/model/vit_model.h"

namespace qsim {

// Appends the block's tensors, constants, operations, scales and notes to the bundle. Throws
// InputError naming tensor and channel when a scale cannot be turned into integers.
void LowerAttention(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                    const AttentionRanges& ranges, Realise realise, Bundle& bundle);

// The integer constants of I-BERT's exponential for a score scale s = 0.6931 / k: x0 = -k exactly.
// k in 1..kMaxSoftmaxK; docs/numerics.md section 5.1.
SoftmaxParams SoftmaxParamsFor(SoftmaxKind kind, std::int32_t k, int extra_bits);
inline constexpr std::int32_t kMaxSoftmaxK = 27000;

}  // namespace qsim
