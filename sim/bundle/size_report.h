// What a program's parameters take as integers, beside what the same ones take as floats.
#pragma once

#include <cstdint>
#include <string>

#include "sim/bundle/bundle.h"

namespace qsim::bundle {

// Bytes, each number at the width of its type, counted from the program.
struct SizeReport {
  // Float32: weights, biases, the layer norms' gains and offsets, positions and class token of the
  // layers that the program has.
  std::int64_t float_bytes = 0;
  std::int64_t weight_bytes = 0;  // int8
  std::int64_t bias_bytes = 0;    // int32, the embedding's positions too
  // Every other integer that an operation carries: multipliers, shifts, zero points, clamps,
  // constants of softmax, layer norm and GELU, accumulator widths. What `qsim export` writes for
  // the operations, without biases and proofs.
  std::int64_t table_bytes = 0;

  std::int64_t integer_bytes() const { return weight_bytes + bias_bytes + table_bytes; }
  double ratio() const {
    return static_cast<double>(float_bytes) / static_cast<double>(integer_bytes());
  }
  bool operator==(const SizeReport&) const = default;
};

// The bundle's program must have passed Validate().
SizeReport SizeOf(const Bundle& bundle);

// "size in bytes: float 802816, integers 215040, 3.73 times smaller", and a line with the parts.
std::string Format(const SizeReport& size);

}  // namespace qsim::bundle
