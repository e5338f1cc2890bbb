// What may be suspected of a matrix product:
//   acc[m][n] = bias[n] + sum_k (lhs[m][k] - lhs_zero) (rhs[k][n] - rhs_zero[n])
// in the order of additions of golden/ops/gemm.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "golden/ops/gemm.h"
#include "sim/explain/hypotheses.h"

namespace qsim::explain {

// A stack of products. Element ((i * rows + m) * heads + h) * cols + n of the output is (m, n) of
// product i * heads + h: heads lie side by side in the columns of attention times V; elsewhere
// heads = 1. K <= 65535; operands have at most 16 bits, zeros at most 17.
struct GemmSpec {
  Shape shape;
  std::vector<std::string> axis_names;
  std::int64_t products = 1, heads = 1, rows = 0, depth = 0, cols = 0;
  std::vector<std::int32_t> lhs, rhs;
  // Where a product starts, and its strides: lhs[lhs_start[p] + m * lhs_row + k * lhs_col],
  // likewise rhs (k, n).
  std::vector<std::int64_t> lhs_start, rhs_start;
  std::int64_t lhs_row = 0, lhs_col = 1, rhs_row = 0, rhs_col = 1;
  std::vector<std::int64_t> bias;      // empty, or one per column
  std::vector<std::int64_t> lhs_zero;  // one per product
  std::vector<std::int64_t> rhs_zero;  // one per product and column, products major
  Accumulator acc;                     // kError: exact
  // Widths and signs as the files have them; 0: the operand is no plain number (log2 codes).
  int lhs_bits = 8, rhs_bits = 8;
  bool lhs_signed = true, rhs_signed = true;
};

class GemmModel final : public Model {
 public:
  explicit GemmModel(GemmSpec spec);

  const std::vector<Coordinate>& coordinates() const override { return coordinates_; }
  const Shape& shape() const override { return spec_.shape; }
  void Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                std::span<std::int64_t> out) const override;
  double Cost() const override { return 1 + 0.1 * static_cast<double>(spec_.depth); }
  std::vector<Feature> Features() const override;
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const override;

  enum class ZeroKind : std::uint8_t { kGolden, kIgnored, kAdded };
  enum class BiasKind : std::uint8_t { kGolden, kMissing, kTwice, kSubtracted, kNext, kPrevious };
  enum class AccKind : std::uint8_t { kGolden, kExact, kWrap, kSaturate, kSaturateFinal, kDropLow };
  struct AccChoice {
    AccKind kind = AccKind::kGolden;
    int bits = 0;
  };
  enum class OrderKind : std::uint8_t {
    kGolden,
    kLhsTransposed,
    kRhsTransposed,
    kOutputTransposed,
    kSwapped,
    kDepthReversed,
    kRowLate,
    kNegated
  };
  struct DepthChoice {  // the first and the last terms that are left out
    std::int64_t from = 0, missing = 0;
  };

 private:
  struct Settings {
    bool lhs_other_sign = false, rhs_other_sign = false;
    ZeroKind lhs_zero = ZeroKind::kGolden, rhs_zero = ZeroKind::kGolden;
    BiasKind bias = BiasKind::kGolden;
    AccChoice acc;
    OrderKind order = OrderKind::kGolden;
    DepthChoice depth;
  };
  struct Place {
    std::int64_t product = 0, row = 0, col = 0;
  };

  void BuildCoordinates();
  void AddOperands();
  void AddAccumulator();
  void AddOrder();
  Settings SettingsOf(const Hypothesis& point) const;
  Place PlaceOf(std::int64_t element) const;
  std::int64_t BiasOf(BiasKind kind, std::int64_t col) const;
  std::int64_t At(const Settings& settings, std::int64_t element) const;
  // The accumulation of lhs(k) rhs(k), both int64 of an index.
  template <typename Lhs, typename Rhs>
  std::int64_t Accumulate(const Settings& settings, std::int64_t bias, std::int64_t lhs_zero,
                          std::int64_t rhs_zero, Lhs lhs, Rhs rhs) const;

  GemmSpec spec_;
  std::vector<Coordinate> coordinates_;
  std::vector<ZeroKind> lhs_zeros_, rhs_zeros_;
  std::vector<BiasKind> biases_;
  std::vector<AccChoice> accs_;
  std::vector<OrderKind> orders_;
  std::vector<DepthChoice> depths_;
};

}  // namespace qsim::explain
