// The accumulator proof (docs/numerics.md section 3.5) against enumeration of every operand.
#include "golden/program/accumulator_proof.h"

#include <gtest/gtest.h>

#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

using testing::SeededRandom;
using testing::SmallInputs;
using testing::SmallProgram;
using testing::SmallProgramOptions;

// Calls f with every vector of `count` values from lo..hi.
template <typename Function>
void ForAll(std::size_t count, std::int64_t lo, std::int64_t hi, Function f) {
  std::vector<std::int64_t> values(count, lo);
  while (true) {
    f(values);
    std::size_t i = 0;
    while (i < count && values[i] == hi) values[i++] = lo;
    if (i == count) return;
    ++values[i];
  }
}

// Every partial sum and every correction term of one element, in the order of equation 3.2.
void IncludeElement(AccRange& range, std::int64_t bias, const std::vector<std::int64_t>& lhs,
                    const std::vector<std::int64_t>& rhs, std::int64_t lhs_zero,
                    std::int64_t rhs_zero) {
  std::int64_t acc = bias;
  std::int64_t lhs_sum = 0;
  std::int64_t rhs_sum = 0;
  range.Include(acc);
  for (std::size_t k = 0; k < lhs.size(); ++k) {
    acc += lhs[k] * rhs[k];
    lhs_sum += lhs[k];
    rhs_sum += rhs[k];
    range.Include(acc);
  }
  const auto add = [&](std::int64_t term) {
    range.Include(term);
    acc += term;
    range.Include(acc);
  };
  if (rhs_zero != 0) add(-rhs_zero * lhs_sum);
  if (lhs_zero != 0) add(-lhs_zero * rhs_sum);
  if (lhs_zero != 0 && rhs_zero != 0)
    add(static_cast<std::int64_t>(lhs.size()) * lhs_zero * rhs_zero);
}

void ExpectSame(const AccRange& proven, const AccRange& brute, const std::string& what) {
  EXPECT_EQ(proven.min, brute.min) << what;
  EXPECT_EQ(proven.max, brute.max) << what;
}

Program LinearProgram(QuantRange input, const std::vector<std::int8_t>& weight,
                      const std::vector<std::int32_t>& bias,
                      const std::vector<std::int32_t>& weight_zero) {
  const auto rows = static_cast<std::int64_t>(bias.size());
  const auto depth = static_cast<std::int64_t>(weight.size()) / rows;
  Program program;
  program.tensors = {testing::Tensor("x", {2, depth}, input),
                     {"y", {2, rows}, DType::kInt32, testing::AccumulatorRange(32)}};
  program.inputs = {"x"};
  program.constants["w"] = IntTensor({rows, depth}, weight);
  program.constants["b"] = IntTensor({rows}, bias);
  program.ops = {GemmOp{"y", "x", "w", "b", weight_zero, {}}};
  Validate(program);
  return program;
}

TEST(AccumulatorProof, LinearLayerReachesItsRangeAndNeverLeavesIt) {
  SeededRandom random;
  constexpr std::size_t kDepth = 4;
  constexpr std::size_t kRows = 3;
  int with_zero = 0;
  for (int repeat = 0; repeat < 300; ++repeat) {
    const auto lo = static_cast<std::int32_t>(random.Between(-3, 2));
    const QuantRange input = {lo, static_cast<std::int32_t>(random.Between(lo + 1, lo + 4))};
    std::vector<std::int8_t> w;
    std::vector<std::int32_t> b, zero;
    for (std::size_t i = 0; i < kRows * kDepth; ++i)
      w.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
    for (std::size_t n = 0; n < kRows; ++n)
      b.push_back(static_cast<std::int32_t>(random.Between(-400, 400)));
    if (repeat % 3 == 1) zero = {static_cast<std::int32_t>(random.Between(-128, 127))};
    if (repeat % 3 == 2) {
      for (std::size_t n = 0; n < kRows; ++n)
        zero.push_back(static_cast<std::int32_t>(random.Between(-128, 127)));
    }
    with_zero += zero.empty() ? 0 : 1;
    const Program program = LinearProgram(input, w, b, zero);
    AccRange brute;
    std::vector<AccRange> by_row(kRows);
    for (std::size_t n = 0; n < kRows; ++n) {
      const std::vector<std::int64_t> row(
          w.begin() + static_cast<std::ptrdiff_t>(n * kDepth),
          w.begin() + static_cast<std::ptrdiff_t>((n + 1) * kDepth));
      const std::int64_t z = zero.empty() ? 0 : zero[zero.size() == 1 ? 0 : n];
      ForAll(kDepth, input.qmin, input.qmax,
             [&](const auto& x) { IncludeElement(by_row[n], b[n], x, row, 0, z); });
      brute.Include(by_row[n]);
    }
    const AccumulatorProof proof = ProveAccumulators(program).at(0);
    ExpectSame(proof.range, brute, "repeat " + std::to_string(repeat));
    EXPECT_EQ(proof.bits_needed, BitsFor(brute));
    const AccRange& worst = by_row.at(static_cast<std::size_t>(proof.worst_channel));
    EXPECT_EQ(BitsFor(worst), BitsFor(brute)) << "the worst channel needs the width";
  }
  EXPECT_GT(with_zero, 100);
}

