// The worst case of every accumulator, from the integers alone (docs/numerics.md section 3.5), and
// of the states of recurrences (17.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "golden/program/program.h"

namespace qsim::golden {

struct AccumulatorProof {
  std::string tap;         // the operation's output
  Accumulator acc;         // what the program gives it
  AccRange range;          // every value a partial sum or a correction term can take
  std::int64_t depth = 0;  // products in one sum
  int bits_needed = 0;     // width that holds `range`
  // Output channel that needs it, or head of a state; -1 for products of two tensors.
  std::int64_t worst_channel = -1;
  std::int64_t rows = 0;  // of a state: for a sequence of so many; 0: of any length
  std::string_view what = "accumulator";
  bool fits() const { return bits_needed <= acc.bits; }
};

// For one operation, or for every product and state of the program in order. Operand ranges are
// those of the tensors; weights are the very weights of the program.
AccumulatorProof ProveAccumulator(const Program& program, const GemmOp& op);
AccumulatorProof ProveAccumulator(const Program& program, const MatmulOp& op);
AccumulatorProof ProveAccumulator(const Program& program, const CausalConvOp& op);
// A state has the width of its range, and policy saturate.
AccumulatorProof ProveAccumulator(const Program& program, const RecurrenceStateOp& op);
std::vector<AccumulatorProof> ProveAccumulators(const Program& program);

}  // namespace qsim::golden
