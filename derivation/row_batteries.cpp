// Section 16 in arbitrary precision: sums of rows and columns, and the division by them.
#include <array>
#include <string>

#include "derivation/batteries.h"
#include "derivation/exact.h"
#include "derivation/ran.h"
#include "golden/ops/row_divide.h"

namespace qsim::derivation {
void CompareRan(Comparison& comparison, const Ran<RowSumOp>& ran) {
  const auto& [instance, op, tensors] = ran;
  const IntTensor &x = tensors.at(op.input), &y = tensors.at(op.output);
  const std::int64_t width = x.shape()[2];
  for (std::int64_t row = 0; row < y.size(); ++row) {
    mpz_class sum = 0;
    for (std::int64_t k = row * width; k < (row + 1) * width; ++k) {
      if (op.mode == OperandMode::kMultiply) sum += Big(x.At(k));
      if (op.mode == OperandMode::kShift && x.At(k) < 16) sum += Power2(15 - x.At(k));
    }
    comparison.Check(y.At(row), Small(sum), [&] { return "row " + std::to_string(row); });
  }
}

void CompareRan(Comparison& comparison, const Ran<ColumnSumOp>& ran) {
  const auto& [instance, op, tensors] = ran;
  const IntTensor &x = tensors.at(op.input), &y = tensors.at(op.output);
  const std::int64_t rows = x.shape()[0], width = x.shape()[1];
  for (std::int64_t c = 0; c < width; ++c) {
    mpz_class sum = 0;
    for (std::int64_t t = op.first; t < rows; ++t) sum += Big(x.At(t * width + c));
    const auto zero = op.input_zero[op.input_zero.size() == 1 ? 0 : static_cast<std::size_t>(c)];
    sum -= Big(rows - op.first) * Big(zero);
    comparison.Check(y.At(c), Small(sum), [&] { return "column " + std::to_string(c); });
  }
}

namespace {

// The least n with 2^n >= d, and 2^(n + bits) / d rounded.
mpz_class DeriveReciprocal(const mpz_class& divisor, int bits, Rounding rounding,
                           std::int64_t* shift) {
  const mpz_class d = divisor < 1 ? mpz_class(1) : divisor;
  *shift = 0;
  while (Power2(*shift) < d) ++*shift;
  return Rounded(Ratio(Power2(*shift + bits), d), rounding);
}

void CompareReciprocal(Comparison& comparison) {
  for (int i = 0; i < 6000; ++i) {
    const auto d = static_cast<std::int32_t>(i < 600 ? i - 1 : comparison.Corner(0, INT32_MAX));
    const auto bits =
        static_cast<int>(comparison.Between(0, 1) == 0 ? 15 : comparison.Between(1, 29));
    const auto rounding = static_cast<Rounding>(comparison.Between(0, 4));
    const Multiplier golden = RowReciprocal(d, bits, rounding);
    std::int64_t n = 0;
    const mpz_class r = DeriveReciprocal(d, bits, rounding, &n);
    const auto describe = [&] { return "1 / " + std::to_string(d); };
    comparison.Check(golden.m, Small(r), describe);
    comparison.Check(golden.shift, n, describe);
    // The bound that the section states: half a unit of the last place, or a whole one.
    const mpq_class exact = Ratio(Power2(n + bits), d < 1 ? 1 : d);
    const mpq_class error = abs(mpq_class(mpq_class(r) - exact));
    const bool nearest = rounding == Rounding::kHalfUp || rounding == Rounding::kHalfAway ||
                         rounding == Rounding::kHalfEven;
    comparison.Check(nearest ? error <= mpq_class(1, 2) : error < 1, 1, describe);
    comparison.Check(r >= Power2(bits) && r <= Power2(bits + 1), 1, describe);
  }
}

}  // namespace

void CompareRan(Comparison& comparison, const Ran<RowDivideOp>& ran) {
  const auto& [instance, op, tensors] = ran;
  const IntTensor &x = tensors.at(op.input), &d = tensors.at(op.divisor);
  const IntTensor& y = tensors.at(op.output);
  const QuantRange range = instance.program.Tensor(op.output).range;
  const std::int64_t heads = d.shape()[0], rows = d.shape()[1];
  const std::int64_t columns = x.size() / heads / rows;
  for (std::int64_t h = 0; h < heads; ++h) {
    for (std::int64_t t = 0; t < rows; ++t) {
      std::int64_t n = 0;
      const mpz_class r =
          DeriveReciprocal(Big(d.At(h * rows + t)), op.fraction_bits, op.reciprocal_rounding, &n);
      for (std::int64_t c = 0; c < columns; ++c) {
        const std::int64_t at =
            x.shape().size() == 2 ? (t * heads + h) * columns + c : (h * rows + t) * columns + c;
        const mpz_class value = Rounded(Scaled(Big(x.At(at)) * r, -n), op.rounding);
        comparison.Check(y.At(at), Small(Clamp(value, range.qmin, range.qmax)),
                         [&] { return "element " + std::to_string(at); });
      }
    }
  }
}

namespace {

constexpr std::array<Battery, 4> kRowBatteries = {{
    {"row_sum", "codes", CompareInstances<RowSumOp, 200>},
    {"column_sum", "codes", CompareInstances<ColumnSumOp, 400>},
    {"row_divide", "reciprocal", CompareReciprocal},
    {"row_divide", "rows", CompareInstances<RowDivideOp, 300>},
}};

}  // namespace

std::span<const Battery> RowBatteries() { return kRowBatteries; }

}  // namespace qsim::derivation
