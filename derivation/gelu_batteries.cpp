#include "golden/ops/gelu.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/gelu_rows.h"
#include "derivation/ran.h"

namespace qsim::derivation {
namespace {

// The parabola of equation 7.3 by cases: past its vertex at |x| = -b it is flat.
mpz_class Parabola(const mpz_class& x, const mpz_class& b) {
  const mpz_class magnitude = abs(x);
  if (magnitude >= -b) return 0;
  return magnitude * magnitude + 2 * magnitude * b + b * b;
}

// I-ViT's exponential (section 5.5, Shiftmax) as one rational: floor((r / 2 - x0) 2^(n - q)), at
// least 0.
mpz_class ShiftedExp(const mpz_class& x, const mpz_class& x0, int n) {
  mpz_class d = x + Floor(Ratio(x, 2)) - Floor(Ratio(x, 16));
  if (d < n * x0) d = n * x0;
  const mpz_class q = Floor(Ratio(d, x0));
  const mpz_class r = d - q * x0;
  const mpz_class value = Floor(Scaled(Ratio(r, 2) - x0, n - Small(q)));
  return value < 0 ? mpz_class(0) : value;
}

// A parameter of up to `bits` bits, all widths alike.
std::int64_t DrawWidth(Comparison& comparison, int bits) {
  const std::int64_t limit = std::int64_t{1} << comparison.Between(0, bits);
  return comparison.Corner(-limit, limit);
}

// x of a row and the last step. Wide x and wide constants together may leave 64 bits, so `bits`
// bounds x.
template <typename Params>
Params DrawLastStep(Comparison& comparison, GeluShape& shape) {
  Params params;
  const bool ties = comparison.Between(0, 1) == 0;
  if (ties) {
    params.scale = {static_cast<std::int32_t>(comparison.Between(-3, 3)),
                    static_cast<int>(comparison.Between(1, 3))};
    shape.range = {INT32_MIN, INT32_MAX};
  } else {
    params.scale = {static_cast<std::int32_t>(comparison.Corner(-INT32_MAX, INT32_MAX)),
                    static_cast<int>(comparison.Corner(0, 62))};
  }
  params.zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
  return params;
}

template <typename Params>
Scores DrawX(Comparison& comparison, Params& params) {
  const auto bits = static_cast<int>(comparison.Between(2, 16));
  if constexpr (requires { params.input_zero; }) {
    if (comparison.Between(0, 1) == 0)
      params.input_zero = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
  }
  return DrawScores(comparison, bits, 40);
}

// Runs the golden operation on x and compares every output with the derived ones.
void CompareGelu(Comparison& comparison, const Scores& x, const GeluParams& params,
                 const GeluShape& shape) {
  const DerivedGelu derived = DeriveGelu(x, params, shape);
  Integers golden_y(x.size()), golden_inner(derived.inner.size());
  std::vector<std::int32_t> golden(x.size());
  GeluTrace trace{.y = golden_y};
  if (KindOf(params) == GeluKind::kIbert) trace.erf_int = golden_inner;
  if (KindOf(params) == GeluKind::kShiftGelu) trace.sigmoid_int = golden_inner;
  Gelu(x, params, shape, golden, trace);
  const auto describe = [&](const char* what) {
    return [&x, &params, what] {
      std::string text = std::string(NameOfAlgorithm(params)) + " " + what + " of";
      for (const std::int32_t value : x) text += " " + std::to_string(value);
      return text;
    };
  };
  comparison.Check(golden_inner, derived.inner, describe("intermediate"));
  comparison.Check(golden_y, derived.y, describe("y"));
  comparison.Check(golden, derived.q, describe("q"));
}

void CompareIbertGelu(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    GeluShape shape;
    auto params = DrawLastStep<GeluIbertParams>(comparison, shape);
    params.rounding = kAllRoundings[static_cast<std::size_t>(comparison.Between(0, 4))];
    const Scores x = DrawX(comparison, params);
    params.b = -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 20));
    params.c = -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 40));
    params.shift_int = -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 40));
    params.n = static_cast<int>(comparison.Between(0, 30));
    CompareGelu(comparison, x, params, shape);
  }
}