struct MatmulCase {
  QuantRange lhs, rhs;
  std::vector<std::int32_t> lhs_zero, rhs_zero;
};

Program ScoresProgram(const MatmulCase& c, std::int64_t tokens, std::int64_t head_dim, int heads) {
  Program program;
  program.tensors = {testing::Tensor("q", {tokens, heads * head_dim}, c.lhs),
                     testing::Tensor("k", {tokens, heads * head_dim}, c.rhs),
                     {"s", {heads, tokens, tokens}, DType::kInt32, testing::AccumulatorRange(32)}};
  program.inputs = {"q", "k"};
  program.ops = {
      MatmulOp{"s", "q", "k", heads, true, OperandMode::kMultiply, c.lhs_zero, c.rhs_zero, {}}};
  Validate(program);
  return program;
}

QuantRange RandomRange(SeededRandom& random, std::int64_t lowest) {
  const auto lo = static_cast<std::int32_t>(random.Between(lowest, 2));
  return {lo, static_cast<std::int32_t>(random.Between(lo + 1, lo + 3))};
}

std::vector<std::int32_t> Zeros(SeededRandom& random, std::size_t count) {
  std::vector<std::int32_t> zeros;
  for (std::size_t i = 0; i < count; ++i)
    zeros.push_back(
        static_cast<std::int32_t>(random.Between(0, 2) == 0 ? 0 : random.Between(-6, 6)));
  return zeros;
}

TEST(AccumulatorProof, ScoresReachTheirRangeAndNeverLeaveIt) {
  SeededRandom random;
  constexpr std::size_t kHeadDim = 3;
  for (int repeat = 0; repeat < 200; ++repeat) {
    MatmulCase c = {RandomRange(random, -3), RandomRange(random, -3), {}, {}};
    c.lhs_zero = Zeros(random, repeat % 2 == 0 ? 1 : 2);
    c.rhs_zero = Zeros(random, repeat % 4 < 2 ? 1 : 2);
    const Program program = ScoresProgram(c, 2, kHeadDim, 2);
    AccRange brute;
    for (std::size_t h = 0; h < 2; ++h) {
      ForAll(kHeadDim, c.lhs.qmin, c.lhs.qmax, [&](const auto& q) {
        ForAll(kHeadDim, c.rhs.qmin, c.rhs.qmax, [&](const auto& k) {
          IncludeElement(brute, 0, q, k, c.lhs_zero[c.lhs_zero.size() == 1 ? 0 : h],
                         c.rhs_zero[c.rhs_zero.size() == 1 ? 0 : h]);
        });
      });
    }
    const AccumulatorProof proof = ProveAccumulators(program).at(0);
    ExpectSame(proof.range, brute, "repeat " + std::to_string(repeat));
    EXPECT_EQ(proof.worst_channel, -1);
  }
}

Program AttentionProgram(const MatmulCase& c, std::int64_t tokens, std::int64_t head_dim, int heads,
                         OperandMode mode) {
  const DType dtype = mode == OperandMode::kShift ? DType::kUint8 : StorageFor(c.lhs);
  Program program;
  program.tensors = {
      {"p", {heads, tokens, tokens}, dtype, c.lhs},
      testing::Tensor("v", {tokens, heads * head_dim}, c.rhs),
      {"a", {tokens, heads * head_dim}, DType::kInt32, testing::AccumulatorRange(32)}};
  program.inputs = {"p", "v"};
  program.ops = {MatmulOp{"a", "p", "v", heads, false, mode, c.lhs_zero, c.rhs_zero, {}}};
  Validate(program);
  return program;
}

TEST(AccumulatorProof, AttentionOutputReachesItsRangeAndNeverLeavesIt) {
  SeededRandom random;
  constexpr std::size_t kTokens = 3;
  for (int repeat = 0; repeat < 200; ++repeat) {
    MatmulCase c = {RandomRange(random, -3), RandomRange(random, -3), {}, {}};
    c.lhs_zero = Zeros(random, repeat % 2 == 0 ? 1 : 2);
    c.rhs_zero = Zeros(random, repeat % 4 < 2 ? 1 : 4);  // two channels in each of two heads
    const Program program = AttentionProgram(c, kTokens, 2, 2, OperandMode::kMultiply);
    AccRange brute;
    for (std::size_t channel = 0; channel < 4; ++channel) {
      ForAll(kTokens, c.lhs.qmin, c.lhs.qmax, [&](const auto& p) {
        ForAll(kTokens, c.rhs.qmin, c.rhs.qmax, [&](const auto& v) {
          IncludeElement(brute, 0, p, v, c.lhs_zero[c.lhs_zero.size() == 1 ? 0 : channel / 2],
                         c.rhs_zero[c.rhs_zero.size() == 1 ? 0 : channel]);
        });
      });
    }
    ExpectSame(ProveAccumulators(program).at(0).range, brute, "repeat " + std::to_string(repeat));
  }
}

