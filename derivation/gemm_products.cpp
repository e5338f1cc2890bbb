// Section 3 in arbitrary precision: the product as its closed form where the policy cannot act or
// is modular, and as the sequence of additions (3.2) where it saturates.
#include "derivation/gemm_products.h"

#include <string>
#include <vector>

#include "derivation/exact.h"
#include "derivation/ran.h"
#include "golden/ops/gemm.h"
#include "golden/ops/one_or_each.h"

namespace qsim::derivation {
namespace {

struct Product {
  std::int64_t m, k, n;
  bool is_signed;
  std::vector<std::int64_t> lhs, rhs;
  std::vector<std::int32_t> bias, rhs_zero;
  std::int32_t lhs_zero;
  OperandMode mode;
  Accumulator acc;

  std::int64_t Lhs(std::int64_t row, std::int64_t step) const {
    return lhs[static_cast<std::size_t>(row * k + step)];
  }
  std::int64_t Rhs(std::int64_t step, std::int64_t column) const {
    return rhs[static_cast<std::size_t>(step * n + column)];
  }
  std::int64_t RhsZero(std::int64_t column) const {
    if (rhs_zero.empty()) return 0;
    return EntryFor(rhs_zero, column);
  }
  // The number that a left operand stands for (3.6).
  mpz_class Number(std::int64_t row, std::int64_t step) const {
    const std::int64_t stored = Lhs(row, step);
    if (mode == OperandMode::kMultiply) return Big(stored);
    return stored == 16 ? mpz_class(0) : Power2(15 - stored);
  }
};

Product DrawProduct(Comparison& comparison, OperandMode mode, Accumulator acc) {
  Product p{.m = comparison.Between(1, 4),
            .k = comparison.Corner(0, 40),
            .n = comparison.Between(1, 4),
            .is_signed = mode == OperandMode::kMultiply && comparison.Between(0, 1) == 0,
            .lhs = {},
            .rhs = {},
            .bias = {},
            .rhs_zero = {},
            .lhs_zero = 0,
            .mode = mode,
            .acc = acc};
  const std::int64_t lo = p.is_signed ? -128 : 0;
  const std::int64_t hi = mode == OperandMode::kShift ? 16 : lo + 255;
  for (std::int64_t i = 0; i < p.m * p.k; ++i) p.lhs.push_back(comparison.Corner(lo, hi));
  for (std::int64_t i = 0; i < p.k * p.n; ++i) p.rhs.push_back(comparison.Corner(-128, 127));
  if (mode == OperandMode::kMultiply) {
    p.lhs_zero = static_cast<std::int32_t>(comparison.Corner(-128, 255));
  }
  const std::int64_t reach = std::int64_t{1} << (acc.bits - 2);
  const std::int64_t biased = comparison.Between(0, 2);
  for (std::int64_t i = 0; biased > 0 && i < p.n; ++i) {
    p.bias.push_back(static_cast<std::int32_t>(biased == 1 ? comparison.Between(-1000, 1000)
                                                           : comparison.Corner(-reach, reach)));
  }
  const std::int64_t zeros = comparison.Between(0, 2);
  for (std::int64_t i = 0; i < (zeros == 2 ? p.n : zeros); ++i) {
    p.rhs_zero.push_back(static_cast<std::int32_t>(comparison.Corner(-128, 127)));
  }
  return p;
}

// Equation 3.1.
mpz_class ClosedForm(const Product& p, std::int64_t row, std::int64_t column) {
  mpz_class sum = p.bias.empty() ? 0 : p.bias[static_cast<std::size_t>(column)];
  for (std::int64_t k = 0; k < p.k; ++k) {
    sum += (p.Number(row, k) - p.lhs_zero) * (Big(p.Rhs(k, column)) - Big(p.RhsZero(column)));
  }
  return sum;
}

// Equations 3.2 and 3.3 under saturate.
mpz_class Saturated(const Product& p, std::int64_t row, std::int64_t column) {
  const mpz_class half = Power2(p.acc.bits - 1);
  const mpz_class bias = p.bias.empty() ? 0 : p.bias[static_cast<std::size_t>(column)];
  mpz_class partial = Clamp(bias, -half, half - 1);
  mpz_class row_sum = 0, column_sum = 0;
  const auto add = [&](const mpz_class& term) { partial = Clamp(partial + term, -half, half - 1); };
  for (std::int64_t k = 0; k < p.k; ++k) {
    add(p.Number(row, k) * Big(p.Rhs(k, column)));
    row_sum += p.Number(row, k);
    column_sum += Big(p.Rhs(k, column));
  }
  add(-Big(p.RhsZero(column)) * row_sum);
  add(-column_sum * p.lhs_zero);
  add(Big(p.k) * p.lhs_zero * Big(p.RhsZero(column)));
  return partial;
}

mpz_class Wrapped(const mpz_class& value, int bits) {
  const mpz_class half = Power2(bits - 1), full = Power2(bits);
  return value - full * Floor(Ratio(value + half, full));
}

template <typename Lhs>
std::vector<std::int32_t> Run(const Product& p) {
  const std::vector<Lhs> lhs(p.lhs.begin(), p.lhs.end());
  const std::vector<std::int8_t> rhs(p.rhs.begin(), p.rhs.end());
  std::vector<std::int32_t> out(static_cast<std::size_t>(p.m * p.n));
  Gemm(MatrixView<const Lhs>{lhs.data(), p.m, p.k, p.k, 1}, {rhs.data(), p.k, p.n, p.n, 1},
       {.bias = p.bias,
        .lhs_zero = p.lhs_zero,
        .rhs_zero = p.rhs_zero,
        .mode = p.mode,
        .acc = p.acc},
       {out.data(), p.m, p.n, p.n, 1});
  return out;
}

template <typename Derive>
void ComparePolicy(Comparison& comparison, OperandMode mode, AccPolicy policy, int bits,
                   Derive derive) {
  const Product p = DrawProduct(comparison, mode, {bits, policy});
  const std::vector<std::int32_t> out = p.is_signed ? Run<std::int8_t>(p) : Run<std::uint8_t>(p);
  for (std::int64_t row = 0; row < p.m; ++row) {
    for (std::int64_t column = 0; column < p.n; ++column) {
      comparison.Check(
          out[static_cast<std::size_t>(row * p.n + column)], Small(derive(p, row, column)), [&] {
            return std::to_string(p.m) + "x" + std::to_string(p.k) + "x" + std::to_string(p.n) +
                   " accumulator " + std::to_string(bits) + " zeros " + std::to_string(p.lhs_zero) +
                   " " + std::to_string(p.RhsZero(column)) + " element " + std::to_string(row) +
                   ", " + std::to_string(column);
          });
    }
  }
}

// By the policy of its accumulator.
mpz_class Derive(const Product& p, std::int64_t row, std::int64_t column) {
  if (p.acc.policy == AccPolicy::kSaturate) return Saturated(p, row, column);
  const mpz_class sum = ClosedForm(p, row, column);
  return p.acc.policy == AccPolicy::kWrap ? Wrapped(sum, p.acc.bits) : sum;
}

// Where element (row, column) of one head's matrix lies: side by side in rank 2, else in planes, of
// which there may be one for all heads.
std::int64_t Place(const Shape& shape, std::int64_t heads, std::int64_t head, std::int64_t row,
                   std::int64_t column) {
  const std::int64_t rows = shape[shape.size() - 2], columns = shape.back();
  if (shape.size() == 2) return row * columns + head * (columns / heads) + column;
  const bool shared = ElementCount(shape) == rows * columns;
  return ((shared ? 0 : head) * rows + row) * columns + column;
}

std::int64_t WidthOf(const Shape& shape, std::int64_t heads) {
  return shape.size() == 2 ? shape.back() / heads : shape.back();
}

int DrawBits(Comparison& comparison) { return static_cast<int>(comparison.Between(16, 32)); }

}  // namespace

void CompareRan(Comparison& comparison, const Ran<GemmOp>& ran) {
  const GemmOp& op = ran.op;
  const IntTensor &x = ran.tensors.at(op.input), &y = ran.tensors.at(op.output);
  const IntTensor& w = ran.instance.program.Constant(op.weight);
  const IntTensor& bias = ran.instance.program.Constant(op.bias);
  Product p{.m = y.shape()[0],
            .k = w.shape()[1],
            .n = w.shape()[0],
            .is_signed = true,
            .lhs = {},
            .rhs = {},
            .bias = {},
            .rhs_zero = op.weight_zero,
            .lhs_zero = 0,
            .mode = OperandMode::kMultiply,
            .acc = op.acc};
  for (std::int64_t e = 0; e < p.m * p.k; ++e) p.lhs.push_back(x.At(op.first_row * p.k + e));
  for (std::int64_t e = 0; e < p.k * p.n; ++e) p.rhs.push_back(w.At(e % p.n * p.k + e / p.n));
  for (std::int64_t c = 0; c < p.n; ++c) p.bias.push_back(static_cast<std::int32_t>(bias.At(c)));
  for (std::int64_t e = 0; e < p.m * p.n; ++e)
    comparison.Check(y.At(e), Small(Derive(p, e / p.n, e % p.n)),
                     [&] { return "element " + std::to_string(e); });
}

void CompareRan(Comparison& comparison, const Ran<MatmulOp>& ran) {
  const MatmulOp& op = ran.op;
  const IntTensor &a = ran.tensors.at(op.lhs), &y = ran.tensors.at(op.output);
  const IntTensor& b =
      op.weight.empty() ? ran.tensors.at(op.rhs) : ran.instance.program.Constant(op.weight);
  Product p{.m = a.shape()[a.shape().size() - 2],
            .k = WidthOf(a.shape(), op.heads),
            .n = WidthOf(y.shape(), op.heads),
            .is_signed = true,
            .lhs = {},
            .rhs = {},
            .bias = {},
            .rhs_zero = {},
            .lhs_zero = 0,
            .mode = op.mode,
            .acc = op.acc};
  for (std::int64_t h = 0; h < op.heads; ++h) {
    p.lhs_zero = EntryFor(op.lhs_zero, static_cast<std::size_t>(h));
    p.lhs.clear();
    p.rhs.clear();
    p.rhs_zero.clear();
    for (std::int64_t e = 0; e < p.m * p.k; ++e)
      p.lhs.push_back(a.At(Place(a.shape(), op.heads, h, e / p.k, e % p.k)));
    for (std::int64_t e = 0; e < p.k * p.n; ++e) {
      const std::int64_t k = e / p.n, n = e % p.n;
      p.rhs.push_back(b.At(op.transpose_rhs ? Place(b.shape(), op.heads, h, n, k)
                                            : Place(b.shape(), op.heads, h, k, n)));
    }
    for (std::int64_t n = 0; n < p.n; ++n)
      p.rhs_zero.push_back(
          EntryFor(op.rhs_zero, static_cast<std::size_t>(op.transpose_rhs ? h : h * p.n + n)));
    for (std::int64_t e = 0; e < p.m * p.n; ++e)
      comparison.Check(
          y.At(Place(y.shape(), op.heads, h, e / p.n, e % p.n)), Small(Derive(p, e / p.n, e % p.n)),
          [&] { return "head " + std::to_string(h) + " element " + std::to_string(e); });
  }
}

void CompareGemmError(Comparison& comparison) {
  // No sum of 40 products and their corrections comes near 2^31; DrawProduct's bias stays below
  // 2^30.
  for (int i = 0; i < 600; ++i) {
    ComparePolicy(comparison, OperandMode::kMultiply, AccPolicy::kError, 32, ClosedForm);
  }
}

void CompareGemmWrap(Comparison& comparison) {
  for (int i = 0; i < 600; ++i) {
    const int bits = DrawBits(comparison);
    ComparePolicy(comparison, OperandMode::kMultiply, AccPolicy::kWrap, bits,
                  [&](const Product& p, std::int64_t row, std::int64_t column) {
                    return Wrapped(ClosedForm(p, row, column), bits);
                  });
  }
}

void CompareGemmSaturate(Comparison& comparison) {
  for (int i = 0; i < 600; ++i) {
    ComparePolicy(comparison, OperandMode::kMultiply, AccPolicy::kSaturate, DrawBits(comparison),
                  Saturated);
  }
}

void CompareGemmShiftMode(Comparison& comparison) {
  for (int i = 0; i < 200; ++i) {
    const int bits = DrawBits(comparison);
    ComparePolicy(comparison, OperandMode::kShift, AccPolicy::kError, 32, ClosedForm);
    ComparePolicy(comparison, OperandMode::kShift, AccPolicy::kWrap, bits,
                  [&](const Product& p, std::int64_t row, std::int64_t column) {
                    return Wrapped(ClosedForm(p, row, column), bits);
                  });
    ComparePolicy(comparison, OperandMode::kShift, AccPolicy::kSaturate, bits, Saturated);
  }
}

}  // namespace qsim::derivation
