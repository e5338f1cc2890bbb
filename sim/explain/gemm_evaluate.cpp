// How the outputs of a matrix product come about under a hypothesis.
#include <algorithm>
#include <numeric>
#include <utility>

#include "sim/explain/gemm_model.h"
#include "sim/explain/narrow.h"

namespace qsim::explain {
namespace {

std::int64_t WithoutLow(std::int64_t value, int bits, GemmModel::LowBits how) {
  const std::int64_t unit = std::int64_t{1} << bits;
  if (how == GemmModel::LowBits::kHalfUp) value += unit / 2;
  if (how == GemmModel::LowBits::kTowardZero && value < 0) return -(-value >> bits << bits);
  return value >> bits << bits;
}

}  // namespace

void GemmModel::Gather(const Settings& settings, const Place& place,
                       std::vector<std::int64_t>& left, std::vector<std::int64_t>& right) const {
  const auto product_of = [&](const std::vector<std::int64_t>* heads) {
    std::int64_t product = place.product;
    if (heads != nullptr) {
      const std::int64_t head = product % spec_.group;
      product += (*heads)[static_cast<std::size_t>(head)] - head;
    }
    return static_cast<std::size_t>(product);
  };
  const OperandChoice& operand = settings.operand;
  const std::int32_t* lhs = spec_.lhs.data() + spec_.lhs_start[product_of(settings.lhs_head)];
  const std::int32_t* rhs = spec_.rhs.data() + spec_.rhs_start[product_of(settings.rhs_head)];
  std::int64_t lhs_row = spec_.lhs_row, lhs_col = spec_.lhs_col;
  std::int64_t rhs_row = spec_.rhs_row, rhs_col = spec_.rhs_col;
  std::int64_t col = place.col;
  if (operand.kind == OperandKind::kLhsTransposed) std::swap(lhs_row, lhs_col);
  if (operand.kind == OperandKind::kRhsTransposed) std::swap(rhs_row, rhs_col);
  if (operand.kind == OperandKind::kSwapped) {
    std::swap(lhs, rhs);
    std::swap(lhs_row, rhs_row);
    std::swap(lhs_col, rhs_col);
  }
  if (operand.kind == OperandKind::kRhsColumns)
    col = operand.columns[static_cast<std::size_t>(col)];
  const auto depth = static_cast<std::size_t>(spec_.depth);
  left.resize(depth);
  right.resize(depth);
  lhs += place.row * lhs_row;
  rhs += col * rhs_col;
  for (std::size_t k = 0; k < depth; ++k) {
    left[k] = lhs[static_cast<std::int64_t>(k) * lhs_col];
    right[k] = rhs[static_cast<std::int64_t>(k) * rhs_row];
  }
  if (operand.kind == OperandKind::kDepthOrder) {
    const std::vector<std::int64_t> own = left;
    for (std::size_t k = 0; k < depth; ++k)
      left[k] = own[static_cast<std::size_t>(
          operand.order.SourceOf(static_cast<std::int64_t>(k), spec_.depth))];
  }
  const auto k_of = static_cast<std::size_t>(operand.k);
  if (operand.kind == OperandKind::kOneWeight) right.assign(depth, std::int64_t{right[k_of]});
  if (operand.kind == OperandKind::kOneInput) left.assign(depth, std::int64_t{left[k_of]});
  if (settings.lhs_other_sign) {
    for (std::int64_t& v : left) v = OtherSign(v, spec_.lhs_bits, spec_.lhs_signed);
  }
  if (settings.rhs_other_sign) {
    for (std::int64_t& v : right) v = OtherSign(v, spec_.rhs_bits, spec_.rhs_signed);
  }
}

GemmModel::AccChoice GemmModel::AccOf(const Settings& settings) const {
  if (settings.acc.kind != AccKind::kGolden || spec_.acc.policy == AccPolicy::kError)
    return settings.acc;
  return {spec_.acc.policy == AccPolicy::kWrap ? AccKind::kWrap : AccKind::kSaturate,
          spec_.acc.bits};
}

std::int64_t GemmModel::Accumulate(const Settings& settings, const Terms& terms) const {
  const AccChoice acc = AccOf(settings);
  const std::vector<std::int64_t>& l = terms.lhs;
  const std::vector<std::int64_t>& r = terms.rhs;
  const std::size_t depth = l.size();
  const DepthChoice& again = settings.depth;
  const auto times = [&](std::size_t k) {
    const auto at = static_cast<std::int64_t>(k);
    return at >= again.first && at < again.end ? again.times : std::int64_t{1};
  };

  const std::int64_t start = acc.bias_last ? 0 : terms.bias;
  std::int64_t sum = start + terms.carried;
  std::int64_t count = 0;
  std::int64_t lhs_sum = 0;
  std::int64_t rhs_sum = 0;
  for (std::size_t k = 0; k < depth; ++k) {
    const std::int64_t n = times(k);
    count += n;
    lhs_sum += n * l[k];
    rhs_sum += n * r[k];
  }
  switch (acc.kind) {
    case AccKind::kSaturate:
      sum = SaturateTo(sum, acc.bits);
      for (std::size_t k = 0; k < depth; ++k)
        sum = SaturateTo(sum + times(k) * l[k] * r[k], acc.bits);
      break;
    case AccKind::kGroupWrap:
    case AccKind::kGroupSaturate:
    case AccKind::kTileAfter:
    case AccKind::kTileBefore:
    case AccKind::kTilePartial: {
      const auto tile = static_cast<std::size_t>(acc.tile);
      for (std::size_t first = 0; first < depth; first += tile) {
        std::int64_t part = 0;
        for (std::size_t k = first; k < std::min(first + tile, depth); ++k) {
          part += times(k) * l[k] * r[k];
          if (acc.kind == AccKind::kGroupSaturate) part = SaturateTo(part, acc.bits);
        }
        if (acc.kind == AccKind::kGroupWrap) part = WrapTo(part, acc.bits);
        if (acc.kind == AccKind::kTilePartial) part = WithoutLow(part, acc.bits, acc.low);
        if (acc.kind == AccKind::kTileBefore) sum = WithoutLow(sum, acc.bits, acc.low);
        sum += part;
        if (acc.kind == AccKind::kTileAfter) sum = WithoutLow(sum, acc.bits, acc.low);
      }
      if (acc.bias_last) sum += terms.bias;
      break;
    }
    case AccKind::kGolden:
    case AccKind::kExact:
    case AccKind::kWrap:
    case AccKind::kSaturateFinal:
    case AccKind::kDropLow:
    case AccKind::kClearLow:
      for (std::size_t k = 0; k < depth; ++k) sum += l[k] * r[k];
      for (std::int64_t k = again.first; k < again.end; ++k) {
        const auto at = static_cast<std::size_t>(k);
        sum += (again.times - 1) * l[at] * r[at];
      }
      break;
  }
  if (!terms.lower_lhs.empty()) {
    std::int64_t lower = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      const std::int64_t product = terms.lower_lhs[k] * terms.lower_rhs[k];
      lower += product;
      if (!settings.borrow.of_sums && product < 0) --sum;
    }
    if (settings.borrow.of_sums && lower < 0) --sum;
  }

