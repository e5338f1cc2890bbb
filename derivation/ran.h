// A random instance of an operation and all its tensors, run by the specification.
#pragma once

#include <type_traits>
#include <variant>

#include "derivation/arbitrary.h"
#include "derivation/comparison.h"

namespace qsim::derivation {

template <typename T>
struct Ran {
  explicit Ran(Comparison& comparison)
      : instance(Arbitrary(
            std::type_identity<T>(),
            [&](std::int64_t lo, std::int64_t hi) { return comparison.Between(lo, hi); })),
        op(std::get<T>(instance.program.ops.front())) {
    GoldenBackend golden;
    tensors = Execute(instance.program, instance.inputs, 0, golden);
  }
  Instance instance;
  const T& op;
  TensorMap tensors;
};

}  // namespace qsim::derivation
