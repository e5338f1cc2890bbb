// A random valid instance of every operation: a program that holds it alone, and its operands. What
// all operations must satisfy is tested on these; an operation without one does not compile there.
#pragma once

#include <cstdint>
#include <functional>
#include <type_traits>

#include "golden/program/executor.h"
#include "sim/namespaces.h"

namespace qsim::derivation {

struct Instance {
  Program program;
  TensorMap inputs;
};

// An integer within [lo, hi].
using Draw = std::function<std::int64_t(std::int64_t lo, std::int64_t hi)>;

Instance Arbitrary(std::type_identity<GemmOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<MatmulOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RequantizeOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<SoftmaxOp>, const Draw& draw);
// Of the first so many algorithms.
inline constexpr std::size_t kPublishedSoftmaxes = 8;
Instance ArbitrarySoftmax(const Draw& draw, std::size_t algorithms, SoftmaxDivision division);
Instance Arbitrary(std::type_identity<LayernormOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<ResidualAddOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<PatchifyOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<EmbedOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<GeluOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<AddOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<TableOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RmsnormOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<MultiplyOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<ViewOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<ConcatOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RowSumOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<ColumnSumOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RowDivideOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<CausalConvOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<LookupOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<LastRowsOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RecurrenceOp>, const Draw& draw);
Instance Arbitrary(std::type_identity<RecurrenceStateOp>, const Draw& draw);

}  // namespace qsim::derivation
