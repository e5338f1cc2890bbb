// Programs that carry state from step to step: causal attention and a causal convolution, each at
// once and token by token.
#pragma once

#include <string>
#include <vector>

#include "tests/program/small_program.h"

namespace qsim::testing {

inline constexpr std::int64_t kLongest = 6;  // tokens
inline constexpr std::int64_t kWidth = 4;    // channels, of two heads
inline constexpr std::int64_t kKernel = 3;   // of the convolution, in tokens

// Draws the same constants for every form of a program.
class StatefulBuilder {
 public:
  explicit StatefulBuilder(std::uint64_t seed) : random_(seed) {}

  void Define(const std::string& name, Shape shape, QuantRange range = kInt8Range,
              Shape length_axes = {}) {
    program.tensors.push_back(
        {name, std::move(shape), StorageFor(range), range, std::move(length_axes)});
  }
  void DefineMask(const std::string& name, Shape shape) {
    program.tensors.push_back({name, std::move(shape), DType::kUint8, {0, 1}});
  }
  void DefineAccumulator(const std::string& name, Shape shape, Shape length_axes = {}) {
    program.tensors.push_back(
        {name, std::move(shape), DType::kInt32, AccumulatorRange(32), std::move(length_axes)});
  }
  template <typename T>
  std::vector<T> Many(std::int64_t count, std::int64_t lo, std::int64_t hi) {
    std::vector<T> values;
    for (std::int64_t i = 0; i < count; ++i)
      values.push_back(static_cast<T>(random_.Between(lo, hi)));
    return values;
  }
  void Add(Op op) { program.ops.push_back(std::move(op)); }
  void Narrow(const std::string& output, const std::string& input, std::int64_t first_column,
              int shift) {
    RequantizeOp op;
    op.output = output;
    op.input = input;
    op.first_column = first_column;
    op.scale = {{static_cast<std::int32_t>(random_.Between(20000, 32767)), shift}};
    op.zero = {static_cast<std::int32_t>(random_.Between(-9, 9))};
    Add(op);
  }
  // What `name` holds at the end of a step is `past` at the beginning of the next one.
  void Carry(const std::string& name, const std::string& past, IntTensor initial) {
    program.constants[past + ".initial"] = std::move(initial);
    program.carried.push_back({name, past, past + ".initial"});
  }

  Program program;

