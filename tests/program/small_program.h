// A small attention datapath with every kind of operation, written by hand, and inputs for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/program/executor.h"
#include "golden/program/program.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {

inline constexpr std::int64_t kTokens = 3;
inline constexpr std::int64_t kDim = 4;
inline constexpr int kHeads = 2;
inline constexpr std::int64_t kHeadDim = kDim / kHeads;

inline constexpr QuantRange kInt8Range = {-128, 127};
inline constexpr QuantRange kUint8Range = {0, 255};
inline constexpr QuantRange kInt16Range = {-32768, 32767};

inline QuantRange AccumulatorRange(int bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)};
}

inline TensorInfo Tensor(const std::string& name, const Shape& shape, QuantRange range) {
  return {name, shape, StorageFor(range), range};
}

struct SmallProgramOptions {
  bool unsigned_norm = false;    // norm1 in uint8 with a zero point that the bias has absorbed
  bool per_head_zeros = false;   // Q and K: one zero point per head; V: one per channel
  bool shift_mode = false;       // softmax log_int
  bool narrow_residual = false;  // the residual add takes a requantized projection
  bool weight_zeros = false;     // one per output channel, in both linear layers
  Accumulator acc = {};
};

// Random parameters of plausible size: most outputs are inside their ranges, some saturate.
class SmallProgramBuilder {
 public:
  SmallProgramBuilder(SeededRandom& random, SmallProgramOptions options)
      : random_(random), options_(options) {}