void CompareShiftGelu(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    GeluShape shape;
    auto params = DrawLastStep<ShiftGeluParams>(comparison, shape);
    params.rounding = kAllRoundings[static_cast<std::size_t>(comparison.Between(0, 4))];
    const Scores x = DrawX(comparison, params);
    params.x0 = static_cast<std::int32_t>(
        -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 20)));
    params.n = static_cast<int>(comparison.Between(0, 1) == 0 ? 23 : comparison.Between(0, 30));
    params.output_bits =
        static_cast<int>(comparison.Between(0, 1) == 0 ? 8 : comparison.Between(1, 16));
    // Rows of every length that divides the data.
    if (comparison.Between(0, 1) == 0) {
      std::size_t row = 1 + x.size() / 3;
      while (x.size() % row != 0) ++row;
      shape.row_length = static_cast<std::int64_t>(row);
    }
    CompareGelu(comparison, x, params, shape);
  }
}

void CompareItaGelu(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    GeluShape shape;
    auto params = DrawLastStep<GeluItaParams>(comparison, shape);
    const Scores x = DrawX(comparison, params);
    params.q_1 = DrawWidth(comparison, 40);
    params.q_b = -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 20));
    params.q_c = DrawWidth(comparison, 40);
    if (i % 3 == 0) {
      // y m / 2^S = integer - 1/2 - 2^-e around 2^-23: x = 1 gives y = q_1 + q_c + (1 + q_b)^2.
      params.q_1 = (std::int64_t{1} << comparison.Between(10, 40)) + comparison.Between(-2, 2);
      params.q_b = -1;
      params.q_c = 0;
      params.scale = {1, static_cast<int>(comparison.Between(20, 28))};
      shape.range = {INT32_MIN, INT32_MAX};
      params.q_1 += (std::int64_t{1} << (params.scale.shift - 1)) - 1;
    }
    CompareGelu(comparison, x, params, shape);
  }
}

void CompareDeeployGelu(Comparison& comparison) {
  for (int i = 0; i < 300; ++i) {
    GeluShape shape;
    auto params = DrawLastStep<GeluDeeployParams>(comparison, shape);
    params.rounding = kAllRoundings[static_cast<std::size_t>(comparison.Between(0, 4))];
    params.addend = DrawWidth(comparison, comparison.Between(0, 1) == 0 ? 4 : 62);
    if (params.scale.shift <= 3) params.addend %= 16;
    const Scores x = DrawX(comparison, params);
    params.b = -comparison.Corner(1, std::int64_t{1} << comparison.Between(1, 20));
    params.one = DrawWidth(comparison, 40);
    CompareGelu(comparison, x, params, shape);
  }
}

void CompareGeluTable(Comparison& comparison) {
  for (int i = 0; i < 20; ++i) {
    const std::size_t entries = i % 5 == 0 ? 1 << 16 : 1 << 8;
    const auto half = static_cast<std::int64_t>(entries / 2);
    const auto qmin = static_cast<std::int32_t>(comparison.Between(-half, 0));
    std::vector<std::int32_t> table(entries), codes(entries), golden(entries);
    Integers derived(entries);
    for (std::size_t at = 0; at < entries; ++at) {
      table[at] = static_cast<std::int32_t>(comparison.Between(-128, 127));
      codes[entries - 1 - at] = qmin + static_cast<std::int32_t>(at);
      derived[entries - 1 - at] = table[at];
    }
    Gelu(codes, GeluTableParams{table}, {.input_qmin = qmin}, golden);
    comparison.Check(golden, derived, [&] { return "table from " + std::to_string(qmin); });
  }
}

constexpr std::array<Battery, 5> kGeluBatteries = {{
    {"gelu", "table", CompareGeluTable},
    {"gelu", "ibert", CompareIbertGelu},
    {"gelu", "shiftgelu", CompareShiftGelu},
    {"gelu", "ita", CompareItaGelu},
    {"gelu", "deeploy", CompareDeeployGelu},
}};

// The last step before the zero point. ITA's lifts everything by 2^-23 and has no rounding of its
// own.
template <typename Params>
mpz_class LastStep(const mpz_class& y, const Params& params) {
  mpz_class product = y * params.scale.m;
  if constexpr (requires { params.addend; }) product += Big(params.addend);
  const mpq_class scaled = Ratio(product, Power2(params.scale.shift));
  if constexpr (requires { params.rounding; }) {
    return Rounded(scaled, params.rounding);
  } else {
    return Floor(scaled + mpq_class(1, 2) + Ratio(1, Power2(23)));
  }
}

