// Every kernel against the specification, on every instruction set that the machine has.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <tuple>
#include <vector>

#include "golden/kernels/gemm.h"
#include "golden/kernels/instruction_set.h"
#include "golden/kernels/norms.h"
#include "golden/kernels/ratios.h"
#include "golden/kernels/recurrence.h"
#include "golden/kernels/softmax.h"
#include "golden/kernels/vectors.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using kernels::Ratios;

// One test for each instruction set.
class Kernels : public ::testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override { kernels::UseInstructionSet(GetParam()); }
  std::int32_t Draw(std::int64_t lo, std::int64_t hi) {
    return static_cast<std::int32_t>(random_.Between(lo, hi));
  }
  // Often an end of the range or near it.
  std::int32_t Corner(std::int64_t lo, std::int64_t hi) {
    switch (random_.Between(0, 3)) {
      case 0:
        return Draw(lo, std::min(lo + 2, hi));
      case 1:
        return Draw(std::max(hi - 2, lo), hi);
      default:
        return Draw(lo, hi);
    }
  }
  std::vector<std::int32_t> Row(std::int64_t size, std::int64_t lo, std::int64_t hi) {
    std::vector<std::int32_t> row(static_cast<std::size_t>(size));
    for (auto& x : row) x = Corner(lo, hi);
    return row;
  }
  SeededRandom random_;
};
INSTANTIATE_TEST_SUITE_P(Sets, Kernels, ::testing::ValuesIn(kernels::InstructionSets()),
                         [](const auto& param) { return std::string(param.param); });

TEST_P(Kernels, TheSetIsTheOneAskedFor) {
  EXPECT_EQ(kernels::InstructionSet(), GetParam());
  EXPECT_THROW(kernels::UseInstructionSet("mmx"), std::invalid_argument);
}

// Sizes on both sides of every panel, group and block; operands all alike, at their ends, or any.
TEST_P(Kernels, ProductsOfAllShapes) {
  for (int i = 0; i < 60; ++i) {
    const std::int64_t m = Draw(1, 40), k = Draw(1, 300), n = Draw(1, 300);
    std::vector<std::uint8_t> unsigned_lhs(static_cast<std::size_t>(m * k));
    std::vector<std::int8_t> signed_lhs(unsigned_lhs.size());
    std::vector<std::int8_t> rhs_data(static_cast<std::size_t>(k * n));
    const int kind = i % 4;
    const auto fill = [&](auto& values, int lo, int hi) {
      const std::int32_t same = Corner(lo, hi);
      for (auto& v : values) {
        v = static_cast<std::decay_t<decltype(v)>>(kind == 0   ? same
                                                   : kind == 1 ? (Draw(0, 1) == 0 ? lo : hi)
                                                               : Draw(lo, hi));
      }
    };
    fill(unsigned_lhs, 0, 255);
    fill(signed_lhs, -128, 127);
    fill(rhs_data, -128, 127);
    const bool transposed = Draw(0, 1) == 0;
    const MatrixView<const std::int8_t> rhs = {rhs_data.data(), k, n, transposed ? 1 : n,
                                               transposed ? k : 1};
    const std::vector<std::int32_t> bias = Row(n, -100000, 100000);
    std::vector<std::int32_t> zeros = Row(Draw(0, 1) == 0 ? 1 : n, -128, 127);
    if (Draw(0, 1) == 0) zeros.clear();
    GemmParams params;
    params.bias = bias;
    params.rhs_zero = zeros;
    params.acc = {Draw(0, 2) == 0 ? Draw(20, 31) : 32,
                  Draw(0, 1) == 0 ? AccPolicy::kWrap : AccPolicy::kSaturate};
    const auto compare = [&](const auto& lhs) {
      std::vector<std::int32_t> expected(static_cast<std::size_t>(m * n)), out(expected.size());
      AccRange expected_seen, seen;
      Gemm(lhs, rhs, params, {expected.data(), m, n, n, 1}, &expected_seen);
      const kernels::PackedWeight packed(rhs);
      for (const auto* weight : {static_cast<const kernels::PackedWeight*>(nullptr), &packed}) {
        std::fill(out.begin(), out.end(), 7);
        seen = {};
        kernels::Gemm(lhs, rhs, params, {out.data(), m, n, n, 1}, &seen, weight);
        ASSERT_EQ(out, expected) << m << "x" << k << "x" << n << " kind " << kind;
        ASSERT_EQ(seen.min, expected_seen.min) << m << "x" << k << "x" << n << " kind " << kind;
        ASSERT_EQ(seen.max, expected_seen.max) << m << "x" << k << "x" << n << " kind " << kind;
        std::fill(out.begin(), out.end(), 7);
        kernels::Gemm(lhs, rhs, params, {out.data(), m, n, n, 1}, nullptr, weight);
        ASSERT_EQ(out, expected);
        std::fill(out.begin(), out.end(), 7);
        const bool taken = kernels::GemmInto(
            lhs, rhs, params,
            [&](std::int64_t first, std::int64_t count, const std::int32_t* tile,
                std::int64_t stride) {
              for (std::int64_t row = 0; row < m; ++row)
                std::copy_n(tile + row * stride, count, out.data() + row * n + first);
            },
            weight);
        if (taken) {
          ASSERT_EQ(out, expected);
        }
      }
    };
    params.lhs_zero = Draw(0, 1) == 0 ? 0 : Corner(-128, 127);
    compare(MatrixView<const std::int8_t>{signed_lhs.data(), m, k, k, 1});
    params.lhs_zero = Draw(0, 1) == 0 ? 0 : Corner(0, 255);
    compare(MatrixView<const std::uint8_t>{unsigned_lhs.data(), m, k, k, 1});
    for (auto& code : unsigned_lhs) code = static_cast<std::uint8_t>(code % 17);
    params.lhs_zero = 0;
    params.mode = OperandMode::kShift;
    compare(MatrixView<const std::uint8_t>{unsigned_lhs.data(), m, k, k, 1});
  }
}

