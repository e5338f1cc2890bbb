// A diagnosis as the text a person reads on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/diagnose/diagnosis.h"

namespace qsim::diagnose {

struct DiagnosisTextOptions {
  bool verbose = false;  // every tap, step and head, not those that matter most
};

// Verdict, findings, taps, rankings and loss budget; no line is wider than 80 columns.
std::string DiagnosisText(const Diagnosis& diagnosis, const DiagnosisTextOptions& options = {});

// One line that is true: "1 culprit: TENSOR (double_quantization)", "no culprit: ...".
std::string VerdictOf(const Diagnosis& diagnosis);

// "range ratio 6.1 x"
std::string EvidenceText(const Evidence& evidence);

// One line of the ranking by head: how much of a tensor's noise, where it stands, is one head's.
struct HeadShare {
  std::string tensor;
  std::size_t head = 0;
  double own_db = 0, in_place_db = 0;
  double share = 0;
};
// The lowest QSNR in place first.
std::vector<HeadShare> RankHeads(const Measurement& measured);

// The steps with the most harm first: the noise that each alone brings to the output.
std::vector<const StepContribution*> RankSteps(const Diagnosis& diagnosis);

}  // namespace qsim::diagnose
