#include "golden/ops/layernorm.h"

#include <array>
#include <string>
#include <type_traits>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/layernorm_rows.h"
#include "derivation/ran.h"
#include "golden/ops/layernorm/fqvit.h"
#include "golden/ops/one_or_each.h"

namespace qsim::derivation {
namespace {

constexpr std::int64_t kMaxBias = std::int64_t{1} << 62;

Integers DrawMany(Comparison& comparison, std::size_t count, std::int64_t lo, std::int64_t hi) {
  Integers values(count);
  for (std::int64_t& value : values) value = comparison.Corner(lo, hi);
  return values;
}

std::vector<std::int32_t> DrawMany32(Comparison& comparison, std::size_t count, std::int32_t lo,
                                     std::int32_t hi) {
  const Integers wide = DrawMany(comparison, count, lo, hi);
  return {wide.begin(), wide.end()};
}

// A row of 2 to 32 bits. Some are two neighbouring values, whose mean is half a step.
Scores DrawRow(Comparison& comparison) {
  Scores row = DrawScores(comparison, static_cast<int>(comparison.Between(2, 32)), 40);
  if (comparison.Between(0, 3) != 0) return row;
  const auto base = static_cast<std::int32_t>(comparison.Between(-1000, 1000));
  for (std::size_t c = 0; c < row.size(); ++c) row[c] = base + static_cast<std::int32_t>(c % 2);
  return row;
}

std::string Text(const char* what, const Scores& row) {
  std::string text = std::string(what) + " of the row";
  for (const std::int32_t x : row) text += " " + std::to_string(x);
  return text;
}

mpz_class SumOf(const std::vector<mpz_class>& values) {
  mpz_class sum = 0;
  for (const mpz_class& value : values) sum += value;
  return sum;
}

mpz_class SumOfSquares(const std::vector<mpz_class>& values) {
  mpz_class sum = 0;
  for (const mpz_class& value : values) sum += value * value;
  return sum;
}

// Ten times the mean of k and the floor of squares / k, floored, from 2^16 (equation 6.6).
mpz_class TenNewtonSteps(const mpz_class& squares) {
  mpz_class k = Power2(16);
  for (int step = 0; step < 10; ++step) k = Floor(Ratio(k + Floor(Ratio(squares, k)), 2));
  return k;
}

template <typename Params>
struct Drawn {
  Params params;
  QuantRange range;
};

template <typename Params>
Drawn<Params> DrawSumParams(Comparison& comparison, std::size_t channels) {
  Drawn<Params> drawn;
  drawn.params.input_zero = static_cast<std::int32_t>(comparison.Corner(INT32_MIN, INT32_MAX));
  if (comparison.Between(0, 1) == 0) {
    drawn.params.input_zero = 0;
  } else {
    drawn.params.input_shift = DrawMany32(comparison, channels, 0, 8);
  }
  if constexpr (requires { drawn.params.std_shift; }) {
    if (comparison.Between(0, 2) == 0)
      drawn.params.std_shift = static_cast<int>(comparison.Corner(0, 31));
  }
  drawn.params.bias = DrawMany(comparison, channels, -kMaxBias, kMaxBias);
  const std::size_t entries = comparison.Between(0, 1) == 0 ? 1 : channels;
  const bool ties = comparison.Between(0, 1) == 0;
  for (std::size_t i = 0; i < entries; ++i) {
    // A few low bits of y decide, or almost all of it does.
    drawn.params.scale.push_back(
        ties ? Multiplier{static_cast<std::int32_t>(comparison.Between(-3, 3)),
                          static_cast<int>(comparison.Between(1, 3))}
             : Multiplier{static_cast<std::int32_t>(comparison.Corner(-INT32_MAX, INT32_MAX)),
                          static_cast<int>(comparison.Corner(0, 62))});
  }
  if (ties) {
    for (std::int64_t& bias : drawn.params.bias) bias = comparison.Between(-100, 100);
    drawn.range = {INT32_MIN, INT32_MAX};
  }
  drawn.params.zero = DrawMany32(comparison, entries, -65536, 65536);
  drawn.params.rounding = kAllRoundings[static_cast<std::size_t>(comparison.Between(0, 4))];
  return drawn;
}

// Equations 6.1 to 6.6.
template <typename Params>
DerivedLayernorm DeriveSumOfSquares(const Scores& row, const Params& params, QuantRange range) {
  int std_shift = 0;
  if constexpr (requires { params.std_shift; }) std_shift = params.std_shift;
  DerivedLayernorm derived;
  std::vector<mpz_class> d;
  for (std::size_t c = 0; c < row.size(); ++c) {
    d.push_back((Big(row[c]) - params.input_zero) *
                Power2(params.input_shift.empty() ? 0 : params.input_shift[c]));
  }
  const mpz_class mean = HalfEven(Ratio(SumOf(d), Big(static_cast<std::int64_t>(row.size()))));
  std::vector<mpz_class> low;
  for (mpz_class& value : d) {
    value -= mean;
    low.push_back(Floor(Ratio(value, Power2(std_shift))));
  }
  mpz_class numerator;
  if (std::is_same_v<Params, IbertLayernormParams>) {
    derived.std_int = sqrt(SumOfSquares(low) + Big(params.eps)) * Power2(std_shift);
    if (derived.std_int == 0) derived.std_int = 1;
    numerator = Power2(31);
  } else {
    derived.std_int = TenNewtonSteps(SumOfSquares(d) + Big(params.eps));
    numerator = Power2(31) - 1;
  }
  for (std::size_t c = 0; c < row.size(); ++c) {
    const mpz_class y =
        Floor(Ratio(d[c] * Floor(Ratio(numerator, derived.std_int)), 2)) + Big(params.bias[c]);
    derived.y.push_back(Small(y));
    const Multiplier scale = EntryFor(params.scale, c);
    const mpz_class rounded = Rounded(Ratio(y * scale.m, Power2(scale.shift)), params.rounding) +
                              EntryFor(params.zero, c);
    derived.q.push_back(Small(Clamp(rounded, range.qmin, range.qmax)));
  }
  return derived;
}

// Equations 6.7 to 6.9.
DerivedLayernorm DeriveDeeploy(const Scores& row, const DeeployLayernormParams& params,
                               QuantRange range) {
  DerivedLayernorm derived;
  const mpz_class count = Big(static_cast<std::int64_t>(row.size()));
  std::vector<mpz_class> d;
  for (const std::int32_t x : row) d.push_back(Big(x) - Big(params.input_zero));
  const mpz_class mean = Truncate(Ratio(SumOf(d), count));
  for (mpz_class& value : d) value -= mean;
  derived.std_int = sqrt(Floor(Ratio(SumOfSquares(d) + Big(params.eps), count)) + 1);
  for (std::size_t c = 0; c < row.size(); ++c) {
    const mpz_class sum =
        Truncate(Ratio(d[c] * params.weight[c], derived.std_int)) + Big(params.bias[c]);
    derived.y.push_back(Small(Floor(Ratio(sum, Power2(params.log2d)))));
    mpz_class narrow = derived.y.back();
    if (params.wrap) narrow = narrow - 256 * HalfUp(Ratio(narrow, 256));
    derived.q.push_back(Small(Clamp(narrow, range.qmin, range.qmax)));
  }
  return derived;
}

void CompareLayernorm(Comparison& comparison, const Scores& row, const LayernormParams& params,
                      QuantRange range = {}) {
  const DerivedLayernorm derived = DeriveLayernorm(row, params, range);
  std::vector<std::int32_t> golden(row.size());
  Integers golden_y(row.size());
  std::int64_t golden_std = 0;
  Layernorm(row, params, range, golden, {.y = golden_y, .std_int = &golden_std});
  comparison.Check(golden_std, Small(derived.std_int), [&] { return Text("std_int", row); });
  comparison.Check(golden_y, derived.y, [&] { return Text("y", row); });
  comparison.Check(golden, derived.q, [&] { return Text("q", row); });
}

template <typename Params>
void CompareSumOfSquares(Comparison& comparison, bool eps) {
  for (int i = 0; i < 400; ++i) {
    const Scores row = DrawRow(comparison);
    Drawn<Params> drawn = DrawSumParams<Params>(comparison, row.size());
    if (eps) drawn.params.eps = DrawEps(comparison);
    CompareLayernorm(comparison, row, drawn.params, drawn.range);
  }
}

template <typename Params, bool kEps>
void CompareRootOfSum(Comparison& comparison) {
  CompareSumOfSquares<Params>(comparison, kEps);
}

template <bool kEps>
void CompareDeeployLayernorm(Comparison& comparison) {
  for (int i = 0; i < 400; ++i) {
    const Scores row = DrawRow(comparison);
    const std::vector<std::int32_t> weight =
        DrawMany32(comparison, row.size(), INT32_MIN, INT32_MAX);
    const std::int64_t widest = comparison.Between(0, 1) == 0 ? 1 << 16 : kMaxBias;
    const Integers bias = DrawMany(comparison, row.size(), -widest, widest);
    DeeployLayernormParams params{.bias = bias, .weight = weight};
    params.input_zero = -comparison.Corner(-(std::int64_t{1} << 31), std::int64_t{1} << 31);
    params.log2d = static_cast<int>(comparison.Corner(0, 62));
    params.wrap = comparison.Between(0, 1) == 1;
    if (comparison.Between(0, 1) == 0) params.input_zero = 0;
    if (kEps) params.eps = DrawEps(comparison);
    CompareLayernorm(comparison, row, params);
  }
}

void CompareFqvitLayernorm(Comparison& comparison) {
  for (int i = 0; i < 400; ++i) {
    const Scores row = DrawRow(comparison);
    const bool ties = comparison.Between(0, 1) == 0;
    const auto mask = DrawMany32(comparison, row.size(), 1, 1 << 20);
    const auto m = DrawMany32(comparison, row.size(), -255, 255);
    const auto n = DrawMany32(comparison, row.size(), 0, ties ? 2 : 31);
    const Integers b =
        DrawMany(comparison, row.size(), ties ? -64 : -kMaxBias, ties ? 64 : kMaxBias);
    Integers golden(row.size());
    LayernormFqvit(row, mask, m, n, b, golden);
    comparison.Check(golden, DeriveFqvit(row, mask, m, n, b), [&] { return Text("y", row); });
  }
}

constexpr std::array<Battery, 7> kLayernormBatteries = {{
    {"layernorm", "ibert", CompareRootOfSum<IbertLayernormParams, false>},
    {"layernorm", "ivit", CompareRootOfSum<IvitLayernormParams, false>},
    {"layernorm", "rq_layernorm", CompareDeeployLayernorm<false>},
    {"layernorm", "fqvit", CompareFqvitLayernorm},
    {"layernorm", "ibert_eps", CompareRootOfSum<IbertLayernormParams, true>},
    {"layernorm", "ivit_eps", CompareRootOfSum<IvitLayernormParams, true>},
    {"layernorm", "rq_layernorm_eps", CompareDeeployLayernorm<true>},
}};

}  // namespace

DerivedLayernorm DeriveLayernorm(const Scores& row, const LayernormParams& params,
                                 QuantRange range) {
  if (const auto* deeploy = std::get_if<DeeployLayernormParams>(&params))
    return DeriveDeeploy(row, *deeploy, range);
  if (const auto* ivit = std::get_if<IvitLayernormParams>(&params))
    return DeriveSumOfSquares(row, *ivit, range);
  return DeriveSumOfSquares(row, std::get<IbertLayernormParams>(params), range);
}

void CompareRan(Comparison& comparison, const Ran<LayernormOp>& ran) {
  const LayernormOp& op = ran.op;
  const IntTensor &x = ran.tensors.at(op.input), &y = ran.tensors.at(op.output);
  const QuantRange range = ran.instance.program.Tensor(op.output).range;
  CompareRows(comparison, x, y, [&](const Scores& row, std::int64_t) {
    return DeriveLayernorm(row, op.params, range).q;
  });
}

std::int64_t DrawEps(Comparison& comparison) {
  if (comparison.Between(0, 1) == 0) return comparison.Corner(0, std::int64_t{1} << 62);
  return comparison.Between(0, std::int64_t{1} << comparison.Between(0, 40));
}

Integers DeriveFqvit(std::span<const std::int32_t> row, std::span<const std::int32_t> mask,
                     std::span<const std::int32_t> m, std::span<const std::int32_t> n,
                     std::span<const std::int64_t> b) {
  Integers y;
  for (std::size_t c = 0; c < row.size(); ++c) {
    const mpz_class z = Big(row[c]) * mask[c];
    y.push_back(Small(HalfEven(Ratio(m[c] * z + Big(b[c]), Power2(n[c])))));
  }
  return y;
}

std::span<const Battery> LayernormBatteries() { return kLayernormBatteries; }

}  // namespace qsim::derivation
