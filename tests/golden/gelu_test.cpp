#include "golden/ops/gelu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "golden/ops/table.h"
#include "tests/golden/oracle.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::Exercised;
using testing::OracleDivide;
using testing::OracleRequantize;
using testing::OracleResult;
using testing::SeededRandom;

std::vector<std::int32_t> Codes(std::int32_t qmin, std::int32_t qmax) {
  std::vector<std::int32_t> codes(static_cast<std::size_t>(qmax - qmin + 1));
  std::iota(codes.begin(), codes.end(), qmin);
  return codes;
}

// (7.2): the publication's constants for an input scale.
GeluIbertParams ParamsFor(double scale, int n) {
  const double t = scale / 1.4142;
  return {.b = static_cast<std::int64_t>(std::floor(-1.769 / t)),
          .c = static_cast<std::int64_t>(std::floor(-1.0 / 0.2888 / (t * t))),
          .shift_int = static_cast<std::int64_t>(std::floor(-1.0 / (0.2888 * t * t) / (1 << n))),
          .n = n};
}

struct Expected {
  std::int64_t erf_int, y;
  OracleResult out;
};

// (7.3) to (7.5) in 128 bits: the parabola by cases instead of by a clipped argument, exact
// division instead of shifts.
Expected Evaluate(std::int32_t x, const GeluIbertParams& params, QuantRange range) {
  const GeluIbertParams& p = params;
  const Int128 centred = Int128{x} - params.input_zero;
  const Int128 magnitude = testing::Magnitude(centred);
  Int128 parabola = p.c;
  if (magnitude < -p.b) {
    parabola = magnitude * magnitude + 2 * magnitude * p.b + Int128{p.b} * p.b + p.c;
  }
  const Int128 sign = centred > 0 ? 1 : centred < 0 ? -1 : 0;
  const Int128 erf = OracleDivide(sign * parabola, Int128{1} << p.n, Rounding::kFloor);
  const Int128 y = centred * (erf + p.shift_int);
  return {static_cast<std::int64_t>(erf), static_cast<std::int64_t>(y),
          OracleRequantize(y * params.scale.m, params.scale.shift, params.zero, params.rounding,
                           range)};
}

Exercised Check(const std::vector<std::int32_t>& x, const GeluIbertParams& params,
                QuantRange range = {}) {
  std::vector<std::int32_t> out(x.size());
  std::vector<std::int64_t> erf_int(x.size()), y(x.size());
  const std::int64_t saturated = Gelu(x, params, {range}, out, {.erf_int = erf_int, .y = y});
  Exercised exercised;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Expected expected = Evaluate(x[i], params, range);
    EXPECT_EQ(erf_int[i], expected.erf_int) << "x " << x[i];
    EXPECT_EQ(y[i], expected.y) << "x " << x[i];
    EXPECT_EQ(out[i], expected.out.y) << "x " << x[i];
    exercised.Include(expected.out);
  }
  EXPECT_EQ(saturated, exercised.low + exercised.high);
  return exercised;
}

TEST(GeluIbert, ByHand) {
  // d^2 + c for |x'| = 0..3 with b = -3, c = -10: -1, -6, -9, -10; halved, floored, after the sign.
  const GeluIbertParams params{
      .b = -3, .c = -10, .shift_int = -5, .n = 1, .input_zero = 5, .scale = {-3, 2}, .zero = 1};
  const std::vector<std::int32_t> x = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<std::int32_t> out(9);
  std::vector<std::int64_t> erf_int(9), y(9);
  EXPECT_EQ(Gelu(x, params, {{-128, 20}}, out, {.erf_int = erf_int, .y = y}), 2);
  EXPECT_EQ(erf_int, (std::vector<std::int64_t>{5, 5, 4, 3, 0, -3, -5, -5, -5}));
  EXPECT_EQ(y, (std::vector<std::int64_t>{0, 0, 2, 2, 0, -8, -20, -30, -40}));
  // half_up(-3 y / 4) + 1: 1, 1, -1.5 -> -1, ..., 7, 16, 22.5 -> 23 + 1, 31.
  EXPECT_EQ(out, (std::vector<std::int32_t>{1, 1, 0, 0, 1, 7, 16, 20, 20}));
}

