// How well a language model predicts the next token, in float, in ideal fake quantization and in
// integers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/namespaces.h"
#include "sim/statistics/estimate.h"

namespace qsim::report {

// What predicting one sequence cost: the sum of -log2 p over its tokens. Absent: not asked.
struct SequenceBits {
  std::int64_t index = 0;
  std::string name;         // its file
  std::int64_t tokens = 0;  // that were predicted
  std::optional<double> reference, ideal, integer;
  bool operator==(const SequenceBits&) const = default;
};

// Of two executors, per predicted token; intervals paired by sequence.
struct BitsDifference {
  std::string key;   // "integer_float"
  std::string text;  // "integer against float"
  Estimate bits, percent;
};

struct PerplexitySummary {
  std::int64_t tokens = 0;
  std::optional<Estimate> reference, ideal, integer;  // bits per token
  std::vector<BitsDifference> differences;            // of those that were asked
  std::vector<SequenceBits> sequences;
};

// Not empty.
PerplexitySummary Summarise(std::vector<SequenceBits> sequences);

// One line that a resumed run reads again; nothing for a text that LineOf does not write. Without
// the name.
std::string LineOf(const SequenceBits& bits);
std::optional<SequenceBits> ParseSequenceBits(std::int64_t index, const std::string& line);

// `verbose`: each sequence too.
std::string FormatPerplexity(const PerplexitySummary& summary, bool verbose);
std::string PerplexityJsonText(const PerplexitySummary& summary);

}  // namespace qsim::report
