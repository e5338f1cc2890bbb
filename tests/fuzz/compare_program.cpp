// Every executor against the specification, and what is left of a program that shows a difference.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "derivation/operations.h"
#include "golden/kernels/fast_backend.h"
#include "golden/kernels/instruction_set.h"
#include "golden/program/executor.h"
#include "golden/program/queries.h"
#include "sim/bundle/bundle.h"
#include "sim/cosim/rtl_backend.h"
#include "tests/fuzz/random_program.h"

namespace qsim::testing {
namespace {

// Every tensor of every step.
std::vector<TensorMap> Run(const Case& c, Backend& backend) {
  Execution execution(c.program, 0, backend);
  std::vector<TensorMap> steps;
  for (const TensorMap& inputs : c.steps) {
    if (!steps.empty()) execution.Advance();
    for (const auto& [name, value] : inputs) execution.Supply(name, value);
    for (std::size_t i = 0; i < c.program.ops.size(); ++i) execution.Step(i);
    steps.push_back(execution.values());
  }
  return steps;
}

std::string DifferenceOf(const IntTensor& expected, const IntTensor& computed) {
  if (expected.shape() != computed.shape() || expected.dtype() != computed.dtype())
    return "has another shape or type";
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    if (expected.At(i) != computed.At(i)) {
      return fmt::format("element {} is {}, the specification has {}", i, computed.At(i),
                         expected.At(i));
    }
  }
  return "";
}

// In the order of the program, so that the first one is where it begins.
std::string FirstDifference(const Case& c, const std::vector<TensorMap>& expected,
                            const std::vector<TensorMap>& computed) {
  for (std::size_t step = 0; step < expected.size(); ++step) {
    for (const Op& op : c.program.ops) {
      const std::string& name = OutputOf(op);
      const auto found = computed[step].find(name);
      if (found == computed[step].end()) continue;
      const std::string difference = DifferenceOf(expected[step].at(name), found->second);
      if (!difference.empty())
        return fmt::format("{} '{}' of step {}: {}", KindName(op), name, step, difference);
    }
  }
  return "";
}

// The second derivations of the operations that have one, on the tensors of the specification.
std::string DifferenceOfDerivation(const Case& c, const std::vector<TensorMap>& expected) {
  for (std::size_t step = 0; step < expected.size(); ++step) {
    for (const Op& op : c.program.ops) {
      derivation::Comparison comparison(0);
      CompareOperation(comparison, c.program, op, expected[step]);
      if (comparison.mismatches() > 0)
        return fmt::format("{} '{}' of step {}: {}", KindName(op), OutputOf(op), step,
                           comparison.first_mismatch());
    }
  }
  return "";
}

// With tensors that need not come to exist: sums may go straight through a requantization.
std::string DifferenceOfOutputs(const Case& c, const std::vector<TensorMap>& expected,
                                Backend& backend) {
  if (!c.program.carried.empty()) return "";
  return FirstDifference(c, {expected.front()},
                         {ExecuteForOutputs(c.program, c.steps.front(), 0, backend)});
}

// Inputs and constants that nothing reads any more.
void DropUnread(Case& c) {
  std::set<std::string> named;
  for (const Op& op : c.program.ops) {
    named.insert(OutputOf(op));
    for (const auto& names : {InputsOf(op), ConstantsOf(op)})
      named.insert(names.begin(), names.end());
  }
  for (const Carried& carried : c.program.carried) {
    named.insert(carried.input);
    named.insert(carried.initial);
  }
  const auto is_unread = [&](const std::string& name) { return !named.contains(name); };
  std::erase_if(c.program.tensors, [&](const TensorInfo& info) { return is_unread(info.name); });
  std::erase_if(c.program.inputs, is_unread);
  std::erase_if(c.program.constants, [&](const auto& entry) { return is_unread(entry.first); });
  for (TensorMap& step : c.steps)
    std::erase_if(step, [&](const auto& entry) { return is_unread(entry.first); });
}

// Without one operation: what it computed is an input, as is what it would have carried.
Case Without(const Case& c, std::size_t index, const std::vector<TensorMap>& values) {
  Case smaller = c;
  const std::string output = OutputOf(c.program.ops[index]);
  const auto make_input = [&](const std::string& name) {
    smaller.program.inputs.push_back(name);
    for (std::size_t step = 0; step < values.size(); ++step)
      smaller.steps[step].insert_or_assign(name, values[step].at(name));
  };
  smaller.program.ops.erase(smaller.program.ops.begin() + static_cast<std::ptrdiff_t>(index));
  make_input(output);
  std::erase_if(smaller.program.carried, [&](const Carried& carried) {
    if (carried.output == output) make_input(carried.input);
    return carried.output == output;
  });
  DropUnread(smaller);
  return smaller;
}

}  // namespace