TEST(GeluIbert, EveryCodeOfEveryWidth) {
  SeededRandom random;
  Exercised exercised;
  for (const double scale : {0.004, 0.0313, 0.11, 1.0}) {
    for (const int n : {0, 3, 14}) {
      for (const Rounding rounding : kAllRoundings) {
        for (const QuantRange input : {QuantRange{-128, 127}, QuantRange{0, 255}}) {
          GeluIbertParams params = ParamsFor(scale, n);
          params.input_zero = static_cast<std::int32_t>(random.Between(input.qmin, input.qmax));
          // So that 200 of the input's codes become about 150 of the output's.
          const double per_code = static_cast<double>(-2 * params.shift_int) * 200 / 150;
          params.scale = {static_cast<std::int32_t>(-std::ldexp(1.0, 40) / per_code / 1024), 30};
          params.zero = static_cast<std::int32_t>(random.Between(-128, 0));
          params.rounding = rounding;
          const std::vector<std::int32_t> codes = Codes(input.qmin, input.qmax);
          exercised += Check(codes, params);
        }
      }
    }
  }
  EXPECT_GT(exercised.low + exercised.high, 100);
  EXPECT_GT(exercised.plain, 10000);
}

// Small integers whose last step has few bits to lose: halves of it, and both ends.
TEST(GeluIbert, RandomRowsOfTies) {
  SeededRandom random;
  Exercised exercised;
  for (int i = 0; i < 400; ++i) {
    GeluIbertParams params;
    params.input_zero = static_cast<std::int32_t>(random.Between(-20, 20));
    params.b = -random.Between(1, 12);
    params.c = -random.Between(1, 200);
    params.shift_int = -random.Between(1, 40);
    params.n = static_cast<int>(random.Between(0, 4));
    params.scale = {static_cast<std::int32_t>(random.Between(-3, 3)),
                    static_cast<int>(random.Between(1, 3))};
    params.zero = static_cast<std::int32_t>(random.Between(-90, 90));
    params.rounding = kAllRoundings[static_cast<std::size_t>(i % 5)];
    std::vector<std::int32_t> x(50);
    for (auto& value : x) value = static_cast<std::int32_t>(random.Between(-40, 40));
    exercised += Check(x, params);
  }
  exercised.ExpectEach(500);
}

