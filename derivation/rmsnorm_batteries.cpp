#include <array>
#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/layernorm_rows.h"
#include "golden/ops/one_or_each.h"
#include "golden/ops/rmsnorm.h"

namespace qsim::derivation {
namespace {

std::vector<std::int32_t> DrawInts(Comparison& comparison, std::size_t count, std::int64_t lo,
                                   std::int64_t hi) {
  std::vector<std::int32_t> values(count);
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(comparison.Corner(lo, hi));
  return values;
}

RmsnormParams DrawParams(Comparison& comparison, std::size_t channels, bool ties) {
  RmsnormParams params;
  if (comparison.Between(0, 1) == 0)
    params.input_zero = static_cast<std::int32_t>(comparison.Corner(INT32_MIN, INT32_MAX));
  if (comparison.Between(0, 1) == 0) params.input_shift = DrawInts(comparison, channels, 0, 8);
  if (comparison.Between(0, 2) == 0) params.rms_shift = static_cast<int>(comparison.Corner(0, 31));
  const std::size_t entries = comparison.Between(0, 1) == 0 ? 1 : channels;
  for (std::size_t i = 0; i < entries; ++i) {
    // A few low bits of y decide, or almost all of it does.
    params.scale.push_back(
        ties ? Multiplier{static_cast<std::int32_t>(comparison.Between(-3, 3)),
                          static_cast<int>(comparison.Between(1, 3))}
             : Multiplier{static_cast<std::int32_t>(comparison.Corner(-INT32_MAX, INT32_MAX)),
                          static_cast<int>(comparison.Corner(0, 62))});
  }
  params.zero = DrawInts(comparison, entries, -65536, 65536);
  params.rounding = kAllRoundings[static_cast<std::size_t>(comparison.Between(0, 4))];
  return params;
}

// Equations 6.14 to 6.17.
void Compare(Comparison& comparison, bool gated, bool eps) {
  for (int i = 0; i < 400; ++i) {
    const Scores row = DrawScores(comparison, static_cast<int>(comparison.Between(2, 32)), 40);
    const bool ties = comparison.Between(0, 1) == 0;
    RmsnormParams params = DrawParams(comparison, row.size(), ties);
    if (eps) params.eps = DrawEps(comparison);
    std::vector<std::int32_t> gate;
    if (gated) {
      gate = DrawInts(comparison, row.size(), ties ? -9 : INT32_MIN, ties ? 9 : INT32_MAX);
      params.gate_zero = static_cast<std::int32_t>(ties ? comparison.Between(-9, 9)
                                                        : comparison.Corner(INT32_MIN, INT32_MAX));
    }
    const QuantRange range = ties ? QuantRange{INT32_MIN, INT32_MAX} : QuantRange{};
    std::vector<mpz_class> shifted;
    mpz_class squares = 0;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const int left = params.input_shift.empty() ? 0 : params.input_shift[c];
      shifted.push_back((Big(row[c]) - params.input_zero) * Power2(left));
      const mpz_class low = Floor(Ratio(shifted.back(), Power2(params.rms_shift)));
      squares += low * low;
    }
    mpz_class rms = sqrt(squares + Big(params.eps)) * Power2(params.rms_shift);
    if (rms == 0) rms = 1;
    const mpz_class reciprocal = Floor(Ratio(Power2(31), rms));
    Integers y, q;
    for (std::size_t c = 0; c < row.size(); ++c) {
      const mpz_class norm = Floor(Ratio(shifted[c] * reciprocal, 2));
      y.push_back(Small(norm));
      const mpz_class factor = gated ? mpz_class(Big(gate[c]) - params.gate_zero) : mpz_class(1);
      const Multiplier scale = EntryFor(params.scale, c);
      const mpz_class rounded =
          Rounded(Ratio(norm * factor * scale.m, Power2(scale.shift)), params.rounding) +
          EntryFor(params.zero, c);
      q.push_back(Small(Clamp(rounded, range.qmin, range.qmax)));
    }
    std::vector<std::int32_t> golden(row.size());
    Integers golden_y(row.size());
    std::int64_t golden_rms = 0;
    Rmsnorm(row, gate, params, range, golden, {.y = golden_y, .rms_int = &golden_rms});
    const auto text = [&](const char* what) {
      std::string of = std::string(what) + " of the row";
      for (const std::int32_t x : row) of += " " + std::to_string(x);
      return of;
    };
    comparison.Check(golden_rms, Small(rms), [&] { return text("rms_int"); });
    comparison.Check(golden_y, y, [&] { return text("y"); });
    comparison.Check(golden, q, [&] { return text("q"); });
  }
}

constexpr std::array<Battery, 3> kRmsnormBatteries = {{
    {"rmsnorm", "plain", [](Comparison& comparison) { Compare(comparison, false, false); }},
    {"rmsnorm", "gated", [](Comparison& comparison) { Compare(comparison, true, false); }},
    {"rmsnorm", "gated_eps", [](Comparison& comparison) { Compare(comparison, true, true); }},
}};

}  // namespace

std::span<const Battery> RmsnormBatteries() { return kRmsnormBatteries; }

}  // namespace qsim::derivation
