// What the rounding detective found out about one tensor. docs/explain.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/explain/hypotheses.h"

namespace qsim::explain {

// A hypothesis, counted over the whole tensor.
struct Finding {
  std::string id, phrase;
  std::string published;  // "half_even is also ibert_dyadic", or empty
  int changes = 0;
  std::int64_t explained = 0;  // mismatches where the hypothesis gives the actual value
  std::int64_t broken = 0;     // matches where it does not
};

// A hypothesis that gives the same outputs as the best one, for all of this data.
struct Tie {
  std::string id, phrase;
  std::optional<Separation> separation;  // first: the best hypothesis, second: this one
};

// One rule of several in one tensor.
struct Part {
  std::string id, phrase;
  std::string where;           // "for channel 32 and up"
  std::int64_t explained = 0;  // mismatches that this rule explains where it applies
  std::vector<std::string>
      alternatives;  // phrases of rules that the data there cannot tell from it
};

struct Explanation {
  enum class Verdict : std::uint8_t {
    kEqual,        // nothing to explain
    kExplained,    // one hypothesis: findings[0]
    kRegions,      // several rules, and where each of them applies: parts
    kUnexplained,  // none of that
  };
  Verdict verdict = Verdict::kEqual;
  std::string name;
  std::string golden;  // the operation as the golden model computes it, in a line
  std::int64_t elements = 0;
  std::int64_t mismatches = 0;
  std::int64_t explained = 0;  // by the verdict's hypothesis or parts together
  std::int64_t broken = 0;
  std::vector<Finding> findings;  // best first
  std::vector<Tie> ties;
  std::vector<Part> parts;
  // How many numbers of the answer were solved from the data, or searched for.
  std::int64_t freedom = 0;
  std::string where;  // that nearly all mismatches are in, and how many; empty: everywhere
  std::int64_t inside = 0;
  bool floor_or_ceil = false;                        // every output is one of the two, by no rule
  std::map<std::int64_t, std::int64_t> differences;  // actual - expected: how often; the commonest
  std::vector<std::string> observations;             // what is known beside, where nothing explains
};

}  // namespace qsim::explain
