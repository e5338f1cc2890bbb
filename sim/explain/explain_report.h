// Explanations as text for people and as JSON for machines. docs/explain.md.
#pragma once

#include <string>

#include "sim/explain/bundle_explain.h"
#include "sim/explain/explanation.h"

namespace qsim::explain {

// "all 4,812 mismatches in blocks.0.attn_kv_out are explained by half_away instead of half_up"
std::string SentenceOf(const Explanation& explanation);

// The sentence, the best hypotheses with their counts, ties and what is known beside; 80 columns.
std::string ExplanationText(const Explanation& explanation);

// Of two directories: the first culprit in full, a line for each of the others, and what follows
// from them.
std::string DirectoryText(const DirectoryExplanation& result);

// {"format": "qsim-explain", ...}
std::string ExplanationJson(const Explanation& explanation);
std::string DirectoryJson(const DirectoryExplanation& result);

}  // namespace qsim::explain
