#include "golden/program/executor.h"

#include <set>
#include <string>
#include <utility>

namespace qsim {
namespace {

// Throws unless the tensor is what the program says of this input.
void CheckInput(const TensorInfo& info, const IntTensor& tensor) {
  if (tensor.shape() != info.shape || tensor.dtype() != info.dtype) {
    throw ProgramError("input '" + info.name + "' has another shape or type than the program says");
  }
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    const std::int64_t value = tensor.At(i);
    if (value < info.range.qmin || value > info.range.qmax) {
      throw ProgramError("input '" + info.name + "' element " + std::to_string(i) + " is " +
                         std::to_string(value) + ", outside its range");
    }
  }
}

}  // namespace

void Execution::Supply(const std::string& name, IntTensor value) {
  CheckInput(program_.Tensor(name), value);
  values_.insert_or_assign(name, std::move(value));
}

void Execution::Step(std::size_t index) {
  OperationRun run(program_, image_, backend_, values_, stats_, options_.track_accumulators);
  backend_.Run(program_.ops[index], run);
}

std::vector<std::vector<std::string>> LastReads(const Program& program) {
  std::vector<std::vector<std::string>> last(program.ops.size());
  std::set<std::string> read;
  for (std::size_t i = program.ops.size(); i-- > 0;) {
    for (std::string& name : InputsOf(program.ops[i])) {
      if (read.insert(name).second) last[i].push_back(std::move(name));
    }
  }
  return last;
}

namespace {

Execution Started(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats, const ExecuteOptions& options) {
  Execution execution(program, image, backend, stats, options);
  for (const std::string& name : program.inputs) {
    const auto found = inputs.find(name);
    if (found == inputs.end()) throw ProgramError("input '" + name + "' is missing");
    execution.Supply(name, found->second);
  }
  return execution;
}

}  // namespace

TensorMap Execute(const Program& program, const TensorMap& inputs, std::int64_t image,
                  Backend& backend, RunStats* stats, const ExecuteOptions& options) {
  Execution execution = Started(program, inputs, image, backend, stats, options);
  for (std::size_t i = 0; i < program.ops.size(); ++i) execution.Step(i);
  return std::move(execution).Take();
}

TensorMap ExecuteForOutputs(const Program& program, const TensorMap& inputs, std::int64_t image,
                            Backend& backend) {
  Execution execution = Started(program, inputs, image, backend, nullptr, {});
  const auto last_reads = LastReads(program);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    execution.Step(i);
    for (const std::string& name : last_reads[i]) execution.Drop(name);
  }
  return std::move(execution).Take();
}

}  // namespace qsim
