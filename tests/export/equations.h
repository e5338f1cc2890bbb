// Evaluates the equations that `qsim describe` prints, from their text alone: rational numbers, the
// named roundings, juxtaposition as a product, sums over the last axis or over k.
#pragma once

#include <gmpxx.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "tests/namespaces.h"

namespace qsim::testing {

// One entry of the description.
struct DescribedOperation {
  std::string output, kind, section;
  std::vector<std::string> inputs;
  std::vector<std::string> lines;  // equations and parameters, as they were before wrapping
};

std::vector<DescribedOperation> ParseDescription(const std::string& text);

// The output tensor by the printed equations. `tensors` holds the inputs, `constants` what a line
// "w = name int8" refers to; `shape` is the output's. Throws std::runtime_error, with the line, for
// text that it cannot read.
std::vector<mpq_class> EvaluateEquations(const DescribedOperation& operation,
                                         const TensorMap& tensors,
                                         const std::map<std::string, IntTensor>& constants,
                                         const Shape& shape);

}  // namespace qsim::testing
