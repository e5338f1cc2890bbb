// Runs a program with a backend, one image at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "golden/program/backend.h"
#include "golden/program/program.h"

namespace qsim {

// Values of one image by tensor name.
using TensorMap = std::map<std::string, IntTensor, std::less<>>;

// What a run observed beside the values, keyed by the operation's output tensor.
struct RunStats {
  std::map<std::string, std::int64_t> saturated;  // elements that a clamp changed
  std::map<std::string, AccRange> accumulators;   // partial sums seen; filled when asked for
  void Merge(const RunStats& other);
};

struct ExecuteOptions {
  bool track_accumulators = false;  // exact minimum and maximum over all partial sums; slower
};

// Executes every operation. `inputs` holds the program's inputs for this image. Returns every
// tensor the program defines, inputs included. The program must have passed Validate(). Throws
// ProgramError when an input is missing, or has the wrong shape, type or range.
TensorMap Execute(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats = nullptr, const ExecuteOptions& options = {});

}  // namespace qsim