// The longest sums, everything at its end: what 32-bit lanes hold modulo 2^32.
TEST_P(Kernels, TheLongestProduct) {
  const std::int64_t depth = 65535, n = 3;
  const std::vector<std::uint8_t> lhs(static_cast<std::size_t>(depth), 255);
  const std::vector<std::int8_t> rhs_data(static_cast<std::size_t>(depth * n), -128);
  const MatrixView<const std::int8_t> rhs = {rhs_data.data(), depth, n, n, 1};
  // With the bias a sum leaves 32 bits; zero points, of all columns or of each, bring it back.
  const std::vector<std::int32_t> least(3, INT32_MIN), zeros = {-127, 0, 3}, zero = {-128},
                                                       most = {127}, none;
  const auto compare = [&](const GemmParams& params) {
    std::vector<std::int32_t> expected(3), out(3);
    AccRange expected_seen, seen;
    const MatrixView<const std::uint8_t> view = {lhs.data(), 1, depth, depth, 1};
    Gemm(view, rhs, params, {expected.data(), 1, n, n, 1}, &expected_seen);
    kernels::Gemm(view, rhs, params, {out.data(), 1, n, n, 1}, &seen);
    EXPECT_EQ(out, expected);
    EXPECT_EQ(seen.min, expected_seen.min);
    EXPECT_EQ(seen.max, expected_seen.max);
  };
  for (const AccPolicy policy : {AccPolicy::kWrap, AccPolicy::kSaturate}) {
    for (const int bits : {16, 31, 32}) compare({.acc = {bits, policy}});
    for (const std::vector<std::int32_t>& of : {none, zero, zeros})
      compare({.bias = least, .rhs_zero = of, .acc = {32, policy}});
    compare({.rhs_zero = most, .acc = {32, policy}});
  }
}

