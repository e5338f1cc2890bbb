// Random programs that pass Validate(): instances of operations, connected where requantizations
// and views can, run by every executor. What they compute is compared tensor by tensor.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "derivation/arbitrary.h"
#include "golden/program/backend.h"
#include "tests/namespaces.h"

namespace qsim::testing {

struct Case {
  Program program;
  std::vector<TensorMap> steps;  // the inputs of each: of state, one hands it to the next
};

// The bytes decide while there are any, then random numbers that the bytes seed.
Draw DrawFrom(std::string_view bytes);
Case DrawCase(const Draw& draw);

struct Executor {
  std::string name;
  // Calls `use` with a backend for this program.
  std::function<void(const Program& program, const std::function<void(Backend&)>& use)> with;
};
// The fast kernels on every instruction set of this machine, and the RTL where it is built.
const std::vector<Executor>& AllExecutors();

// The first tensor in which one of them differs from the specification, in words; empty: none.
std::string DifferenceIn(const Case& c, const std::vector<Executor>& executors);

// The same difference with as few operations and steps as show one. What is left out becomes
// inputs.
Case Shrunk(Case c, const std::vector<Executor>& executors);

// As a bundle, whose images are the steps.
void SaveCase(const Case& c, const std::filesystem::path& directory);
Case LoadCase(const std::filesystem::path& directory);

}  // namespace qsim::testing
