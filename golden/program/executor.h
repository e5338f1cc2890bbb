// Runs a program with a backend, one image at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "golden/program/operation_run.h"

namespace qsim::golden {

struct ExecuteOptions {
  bool track_accumulators = false;  // exact minimum and maximum over all partial sums; slower
  // Where not null, the only tensors that will be looked at; others need not come to exist.
  const std::set<std::string>* kept = nullptr;
};

// The program on one image, operation by operation, for a caller that looks at tensors as they
// appear and does not need all of them at once. The program must have passed Validate(); it, the
// backend and the statistics must outlive the execution.
class Execution {
 public:
  Execution(const Program& program, std::int64_t image, Backend& backend, RunStats* stats = nullptr,
            const ExecuteOptions& options = {});

  // Supplies a program input, at the latest before the first operation that reads it. The first
  // one with a run-time length decides it. Throws ProgramError when it has the wrong shape, type or
  // range.
  void Supply(const std::string& name, IntTensor value);
  // Runs program.ops[index]; operations must be run in order. Throws ProgramError when an operand
  // is missing.
  void Step(std::size_t index);
  // Behind the last operation: begins the next step, with nothing but what the program carries to
  // it (Program::carried). The first step begins with the initial values.
  void Advance();
  // The tensors that exist now.
  const TensorMap& values() const { return values_; }
  void Drop(const std::string& name) { values_.erase(name); }
  TensorMap Take() && { return std::move(values_); }

 private:
  const Program& program_;
  std::int64_t image_;
  Backend& backend_;
  RunStats* stats_;
  ExecuteOptions options_;
  std::int64_t length_ = 0;  // of this run; 0: not known yet
  SoleReaders sole_readers_;
  TensorMap values_;
};

// For each operation the tensors that it reads and no later operation does: what can be dropped
// behind it. Tensors that nothing reads, or the next
// step does, are in none of the lists.
std::vector<std::vector<std::string>> LastReads(const Program& program);

// Executes every operation. `inputs` holds the program's inputs for this image. Returns every
// tensor the program defines, inputs included. The program must have passed Validate(). Throws
// ProgramError when an input is missing, or has the wrong shape, type or range.
TensorMap Execute(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats = nullptr, const ExecuteOptions& options = {});

// The same in little memory: each tensor but those of `kept` is dropped behind its last reader, and
// what is left is returned: they, and what nothing reads.
TensorMap ExecuteForOutputs(const Program& program, const TensorMap& inputs, std::int64_t image,
                            Backend& backend, const std::set<std::string>& kept = {});

}  // namespace qsim::golden
