// Explains plain tensor files, with an operation's parameters given as numbers or files.
// docs/explain.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "golden/ops/gemm.h"
#include "sim/explain/explanation.h"

namespace qsim::explain {

// Parameters are a number, a comma-separated list, or the name of a .npy or .memh file.
struct PlainOptions {
  std::filesystem::path actual, expected;
  std::filesystem::path acc;       // requantize
  std::filesystem::path a, b;      // residual add
  std::filesystem::path lhs, rhs;  // matrix product
  std::string multiplier = "1", b_multiplier = "1", shift = "0", zero = "0";
  std::string addend;  // requantize: added to the product, before the shift; empty: none
  std::string bias, lhs_zero = "0", rhs_zero = "0";
  bool transpose_rhs = false;
  std::int64_t input_zero = 0, b_zero = 0;
  int bits = 8;
  bool is_unsigned = false;
  std::string rounding = "half_up";
  std::string axis = "auto";  // of the parameters: auto, last, first, none, element
  int acc_bits = 32;
  std::string acc_policy = "wrap";
};

// Throws InputError for files that are missing or do not fit together, parameters of the wrong
// number or out of range, and an `expected` that is not what the parameters give.
Explanation ExplainFiles(const PlainOptions& options, int threads = 1);

}  // namespace qsim::explain
