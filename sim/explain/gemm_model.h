// What may be suspected of a matrix product:
//   acc[m][n] = bias[n] + sum_k (lhs[m][k] - lhs_zero) (rhs[k][n] - rhs_zero[n])
// in the order of additions of golden/ops/gemm.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "golden/ops/gemm.h"
#include "sim/explain/operation_model.h"

namespace qsim::explain {

// A stack of products. Element ((i * rows + m) * heads + h) * cols + n of the output is (m, n) of
// product i * heads + h: heads lie side by side in the columns of attention times V; elsewhere
// heads = 1. K <= 65535; operands have at most 16 bits, zeros at most 17.
struct GemmSpec {
  Shape shape;
  std::vector<std::string> axis_names;
  std::int64_t products = 1, heads = 1, rows = 0, depth = 0, cols = 0;
  // So many neighbouring products belong together, as the heads of an image: one may be mistaken
  // for another.
  std::int64_t group = 1;
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

class GemmModel final : public OperationModel {
 public:
  GemmModel(GemmSpec spec, std::span<const std::int64_t> actual);

  double Cost() const override { return 1 + 0.1 * static_cast<double>(spec_.depth); }
  std::vector<Feature> Features() const override;
  std::vector<std::string> Observe(std::span<const std::int64_t> mismatches) const override;
  double Interest(std::int64_t element) const override;
  std::optional<Separation> Separate(const Hypothesis& a, const Hypothesis& b) const override;

  enum class ZeroKind : std::uint8_t { kGolden, kIgnored, kAdded };
  // What is added for the zero points: factors of the row sums of lhs, of the column sums of rhs,
  // and a constant; or, where zero points differ, factors of the three golden terms.
  struct Correction {
    bool golden = true, of_terms = false;
    std::int64_t row_sums = 0, column_sums = 0, constant = 0;
  };
  enum class AccKind : std::uint8_t {
    kGolden,
    kExact,
    kWrap,
    kSaturate,
    kSaturateFinal,
    kDropLow,
    kClearLow,   // of the final sum
    kGroupWrap,  // products of `tile` neighbouring k are added in `bits`
    kGroupSaturate,
    kTileAfter,     // the sum loses its low bits whenever a tile has been added
    kTileBefore,    // or whenever one is to be added
    kTilePartial,   // each tile's own sum loses them before it is added
    kTileSaturate,  // the sum saturates whenever a tile has been added
  };
  enum class LowBits : std::uint8_t { kFloor, kHalfUp, kTowardZero };
  struct AccChoice {
    AccKind kind = AccKind::kGolden;
    int bits = 0;
    std::int64_t tile = 0;
    LowBits low = LowBits::kFloor;
    bool bias_last = false;  // of tiles
  };
  enum class OperandKind : std::uint8_t {
    kGolden,
    kLhsTransposed,
    kRhsTransposed,
    kSwapped,
    kNegated,
    kDepthOrder,  // of one operand
    kRhsColumns,  // whose column is where, the biases being in order
    kOneWeight,   // that of this k for the whole column
    kOneInput,    // likewise of lhs's row
    kMoved,       // an operand's entries from other places
    kOtherBits,   // or read otherwise
  };
  // From where an operand has the entry (k, n) of rhs, or (k, m) of lhs; nowhere: 0.
  using Entry = std::pair<std::int64_t, std::int64_t>;
  using Entries = std::function<Entry(Entry)>;
  struct OperandChoice {
    OperandKind kind = OperandKind::kGolden;
    KnownOrder order = {};
    std::int64_t k = 0;
    std::vector<std::int64_t> columns = {};
    Entries lhs = {}, rhs = {};
    std::function<std::int64_t(std::int64_t)> lhs_value = {}, rhs_value = {};
    std::int64_t lhs_products = 0, rhs_products = 0;  // that of so many products before
  };
  struct DepthChoice {  // terms first .. end-1 are counted so often
    std::int64_t first = 0, end = 0, times = 1;
  };
  // Two products in one multiplication: the upper one loses 1 where the lower one is negative.
  struct BorrowChoice {
    std::int64_t rows = 0, cols = 0;     // to the lower one of the pair
    std::int64_t period = 0, upper = 0;  // the upper ones: index / |distance| % 2 is this
    bool of_sums = false;
  };
  // What the chip held so far back is added: the accumulator was not cleared.
  struct CarryChoice {
    std::int64_t products = 0, rows = 0, cols = 0;
    bool without_bias = false;
  };

