#include "golden/ops/gemm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "golden/kernels/gemm.h"
#include "golden/kernels/instruction_set.h"
#include "golden/ops/int128.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::SeededRandom;

// Operands in dense storage with the strides that a test asks for.
template <typename Lhs>
struct Problem {
  std::int64_t m = 0, k = 0, n = 0;
  std::vector<Lhs> lhs_data;
  std::vector<std::int8_t> rhs_data;
  MatrixView<const Lhs> lhs;
  MatrixView<const std::int8_t> rhs;
  std::vector<std::int32_t> bias, rhs_zero;
  GemmParams params;
};

// layout 0: both row-major. 1: rhs transposed (weights [N, K], or K of QK^T). 2: both inside wider
// tensors. 3: lhs transposed, rhs inside a wider tensor.
template <typename Lhs>
Problem<Lhs> MakeProblem(SeededRandom& random, std::int64_t m, std::int64_t k, std::int64_t n,
                         int layout, OperandMode mode) {
  Problem<Lhs> p;
  p.m = m;
  p.k = k;
  p.n = n;
  const std::int64_t pad = layout >= 2 ? 5 : 0;
  const bool lhs_transposed = layout == 3, rhs_transposed = layout == 1;
  p.lhs_data.resize(static_cast<std::size_t>((m + pad) * (k + pad) + pad));
  p.rhs_data.resize(static_cast<std::size_t>((k + pad) * (n + pad) + pad));
  for (auto& v : p.lhs_data) {
    v = static_cast<Lhs>(
        mode == OperandMode::kShift
            ? random.Between(0, 16)
            : random.Between(std::numeric_limits<Lhs>::min(), std::numeric_limits<Lhs>::max()));
  }
  for (auto& v : p.rhs_data) v = static_cast<std::int8_t>(random.Between(-128, 127));
  p.lhs = {p.lhs_data.data() + pad, m, k, lhs_transposed ? 1 : k + pad,
           lhs_transposed ? m + pad : 1};
  p.rhs = {p.rhs_data.data() + pad, k, n, rhs_transposed ? 1 : n + pad, rhs_transposed ? k : 1};
  p.params.mode = mode;
  return p;
}

template <typename Lhs>
std::int64_t ValueOf(const Problem<Lhs>& p, std::int64_t m, std::int64_t k) {
  const std::int64_t code = p.lhs(m, k);
  if (p.params.mode == OperandMode::kMultiply) return code;
  return code == 16 ? 0 : 32768 / (std::int64_t{1} << code);
}

// (3.1), the definition.
template <typename Lhs>
std::int64_t Exact(const Problem<Lhs>& p, std::int64_t m, std::int64_t n) {
  std::int64_t sum = p.bias.empty() ? 0 : p.bias[static_cast<std::size_t>(n)];
  for (std::int64_t k = 0; k < p.k; ++k) {
    sum += (ValueOf(p, m, k) - p.params.lhs_zero) * (p.rhs(k, n) - p.params.RhsZero(n));
  }
  return sum;
}

// (3.2): the additions of one element as an explicit list.
template <typename Lhs>
std::vector<std::int64_t> Addends(const Problem<Lhs>& p, std::int64_t m, std::int64_t n) {
  std::vector<std::int64_t> addends;
  addends.push_back(p.bias.empty() ? 0 : p.bias[static_cast<std::size_t>(n)]);
  std::int64_t row = 0, column = 0;
  for (std::int64_t k = 0; k < p.k; ++k) {
    addends.push_back(ValueOf(p, m, k) * p.rhs(k, n));
    row += ValueOf(p, m, k);
    column += p.rhs(k, n);
  }
  const std::int64_t z_l = p.params.lhs_zero, z_r = p.params.RhsZero(n);
  if (z_r != 0) addends.push_back(-(z_r * row));
  if (z_l != 0) addends.push_back(-(z_l * column));
  if (z_l != 0 && z_r != 0) addends.push_back(p.k * z_l * z_r);
  return addends;
}

struct Replay {
  std::int64_t value = 0;
  bool high = false, low = false;
  AccRange seen;
};

// (3.3) by its arithmetic definition.
Replay RunPolicy(const std::vector<std::int64_t>& addends, Accumulator acc) {
  const std::int64_t modulus = std::int64_t{1} << acc.bits, half = modulus / 2;
  Replay replay;
  for (const std::int64_t addend : addends) {
    std::int64_t p = replay.value + addend;
    replay.seen.Include(p);
    replay.high = replay.high || p >= half;
    replay.low = replay.low || p < -half;
    if (acc.policy == AccPolicy::kSaturate) p = std::min(std::max(p, -half), half - 1);
    if (acc.policy == AccPolicy::kWrap) p = (((p + half) % modulus) + modulus) % modulus - half;
    replay.value = p;
  }
  return replay;
}

