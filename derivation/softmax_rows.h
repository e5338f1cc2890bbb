// The softmaxes' equations, and what their batteries share: rows to try, and the comparison of one
// row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "derivation/comparison.h"
#include "derivation/exact.h"
#include "golden/ops/softmax.h"

namespace qsim::derivation {

using Scores = std::vector<std::int32_t>;
using Integers = std::vector<std::int64_t>;

// Signed scores of `bits` bits, 1..max_length of them: random, equal, all lowest, all highest, one
// high, a few values many times, or rising.
Scores DrawScores(Comparison& comparison, int bits, std::int64_t max_length);

// What the equations give for one row. Intermediates are empty where the algorithm has none.
struct DerivedRow {
  Integers y, exp_int, exp16;
  std::vector<mpz_class> exps;  // what section 5.11 calls e
};

// Section 5, any algorithm; then one file for each publication, and the table.
DerivedRow DeriveSoftmax(const Scores& scores, const SoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const IbertSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const IbertRnSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const LogIntSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const ShiftmaxParams& params);
DerivedRow Derive(const Scores& scores, const ItaSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const ItaStreamingSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const TfliteSoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const IsoftmaxParams& params);
DerivedRow Derive(const Scores& scores, const TableSoftmaxParams& params);

// Section 5.11, any algorithm.
Integers DeriveExponentials(const Scores& scores, const SoftmaxParams& params);

// (5.11) and (5.12): of whole / exp, `zero` where exp is 0.
std::int64_t DeriveLogCode(const mpz_class& whole, const mpz_class& exp, std::int64_t zero);

// Runs the golden softmax and compares. Also checks that its output stays in SoftmaxOutputRange.
void CompareSoftmax(Comparison& comparison, const Scores& scores, const SoftmaxParams& params);

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
void CompareMasks(Comparison& comparison);
void CompareTable(Comparison& comparison);
void CompareDivisionAfter(Comparison& comparison);
void CompareMasksAfter(Comparison& comparison);

}  // namespace qsim::derivation
