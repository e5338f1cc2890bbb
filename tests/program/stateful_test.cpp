// Programs of several steps and of any length: token by token gives what all tokens at once give.
#include <gtest/gtest.h>

#include <set>

#include "golden/kernels/fast_backend.h"
#include "tests/program/rejected.h"
#include "tests/program/stateful_programs.h"
#include "tests/program/token_program.h"

namespace qsim::testing {
namespace {

using testing::CausalAttention;
using testing::CausalConvolution;
using testing::kLongest;
using testing::kWidth;
using testing::SeededRandom;
using testing::TensorNamed;

using Tokens = std::vector<std::int8_t>;

Tokens AnyTokens(SeededRandom& random, std::int64_t count) {
  Tokens x;
  for (std::int64_t i = 0; i < count * kWidth; ++i)
    x.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
  return x;
}

IntTensor Part(const Tokens& x, std::int64_t first, std::int64_t count) {
  const auto begin = x.begin() + first * kWidth;
  return IntTensor({count, kWidth}, Tokens(begin, begin + count * kWidth));
}

// The program's y over x, `tokens` of them in a step.
Tokens InSteps(const Program& program, const Tokens& x, std::int64_t tokens, Backend& backend) {
  Validate(program);
  Execution execution(program, 0, backend);
  Tokens y;
  for (std::int64_t first = 0; first * kWidth < std::ssize(x); first += tokens) {
    if (first != 0) execution.Advance();
    execution.Supply("x", Part(x, first, tokens));
    for (std::size_t i = 0; i < program.ops.size(); ++i) execution.Step(i);
    const Tokens& out = execution.values().at("y").As<std::int8_t>();
    y.insert(y.end(), out.begin(), out.end());
  }
  return y;
}

Tokens AtOnce(const Program& program, const Tokens& x, Backend& backend) {
  return InSteps(program, x, std::ssize(x) / kWidth, backend);
}

TEST(Stateful, CausalAttentionTokenByTokenIsThatOfAllAtOnce) {
  SeededRandom random;
  GoldenBackend golden;
  FastBackend fast;
  std::set<std::int8_t> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Tokens x = AnyTokens(random, kLongest);
    const Tokens y = AtOnce(CausalAttention(seed, false), x, golden);
    EXPECT_EQ(y, InSteps(CausalAttention(seed, true), x, 1, fast)) << "seed " << seed;
    different.insert(y.begin(), y.end());
  }
  EXPECT_GT(different.size(), 60U);
}

// What comes later changes nothing, so a shorter run is the beginning of a longer one; every tensor
// has the length of its run.
TEST(Stateful, AProgramRunsAtEveryLength) {
  SeededRandom random;
  FastBackend backend;
  const Program program = CausalAttention(3, false);
  Validate(program);
  EXPECT_EQ(program.MaxLength(), kLongest);
  const Tokens x = AnyTokens(random, kLongest);
  const Tokens y = AtOnce(program, x, backend);
  for (std::int64_t length = 1; length <= kLongest; ++length) {
    const TensorMap values = Execute(program, {{"x", Part(x, 0, length)}}, 0, backend);
    EXPECT_EQ(values.at("y"), Part(y, 0, length));
    EXPECT_EQ(values.at("p").shape(), (Shape{2, length, length}));
  }
  for (const std::int64_t length : {std::int64_t{0}, kLongest + 1}) {
    EXPECT_THROW(Execute(program, {{"x", IntTensor(DType::kInt8, {length, kWidth})}}, 0, backend),
                 ProgramError);
  }
  for (const Shape& other : {Shape{2, kWidth + 1}, Shape{kLongest * kWidth}}) {
    EXPECT_THROW(Execute(program, {{"x", IntTensor(DType::kInt8, other)}}, 0, backend),
                 ProgramError);
  }
}

TEST(Stateful, AConvolutionInStepsOfAnySizeIsThatOfAllAtOnce) {
  SeededRandom random;
  FastBackend backend;
  std::set<std::int8_t> different;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Tokens x = AnyTokens(random, 6);
    const Tokens y = InSteps(CausalConvolution(seed, 6), x, 6, backend);
    for (const std::int64_t tokens : {1, 2, 3})
      EXPECT_EQ(InSteps(CausalConvolution(seed, tokens), x, tokens, backend), y) << tokens;
    different.insert(y.begin(), y.end());
  }
  EXPECT_GT(different.size(), 40U);
}

// The convolution against its sum, token by token and channel by channel.
TEST(Stateful, AConvolutionIsItsSum) {
  SeededRandom random;
  FastBackend backend;
  const Program program = CausalConvolution(5, 6);
  const Tokens x = AnyTokens(random, 6);
  const TensorMap values = Execute(program, {{"x", Part(x, 0, 6)}}, 0, backend);
  const IntTensor& w = program.Constant("w");
  for (std::int64_t t = 0; t < 6; ++t) {
    for (std::int64_t c = 0; c < kWidth; ++c) {
      std::int64_t sum = 0;
      for (std::int64_t j = 0; j < 3; ++j) {
        if (t + j < 2) continue;
        sum += w.At(c * 3 + j) * (x[static_cast<std::size_t>((t + j - 2) * kWidth + c)] - 7);
      }
      EXPECT_EQ(values.at("conv.acc").At(c * 6 + t), sum) << t << " " << c;
    }
  }
}