struct Exercised {
  std::int64_t compared = 0, high = 0, low = 0, errors = 0, clean = 0;
};

// Every policy, with and without `seen`, the specification and its kernel, against the replay.
template <typename Lhs>
void CheckPolicies(Problem<Lhs>& p, int bits, Exercised& exercised) {
  for (const AccPolicy policy : {AccPolicy::kError, AccPolicy::kWrap, AccPolicy::kSaturate}) {
    p.params.acc = {bits, policy};
    std::vector<Replay> expected;
    AccRange expected_seen;
    bool overflow = false;
    for (std::int64_t m = 0; m < p.m; ++m) {
      for (std::int64_t n = 0; n < p.n; ++n) {
        expected.push_back(RunPolicy(Addends(p, m, n), p.params.acc));
        const Replay& replay = expected.back();
        expected_seen.Include(replay.seen);
        overflow = overflow || replay.high || replay.low;
        exercised.high += replay.high;
        exercised.low += replay.low;
        if (!replay.high && !replay.low) {
          ASSERT_EQ(replay.value, Exact(p, m, n));
          ++exercised.clean;
        }
      }
    }
    // The specification, and the kernel on every instruction set.
    std::vector<std::string_view> kernels = {""};
    const auto sets = kernels::InstructionSets();
    kernels.insert(kernels.end(), sets.begin(), sets.end());
    for (const std::string_view kernel : kernels)
      for (const bool track : {false, true}) {
        // One more column than needed, to see that nothing else is written.
        std::vector<std::int32_t> out(static_cast<std::size_t>(p.m * (p.n + 1)), 12345);
        const MatrixView<std::int32_t> view{out.data(), p.m, p.n, p.n + 1, 1};
        AccRange seen;
        AccRange* const seen_or_null = track ? &seen : nullptr;
        const auto run = [&] {
          if (!kernel.empty()) {
            kernels::UseInstructionSet(kernel);
            return kernels::Gemm(p.lhs, p.rhs, p.params, view, seen_or_null);
          }
          Gemm(p.lhs, p.rhs, p.params, view, seen_or_null);
        };
        if (policy == AccPolicy::kError && overflow) {
          EXPECT_THROW(run(), AccumulatorOverflow);
          ++exercised.errors;
          continue;
        }
        run();
        for (std::int64_t m = 0; m < p.m; ++m) {
          for (std::int64_t n = 0; n < p.n; ++n) {
            ASSERT_EQ(view(m, n), expected[static_cast<std::size_t>(m * p.n + n)].value)
                << "element " << m << "," << n << " of " << p.m << "x" << p.k << "x" << p.n
                << " bits " << bits << " " << Name(policy) << (track ? " tracked" : "") << " "
                << kernel;
            ++exercised.compared;
          }
          ASSERT_EQ(out[static_cast<std::size_t>(m * (p.n + 1) + p.n)], 12345);
        }
        if (track) {
          EXPECT_EQ(seen.min, expected_seen.min) << kernel << " " << Name(policy) << bits;
          EXPECT_EQ(seen.max, expected_seen.max)
              << kernel << " " << Name(policy) << bits << " " << p.m << "x" << p.k << "x" << p.n
              << " zeros " << p.params.lhs_zero << " " << p.rhs_zero.size();
        }
      }
  }
}

template <typename Lhs>
void SweepShapes(OperandMode mode) {
  SeededRandom random;
  Exercised exercised;
  int round = 0;
  for (const std::int64_t m : {1, 3, 8}) {
    for (const std::int64_t k : {1, 2, 7, 16, 65}) {
      for (const std::int64_t n : {1, 4, 9}) {
        for (int layout = 0; layout < 4; ++layout, ++round) {
          Problem<Lhs> p = MakeProblem<Lhs>(random, m, k, n, layout, mode);
          const auto columns = static_cast<std::size_t>(n);
          if (round % 3 != 0) {
            p.bias.resize(columns);
            for (auto& b : p.bias) {
              b = static_cast<std::int32_t>(round % 3 == 1 ? random.Between(-40000, 40000)
                                                           : random.Between(-5000000, 5000000));
            }
          }
          p.params.bias = p.bias;
          p.rhs_zero.resize(round % 4 == 0 ? 0 : round % 4 == 1 ? 1 : columns);
          for (auto& z : p.rhs_zero) {
            z = static_cast<std::int32_t>(round % 4 == 2 ? 0 : random.Between(-128, 127));
          }
          p.params.rhs_zero = p.rhs_zero;
          if (mode == OperandMode::kMultiply && round % 5 != 0) {
            p.params.lhs_zero = static_cast<std::int32_t>(
                std::is_signed_v<Lhs> ? random.Between(-128, 127) : random.Between(0, 255));
          }
          for (const int bits : {16, 17, 20, 24, 31, 32}) CheckPolicies(p, bits, exercised);
        }
      }
    }
  }
  EXPECT_GT(exercised.compared, 50000);
  EXPECT_GT(exercised.high, 1000);
  EXPECT_GT(exercised.low, 1000);
  EXPECT_GT(exercised.errors, 50);
  EXPECT_GT(exercised.clean, 10000);
}