TEST(AccumulatorProof, ShiftModeReachesItsRangeAndNeverLeavesIt) {
  SeededRandom random;
  constexpr std::size_t kTokens = 2;
  for (const std::int32_t zero : {0, 5, -7, 127, -128}) {
    MatmulCase c = {{0, 16}, {-3, 2}, {0}, {zero}};
    const Program program = AttentionProgram(c, kTokens, 1, 1, OperandMode::kShift);
    AccRange brute;
    ForAll(kTokens, 0, 16, [&](std::vector<std::int64_t> codes) {
      for (std::int64_t& code : codes) code = code == 16 ? 0 : std::int64_t{1} << (15 - code);
      ForAll(kTokens, -3, 2, [&](const auto& v) { IncludeElement(brute, 0, codes, v, 0, zero); });
    });
    ExpectSame(ProveAccumulators(program).at(0).range, brute, "zero " + std::to_string(zero));
  }
}

TEST(AccumulatorProof, NoRunLeavesIt) {
  SeededRandom random;
  std::int64_t close = 0;
  for (unsigned bits = 0; bits < 64; ++bits) {
    const SmallProgramOptions options = {(bits & 1) != 0, (bits & 2) != 0,  (bits & 4) != 0,
                                         (bits & 8) != 0, (bits & 16) != 0, {}};
    const Program program = SmallProgram(random, options);
    std::map<std::string, AccumulatorProof> proofs;
    for (const AccumulatorProof& proof : ProveAccumulators(program)) proofs[proof.tap] = proof;
    GoldenBackend backend;
    RunStats stats;
    for (int image = 0; image < 4; ++image)
      Execute(program, SmallInputs(random), image, backend, &stats, {.track_accumulators = true});
    EXPECT_EQ(stats.accumulators.size(), proofs.size());
    for (const auto& [tap, seen] : stats.accumulators) {
      EXPECT_GE(seen.min, proofs.at(tap).range.min) << tap;
      EXPECT_LE(seen.max, proofs.at(tap).range.max) << tap;
      close += BitsFor(seen) + 2 >= proofs.at(tap).bits_needed;
    }
  }
  EXPECT_GT(close, 40) << "most runs should come near the bound, else this shows little";
}

// The input that drives the worst channel to its worst value: one bit less overflows.
TEST(AccumulatorProof, OneBitLessOverflows) {
  SeededRandom random;
  for (int repeat = 0; repeat < 50; ++repeat) {
    constexpr std::int64_t kDepth = 40;
    const QuantRange input = repeat % 2 == 0 ? testing::kInt8Range : testing::kUint8Range;
    std::vector<std::int8_t> w;
    for (std::int64_t i = 0; i < 2 * kDepth; ++i)
      w.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
    const auto bias = static_cast<std::int32_t>(random.Between(-100000, 100000));
    Program program = LinearProgram(input, w, {bias, -bias}, {});
    const AccumulatorProof proof = ProveAccumulators(program).at(0);
    const bool upper = proof.range.max >= -proof.range.min;
    IntTensor x(StorageFor(input), {2, kDepth});
    std::visit(
        [&](auto& values) {
          using T = typename std::decay_t<decltype(values)>::value_type;
          for (std::size_t k = 0; k < static_cast<std::size_t>(kDepth); ++k) {
            const bool positive = w[static_cast<std::size_t>(proof.worst_channel * kDepth) + k] > 0;
            values[k] = static_cast<T>(positive == upper ? input.qmax : input.qmin);
          }
        },
        x.storage());
    GoldenBackend backend;
    auto& op = std::get<GemmOp>(program.ops[0]);
    op.acc = {proof.bits_needed, AccPolicy::kError};
    RunStats stats;
    Execute(program, {{"x", x}}, 0, backend, &stats, {.track_accumulators = true});
    EXPECT_EQ(upper ? stats.accumulators["y"].max : stats.accumulators["y"].min,
              upper ? proof.range.max : proof.range.min)
        << "channel " << proof.worst_channel << ", proven " << proof.range.min << ".."
        << proof.range.max << ", bias " << bias;
    op.acc.bits = proof.bits_needed - 1;
    EXPECT_FALSE(ProveAccumulators(program).at(0).fits());
    EXPECT_THROW(Execute(program, {{"x", x}}, 0, backend), AccumulatorOverflow);
    EXPECT_THROW(Validate(program), ProgramError);
    op.acc.policy = AccPolicy::kSaturate;
    EXPECT_NO_THROW(Validate(program));
  }
}

}  // namespace
}  // namespace qsim::testing
