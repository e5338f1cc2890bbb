// The operations that a program can hold. This is the one list of them: what an operation is stands
// in golden/program/ops, its arithmetic in golden/ops.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "golden/program/ops/add.h"
#include "golden/program/ops/causal_conv.h"
#include "golden/program/ops/column_sum.h"
#include "golden/program/ops/concat.h"
#include "golden/program/ops/embed.h"
#include "golden/program/ops/gelu.h"
#include "golden/program/ops/gemm.h"
#include "golden/program/ops/last_rows.h"
#include "golden/program/ops/layernorm.h"
#include "golden/program/ops/lookup.h"
#include "golden/program/ops/matmul.h"
#include "golden/program/ops/multiply.h"
#include "golden/program/ops/patchify.h"
#include "golden/program/ops/recurrence.h"
#include "golden/program/ops/requantize.h"
#include "golden/program/ops/residual_add.h"
#include "golden/program/ops/rmsnorm.h"
#include "golden/program/ops/row_divide.h"
#include "golden/program/ops/row_sum.h"
#include "golden/program/ops/softmax.h"
#include "golden/program/ops/table.h"
#include "golden/program/ops/view.h"

namespace qsim::golden {

struct Program;

using Op = std::variant<GemmOp, MatmulOp, RequantizeOp, SoftmaxOp, LayernormOp, ResidualAddOp,
                        PatchifyOp, EmbedOp, GeluOp, AddOp, TableOp, RmsnormOp, MultiplyOp, ViewOp,
                        ConcatOp, RowSumOp, RowDivideOp, ColumnSumOp, CausalConvOp, LookupOp,
                        LastRowsOp, RecurrenceOp, RecurrenceStateOp>;

// What every operation is asked for: a kind and its section of docs/numerics.md, its parameters
// (fields.h), what a program must satisfy to hold it, and how it runs.
template <typename T>
concept Operation = HasFields<T> && std::equality_comparable<T> && std::default_initializable<T> &&
    requires(const T& op, const Checker& checker, OperationRun& run) {
  { T::kIs } -> std::convertible_to<Description>;
  { op.Check(checker) } -> std::same_as<void>;
  { op.Run(run) } -> std::same_as<void>;
};

template <typename T>
inline constexpr bool kAllAreOperations = false;
template <Operation... T>
inline constexpr bool kAllAreOperations<std::variant<T...>> = true;
static_assert(kAllAreOperations<Op>);

const Description& Describe(const Op& op);
std::string_view SectionOf(const Op& op);
// Description::formula, with that of its algorithm: the same for every head.
std::string FormulaOf(const Program& program, const Op& op);
inline std::string_view KindName(const Op& op) { return Describe(op).kind; }
const std::string& OutputOf(const Op& op);
std::vector<std::string> InputsOf(const Op& op);
// The constants of the program that it reads.
std::vector<std::string> ConstantsOf(const Op& op);
// The one among them that has a grid; "" where there is none.
std::string WeightOf(const Op& op);

}  // namespace qsim::golden