TEST(Gemm, Int8ShapesLayoutsZeroPointsPolicies) {
  SweepShapes<std::int8_t>(OperandMode::kMultiply);
}
TEST(Gemm, Uint8ShapesLayoutsZeroPointsPolicies) {
  SweepShapes<std::uint8_t>(OperandMode::kMultiply);
}
TEST(Gemm, ShiftModeShapesLayoutsZeroPointsPolicies) {
  SweepShapes<std::uint8_t>(OperandMode::kShift);
}

// All operand pairs at once: a 256 x 1 by 1 x 256 product.
TEST(Gemm, EveryOperandPair) {
  std::vector<std::int8_t> s(256);
  std::vector<std::uint8_t> u(256);
  for (std::size_t i = 0; i < 256; ++i) {
    s[i] = static_cast<std::int8_t>(static_cast<int>(i) - 128);
    u[i] = static_cast<std::uint8_t>(i);
  }
  std::vector<std::int32_t> out(65536);
  const MatrixView<std::int32_t> view{out.data(), 256, 256, 256, 1};
  const MatrixView<const std::int8_t> rhs{s.data(), 1, 256, 256, 1};
  const std::vector<std::int32_t> rhs_zero = {-7};
  GemmParams params;
  params.rhs_zero = rhs_zero;
  params.lhs_zero = 11;
  for (const bool is_signed : {true, false}) {
    if (is_signed) {
      Gemm(MatrixView<const std::int8_t>{s.data(), 256, 1, 1, 1}, rhs, params, view);
    } else {
      Gemm(MatrixView<const std::uint8_t>{u.data(), 256, 1, 1, 1}, rhs, params, view);
    }
    for (int a = 0; a < 256; ++a) {
      for (int b = 0; b < 256; ++b) {
        ASSERT_EQ(view(a, b), (a - (is_signed ? 128 : 0) - 11) * (b - 128 + 7));
      }
    }
  }
  params = {};
  params.mode = OperandMode::kShift;
  const MatrixView<std::int32_t> codes{out.data(), 17, 256, 256, 1};
  Gemm(MatrixView<const std::uint8_t>{u.data(), 17, 1, 1, 1}, rhs, params, codes);
  for (int code = 0; code <= 16; ++code) {
    for (int b = 0; b < 256; ++b) {
      ASSERT_EQ(codes(code, b), code == 16 ? 0 : (b - 128) * (1 << (15 - code)));
    }
  }
}

// The example of docs/numerics.md 3.2: the order is part of the result under `saturate`.
TEST(Gemm, SaturationDependsOnOrder) {
  const std::vector<std::int8_t> lhs = {100, -100};
  const std::vector<std::int8_t> rhs = {50, 100};
  const std::vector<std::int8_t> lhs_swapped = {-100, 100}, rhs_swapped = {100, 50};
  const std::vector<std::int32_t> bias = {30000};
  GemmParams params;
  params.bias = bias;
  params.acc = {16, AccPolicy::kSaturate};
  std::int32_t out = 0;
  AccRange seen;
  const MatrixView<std::int32_t> view{&out, 1, 1, 1, 1};
  Gemm(MatrixView<const std::int8_t>{lhs.data(), 1, 2, 2, 1}, {rhs.data(), 2, 1, 1, 1}, params,
       view, &seen);
  EXPECT_EQ(out, 22767);
  EXPECT_EQ(seen.max, 35000);
  EXPECT_EQ(seen.min, 0);
  Gemm(MatrixView<const std::int8_t>{lhs_swapped.data(), 1, 2, 2, 1},
       {rhs_swapped.data(), 2, 1, 1, 1}, params, view);
  EXPECT_EQ(out, 25000);
  params.acc.policy = AccPolicy::kWrap;
  Gemm(MatrixView<const std::int8_t>{lhs.data(), 1, 2, 2, 1}, {rhs.data(), 2, 1, 1, 1}, params,
       view);
  EXPECT_EQ(out, 25000);
  params.acc.policy = AccPolicy::kError;
  EXPECT_THROW(Gemm(MatrixView<const std::int8_t>{lhs.data(), 1, 2, 2, 1}, {rhs.data(), 2, 1, 1, 1},
                    params, view),
               AccumulatorOverflow);
}