// Views with steps between rows and columns, both of the operands and of the result.
TEST_P(Kernels, ProductsOfSteppedViews) {
  const std::int64_t m = 5, k = 37, n = 300;
  std::vector<std::int8_t> lhs_data(static_cast<std::size_t>(2 * m * k)),
      rhs_data(static_cast<std::size_t>(2 * k * n));
  for (auto& v : lhs_data) v = static_cast<std::int8_t>(Draw(-128, 127));
  for (auto& v : rhs_data) v = static_cast<std::int8_t>(Draw(-128, 127));
  const MatrixView<const std::int8_t> lhs = {lhs_data.data(), m, k, 2 * k, 2},
                                      rhs = {rhs_data.data(), k, n, 2 * n, 2};
  std::vector<std::int32_t> expected(static_cast<std::size_t>(m * n)), out(expected.size());
  Gemm(lhs, rhs, {}, {expected.data(), m, n, 1, m});
  kernels::Gemm(lhs, rhs, {}, {out.data(), m, n, 1, m});
  EXPECT_EQ(out, expected);
}

TEST_P(Kernels, ProductsOfNothing) {
  const std::int8_t byte = 1;
  const std::vector<std::int32_t> bias = {5};
  for (const auto& [m, k, n] : {std::tuple(0, 1, 1), std::tuple(1, 0, 1), std::tuple(1, 1, 0)}) {
    GemmParams params;
    if (n == 1) params.bias = bias;
    const MatrixView<const std::int8_t> lhs = {&byte, m, k, k, 1}, rhs = {&byte, k, n, n, 1};
    std::int32_t expected = 7, out = 7;
    AccRange expected_seen, seen;
    Gemm(lhs, rhs, params, {&expected, m, n, n, 1}, &expected_seen);
    kernels::Gemm(lhs, rhs, params, {&out, m, n, n, 1}, &seen);
    EXPECT_EQ(out, expected);
    EXPECT_EQ(seen.max, expected_seen.max);
    EXPECT_FALSE(kernels::GemmInto(lhs, rhs, params, [](auto...) { FAIL(); }));
  }
}

template <typename T>
void CompareScaled(const Ratios& ratios, std::int64_t rows, std::int64_t width,
                   const std::vector<std::int32_t>& a, const std::vector<std::int32_t>* b,
                   const std::vector<std::int32_t>& expected, std::int64_t expected_saturated) {
  std::vector<T> out(expected.size());
  std::int64_t saturated = 0;
  for (std::int64_t n = 0; n < width; n += Ratios::kTile) {
    const kernels::Tile tile{n,
                             rows,
                             std::min(Ratios::kTile, width - n),
                             a.data() + n,
                             width,
                             b == nullptr ? nullptr : b->data() + n,
                             width};
    saturated += ScaleTile(ratios, tile, out.data() + n, width);
  }
  ASSERT_EQ(std::vector<std::int32_t>(out.begin(), out.end()), expected);
  ASSERT_EQ(saturated, expected_saturated);
}

