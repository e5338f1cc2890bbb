// ITA's softmax in powers of two, over the whole row or streaming. docs/numerics.md section 5.6.
//
// Source: fastSoftmax and streamingPartialSoftmax of PyITA (Islamoglu et al., ISLPED 2023,
// arXiv:2307.03493); ITAMax_s8 and ITAPartialMax_s8 of Deeploy are the same two functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/fields.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

// The power of two of x is (rowmax - x) / 2^shift_bits, rounded half up. Output code
// output_offset + y, y in 0 .. levels - 1; scale 1 / 255 with levels = 256. Deeploy's streaming
// kernel has levels = 128.
struct ItaSoftmaxParams {
  static constexpr std::string_view kName = "ita";
  static constexpr std::string_view kExponential = "s = half_up((rowmax - x) / 2^shift_bits)";
  static constexpr std::string_view kExponentialName = "floor(256 / 2^s)";
  static constexpr std::string_view kLargest = "256";
  static constexpr std::string_view kFormula =
      "E = floor(sum(256 / 2^s))\n"
      "y = (floor((levels - 1) 256 / E) >> s) + output_offset";
  int shift_bits = 5;              // 0..31. ITA as published 0; its paper and Deeploy 5
  std::int32_t levels = 256;       // 2..65536
  std::int32_t output_offset = 0;  // -65536..65536
  bool operator==(const ItaSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"shift_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.shift_bits);
    v(Field{"levels", Role::kCoefficient, 32, false, Axis::kHead}, self.levels);
    v(Field{"output_offset", Role::kCoefficient, 32, true, Axis::kHead}, self.output_offset);
    v(Field{"group", Role::kCoefficient, 32, false, Axis::kHead}, Fixed<16>{});
  }
};

// The same, the row read in groups of `group` (the last may be shorter): the sum is shifted down,
// and loses what falls out, whenever the maximum grows. The published running maximum starts at
// -128, the lowest int8 score; here it starts at the first group's, which is the same on int8
// scores and makes wider ones defined.
struct ItaStreamingSoftmaxParams {
  static constexpr std::string_view kName = "ita_streaming";
  static constexpr std::string_view kExponential = "s = half_up((rowmax - x) / 2^shift_bits)";
  static constexpr std::string_view kExponentialName = "floor(256 / 2^s)";
  static constexpr std::string_view kLargest = "256";
  static constexpr std::string_view kFormula =
      "E = floor(sum(256 / 2^s))\n"
      "in groups of so many as group says: E is shifted down when the maximum grows\n"
      "y = (floor((levels - 1) 256 / E) >> s) + output_offset";
  int shift_bits = 5;
  std::int32_t levels = 256;
  std::int32_t output_offset = 0;
  std::int64_t group = 16;  // scores read at a time, at least 1
  bool operator==(const ItaStreamingSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"shift_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.shift_bits);
    v(Field{"levels", Role::kCoefficient, 32, false, Axis::kHead}, self.levels);
    v(Field{"output_offset", Role::kCoefficient, 32, true, Axis::kHead}, self.output_offset);
    v(Field{"group", Role::kCoefficient, 32, false, Axis::kHead}, self.group);
  }
};

// floor(256 / 2^s) of equation 5.18's s. distance >= 0, shift_bits in 0..31.
std::int64_t ItaExp(std::int64_t distance, int shift_bits);

// Throws std::invalid_argument where a parameter is out of its range.
void CheckItaSoftmax(const ItaSoftmaxParams& params);
void CheckItaSoftmax(const ItaStreamingSoftmaxParams& params);

// Output codes: output_offset .. output_offset + levels - 1.
QuantRange ItaSoftmaxRange(const ItaSoftmaxParams& params);
QuantRange ItaSoftmaxRange(const ItaStreamingSoftmaxParams& params);

// One row, 1..65536 scores of any width up to 32 bits; ita: the sum of 256 / 2^s over the whole
// row, floored once. Parameters must have passed CheckItaSoftmax.
void ItaSoftmax(std::span<const std::int32_t> scores, const ItaSoftmaxParams& params,
                std::span<std::int32_t> out);
void ItaSoftmax(std::span<const std::int32_t> scores, const ItaStreamingSoftmaxParams& params,
                std::span<std::int32_t> out);

}  // namespace qsim::golden
