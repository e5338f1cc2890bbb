// The parts of a vision transformer as integer operations. docs/numerics.md gives
// each operation; docs/architecture.md how each granularity is realised.
#pragma once

#include <string>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/observe/observed_ranges.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/calibrate/lower/program_builder.h"
#include "sim/network/vit_model.h"

namespace qsim {

// Appends the block's tensors, constants, operations, scales and notes to the bundle. Throws
// InputError naming tensor and channel when a scale cannot be turned into integers.
// norm1 to residual1. `stream` is the residual stream in a chained program; without it the block
// gets an input of its own, `blocks.N.input`. Returns residual1.
Activation LowerAttention(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                          const AttentionRanges& ranges, Realise realise, Bundle& bundle,
                          const Activation* stream = nullptr);

// norm2 to residual2; returns residual2.
Activation LowerMlp(const VitModel& model, std::int64_t block, const MlpPlan& plan,
                    const MlpRanges& ranges, const Activation& residual1, Bundle& bundle);

// Pixels to the first residual stream, `embed`, whose observed ranges are block 0's input. `mean`
// and `stddev` are those of the images; empty for token inputs, where `embed` is the program's
// input.
Activation LowerEmbedding(const VitModel& model, const EndsPlan& plan,
                          const std::vector<RealRange>& embed_ranges,
                          const std::vector<double>& mean, const std::vector<double>& stddev,
                          Bundle& bundle);

// W x with x = (p / 255 - mean) / std: std moves into the weights, mean into the bias, and a pixel
// keeps its code with the scale 1 / 255.
LinearRequest FoldedPatchEmbedding(const VitModel& model, const std::vector<double>& mean,
                                   const std::vector<double>& stddev);
// Positions (row 0: with the class token) in the residual stream's scale.
IntTensor PositionCodes(const VitModel& model, const Activation& embed);

// The final norm, and the class token's `logits`.
void LowerHead(const VitModel& model, const EndsPlan& plan, const HeadRanges& ranges,
               const Activation& stream, Bundle& bundle);

}  // namespace qsim