TEST(Stateful, WhatIsDroppedIsNotWhatIsCarried) {
  const Program program = CausalConvolution(0, 2);
  std::set<std::string> dropped;
  for (const auto& names : LastReads(program)) dropped.insert(names.begin(), names.end());
  EXPECT_TRUE(dropped.contains("padded"));
  EXPECT_FALSE(dropped.contains("next"));
}

// In little memory: what is kept, beside what is carried and what nothing reads.
TEST(Stateful, InLittleMemory) {
  const Program program = TokenProgram(3);
  IntTensor tokens(program.Tensor("tokens").dtype, {kTokensAtOnce});
  for (std::int64_t t = 0; t < kTokensAtOnce; ++t)
    tokens.As<std::int8_t>()[static_cast<std::size_t>(t)] = static_cast<std::int8_t>(t % 11);
  GoldenBackend golden;
  const TensorMap all = Execute(program, {{"tokens", tokens}}, 0, golden);
  FastBackend fast(program);
  const TensorMap some =
      ExecuteForOutputs(program, {{"tokens", tokens}}, 0, fast, {"conv.acc", "head.acc"});
  EXPECT_EQ(some.size(), 5U);
  for (const char* name : {"conv.acc", "head.acc", "logits", "next_rows", "next_s"})
    EXPECT_EQ(some.at(name), all.at(name)) << name;
}

TEST(Stateful, RejectedPrograms) {
  testing::ExpectRejected(
      CausalConvolution(0, 3),
      {{"'next' has another shape, or a run-time length",
        [](Program& p) { p.carried[0].input = "x", p.inputs = {"past"}; }},
       {"input 'past': is listed twice", [](Program& p) { p.inputs.emplace_back("past"); }},
       {"uses 'past' before it is computed", [](Program& p) { p.carried.clear(); }},
       {"'windows' is used but not defined",
        [](Program& p) { TensorNamed(p, "windows").name = "v"; }},
       {"constant 'none' is used but not defined",
        [](Program& p) { p.carried[0].initial = "none"; }},
       {"'past.initial' has another shape or type",
        [](Program& p) {
          p.constants["past.initial"] = IntTensor(DType::kInt8, {kWidth, 2});
        }},
       {"'past.initial' has another shape or type",
        [](Program& p) {
          p.constants["past.initial"] = IntTensor(DType::kInt32, {2, kWidth});
        }},
       {"is never computed", [](Program& p) {
          TensorNamed(p, "next");
          p.tensors.push_back(testing::Tensor("other", {2, kWidth}, testing::kInt8Range));
          p.carried[0].output = "other";
        }}});
  testing::ExpectRejected(
      CausalAttention(0, true),
      {{"carried 'seen.past': 'seen.past.initial' leaves the range",
        [](Program& p) { p.constants["seen.past.initial"].As<std::uint8_t>()[0] = 2; }},
       {"carried 'k.past': 'k.past.initial' leaves the range",
        [](Program& p) {
          p.constants["k.past.initial"].As<std::int8_t>()[0] = -128;
          for (TensorInfo& info : p.tensors) {
            if (info.dtype == DType::kInt8) info.range.qmin = -127;
          }
        }},
       {"has another shape, or a run-time length", [](Program& p) {
          for (const char* name : {"seen.all", "seen.past"}) TensorNamed(p, name).length_axes = {0};
        }}});
  testing::ExpectRejected(TokenProgram(0),
                          {{"'o' has another shape, or a run-time length", [](Program& p) {
                              TensorInfo past = TensorNamed(p, "o");
                              past.name = "o.past";
                              past.length_axes = {};
                              p.tensors.push_back(past);
                              p.carried.push_back({"o", "o.past", "s.initial"});
                            }}});
  testing::ExpectRejected(CausalAttention(0, false),
                          {{"tensor 'y': has another length than the program's",
                            [](Program& p) { TensorNamed(p, "y").shape[0]--; }},
                           {"length_axes must be axes, in order",
                            [](Program& p) { TensorNamed(p, "y").length_axes = {2}; }},
                           {"length_axes must be axes, in order",
                            [](Program& p) {
                              TensorNamed(p, "p").length_axes = {2, 1};
                            }},
                           {"at length 1: requantize 'y': input and output shapes do not fit",
                            [](Program& p) { TensorNamed(p, "y").length_axes = {}; }},
                           {"at length 1: matmul 'scores.acc': 'scores.acc' has the wrong shape",
                            [](Program& p) { TensorNamed(p, "scores.acc").length_axes = {1}; }}});
}

}  // namespace
}  // namespace qsim::testing
