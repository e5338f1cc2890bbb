// Faults planted at random places, of random sizes and parameters: what an implementation gives,
// and what has to be said of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "sim/explain/explanation.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

struct Plant {
  Explanation explanation;
  // Any of these, in the sentence or (all mismatches being explained) in a tie.
  std::vector<std::string> right;
  std::vector<std::string> besides;   // each of these, in the sentence
  bool unexplained_is_right = false;  // where `right` says where the mismatches are
  std::string parameters;             // for a failure
};

struct Kind {
  std::string name;
  std::function<Plant(SeededRandom&)> plant;
};
inline void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

const std::vector<Kind>& RequantKinds();
const std::vector<Kind>& ProductKinds();
std::vector<Kind> PartKinds();
std::vector<Kind> SoftmaxKinds();
std::vector<Kind> NormKinds();
std::vector<Kind> RecurrenceKinds();
std::vector<Kind> TableKinds();

// An inner step done otherwise: where, and the rule or the number taken there.
struct Fault {
  std::string at, rule;
  std::int64_t number = 0;
  // `golden` where the fault is at another step.
  std::string Rule(const std::string& step, const char* golden) const {
    return at == step && !rule.empty() ? rule : golden;
  }
  std::int64_t Number(const std::string& step, std::int64_t golden) const {
    return at == step && number != 0 ? number : golden;
  }
};

// One of the rules that are not the golden one.
inline std::string AnotherRule(SeededRandom& random, const std::string& golden,
                               std::vector<std::string> rules = {"floor", "ceil", "half_up",
                                                                 "half_even", "half_down"}) {
  std::string rule = golden;
  while (rule == golden)
    rule = rules[static_cast<std::size_t>(random.Between(0, std::ssize(rules) - 1))];
  return rule;
}

// Explains what an implementation gives for the only operation of a program, y; inputs of each
// image.
Plant ExplainOutputs(const Program& program, const std::vector<TensorMap>& inputs,
                     const std::vector<std::int64_t>& actual, std::vector<std::string> right,
                     std::string parameters);

}  // namespace qsim::testing
