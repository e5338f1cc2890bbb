#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/fields.h"
#include "golden/ops/gemm.h"
#include "golden/program/tensor.h"

namespace qsim::golden {

class Checker;
class OperationRun;
struct ProductOperands;
struct Program;

// A causal depthwise convolution over the rows of [T, C]: each channel by K taps of its own over
// the last K rows, those before the first one being `past`. A channel is a product of windows of
// its column and its taps, with everything that section 3 says of products. The zero point of the
// input is folded into the bias.
struct CausalConvOp {
  static constexpr Description kIs{
      .kind = "causal_conv", .section = "3.8", .in_words = "causal convolution"};
  std::string output, input;
  std::string past;    // [K-1, C], the codes of the input
  std::string weight;  // constant, int8 [C, K]; the last tap is that of the row itself
  std::string bias;    // constant, int32 [C]; includes -sum_j z (w_cj - w_zero_c)
  Accumulator acc;
  std::vector<std::int32_t> weight_zero = {};  // empty, or one per channel
  bool operator==(const CausalConvOp&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"output", Role::kWrites}, self.output);
    v(Field{"input", Role::kReads}, self.input);
    v(Field{"past", Role::kReads}, self.past);
    v(Field{"weight", Role::kWeight}, self.weight);
    v(Field{"bias", Role::kBias}, self.bias);
    v(Field{"weight_zero", Role::kInputZero, 16, true, Axis::kChannel, true}, self.weight_zero);
    v(Field{"acc", Role::kAccumulator}, self.acc);
  }
  std::string Formula(const Program& program) const;
  // One channel's: views of these members and of `rows`, past above input.
  ProductOperands Operands(const OperationRun& run, const IntTensor& rows,
                           std::int64_t channel) const;
  // Past above input.
  IntTensor Rows(const OperationRun& run) const;
  void Check(const Checker& checker) const;
  void Run(OperationRun& run) const;
};

}  // namespace qsim::golden
