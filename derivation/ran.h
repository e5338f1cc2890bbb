// An operation and all its tensors, run by the specification: of a random instance, or of a
// program.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "derivation/arbitrary.h"
#include "derivation/comparison.h"
#include "derivation/softmax_rows.h"

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
  // The first operation of a program; `values` has what it reads and what it computed.
  Ran(Program program, TensorMap values)
      : instance{std::move(program), {}},
        op(std::get<T>(instance.program.ops.front())),
        tensors(std::move(values)) {}
  Ran(const Ran&) = delete;
  Ran& operator=(const Ran&) = delete;
  Instance instance;
  const T& op;
  TensorMap tensors;
};

// Every element of its output against the second derivation. What has none is not declared.
void CompareRan(Comparison& comparison, const Ran<GemmOp>& ran);
void CompareRan(Comparison& comparison, const Ran<MatmulOp>& ran);
void CompareRan(Comparison& comparison, const Ran<RequantizeOp>& ran);
void CompareRan(Comparison& comparison, const Ran<SoftmaxOp>& ran);
void CompareRan(Comparison& comparison, const Ran<GeluOp>& ran);
void CompareRan(Comparison& comparison, const Ran<LayernormOp>& ran);
void CompareRan(Comparison& comparison, const Ran<RowSumOp>& ran);
void CompareRan(Comparison& comparison, const Ran<ColumnSumOp>& ran);
void CompareRan(Comparison& comparison, const Ran<RowDivideOp>& ran);
void CompareRan(Comparison& comparison, const Ran<CausalConvOp>& ran);
void CompareRan(Comparison& comparison, const Ran<TableOp>& ran);
void CompareRan(Comparison& comparison, const Ran<RecurrenceOp>& ran);
void CompareRan(Comparison& comparison, const Ran<RecurrenceStateOp>& ran);

// Every element of `y`, row by row of the last axis: derive(row of x, its number) gives the row's.
template <typename Derive>
void CompareRows(Comparison& comparison, const IntTensor& x, const IntTensor& y, Derive derive) {
  const std::int64_t width = x.shape().back();
  for (std::int64_t first = 0; first < x.size(); first += width) {
    Scores row;
    for (std::int64_t k = 0; k < width; ++k)
      row.push_back(static_cast<std::int32_t>(x.At(first + k)));
    const Integers derived = derive(row, first / width);
    for (std::int64_t k = 0; k < width; ++k)
      comparison.Check(y.At(first + k), derived[static_cast<std::size_t>(k)],
                       [&] { return "element " + std::to_string(first + k); });
  }
}

// A battery of so many random instances.
template <typename T, int kInstances>
void CompareInstances(Comparison& comparison) {
  for (int i = 0; i < kInstances; ++i) CompareRan(comparison, Ran<T>(comparison));
}

}  // namespace qsim::derivation