void Derive(const Scores&, const GeluTableParams&, const GeluShape&, DerivedGelu&) {
  throw std::invalid_argument("a table has no equation");
}

void Derive(const Scores& x, const GeluIbertParams& params, const GeluShape&,
            DerivedGelu& derived) {
  for (const std::int32_t value : x) {
    const mpz_class centred = Big(value) - params.input_zero;
    const mpz_class parabola = sgn(centred) * (Parabola(centred, Big(params.b)) + Big(params.c));
    const mpz_class erf = Floor(Ratio(parabola, Power2(params.n)));
    derived.Add(centred * (erf + Big(params.shift_int)), erf);
  }
}

void Derive(const Scores& x, const ShiftGeluParams& params, const GeluShape& shape,
            DerivedGelu& derived) {
  const std::size_t length =
      shape.row_length > 0 ? static_cast<std::size_t>(shape.row_length) : x.size();
  const mpz_class x0 = params.x0;
  const mpz_class cap = Power2(31) - 1;
  for (std::size_t first = 0; first < x.size(); first += length) {
    const auto row = std::span(x).subspan(first, length);
    const mpz_class largest = Big(*std::max_element(row.begin(), row.end())) - params.input_zero;
    const mpz_class zero = ShiftedExp(-largest, x0, params.n);
    for (const std::int32_t value : row) {
      const mpz_class centred = Big(value) - params.input_zero;
      const mpz_class e = ShiftedExp(centred - largest, x0, params.n);
      const mpz_class sum = e + zero < cap ? mpz_class(e + zero) : cap;
      const mpz_class sigmoid =
          Floor(Ratio(e * Floor(Ratio(cap, sum)), Power2(32 - params.output_bits)));
      derived.Add(centred * sigmoid, sigmoid);
    }
  }
}

void Derive(const Scores& x, const GeluItaParams& params, const GeluShape&, DerivedGelu& derived) {
  for (const std::int32_t value : x) {
    const mpz_class q = value < -127 ? -127 : value;
    derived.Add(q * (sgn(q) * (Parabola(q, Big(params.q_b)) + Big(params.q_c)) + Big(params.q_1)));
  }
}

void Derive(const Scores& x, const GeluDeeployParams& params, const GeluShape&,
            DerivedGelu& derived) {
  const mpz_class one = Big(params.one);
  for (const std::int32_t value : x) {
    const mpz_class a = Big(value) - params.input_zero;
    const mpz_class square = Parabola(a, Big(params.b));
    // one + one - d^2 on the right, d^2 on the left, of which half is taken.
    const mpz_class twice = sgn(a) > 0 ? mpz_class(2 * one - square) : sgn(a) < 0 ? square : one;
    derived.Add(a * Floor(Ratio(twice, 2)));
  }
}

}  // namespace

DerivedGelu DeriveGelu(const Scores& x, const GeluParams& params, const GeluShape& shape) {
  DerivedGelu derived;
  std::visit(
      [&](const auto& p) {
        Derive(x, p, shape, derived);
        if constexpr (requires { p.scale; }) {
          for (const std::int64_t y : derived.y) {
            derived.q.push_back(
                Small(Clamp(LastStep(Big(y), p) + p.zero, shape.range.qmin, shape.range.qmax)));
          }
        }
      },
      params);
  return derived;
}

void CompareRan(Comparison& comparison, const Ran<GeluOp>& ran) {
  const GeluOp& op = ran.op;
  if (KindOf(op.params) == GeluKind::kTable) return;  // nothing but its entries
  const IntTensor &x = ran.tensors.at(op.input), &y = ran.tensors.at(op.output);
  const Program& program = ran.instance.program;
  const GeluShape shape = GeluOp::ShapeOf(program.Tensor(op.input), program.Tensor(op.output));
  // Rows, since one algorithm looks for their largest.
  CompareRows(comparison, x, y,
              [&](const Scores& row, std::int64_t) { return DeriveGelu(row, op.params, shape).q; });
}

std::span<const Battery> GeluBatteries() { return kGeluBatteries; }

}  // namespace qsim::derivation