TEST(GeluIbert, LegalExtremesFit) {
  const std::int32_t max = std::numeric_limits<std::int32_t>::max();
  const auto limit = static_cast<std::int32_t>(kMaxGeluInput);
  std::int64_t largest = 0;
  for (const std::int64_t b : {-kMaxGeluB, std::int64_t{-1}}) {
    for (const std::int64_t c : {-kMaxGeluC, std::int64_t{-1}}) {
      for (const std::int64_t shift_int : {-kMaxGeluC, std::int64_t{-1}}) {
        for (const int n : {0, 14, 30}) {
          for (const Multiplier scale : {Multiplier{-max, 0}, Multiplier{max, 62}}) {
            for (const Rounding rounding : kAllRoundings) {
              const GeluIbertParams params{.b = b,
                                           .c = c,
                                           .shift_int = shift_int,
                                           .n = n,
                                           .scale = scale,
                                           .zero = -65536,
                                           .rounding = rounding};
              const QuantRange range = {-32768, 32767};
              Check({-limit, -65536, -65535, -1, 0, 1, 65535, 65536, limit}, params, range);
              largest = std::max(largest, std::abs(Evaluate(limit, params, range).y));
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(largest, std::int64_t{1} << 58);  // the bound of section 7.2 is reached
}

// Against the real function: what I-BERT's polynomial is good for, and what n = 14 does to it where
// the input has 8 bits.
TEST(GeluIbert, ApproximatesGelu) {
  const double scale = 1.0 / 32;
  const auto worst = [&](int n) {
    const GeluIbertParams params = ParamsFor(scale, n);
    const std::vector<std::int32_t> codes = Codes(-128, 127);
    std::vector<std::int32_t> out(codes.size());
    std::vector<std::int64_t> y(codes.size());
    Gelu(codes, params, {}, out, {.y = y});
    const double t = scale / 1.4142;
    double error = 0;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const double x = scale * codes[i];
      const double got =
          static_cast<double>(y[i]) * scale * (-0.2888 * t * t * std::ldexp(1.0, n)) / 2;
      error = std::max(error, std::abs(got - 0.5 * x * std::erfc(-x / std::sqrt(2.0))));
    }
    return error;
  };
  EXPECT_LT(worst(0), 0.025);
  EXPECT_LT(worst(4), 0.03);
  EXPECT_GT(worst(14), 0.3);
}

TEST(Table, LooksUpEveryCode) {
  SeededRandom random;
  for (const QuantRange input :
       {QuantRange{-128, 127}, QuantRange{0, 255}, QuantRange{-7, 8}, QuantRange{-32768, 32767}}) {
    const std::vector<std::int32_t> codes = Codes(input.qmin, input.qmax);
    std::vector<std::int32_t> table(codes.size()), out(codes.size());
    for (std::int32_t& y : table) y = static_cast<std::int32_t>(random.Between(-128, 127));
    Table(codes, input.qmin, table, out);
    EXPECT_EQ(out, table);
    std::vector<std::int32_t> one(1);
    EXPECT_THROW(Table(std::vector{input.qmin - 1}, input.qmin, table, one), std::invalid_argument);
    EXPECT_THROW(Table(std::vector{input.qmax + 1}, input.qmin, table, one), std::invalid_argument);
    EXPECT_THROW(Table(codes, input.qmin, table, one), std::invalid_argument);
  }
}

TEST(Gelu, RunsTheNamedKind) {
  const std::vector<std::int32_t> x = {-2, 0, 1}, table = {5, 6, 7, 8};
  std::vector<std::int32_t> out(3), expected(3);
  EXPECT_EQ(Gelu(x, GeluTableParams{table}, {.input_qmin = -2}, out), 0);
  EXPECT_EQ(out, (std::vector<std::int32_t>{5, 7, 8}));
  GeluIbertParams params = ParamsFor(0.5, 0);
  params.scale = {-300, 5};
  Gelu(x, params, {}, out);
  std::transform(x.begin(), x.end(), expected.begin(),
                 [&](std::int32_t v) { return Evaluate(v, params, {}).out.y; });
  EXPECT_EQ(out, expected);
}

TEST(Gelu, Names) {
  const std::vector<std::string_view> names = {"table", "ibert", "shiftgelu", "ita", "deeploy"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto kind = static_cast<GeluKind>(i);
    EXPECT_EQ(Name(kind), names[i]);
    EXPECT_EQ(FromName<GeluKind>(names[i]), kind);
  }
  EXPECT_EQ(FromName<GeluKind>("tanh"), std::nullopt);
}

TEST(GeluIbert, BrokenParametersThrow) {
  const GeluIbertParams good;
  const auto run = [](const GeluParams& params, std::int32_t x = 1, std::size_t outputs = 1) {
    std::vector<std::int32_t> out(outputs);
    Gelu({&x, 1}, params, {}, out);
  };
  EXPECT_NO_THROW(run(good));
  EXPECT_THROW(run(good, 1, 2), std::invalid_argument);
  const auto broken = [&](auto change) {
    GeluIbertParams params = good;
    change(params);
    EXPECT_THROW(run(params), std::invalid_argument);
    EXPECT_THROW(CheckGeluParams(params), std::invalid_argument);
  };
  const auto beyond_programs = [&](auto change) {
    GeluIbertParams params = good;
    change(params);
    EXPECT_NO_THROW(run(params));
    EXPECT_THROW(CheckGeluParams(params), std::invalid_argument);
  };
  EXPECT_NO_THROW(CheckGeluParams(good));
  broken([](GeluIbertParams& p) { p.b = 0; });
  broken([](GeluIbertParams& p) { p.b = -(std::int64_t{1} << 31) - 1; });
  beyond_programs([](GeluIbertParams& p) { p.b = -kMaxGeluB - 1; });
  broken([](GeluIbertParams& p) { p.c = 0; });
  broken([](GeluIbertParams& p) { p.c = INT64_MIN; });
  beyond_programs([](GeluIbertParams& p) { p.c = -kMaxGeluC - 1; });
  broken([](GeluIbertParams& p) { p.shift_int = 0; });
  broken([](GeluIbertParams& p) { p.shift_int = INT64_MIN; });
  beyond_programs([](GeluIbertParams& p) { p.shift_int = -kMaxGeluC - 1; });
  broken([](GeluIbertParams& p) { p.n = -1; });
  broken([](GeluIbertParams& p) { p.n = 31; });
  broken([](GeluIbertParams& p) { p.scale.shift = 63; });
  broken([](GeluIbertParams& p) { p.scale.shift = -1; });
  EXPECT_THROW(CheckGeluParams(good, {{5, 4}}), std::invalid_argument);
  std::vector<std::int32_t> x(3), out(3);
  std::vector<std::int64_t> trace(2);
  EXPECT_THROW(Gelu(x, good, {}, out, {.erf_int = trace}), std::invalid_argument);
  EXPECT_THROW(Gelu(x, good, {}, out, {.y = trace}), std::invalid_argument);
}

}  // namespace
}  // namespace qsim::testing