 private:
  SeededRandom random_;
};

// Causal attention from x [tokens, kWidth]. At once: of any length up to kLongest. In steps: of one
// token, with a cache of the last kLongest keys and values, of which a row sees those that exist.
inline Program CausalAttention(std::uint64_t seed, bool in_steps) {
  StatefulBuilder b(seed);
  const std::int64_t rows = in_steps ? 1 : kLongest;
  const Shape axis = in_steps ? Shape{} : Shape{0}, axes = in_steps ? Shape{} : Shape{1, 2};
  b.program.inputs = {"x"};
  b.Define("x", {rows, kWidth}, kInt8Range, axis);
  b.program.constants["w"] =
      IntTensor({3 * kWidth, kWidth}, b.Many<std::int8_t>(3 * kWidth * kWidth, -128, 127));
  b.program.constants["w.bias"] =
      IntTensor({3 * kWidth}, b.Many<std::int32_t>(3 * kWidth, -5000, 5000));
  b.DefineAccumulator("qkv", {rows, 3 * kWidth}, axis);
  b.Add(GemmOp{"qkv", "x", "w", "w.bias", {}, {}});
  std::int64_t column = 0;
  for (const char* part : {"q", "k", "v"}) {
    b.Define(part, {rows, kWidth}, kInt8Range, axis);
    b.Narrow(part, "qkv", column, 22);
    column += kWidth;
  }
  std::string keys = "k", values = "v";
  if (in_steps) {
    for (std::string* name : {&keys, &values}) {
      const std::string past = *name + ".past", kept = *name + ".kept", all = *name + ".all";
      b.Define(past, {kLongest, kWidth});
      b.Define(kept, {kLongest - 1, kWidth});
      b.Define(all, {kLongest, kWidth});
      b.Add(ViewOp{kept, past, kWidth, {kWidth, 1}, {}});
      b.Add(ConcatOp{all, kept, *name});
      b.Carry(all, past, IntTensor({kLongest, kWidth}, b.Many<std::int8_t>(24, -128, 127)));
      *name = all;
    }
    // Zeros, then ones, one more with every step.
    b.DefineMask("seen.past", {kLongest + 1});
    b.DefineMask("seen.kept", {kLongest});
    b.DefineMask("one", {1});
    b.DefineMask("seen.all", {kLongest + 1});
    b.DefineMask("seen", {1, kLongest});
    b.Add(ViewOp{"seen.kept", "seen.past", 1, {1}, {}});
    b.Add(ViewOp{"one", "seen.past", kLongest, {1}, {}});
    b.Add(ConcatOp{"seen.all", "seen.kept", "one"});
    b.Add(ViewOp{"seen", "seen.all", 0, {0, 1}, {}});
    IntTensor initial(DType::kUint8, {kLongest + 1});
    initial.As<std::uint8_t>().back() = 1;
    b.Carry("seen.all", "seen.past", std::move(initial));
  }
  const auto zero = [&](const char* name) { return OpNamed<RequantizeOp>(b.program, name).zero; };
  b.DefineAccumulator("scores.acc", {2, rows, kLongest}, axes);
  b.Add(MatmulOp{"scores.acc", "q", keys, 2, true, OperandMode::kMultiply, zero("q"), zero("k"),
                 Accumulator{}});
  b.Define("scores", {2, rows, kLongest}, kInt8Range, axes);
  StatefulBuilder shared(seed + 1);  // the same constants behind the caches
  shared.Narrow("scores", "scores.acc", 0, 21);
  b.Add(shared.program.ops.back());
  b.Define("p", {2, rows, kLongest}, kUint8Range, axes);
  b.program.tensors.back().dtype = DType::kUint8;
  SoftmaxOp softmax{"p", "scores", {IbertRnSoftmaxParams{{-20, 78, 2300, 30}, 2048000000, 58, 0}}};
  softmax.causal = !in_steps;
  softmax.mask = in_steps ? "seen" : "";
  b.Add(softmax);
  b.DefineAccumulator("y.acc", {rows, kWidth}, axis);
  b.Add(MatmulOp{
      "y.acc", "p", values, 2, false, OperandMode::kMultiply, {0}, zero("v"), Accumulator{}});
  b.Define("y", {rows, kWidth}, kInt8Range, axis);
  shared.Narrow("y", "y.acc", 0, 23);
  b.Add(shared.program.ops.back());
  return std::move(b.program);
}

// A causal convolution of each channel, y[t][c] = sum_j w[c][j] x[t - 2 + j][c], gated by a
// function of x; `tokens` of them at a time, the last two of one step in front of those of the
// next.
inline Program CausalConvolution(std::uint64_t seed, std::int64_t tokens) {
  StatefulBuilder b(seed);
  constexpr std::int64_t kPast = kKernel - 1;
  constexpr std::int32_t kZero = 7;  // of x
  const std::int64_t c = kWidth;
  b.program.inputs = {"x"};
  b.Define("x", {tokens, c});
  b.Define("past", {kPast, c});
  b.Define("padded", {kPast + tokens, c});
  b.Add(ConcatOp{"padded", "past", "x"});
  b.Define("next", {kPast, c});
  b.Add(ViewOp{"next", "padded", tokens * c, {c, 1}, {}});
  b.Carry(
      "next", "past",
      IntTensor({kPast, c}, std::vector<std::int8_t>(static_cast<std::size_t>(kPast * c), kZero)));
  b.Define("windows", {c, tokens, kKernel});
  b.Add(ViewOp{"windows", "padded", 0, {1, c, c}, {}});
  b.program.constants["w"] =
      IntTensor({c, kKernel, 1}, b.Many<std::int8_t>(c * kKernel, -128, 127));
  b.DefineAccumulator("conv.acc", {c, tokens, 1});
  b.Add(MatmulOp{"conv.acc",
                 "windows",
                 "",
                 static_cast<int>(c),
                 false,
                 OperandMode::kMultiply,
                 {kZero},
                 {0},
                 Accumulator{},
                 "w"});
  b.Define("conv.channels", {c, tokens, 1});
  b.Narrow("conv.channels", "conv.acc", 0, 22);
  b.Define("conv", {tokens, c});
  b.Add(ViewOp{"conv", "conv.channels", 0, {1, tokens}, {}});
  b.Define("gate", {tokens, c}, {0, 127});
  TableOp gate{"gate", "x", {}};
  for (std::int32_t code = -128; code <= 127; ++code)
    gate.table.push_back(std::max(code - kZero, 0));
  b.Add(gate);
  b.DefineAccumulator("gated", {tokens, c});
  b.Add(MultiplyOp{"gated", "conv", "gate",
                   OpNamed<RequantizeOp>(b.program, "conv.channels").zero[0], 0});
  b.Define("y", {tokens, c});
  b.Narrow("y", "gated", 0, 21);
  return std::move(b.program);
}

}  // namespace qsim::testing