  return Finish(settings, acc, terms, {sum, lhs_sum, rhs_sum, count});
}

std::int64_t GemmModel::Finish(const Settings& settings, const AccChoice& acc, const Terms& terms,
                               const Sums& sums) const {
  std::int64_t sum = sums.products;
  const auto zero_of = [](ZeroKind kind, std::int64_t zero) {
    if (kind == ZeroKind::kIgnored) return std::int64_t{0};
    return kind == ZeroKind::kAdded ? -zero : zero;
  };
  const std::int64_t lhs_zero = zero_of(settings.lhs_zero, terms.lhs_zero);
  const std::int64_t rhs_zero = zero_of(settings.rhs_zero, terms.rhs_zero);
  std::int64_t row_term = -rhs_zero * sums.lhs;
  std::int64_t column_term = -lhs_zero * sums.rhs;
  std::int64_t constant = sums.count * lhs_zero * rhs_zero;
  if (const Correction& other = settings.correction; !other.golden) {
    row_term = other.row_sums * (other.of_terms ? row_term : sums.lhs);
    column_term = other.column_sums * (other.of_terms ? column_term : sums.rhs);
    constant = other.constant * (other.of_terms ? constant : 1);
  }
  const bool every = acc.kind == AccKind::kSaturate;
  for (const std::int64_t term : {row_term, column_term, constant}) {
    if (term != 0) sum = every ? SaturateTo(sum + term, acc.bits) : sum + term;
  }
  if (settings.operand.kind == OperandKind::kNegated) sum = -sum;
  if (acc.kind == AccKind::kWrap) return WrapTo(sum, acc.bits);
  if (acc.kind == AccKind::kSaturateFinal) return SaturateTo(sum, acc.bits);
  if (acc.kind == AccKind::kDropLow) return sum >> acc.bits;
  if (acc.kind == AccKind::kClearLow) return WithoutLow(sum, acc.bits, acc.low);
  return WrapTo(sum, 32);
}

