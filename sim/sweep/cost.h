// What a program costs in hardware, counted from the program itself.
#pragma once

#include <cstdint>

#include "sim/bundle/bundle.h"

namespace qsim::sweep {

struct ProgramCost {
  // Every integer of the parameter tables that `qsim export` writes for the operations, at the
  // width of its type; multipliers at the width of their operation's widest.
  std::int64_t table_bits = 0;
  // Weights at the width that each matrix's largest code needs, biases at 32 bits.
  std::int64_t weight_bits = 0;
  // The widest multiplier of any operation, without its sign; 1 where every ratio is a power of
  // two.
  int multiplier_width = 1;
  bool operator==(const ProgramCost&) const = default;
};

// The bundle's program must have passed Validate().
ProgramCost CostOf(const Bundle& bundle);

}  // namespace qsim::sweep
