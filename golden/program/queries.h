// What can be asked of an operation that one does not know: answers from its description alone
// (golden/ops/fields.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "golden/ops/one_or_each.h"
#include "golden/program/program.h"

namespace qsim::golden {

// The operation that computes a tensor, or null; the outputs of those that read it.
const Op* ProducerOf(const Program& program, std::string_view tensor);
Op* ProducerOf(Program& program, std::string_view tensor);
std::vector<std::string> ReadersOf(const Program& program, std::string_view tensor);

// Calls visitor(field, member) for every parameter, those of its algorithm in place of it.
template <typename AnyOp, typename Visitor>
void ForEachParameterOf(AnyOp& op, Visitor visitor) {
  std::visit([&](auto& o) { ForEachParameter(o, visitor); }, op);
}

// Null where it sums nothing.
const Accumulator* AccumulatorOf(const Op& op);
Accumulator* AccumulatorOf(Op& op);

// A linear layer: an operation that sums the one tensor that it reads times weights. A convolution
// with carried state reads two.
struct LinearOperands {
  std::string input, weight, bias;
  std::vector<std::int32_t> weight_zero;  // empty, one, or one for each output channel

  std::int32_t WeightZero(std::size_t channel) const {
    return weight_zero.empty() ? 0 : EntryFor(weight_zero, channel);
  }
};
std::optional<LinearOperands> LinearOperandsOf(const Op& op);
// It sums products of two tensors that it reads.
bool IsProductOfTensors(const Op& op);
// Products that it sums in a run of that length (0: the longest); 0 where it sums none.
std::int64_t MacsOf(const Program& program, const Op& op, std::int64_t length);

// Pieces of a sequence have the bits of the whole where each but the last has a multiple of so many
// rows; 1: cut anywhere.
std::int64_t ChunkRows(const Program& program);

// Whether numbers of its own bring the result to its output's grid: ratios of scales, a zero point,
// biases or a table. Else its algorithm fixes the grid, or it is the one of its input.
bool SuitsAnyGrid(const Op& op);

// The parameters of one role that are integers, each as a list, in order.
struct Integers {
  Field field;
  std::vector<std::int64_t> values;
};
std::vector<Integers> IntegersOf(const Op& op, Role role);

// The ratios of scales that it multiplies with, a list for each operand in order of the fields.
struct RatioList {
  std::vector<Multiplier> values;  // one, or one for each channel
  bool common_shift = false;       // all lists have one shift
};
std::vector<RatioList> RatiosOf(const Op& op);
void SetRatios(const std::vector<RatioList>& ratios, Op& op);
RequantScheme SchemeOf(const Op& op);

}  // namespace qsim::golden
