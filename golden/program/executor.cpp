#include "golden/program/executor.h"

#include <set>
#include <string>
#include <utility>
#include <variant>

#include "golden/program/queries.h"

namespace qsim::golden {
namespace {

// Throws unless the tensor is what the program says of this input.
void CheckInput(const TensorInfo& info, const IntTensor& tensor) {
  if (tensor.shape() != info.shape || tensor.dtype() != info.dtype) {
    throw ProgramError("input '" + info.name + "' has another shape or type than the program says");
  }
  std::visit(
      [&](const auto& values) {
        for (std::size_t i = 0; i < values.size(); ++i) {
          if (values[i] >= info.range.qmin && values[i] <= info.range.qmax) continue;
          throw ProgramError("input '" + info.name + "' element " + std::to_string(i) + " is " +
                             std::to_string(values[i]) + ", outside its range");
        }
      },
      tensor.storage());
}

// Of the accumulators beside those of `kept`, the requantizations that alone read them.
SoleReaders SoleReadersIn(const Program& program, const std::set<std::string>& kept) {
  SoleReaders readers;
  for (const Op& op : program.ops) {
    if (AccumulatorOf(op) != nullptr && !kept.contains(OutputOf(op))) readers[OutputOf(op)];
  }
  for (const Carried& carried : program.carried) readers.erase(carried.output);
  for (const Op& op : program.ops) {
    // A product's sums may go straight through a requantization, and through nothing else.
    const auto* requantize = std::get_if<RequantizeOp>(&op);
    for (const std::string& input : InputsOf(op)) {
      const auto found = readers.find(input);
      if (found == readers.end()) continue;
      if (requantize == nullptr) {
        readers.erase(found);
      } else {
        found->second.push_back(requantize);
      }
    }
  }
  std::erase_if(readers, [](const auto& of) { return of.second.empty(); });
  return readers;
}

}  // namespace

Execution::Execution(const Program& program, std::int64_t image, Backend& backend, RunStats* stats,
                     const ExecuteOptions& options)
    : program_(program), image_(image), backend_(backend), stats_(stats), options_(options) {
  for (const Carried& carried : program.carried)
    values_.emplace(carried.input, program.Constant(carried.initial));
  if (options.kept != nullptr) sole_readers_ = SoleReadersIn(program, *options.kept);
}

void Execution::Supply(const std::string& name, IntTensor value) {
  const TensorInfo& info = program_.Tensor(name);
  if (length_ == 0 && !info.length_axes.empty() && value.shape().size() == info.shape.size()) {
    const auto axis = static_cast<std::size_t>(info.length_axes[0]);
    if (value.shape()[axis] >= 1 && value.shape()[axis] <= info.shape[axis])
      length_ = value.shape()[axis];
  }
  CheckInput(AtLength(info, length_), value);
  values_.insert_or_assign(name, std::move(value));
}

void Execution::Step(std::size_t index) {
  OperationRun run(program_, image_, backend_, values_, stats_, options_.track_accumulators,
                   length_, sole_readers_);
  backend_.Run(program_.ops[index], run);
}

void Execution::Advance() {
  TensorMap next;
  for (const Carried& carried : program_.carried)
    next.emplace(carried.input, values_.at(carried.output));
  values_ = std::move(next);
  length_ = 0;
}

std::vector<std::vector<std::string>> LastReads(const Program& program) {
  std::vector<std::vector<std::string>> last(program.ops.size());
  std::set<std::string> read;
  for (const Carried& carried : program.carried) read.insert(carried.output);
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
                            Backend& backend, const std::set<std::string>& kept) {
  Execution execution = Started(program, inputs, image, backend, nullptr, {.kept = &kept});
  const auto last_reads = LastReads(program);
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    execution.Step(i);
    for (const std::string& name : last_reads[i]) {
      if (!kept.contains(name)) execution.Drop(name);
    }
  }
  return std::move(execution).Take();
}

}  // namespace qsim::golden
