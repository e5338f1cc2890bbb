// qsim bench: what this machine computes in a second
#pragma once

#include "sim/cli/command_line.h"

namespace qsim::cli {

struct BenchOptions {
  std::string kernels = "fast";
  bool json = false;
};

Command AddBench(CommandLine& line, BenchOptions& options);

// Times the kernels beside the specification and beside Eigen, one thread. Returns 0.
int RunBench(const BenchOptions& options);

}  // namespace qsim::cli