// A bias that does not fit by itself meets the policy before any product.
TEST(Gemm, BiasAloneMeetsThePolicy) {
  const std::vector<std::int32_t> bias = {-40000};
  GemmParams params;
  params.bias = bias;
  params.acc = {16, AccPolicy::kSaturate};
  std::int32_t out = 0;
  const MatrixView<std::int32_t> view{&out, 1, 1, 1, 1};
  const MatrixView<const std::int8_t> lhs{nullptr, 1, 0, 0, 1}, rhs{nullptr, 0, 1, 1, 1};
  Gemm(lhs, rhs, params, view);
  EXPECT_EQ(out, -32768);
  params.acc.policy = AccPolicy::kWrap;
  Gemm(lhs, rhs, params, view);
  EXPECT_EQ(out, 25536);
  params.acc.policy = AccPolicy::kError;
  EXPECT_THROW(Gemm(lhs, rhs, params, view), AccumulatorOverflow);
}

// The largest K with every operand and zero point at its extreme: nothing overflows 64 bits on the
// way (UBSan watches) and the result is that of the definition.
TEST(Gemm, AllExtremesAtTheLargestDepth) {
  const std::int64_t depth = 65535;
  const std::vector<std::uint8_t> lhs(static_cast<std::size_t>(depth), 255);
  const std::vector<std::uint8_t> ones(static_cast<std::size_t>(depth), 0);  // code 0: 2^15
  const std::vector<std::int8_t> rhs(static_cast<std::size_t>(depth), -128);
  const std::vector<std::int32_t> rhs_zero = {127};
  const std::vector<std::int32_t> bias = {std::numeric_limits<std::int32_t>::min()};
  std::int32_t out = 0;
  const MatrixView<std::int32_t> view{&out, 1, 1, 1, 1};
  GemmParams params;
  params.rhs_zero = rhs_zero;
  params.bias = bias;
  params.lhs_zero = -128;
  for (const OperandMode mode : {OperandMode::kMultiply, OperandMode::kShift}) {
    params.mode = mode;
    if (mode == OperandMode::kShift) params.lhs_zero = 0;
    const std::int64_t value = mode == OperandMode::kShift ? 32768 : 255;
    const std::int64_t exact = bias[0] + depth * (value - params.lhs_zero) * (-128 - 127);
    const MatrixView<const std::uint8_t> left{
        mode == OperandMode::kShift ? ones.data() : lhs.data(), 1, depth, depth, 1};
    params.acc = {32, AccPolicy::kWrap};
    Gemm(left, {rhs.data(), depth, 1, 1, 1}, params, view);
    EXPECT_EQ(out, static_cast<std::int32_t>(static_cast<std::uint32_t>(
                       static_cast<std::uint64_t>(exact) & 0xFFFFFFFFU)));
    params.acc = {32, AccPolicy::kSaturate};
    Gemm(left, {rhs.data(), depth, 1, 1, 1}, params, view);
    EXPECT_LT(out, 0);
  }
}

// The fast path is taken up to the very last value that fits.
TEST(GemmKernel, FastPathBoundary) {
  const std::vector<std::int8_t> lhs(2, -128);
  const std::vector<std::int8_t> rhs = {-128, -127};  // 16384 + 16256 = 32640
  std::int32_t out = 0;
  const MatrixView<std::int32_t> view{&out, 1, 1, 1, 1};
  for (const std::int32_t bias : {126, 127, 128}) {
    GemmParams params;
    params.bias = {&bias, 1};
    params.acc = {16, AccPolicy::kSaturate};
    kernels::Gemm(MatrixView<const std::int8_t>{lhs.data(), 1, 2, 2, 1}, {rhs.data(), 2, 1, 1, 1},
                  params, view);
    EXPECT_EQ(out, std::min(32640 + bias, 32767));
  }
}