  Program Build() {
    program_.inputs = {"input"};
    Define("input", {kTokens, kDim}, kInt16Range);
    Norm();
    Linear("qkv", "norm1", 3 * kDim);
    const std::vector<std::string> parts = {"q", "k", "v"};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool per_head = options_.per_head_zeros && i < 2;
      std::vector<std::int32_t> zeros = i == 2 && options_.per_head_zeros ? Integers(kDim, -9, 9)
                                        : per_head                        ? PerHead(-9, 9)
                                                                          : Integers(1, -9, 9);
      zeros_.push_back(zeros);
      Define(parts[i], {kTokens, kDim}, kInt8Range);
      program_.ops.emplace_back(RequantizeOp{parts[i], "qkv", static_cast<std::int64_t>(i) * kDim,
                                             ChannelAxis::kLast, Scales(kDim, 6), std::move(zeros),
                                             0, RandomRounding()});
    }
    Scores();
    Softmax();
    AttentionOutput();
    Linear("proj", "attention", kDim);
    Residual();
    return std::move(program_);
  }

 private:
  void Define(const std::string& name, const Shape& shape, QuantRange range) {
    program_.tensors.push_back(Tensor(name, shape, range));
  }
  void DefineAccumulator(const std::string& name, const Shape& shape) {
    TensorInfo info = Tensor(name, shape, AccumulatorRange(options_.acc.bits));
    info.dtype = DType::kInt32;
    program_.tensors.push_back(info);
  }
  std::vector<std::int32_t> Integers(std::int64_t count, std::int64_t lo, std::int64_t hi) {
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < count; ++i)
      values.push_back(static_cast<std::int32_t>(random_.Between(lo, hi)));
    return values;
  }
  std::vector<std::int32_t> PerHead(std::int64_t lo, std::int64_t hi) {
    std::vector<std::int32_t> values;
    for (const std::int32_t z : Integers(kHeads, lo, hi)) values.insert(values.end(), kHeadDim, z);
    return values;
  }
  std::vector<Multiplier> Scales(std::int64_t count, int extra_shift) {
    std::vector<Multiplier> scales;
    for (std::int64_t i = 0; i < count; ++i)
      scales.push_back(
          {static_cast<std::int32_t>(random_.Between(1 << 14, 1 << 15)), 15 + extra_shift});
    return scales;
  }
  Rounding RandomRounding() { return static_cast<Rounding>(random_.Between(0, 4)); }

  void Norm() {
    Define("norm1", {kTokens, kDim}, options_.unsigned_norm ? kUint8Range : kInt8Range);
    LayernormOp op;
    op.output = "norm1";
    op.input = "input";
    IbertLayernormParams norm;
    norm.input_zero = static_cast<std::int32_t>(random_.Between(-100, 100));
    norm.input_shift = Integers(kDim, 0, 2);
    norm.std_shift = 1;
    for (const std::int32_t b : Integers(kDim, -(1 << 28), 1 << 28)) norm.bias.push_back(b);
    norm.scale = Scales(kDim, 24);
    norm.scale[1].m = -norm.scale[1].m;
    norm.zero = Integers(kDim, -5, 5);
    norm.rounding = RandomRounding();
    op.params = std::move(norm);
    program_.ops.emplace_back(op);
  }

  void Linear(const std::string& name, const std::string& input, std::int64_t rows) {
    IntTensor weight(DType::kInt8, {rows, kDim});
    for (std::int8_t& w : weight.As<std::int8_t>())
      w = static_cast<std::int8_t>(random_.Between(-128, 127));
    program_.constants[name + ".weight"] = std::move(weight);
    program_.constants[name + ".bias"] = IntTensor({rows}, Integers(rows, -9000, 9000));
    DefineAccumulator(name, {kTokens, rows});
    GemmOp op = {name, input, name + ".weight", name + ".bias", {}, options_.acc};
    if (options_.weight_zeros) op.weight_zero = Integers(rows, -128, 127);
    program_.ops.emplace_back(op);
  }

  std::vector<std::int32_t> OnePerHead(const std::vector<std::int32_t>& per_channel) const {
    if (per_channel.size() == 1) return per_channel;
    return {per_channel.front(), per_channel.back()};
  }

  void Scores() {
    const Shape shape = {kHeads, kTokens, kTokens};
    DefineAccumulator("scores.acc", shape);
    program_.ops.emplace_back(MatmulOp{"scores.acc", "q", "k", kHeads, true, OperandMode::kMultiply,
                                       OnePerHead(zeros_[0]), OnePerHead(zeros_[1]), options_.acc});
    Define("scores", shape, kInt8Range);
    program_.ops.emplace_back(RequantizeOp{"scores", "scores.acc", 0, ChannelAxis::kFirst,
                                           Scales(kHeads, 6), Integers(kHeads, -9, 9), 0,
                                           RandomRounding()});
  }

  void Softmax() {
    const auto params = [&](const IbertExp& exp) -> SoftmaxParams {
      if (options_.shift_mode) return LogIntSoftmaxParams{exp};
      return IbertRnSoftmaxParams{exp, 2048ULL * 1000000, 58};
    };
    program_.tensors.push_back({"softmax",
                                {kHeads, kTokens, kTokens},
                                DType::kUint8,
                                {0, options_.shift_mode ? 16 : 255}});
    program_.ops.emplace_back(
        SoftmaxOp{"softmax", "scores", {params({-20, 78, 2300, 30}), params({-25, 97, 3500, 30})}});
  }

  void AttentionOutput() {
    DefineAccumulator("attention.acc", {kTokens, kDim});
    program_.ops.emplace_back(
        MatmulOp{"attention.acc", "softmax", "v", kHeads, false,
                 options_.shift_mode ? OperandMode::kShift : OperandMode::kMultiply,
                 std::vector<std::int32_t>{0}, zeros_[2], options_.acc});
    Define("attention", {kTokens, kDim}, kInt8Range);
    program_.ops.emplace_back(RequantizeOp{"attention",
                                           "attention.acc",
                                           0,
                                           ChannelAxis::kNone,
                                           Scales(1, options_.shift_mode ? 15 : 8),
                                           {3},
                                           0,
                                           RandomRounding()});
  }

  void Residual() {
    ResidualAddOp op;
    op.output = "residual";
    op.a = "proj";
    op.b = "input";
    if (options_.narrow_residual) {
      Define("proj.narrow", {kTokens, kDim}, kInt8Range);
      program_.ops.emplace_back(RequantizeOp{
          "proj.narrow", "proj", 0, ChannelAxis::kNone, Scales(1, 8), {-7}, 0, RandomRounding()});
      op.a = "proj.narrow";
      op.a_zero = -7;
    }
    op.a_multiplier = Integers(kDim, 1, 32767);
    op.b_multiplier = {30000};
    op.shift = 15;
    op.b_zero = 17;
    op.out_zero = -4;
    op.rounding = RandomRounding();
    Define("residual", {kTokens, kDim}, kInt16Range);
    program_.ops.emplace_back(op);
  }

  SeededRandom& random_;
  SmallProgramOptions options_;
  Program program_;
  std::vector<std::vector<std::int32_t>> zeros_;
};

inline Program SmallProgram(SeededRandom& random, SmallProgramOptions options = {}) {
  return SmallProgramBuilder(random, options).Build();
}

// Values anywhere in the input's range, with its ends.
inline TensorMap SmallInputs(SeededRandom& random) {
  IntTensor input(DType::kInt16, {kTokens, kDim});
  for (std::int16_t& x : input.As<std::int16_t>()) {
    const std::int64_t draw = random.Between(0, 9);
    x = static_cast<std::int16_t>(draw == 0   ? -32768
                                  : draw == 1 ? 32767
                                              : random.Between(-3000, 3000));
  }
  return {{"input", std::move(input)}};
}

template <typename T>
T& OpNamed(Program& program, const std::string& output) {
  for (Op& op : program.ops) {
    if (OutputOf(op) == output) return std::get<T>(op);
  }
  throw std::logic_error("no operation computes " + output);
}

inline TensorInfo& TensorNamed(Program& program, const std::string& name) {
  for (TensorInfo& info : program.tensors) {
    if (info.name == name) return info;
  }
  throw std::logic_error("no tensor " + name);
}

}  // namespace qsim::testing