void GemmModel::AddUp() {
  const auto depth = static_cast<std::size_t>(spec_.depth);
  const auto cols = static_cast<std::size_t>(spec_.cols);
  product_sums_.resize(static_cast<std::size_t>(size()));
  std::vector<std::int32_t> left(depth);
  std::vector<std::int32_t> right;  // column by column
  for (std::int64_t p = 0; p < spec_.products; ++p) {
    const auto at = static_cast<std::size_t>(p);
    const std::int32_t* rhs = spec_.rhs.data() + spec_.rhs_start[at];
    if (p == 0 || spec_.rhs_start[at] != spec_.rhs_start[at - 1]) {
      right.resize(cols * depth);
      for (std::size_t n = 0; n < cols; ++n)
        for (std::size_t k = 0; k < depth; ++k)
          right[n * depth + k] = rhs[static_cast<std::int64_t>(k) * spec_.rhs_row +
                                     static_cast<std::int64_t>(n) * spec_.rhs_col];
    }
    const auto sum_of = [depth](const std::int32_t* from) {
      return std::accumulate(from, from + depth, std::int64_t{0});
    };
    for (std::size_t n = 0; n < cols; ++n) rhs_sums_.push_back(sum_of(&right[n * depth]));
    for (std::int64_t m = 0; m < spec_.rows; ++m) {
      const std::int32_t* lhs = spec_.lhs.data() + spec_.lhs_start[at] + m * spec_.lhs_row;
      for (std::size_t k = 0; k < depth; ++k)
        left[k] = lhs[static_cast<std::int64_t>(k) * spec_.lhs_col];
      lhs_sums_.push_back(sum_of(left.data()));
      for (std::size_t n = 0; n < cols; ++n) {
        const std::int32_t* column = &right[n * depth];
        std::int64_t sum = 0;
        for (std::size_t k = 0; k < depth; ++k) sum += std::int64_t{left[k]} * column[k];
        product_sums_[static_cast<std::size_t>(ElementOf({p, m, static_cast<std::int64_t>(n)}))] =
            sum;
      }
    }
  }
}

bool GemmModel::IsPlain(const Settings& settings) const {
  const AccKind acc = AccOf(settings).kind;
  const bool last = acc == AccKind::kGolden || acc == AccKind::kExact || acc == AccKind::kWrap ||
                    acc == AccKind::kSaturateFinal || acc == AccKind::kDropLow ||
                    acc == AccKind::kClearLow;
  const OperandKind operand = settings.operand.kind;
  const CarryChoice& carry = settings.carry;
  return last && !settings.lhs_other_sign && !settings.rhs_other_sign &&
         (operand == OperandKind::kGolden || operand == OperandKind::kNegated) &&
         settings.depth.times == 1 && settings.borrow.period == 0 &&
         carry.products + carry.rows + carry.cols == 0 && settings.lhs_head == nullptr &&
         settings.rhs_head == nullptr;
}

std::int64_t GemmModel::PlainAt(const Settings& settings, std::int64_t element,
                                Terms& terms) const {
  const Place place = PlaceOf(element);
  const auto column = static_cast<std::size_t>(place.product * spec_.cols + place.col);
  terms.lhs_zero = spec_.lhs_zero[static_cast<std::size_t>(place.product)];
  terms.rhs_zero = spec_.rhs_zero[column];
  std::int64_t sum = product_sums_[static_cast<std::size_t>(element)];
  if (!settings.bias->empty()) sum += (*settings.bias)[static_cast<std::size_t>(place.col)];
  return Finish(settings, AccOf(settings), terms,
                {sum, lhs_sums_[static_cast<std::size_t>(place.product * spec_.rows + place.row)],
                 rhs_sums_[column], spec_.depth});
}

std::int64_t GemmModel::At(const Settings& settings, std::int64_t element, Terms& terms) const {
  const Place place = PlaceOf(element);
  Gather(settings, place, terms.lhs, terms.rhs);
  terms.bias = settings.bias->empty() ? 0 : (*settings.bias)[static_cast<std::size_t>(place.col)];
  terms.lhs_zero = spec_.lhs_zero[static_cast<std::size_t>(place.product)];
  terms.rhs_zero = spec_.rhs_zero[static_cast<std::size_t>(place.product * spec_.cols + place.col)];
  terms.lower_lhs.clear();
  if (const BorrowChoice& borrow = settings.borrow; borrow.period != 0) {
    const std::int64_t index = borrow.rows != 0 ? place.row : place.col;
    const Place lower = {place.product, place.row + borrow.rows, place.col + borrow.cols};
    const bool inside =
        lower.row >= 0 && lower.row < spec_.rows && lower.col >= 0 && lower.col < spec_.cols;
    if (inside && index / borrow.period % 2 == borrow.upper)
      Gather(settings, lower, terms.lower_lhs, terms.lower_rhs);
  }
  terms.carried = 0;
  if (const CarryChoice& carry = settings.carry;
      carry.products != 0 || carry.rows != 0 || carry.cols != 0) {
    const Place from = {place.product - carry.products, place.row - carry.rows,
                        place.col - carry.cols};
    if (from.product >= 0 && from.row >= 0 && from.col >= 0) {
      terms.carried = actual()[static_cast<std::size_t>(ElementOf(from))];
      if (carry.without_bias) terms.bias = 0;
    }
  }
  return Accumulate(settings, terms);
}

}  // namespace qsim::explain
