// From observed scores to a softmax's integers: the score scale that its exponential wants, its
// constants, and what its output codes mean. docs/numerics.md section 5.
#pragma once

#include <cstdint>
#include <optional>

#include "golden/ops/softmax.h"
#include "sim/bundle/bundle.h"

namespace qsim::semantics {

// One head's scores. `scale` is the least that the algorithm takes and that is not finer than what
// was observed; nullopt where even its coarsest is too fine, and the scores would be clipped.
//
//   ibert, ibert_rn, log_int   0.6931 / k, so that x0 = -k exactly
//   shiftmax                   1 / k, so that x0 = -k exactly
//   ita, ita_streaming         ln 2 / 2^t, t = shift_bits
//   deeploy_isoftmax           ln 2 / k, so that log2 = k exactly
//   tflite, table              as observed
struct ScoreChoice {
  double scale = 1;
  SoftmaxParams params;
};
// Whether no scale is too coarse.
bool TakesAnyScale(SoftmaxKind kind);
std::optional<ScoreChoice> ChooseScores(SoftmaxKind kind, double observed, int extra_bits,
                                        QuantRange scores = {});
// The coarsest scale that the algorithm has, for clipped scores.
ScoreChoice CoarsestScores(SoftmaxKind kind, int extra_bits);
// For scores of a stated scale: that one where the algorithm has it, else the next, else the
// coarsest.
// `scores`: the codes that they may have; only a table's length depends on it.
ScoreChoice ScoresOf(SoftmaxKind kind, double stated, int extra_bits, QuantRange scores = {});

// Whether the output's scale is 2^-(8 + extra_bits), and the bits that a scale says; 0 of others.
bool HasExtraBits(SoftmaxKind kind);
int ExtraBits(SoftmaxKind kind, double output_scale);

// What the output codes of these parameters stand for.
TensorScale SoftmaxOutputScale(const SoftmaxParams& params,
                               SoftmaxDivision division = SoftmaxDivision::kBefore);

// The integer constants of I-BERT's exponential for a score scale s = 0.6931 / k: x0 = -k exactly.
// k in 1..kMaxSoftmaxK; docs/numerics.md section 5.1.
SoftmaxParams IbertConstants(SoftmaxKind kind, std::int32_t k, int extra_bits);
inline constexpr std::int32_t kMaxSoftmaxK = 27000;

}  // namespace qsim::semantics