const std::vector<Executor>& AllExecutors() {
  static const std::vector<Executor> executors = [] {
    std::vector<Executor> all;
    for (const std::string_view set : kernels::InstructionSets()) {
      all.push_back({std::string(set), [set](const Program& program, const auto& use) {
                       const std::string_view own = kernels::InstructionSet();
                       kernels::UseInstructionSet(set);
                       FastBackend fast(program);
                       use(fast);
                       kernels::UseInstructionSet(own);
                     }});
    }
    if (BuiltWithRtl()) {
      all.push_back({"RTL", [](const Program&, const auto& use) {
                       static RtlBackend rtl([] {
                         RtlOptions options;
                         options.array = BuiltArrays().front();
                         return options;
                       }());
                       use(rtl);
                     }});
    }
    return all;
  }();
  return executors;
}

std::string DifferenceIn(const Case& c, const std::vector<Executor>& executors) {
  std::string who = "the specification";
  try {
    GoldenBackend golden;
    const std::vector<TensorMap> expected = Run(c, golden);
    who = "the second derivation";
    if (const std::string difference = DifferenceOfDerivation(c, expected); !difference.empty())
      return who + ": " + difference;
    for (const Executor& executor : executors) {
      who = executor.name;
      std::string difference;
      executor.with(c.program, [&](Backend& backend) {
        difference = FirstDifference(c, expected, Run(c, backend));
        if (difference.empty()) difference = DifferenceOfOutputs(c, expected, backend);
      });
      if (!difference.empty()) return who + ": " + difference;
    }
  } catch (const std::exception& error) {
    return who + ": " + error.what();
  }
  return "";
}

Case Shrunk(Case c, const std::vector<Executor>& executors) {
  const auto fails = [&](const Case& smaller) { return !DifferenceIn(smaller, executors).empty(); };
  if (c.steps.size() > 1) {
    Case one = c;
    one.steps.resize(1);
    if (fails(one)) c = std::move(one);
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = c.program.ops.size(); i-- > 0 && c.program.ops.size() > 1;) {
      GoldenBackend golden;
      Case smaller = Without(c, i, Run(c, golden));
      if (!fails(smaller)) continue;
      c = std::move(smaller);
      changed = true;
    }
  }
  return c;
}

void SaveCase(const Case& c, const std::filesystem::path& directory) {
  Bundle bundle;
  bundle.program = c.program;
  for (const TensorInfo& info : c.program.tensors)
    bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {1}, {0}};
  for (const std::string& name : c.program.inputs) {
    const TensorInfo& info = c.program.Tensor(name);
    Shape shape = info.shape;
    shape.insert(shape.begin(), static_cast<std::int64_t>(c.steps.size()));
    IntTensor all(info.dtype, shape);
    std::visit(
        [&](auto& values) {
          using T = typename std::decay_t<decltype(values)>::value_type;
          auto at = values.begin();
          for (const TensorMap& step : c.steps)
            at = std::copy(step.at(name).As<T>().begin(), step.at(name).As<T>().end(), at);
        },
        all.storage());
    bundle.inputs[name] = std::move(all);
  }
  OutputDirectory output(directory);
  SaveBundle(bundle, output);
}

Case LoadCase(const std::filesystem::path& directory) {
  Bundle bundle = LoadBundle(directory);
  Case c;
  c.steps.resize(static_cast<std::size_t>(bundle.images()));
  for (const auto& input : bundle.inputs) {
    const IntTensor& all = input.second;
    // An image of a program with a run-time length has the length of the file.
    const Shape shape(all.shape().begin() + 1, all.shape().end());
    const std::int64_t each = ElementCount(shape);
    std::visit(
        [&](const auto& values) {
          for (std::size_t step = 0; step < c.steps.size(); ++step) {
            const auto first = values.begin() + static_cast<std::ptrdiff_t>(step) * each;
            c.steps[step][input.first] =
                IntTensor(shape, std::decay_t<decltype(values)>(first, first + each));
          }
        },
        all.storage());
  }
  c.program = std::move(bundle.program);
  return c;
}

}  // namespace qsim::testing
