// What a run's profile holds. docs/outputs.md, "The profile".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/statistics/tensor_profile.h"

namespace qsim::run {

// What the golden model spent on one operation, over all images and threads of the run.
struct OperationCost {
  std::string output;
  std::string kind;                // "gemm", ...
  double seconds = 0;              // of processor time
  std::int64_t operand_bytes = 0;  // of one image: inputs, weights and biases
  std::int64_t result_bytes = 0;
  std::int64_t macs = 0;  // products that are summed, of one image
};

struct RunProfile {
  std::vector<TensorProfile> taps;     // every tensor of the program, in its order
  std::vector<TensorProfile> weights;  // of every matrix product, in program order
  // Time and memory differ from run to run, so they are here only where they were asked for.
  std::vector<OperationCost> operations;
  std::int64_t peak_memory_bytes = 0;  // of the process; 0 where it was not asked for

  // Whether any of it goes to the terminal and into report.json.
  bool requested() const {
    for (const std::vector<TensorProfile>* list : {&taps, &weights}) {
      for (const TensorProfile& tensor : *list) {
        if (tensor.requested) return true;
      }
    }
    return !operations.empty();
  }
};

}  // namespace qsim::run
