// Programs of one operation that carries a state, on sequences in parts.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "derivation/arbitrary.h"
#include "golden/program/executor.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

template <typename T>
derivation::Instance Draw(SeededRandom& random) {
  return derivation::Arbitrary(std::type_identity<T>(), [&](std::int64_t lo, std::int64_t hi) {
    return random.Between(lo, hi);
  });
}

// Rows [first, first + count) of the operands.
inline TensorMap Rows(const TensorMap& inputs, std::int64_t first, std::int64_t count) {
  TensorMap part;
  for (const auto& [name, tensor] : inputs) {
    if (name == "s") continue;
    Shape shape = tensor.shape();
    const std::int64_t width = tensor.size() / shape[0];
    shape[0] = count;
    std::visit(
        [&](const auto& values) {
          part[name] = IntTensor(
              shape, std::decay_t<decltype(values)>(values.begin() + first * width,
                                                    values.begin() + (first + count) * width));
        },
        tensor.storage());
  }
  return part;
}

inline std::vector<std::int64_t> ValuesOf(const IntTensor& tensor) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < tensor.size(); ++i) values.push_back(tensor.At(i));
  return values;
}

// The program's y, one part after the other, with `carried` of one part as s of the next; what is
// not carried is appended.
inline std::vector<std::int64_t> InParts(const Program& program, const TensorMap& inputs,
                                         const std::vector<std::int64_t>& parts, Backend& backend) {
  Execution execution(program, 0, backend);
  std::vector<std::int64_t> all;
  std::int64_t first = 0;
  for (const std::int64_t count : parts) {
    if (first != 0) execution.Advance();
    for (auto& [name, tensor] : Rows(inputs, first, count)) execution.Supply(name, tensor);
    for (std::size_t i = 0; i < program.ops.size(); ++i) execution.Step(i);
    const std::vector<std::int64_t> y = ValuesOf(execution.values().at("y"));
    all.insert(all.end(), y.begin(), y.end());
    first += count;
  }
  const std::vector<std::int64_t> last = ValuesOf(execution.values().at("next"));
  all.insert(all.end(), last.begin(), last.end());
  return all;
}

inline std::vector<std::int64_t> AnyParts(SeededRandom& random, std::int64_t rows) {
  std::vector<std::int64_t> parts;
  while (rows > 0) {
    parts.push_back(random.Between(1, rows));
    rows -= parts.back();
  }
  return parts;
}

// A program of one operation and its state, "s", of any length and carried: `next` computes it.
inline Program Carrying(Program program, Op next, const TensorMap& inputs) {
  const TensorInfo state = program.Tensor("s");
  const std::int64_t rows = program.Tensor("y").shape[0];
  for (TensorInfo& info : program.tensors) {
    if (info.name != "s" && info.shape[0] == rows) info.length_axes = {0};
  }
  std::erase(program.inputs, "s");
  program.tensors.push_back({"next", state.shape, state.dtype, state.range});
  program.ops.push_back(std::move(next));
  program.constants["s.initial"] = inputs.at("s");
  program.carried = {{"next", "s", "s.initial"}};
  return program;
}

// The same operation on so many rows of any values.
inline derivation::Instance Lengthened(derivation::Instance instance, std::int64_t rows,
                                       SeededRandom& random) {
  for (TensorInfo& info : instance.program.tensors) {
    if (info.name == "s") continue;
    info.shape[0] = rows;
    if (!instance.inputs.contains(info.name)) continue;
    IntTensor values(info.dtype, info.shape);
    std::visit(
        [&]<typename T>(std::vector<T>& to) {
          for (T& value : to)
            value = static_cast<T>(random.Between(info.range.qmin, info.range.qmax));
        },
        values.storage());
    instance.inputs[info.name] = std::move(values);
  }
  return instance;
}

}  // namespace qsim::testing