// Under `error` both ends of the range are legal and the next value is not, on either path.
TEST(Gemm, ErrorAcceptsExactlyTheRange) {
  const std::int8_t lhs = 127, rhs_high = 1, rhs_low = -1;
  std::int32_t out = 0;
  const MatrixView<std::int32_t> view{&out, 1, 1, 1, 1};
  const MatrixView<const std::int8_t> left{&lhs, 1, 1, 1, 1};
  for (const int bits : {16, 20, 32}) {
    const std::int64_t max = (std::int64_t{1} << (bits - 1)) - 1;
    for (const bool high : {true, false}) {
      const MatrixView<const std::int8_t> right{high ? &rhs_high : &rhs_low, 1, 1, 1, 1};
      for (const std::int64_t beyond : {0, 1}) {
        const auto bias =
            static_cast<std::int32_t>(high ? max - 127 + beyond : -max + 126 - beyond);
        AccRange seen;
        for (AccRange* const track : {static_cast<AccRange*>(nullptr), &seen}) {
          const GemmParams params{.bias = {&bias, 1}, .acc = {bits, AccPolicy::kError}};
          if (beyond == 1) {
            EXPECT_THROW(Gemm(left, right, params, view, track), AccumulatorOverflow);
          } else {
            Gemm(left, right, params, view, track);
            EXPECT_EQ(out, high ? max : -max - 1);
          }
        }
        if (beyond == 0) {
          EXPECT_EQ(BitsFor(seen), bits);
        }
      }
    }
  }
}

TEST(Gemm, MisuseThrows) {
  const std::vector<std::uint8_t> codes = {17, 0};
  const std::vector<std::int8_t> bytes(4);
  std::vector<std::int32_t> out(4);
  const MatrixView<const std::int8_t> s{bytes.data(), 2, 2, 2, 1};
  const MatrixView<const std::uint8_t> u{codes.data(), 1, 2, 2, 1};
  const MatrixView<std::int32_t> view{out.data(), 2, 2, 2, 1};
  const auto expect_bad = [&](const GemmParams& params) {
    EXPECT_THROW(Gemm(s, s, params, view), std::invalid_argument);
  };
  expect_bad({.mode = OperandMode::kShift});
  expect_bad({.lhs_zero = 256});
  expect_bad({.lhs_zero = -129});
  expect_bad({.acc = {15, AccPolicy::kWrap}});
  expect_bad({.acc = {33, AccPolicy::kWrap}});
  const std::vector<std::int32_t> three(3), big = {128}, small = {-129};
  expect_bad({.bias = three});
  expect_bad({.rhs_zero = three});
  expect_bad({.rhs_zero = big});
  expect_bad({.rhs_zero = small});
  const GemmParams plain;
  EXPECT_THROW(Gemm(s, s, plain, {out.data(), 1, 2, 2, 1}), std::invalid_argument);
  EXPECT_THROW(Gemm(s, s, plain, {out.data(), 2, 1, 2, 1}), std::invalid_argument);
  EXPECT_THROW(Gemm(s, {bytes.data(), 1, 2, 2, 1}, plain, view), std::invalid_argument);
  const GemmParams shift{.mode = OperandMode::kShift};
  EXPECT_THROW(Gemm(u, s, shift, {out.data(), 1, 2, 2, 1}), std::invalid_argument) << "code 17";
  const GemmParams shift_zero{.lhs_zero = 1, .mode = OperandMode::kShift};
  EXPECT_THROW(Gemm(u, s, shift_zero, {out.data(), 1, 2, 2, 1}), std::invalid_argument);
}

TEST(Gemm, BitsForARange) {
  for (int bits = 2; bits <= 40; ++bits) {
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    EXPECT_EQ(BitsFor({-half, 0}), bits);
    EXPECT_EQ(BitsFor({0, half - 1}), bits);
    EXPECT_EQ(BitsFor({0, half}), bits + 1);
    EXPECT_EQ(BitsFor({-half - 1, 0}), bits + 1);
  }
  EXPECT_EQ(BitsFor({0, 0}), 1);
}

TEST(Gemm, NamesRoundTrip) {
  for (const AccPolicy policy : {AccPolicy::kError, AccPolicy::kWrap, AccPolicy::kSaturate}) {
    EXPECT_EQ(FromName<AccPolicy>(Name(policy)), policy);
  }
  for (const OperandMode mode : {OperandMode::kMultiply, OperandMode::kShift}) {
    EXPECT_EQ(FromName<OperandMode>(Name(mode)), mode);
  }
  EXPECT_EQ(FromName<AccPolicy>("clip"), std::nullopt);
  EXPECT_EQ(FromName<OperandMode>("clip"), std::nullopt);
  EXPECT_EQ(Name(static_cast<AccPolicy>(99)), "");
}

}  // namespace
}  // namespace qsim::testing