template <typename T>
QuantRange RangeOf() {
  return {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
}

// Every scheme and rounding, every width of output, ties and ends.
TEST_P(Kernels, RequantizationBySchemes) {
  for (const RequantScheme scheme : kAllRequantSchemes) {
    const RequantLimits limits = LimitsOf(scheme);
    for (int i = 0; i < 150; ++i) {
      const std::int64_t rows = Draw(1, 5), width = Draw(1, 200);
      const bool each = i % 2 == 0;
      const auto count = static_cast<std::size_t>(each ? width : 1);
      std::vector<Multiplier> scale(count);
      std::vector<std::int64_t> addend(limits.addend == AddendUse::kNone ? 0 : count);
      for (Multiplier& s : scale) {
        do s.m = Corner(limits.min_multiplier, limits.max_multiplier);
        while (s.m == 0);
        if (Draw(0, 1) == 0) s.m = 1 << Draw(0, limits.max_multiplier < 256 ? 7 : 14);
        s.shift = Corner(limits.min_shift, limits.max_shift);
      }
      const std::int64_t most =
          limits.addend == AddendUse::kAfterShift ? 1 << 16 : std::int64_t{1} << 61;
      for (auto& a : addend) a = random_.Between(-most, most);
      const std::vector<std::int32_t> zero = Row(each ? width : 1, -65536, 65536);
      std::vector<std::int32_t> x = Row(rows * width, INT32_MIN, INT32_MAX);
      // Ties, or near them.
      for (std::size_t e = 0; e < x.size(); e += 2) {
        const Multiplier& s = scale[each ? e % static_cast<std::size_t>(width) : 0];
        const std::int64_t odd = 2 * random_.Between(-300, 300) + 1;
        if (s.shift >= 1 && s.shift < 40)
          x[e] = static_cast<std::int32_t>(std::clamp<std::int64_t>(
              (odd << (s.shift - 1)) / s.m + Draw(-1, 1), INT32_MIN, INT32_MAX));
      }
      RequantizeParams params;
      params.layout = {rows, each ? width : 1, each ? 1 : width};
      params.scale = scale;
      params.zero = zero;
      params.addend = addend;
      params.scheme = scheme;
      params.rounding = scheme == RequantScheme::kRequantShift
                            ? (Draw(0, 1) == 0 ? Rounding::kHalfUp : Rounding::kFloor)
                            : static_cast<Rounding>(Draw(0, 4));
      const auto compare = [&]<typename T>(T) {
        params.range = RangeOf<T>();
        std::vector<std::int32_t> expected(x.size());
        const std::int64_t saturated = Requantize(x, params, expected);
        CompareScaled<T>(Ratios(params, width), rows, width, x, nullptr, expected, saturated);
      };
      compare(std::int8_t{});
      compare(std::uint8_t{});
      compare(std::int16_t{});
      compare(std::uint16_t{});
      compare(std::int32_t{});
      ASSERT_FALSE(HasFailure()) << Name(scheme) << " " << Name(params.rounding);
    }
  }
}

TEST_P(Kernels, RequantizationOfNarrowInputs) {
  for (int i = 0; i < 100; ++i) {
    const std::int64_t width = Draw(1, 130);
    const std::vector<std::int32_t> x = Row(width, -32768, 65535);
    const std::vector<Multiplier> scale = {{Corner(-INT32_MAX, INT32_MAX), Draw(0, 62)}};
    const std::vector<std::int32_t> zero = {Corner(-65536, 65536)};
    RequantizeParams params;
    params.layout = {1, 1, width};
    params.scale = scale;
    params.zero = zero;
    params.input_zero = Corner(-65536, 65536);
    params.rounding = static_cast<Rounding>(Draw(0, 4));
    params.range = RangeOf<std::int16_t>();
    std::vector<std::int32_t> expected(x.size());
    const std::int64_t saturated = Requantize(x, params, expected);
    CompareScaled<std::int16_t>(Ratios(params, width), 1, width, x, nullptr, expected, saturated);
  }
}

TEST_P(Kernels, ResidualSums) {
  for (int i = 0; i < 300; ++i) {
    const std::int64_t rows = Draw(1, 4), width = Draw(1, 200);
    const std::vector<std::int32_t> a = Row(rows * width, INT32_MIN, INT32_MAX);
    const std::vector<std::int32_t> b = Row(rows * width, -32768, 65535);
    const bool each = i % 2 == 0;
    const auto of_a = Row(each ? width : 1, -INT32_MAX, INT32_MAX);
    const auto of_b = Row(each ? width : 1, -INT32_MAX, INT32_MAX);
    ResidualAddParams params;
    params.layout = {rows, width, 1};
    params.a_multiplier = of_a;
    params.b_multiplier = of_b;
    params.shift = Draw(0, 62);
    params.b_zero = Corner(-65536, 65536);
    params.out_zero = Corner(-65536, 65536);
    params.rounding = static_cast<Rounding>(Draw(0, 4));
    params.range = RangeOf<std::int16_t>();
    std::vector<std::int32_t> expected(a.size());
    const std::int64_t saturated = ResidualAdd(a, b, params, expected);
    CompareScaled<std::int16_t>(Ratios(params, width), rows, width, a, &b, expected, saturated);
  }
}

std::vector<SoftmaxParams> AllSoftmaxes() {
  TableSoftmaxParams table{.extra_bits = 3, .exp = {}, .exp_high = {}};
  for (int k = 0; k < 256; ++k) {
    table.exp.push_back(k == 0 ? 32768 : 32768 / (1 + k / 9));
    table.exp_high.push_back(k == 0 ? 32768 : 32768 >> std::min(k, 15));
  }
  const IbertExp exp = {-17, 66, 1674, 30};
  return {IbertSoftmaxParams{exp, 1 << 20, 45},
          IbertRnSoftmaxParams{exp, 1 << 20, 45, 0},
          IbertRnSoftmaxParams{exp, 1 << 20, 45, 5},
          LogIntSoftmaxParams{exp, 4},
          ShiftmaxParams{-25, 15, 8},
          ShiftmaxParams{-25, 15, 16},
          ItaSoftmaxParams{},
          ItaSoftmaxParams{2, 256, -128},
          ItaStreamingSoftmaxParams{},
          ItaStreamingSoftmaxParams{0, 128, 3, 7},
          TfliteSoftmaxParams{1 << 30, 24, -300, 8},
          TfliteSoftmaxParams{1 << 30, 22, -60, 16},
          IsoftmaxParams{3, 40, 90000, 29, 256, -128},
          IsoftmaxParams{3, 0, 100, 29, 256, -128},  // some exponentials exceed the maximum's
          table};
}

TEST_P(Kernels, SoftmaxRows) {
  for (const SoftmaxParams& params : AllSoftmaxes()) {
    ASSERT_NO_THROW(CheckSoftmaxParams(params)) << params.index();
    for (const SoftmaxDivision division : {SoftmaxDivision::kBefore, SoftmaxDivision::kAfter}) {
      for (const std::int64_t distances : {std::int64_t{256}, std::int64_t{65536}}) {
        const auto rows = kernels::MakeSoftmaxRows(params, division, distances);
        for (int i = 0; i < 60; ++i) {
          const std::int64_t width = i < 3 ? 1 : Draw(1, 300);
          // Flat rows, peaks, and anything.
          const std::int64_t spread = i % 3 == 0 ? 2 : distances - 1;
          const auto x = Row(width, -distances / 2, spread - distances / 2);
          std::vector<std::int32_t> expected(x.size()), out(x.size());
          const std::int64_t saturated = division == SoftmaxDivision::kAfter
                                             ? SoftmaxExponentials(x, params, expected)
                                             : Softmax(x, params, expected);
          EXPECT_EQ(rows->Row(x, out), saturated);
          ASSERT_EQ(out, expected) << "algorithm " << params.index() << " width " << width;
        }
      }
    }
  }
}

// Both sides of what 64 bits hold: small and large parameters, flat rows and wide ones.
TEST_P(Kernels, NormRows) {
  for (int i = 0; i < 400; ++i) {
    const std::int64_t width = i % 40 == 0 ? 4097 : Draw(1, 300);
    const auto channels = static_cast<std::size_t>(width);
    const std::int64_t magnitude = i % 3 == 0 ? 3 : 32767;
    std::vector<std::int32_t> x = Row(width, -magnitude, magnitude);
    if (i % 7 == 0) std::fill(x.begin(), x.end(), x.front());
    const auto scales = [&] {
      std::vector<Multiplier> scale(Draw(0, 1) == 0 ? 1 : channels);
      for (auto& s : scale)
        s = {Corner(-INT32_MAX, INT32_MAX), i % 5 == 0 ? Draw(0, 62) : Draw(45, 62)};
      return scale;
    };
    const std::int64_t bias_bits = Draw(0, 46);
    std::vector<std::int64_t> bias(channels);
    for (auto& b : bias)
      b = random_.Between(-(std::int64_t{1} << bias_bits), std::int64_t{1} << bias_bits);
    const std::vector<std::int32_t> shifts =
        Draw(0, 1) == 0 ? std::vector<std::int32_t>() : Row(width, 0, 8);
    const std::int64_t eps = Draw(0, 1) == 0 ? 0 : std::int64_t{1} << Draw(0, 62);
    const auto rounding = static_cast<Rounding>(Draw(0, 4));
    const QuantRange range = RangeOf<std::int8_t>(), input = RangeOf<std::int16_t>();
    std::vector<std::int32_t> expected(channels), both(2 * channels);
    const auto twice = [](std::vector<std::int32_t> row) {
      row.insert(row.end(), row.begin(), row.end());
      return row;
    };
    const auto compare = [&](const LayernormParams& params) {
      // Twice the row, so that rows of both kinds may follow one another.
      const std::int64_t saturated = Layernorm(x, params, range, expected);
      bool by_reference = false;
      EXPECT_EQ(kernels::LayernormOf(twice(x), width, params, input, range, both, by_reference),
                2 * saturated)
          << i;
      ASSERT_EQ(both, twice(expected))
          << i << " algorithm " << params.index() << " width " << width;
    };
    compare(IbertLayernormParams{Corner(-65536, 65536), bias, shifts, Draw(0, 15), eps, scales(),
                                 Row(1, -65536, 65536), rounding});
    compare(IvitLayernormParams{Corner(-65536, 65536), bias, shifts, eps, scales(),
                                Row(1, -65536, 65536), rounding});
    compare(DeeployLayernormParams{Corner(-65536, 65536), bias, Row(width, INT32_MIN, INT32_MAX),
                                   Draw(0, 62), eps, Draw(0, 1) == 0});
    const RmsnormParams rms{Corner(-65536, 65536), shifts,   Draw(0, 15),           eps,
                            Corner(-65536, 65536), scales(), Row(1, -65536, 65536), rounding};
    for (const bool gated : {false, true}) {
      const auto gate = gated ? Row(width, -32768, 32767) : std::vector<std::int32_t>();
      const std::int64_t saturated = Rmsnorm(x, gate, rms, range, expected);
      bool by_reference = false;
      EXPECT_EQ(kernels::RmsnormOf(twice(x), twice(gate), width, rms, input, input, range, both,
                                   by_reference),
                2 * saturated)
          << i;
      ASSERT_EQ(both, twice(expected)) << i << (gated ? " gated" : "") << " width " << width;
    }
  }
}

// Beyond what 64 bits are proven for, the specification computes, and that is said.
TEST_P(Kernels, NormsBeyond64BitsAreTheSpecifications) {
  const QuantRange wide = {-(1 << 26), 1 << 26}, narrow = RangeOf<std::int16_t>(),
                   range = RangeOf<std::int8_t>();
  const std::vector<std::int32_t> x = {1 << 26, -5, 70000, 3}, gate = {3, 1 << 26, -9, 1},
                                  small = {3, 4, -70, 9};
  std::vector<std::int32_t> expected(4), out(4);
  const auto layernorm = [&](const std::vector<std::int32_t>& row, QuantRange input,
                             const LayernormParams& params) {
    bool by_reference = false;
    const std::int64_t saturated = Layernorm(row, params, range, expected);
    EXPECT_EQ(kernels::LayernormOf(row, 4, params, input, range, out, by_reference), saturated);
    EXPECT_EQ(out, expected);
    return by_reference;
  };
  const DeeployLayernormParams deeploy{0, {5, -6, 7, 0}, {100, 200, -300, 1 << 20}, 8, 0, false};
  EXPECT_FALSE(layernorm(small, narrow, deeploy));
  EXPECT_TRUE(layernorm(x, wide, deeploy));
  IvitLayernormParams ivit;
  ivit.bias = {1, 2, 3, 4};
  ivit.scale = {{1 << 20, 60}};
  ivit.zero = {0};
  EXPECT_FALSE(layernorm(small, narrow, ivit));
  ivit.eps = std::int64_t{1} << 62;
  EXPECT_TRUE(layernorm(small, narrow, ivit));

  RmsnormParams rms;
  rms.scale = {{1 << 10, 40}};
  rms.zero = {1};
  const auto rmsnorm = [&](const std::vector<std::int32_t>& row, QuantRange input,
                           const std::vector<std::int32_t>& factors, QuantRange of_gate) {
    bool by_reference = false;
    const std::int64_t saturated = Rmsnorm(row, factors, rms, range, expected);
    EXPECT_EQ(kernels::RmsnormOf(row, factors, 4, rms, input, of_gate, range, out, by_reference),
              saturated);
    EXPECT_EQ(out, expected);
    return by_reference;
  };
  EXPECT_FALSE(rmsnorm(small, narrow, small, narrow));
  EXPECT_TRUE(rmsnorm(x, wide, small, narrow));
  EXPECT_TRUE(rmsnorm(small, narrow, gate, wide));
  rms.eps = std::int64_t{1} << 62;
  EXPECT_TRUE(rmsnorm(small, narrow, {}, narrow));
}

// States of any width after some rows, and every sum on the way, of small and of large factors.
TEST_P(Kernels, StatesOfRecurrences) {
  for (int i = 0; i < 200; ++i) {
    const int keys = Draw(1, 5), values = Draw(1, 40);
    const std::int32_t largest = i % 2 == 0 ? 127 : 32767;
    const GatedUpdateParams params{.key_width = keys,
                                   .value_width = values,
                                   .key_zero = Corner(-largest, largest),
                                   .value_zero = Corner(-largest, largest),
                                   .decay_zero = -1,
                                   .update = {{Corner(-65535, 65535), Draw(0, 40)}},
                                   .rounding = static_cast<Rounding>(Draw(0, 4))};
    const QuantRange range = RangeOf<std::int32_t>();
    std::vector<std::int32_t> expected = Row(keys * values, range.qmin, range.qmax);
    kernels::GatedStates states(params, {.decay_width = keys}, range, expected);
    AccRange expected_seen, seen;
    std::int64_t saturated = 0;
    for (int row = 0; row < 3; ++row) {
      const auto key = Row(keys, -largest, largest), value = Row(values, -largest, largest),
                 decay = Row(keys, -1, 255);
      states.Update(key, value, decay, row == 1 ? nullptr : &seen);
      saturated += GatedUpdate({key, value, decay}, params, params.update.front(), range, expected,
                               row == 1 ? nullptr : &expected_seen);
      ASSERT_EQ(states.States(), expected) << i;
    }
    EXPECT_EQ(states.saturated(), saturated);
    EXPECT_EQ(seen.min, expected_seen.min);
    EXPECT_EQ(seen.max, expected_seen.max);
  }
}

TEST_P(Kernels, RowsOfNumbers) {
  for (int i = 0; i < 200; ++i) {
    const std::int64_t width = Draw(1, 300);
    std::vector<std::int32_t> row = Row(width, 0, 32768);
    EXPECT_EQ(kernels::Largest(row), *std::max_element(row.begin(), row.end()));
    const std::int64_t factor = random_.Between(0, std::int64_t{1} << 33);
    const int shift = Draw(24, 40);
    const std::int64_t half = Draw(0, 1) == 0 ? 0 : std::int64_t{1} << (shift - 1);
    std::vector<std::int32_t> expected;
    std::int64_t saturated = 0;
    for (const std::int32_t x : row) {
      const std::int64_t y = (x * factor + half) >> shift;
      saturated += y > 255;
      expected.push_back(static_cast<std::int32_t>(std::min<std::int64_t>(y, 255)));
    }
    EXPECT_EQ(kernels::ScaleRow(row, factor, half, shift, 255), saturated);
    ASSERT_EQ(row, expected);
    const auto both_ways = [&]<typename T>(T) {
      const auto values = Row(width, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
      std::vector<T> narrow(values.size());
      kernels::Narrow(values, narrow.data());
      EXPECT_TRUE(std::equal(values.begin(), values.end(), narrow.begin()));
      std::vector<std::int32_t> wide(values.size());
      kernels::Widen(std::span<const T>(narrow), wide.data());
      EXPECT_EQ(wide, values);
    };
    both_ways(std::int8_t{});
    both_ways(std::uint8_t{});
    both_ways(std::int16_t{});
    both_ways(std::uint16_t{});
  }
}

}  // namespace
}  // namespace qsim::testing
