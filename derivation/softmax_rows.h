// What the softmax batteries share: rows to try, and the comparison of one row.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "golden/ops/softmax.h"
#include "derivation/comparison.h"

namespace qsim::derivation {

using Scores = std::vector<std::int32_t>;

// Signed scores of `bits` bits, 1..max_length of them: random, equal, all lowest, all highest, one
// high, a few values many times, or rising.
Scores DrawScores(Comparison& comparison, int bits, std::int64_t max_length);

// What the equations give for one row. Intermediates are compared where they are not empty.
struct DerivedRow {
  std::vector<std::int64_t> y;
  std::vector<std::int64_t> exp_int;
  std::vector<std::int64_t> exp16;
};

// Runs the golden softmax and compares. Also checks that its output stays in SoftmaxOutputRange.
// `described` names the parameters.
void CompareSoftmax(Comparison& comparison, const Scores& scores, const SoftmaxParams& params,
                    const DerivedRow& derived, const std::string& described);

// The batteries, one file for each publication.
void CompareIbert(Comparison& comparison);
void CompareIbertRounded(Comparison& comparison);
void CompareLogInt(Comparison& comparison);
void CompareShiftExp(Comparison& comparison);
void CompareShiftmax(Comparison& comparison);
void CompareIta(Comparison& comparison);
void CompareItaStreaming(Comparison& comparison);
void CompareTflite(Comparison& comparison);
void CompareTfliteFunctions(Comparison& comparison);
void CompareIsoftmax(Comparison& comparison);

}  // namespace qsim::derivation
