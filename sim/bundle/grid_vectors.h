// The loops of a linear grid over all elements of a tensor, with vectors: on each element what
// Grid::Units, Clamped and Real do, for every instruction set bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::bundle {

// Scales and zero points as numbers; `inner` elements of a channel lie side by side, then those of
// the next one, and again from the first.
struct GridLayout {
  std::vector<double> scale, zero;  // of each channel
  std::size_t inner = 1;
  double lowest = 0, highest = 0;
};

// What becomes of x / s + z.
struct Stepping {
  bool round = true, clamp = true;
  std::span<const double> error = {};  // added behind that, and clamped again; may be empty
};

// Returns whether every element has become a whole number within the range.
bool UnitsOfEach(const GridLayout& grid, std::span<const double> real, const Stepping& stepping,
                 std::span<double> units);
// Rounded and clamped. Returns how many elements the clamp changed.
std::int64_t QuantizeEach(const GridLayout& grid, std::span<const float> real,
                          std::span<double> units);
void RealOfEach(const GridLayout& grid, std::span<double> units);
// The real numbers of codes, and the same rounded to float.
void DequantizeEach(const GridLayout& grid, const IntTensor& codes, std::span<double> real);
void DequantizeEach(const GridLayout& grid, const IntTensor& codes, std::span<float> real);
// Whole numbers within the range of the storage.
void CodesOfEach(std::span<const double> units, IntTensor& codes);

}  // namespace qsim::bundle