 private:
  struct Settings {
    bool lhs_other_sign = false, rhs_other_sign = false;
    ZeroKind lhs_zero = ZeroKind::kGolden, rhs_zero = ZeroKind::kGolden;
    Correction correction;
    const std::vector<std::int64_t>* bias = nullptr;  // one per column
    AccChoice acc;
    OperandChoice operand;
    DepthChoice depth;
    BorrowChoice borrow;
    CarryChoice carry;
    const std::vector<std::int64_t>* lhs_head = nullptr;  // of a group; nullptr: each its own
    const std::vector<std::int64_t>* rhs_head = nullptr;
  };
  struct Place {
    std::int64_t product = 0, row = 0, col = 0;
  };
  // One output's terms, and those of the lower product that shares its multiplications.
  struct Terms {
    std::vector<std::int32_t> lhs, rhs, lower_lhs, lower_rhs;
    // Where the same terms are added up time and again: the sums of the first 0 .. K of the
    // products, and of lhs and rhs.
    std::vector<std::int64_t> partial;
    std::int64_t lhs_sum = 0, rhs_sum = 0;
    std::int64_t bias = 0, lhs_zero = 0, rhs_zero = 0;
    std::int64_t carried = 0;
  };
  // What corrections and limits are taken of.
  struct Sums {
    std::int64_t products = 0, lhs = 0, rhs = 0, count = 0;
  };
  class Solver;

  void Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
               std::span<std::int64_t> out, bool limited) const override;
  // Filled in gemm_choices.cpp.
  void BuildCoordinates();
  void AddOperands();
  void AddAccumulator();
  void AddSolved();  // in gemm_solved.cpp
  Settings SettingsOf(const Hypothesis& point) const;
  Place PlaceOf(std::int64_t element) const;
  std::int64_t ElementOf(const Place& place) const;
  std::int64_t BiasOf(std::int64_t col) const {
    return spec_.bias.empty() ? 0 : spec_.bias[static_cast<std::size_t>(col)];
  }
  // A matrix: entry (k, n) is at[k * k_step + n * step].
  struct Operand {
    const std::int32_t* at = nullptr;
    std::int64_t k_step = 0, step = 0;
  };
  static void Move(const Entries& entries, std::int64_t other, std::int64_t length,
                   const Operand& from, std::vector<std::int32_t>& list);
  std::size_t ProductOf(std::int64_t product, const std::vector<std::int64_t>* heads,
                        std::int64_t before) const;
  Operand OperandOf(const Settings& settings, bool left, std::int64_t product) const;
  // Of the left operand a row's entries for every k, of the right one a column's.
  void Gather(const Settings& settings, bool left, std::int64_t product, std::int64_t other,
              std::vector<std::int32_t>& list) const;
  void AtAll(const Settings& settings, std::span<const std::int64_t> elements,
             std::span<std::int64_t> out) const;
  std::int64_t OfTerms(const Settings& settings, const Place& place, Terms& terms) const;
  std::int64_t At(const Settings& settings, std::int64_t element, Terms& terms) const;
  std::int64_t Accumulate(const Settings& settings, const Terms& terms) const;
  // Fills `partial` and the sums beside it: of terms that each count once.
  static void AddPartialSums(Terms& terms);
  // The same from sums that are known.
  std::int64_t Finish(const Settings& settings, const AccChoice& acc, const Terms& terms,
                      const Sums& sums) const;
  AccChoice AccOf(const Settings& settings) const;
  // Whether nothing but what comes behind the golden sums is another.
  bool IsPlain(const Settings& settings) const;
  std::int64_t PlainAt(const Settings& settings, std::int64_t element, Terms& terms) const;
  void PutColumnsTogether();
  void AddUp();

  GemmSpec spec_;
  // The golden sums: of products by element, of lhs by product and row, of rhs by product and
  // column.
  std::vector<std::int64_t> product_sums_, lhs_sums_, rhs_sums_;
  std::vector<ZeroKind> lhs_zeros_, rhs_zeros_;
  std::vector<Correction> corrections_;
  std::vector<std::vector<std::int64_t>> biases_;
  std::vector<AccChoice> accs_;
  std::vector<OperandChoice> operands_;
  std::vector<DepthChoice> depths_;
  std::vector<BorrowChoice> borrows_;
  std::vector<CarryChoice> carries_;
  std::vector<std::vector<std::int64_t>> lhs_heads_, rhs_heads_;
};

}  // namespace qsim::explain
