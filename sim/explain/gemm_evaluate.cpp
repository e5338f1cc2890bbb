// How the outputs of a matrix product come about under a hypothesis.
#include <algorithm>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "sim/explain/gemm_model.h"
#include "sim/explain/narrow.h"

namespace qsim::explain {
namespace {

std::int64_t Dot(std::span<const std::int32_t> l, std::span<const std::int32_t> r,
                 std::size_t first, std::size_t end) {
  std::int64_t sum = 0;
  for (std::size_t k = first; k < end; ++k) sum += std::int64_t{l[k]} * r[k];
  return sum;
}

std::int64_t WithoutLow(std::int64_t value, int bits, GemmModel::LowBits how) {
  const std::int64_t unit = std::int64_t{1} << bits;
  if (how == GemmModel::LowBits::kHalfUp) value += unit / 2;
  if (how == GemmModel::LowBits::kTowardZero && value < 0) return -(-value >> bits << bits);
  return value >> bits << bits;
}

}  // namespace

// Entries (k, other) for every k, of `length` others.
void GemmModel::Move(const Entries& entries, std::int64_t other, std::int64_t length,
                     const Operand& from, std::vector<std::int32_t>& list) {
  const std::int64_t depth = std::ssize(list);
  for (std::int64_t k = 0; k < depth; ++k) {
    const auto [k_of, of] = entries({k, other});
    const bool inside = k_of >= 0 && k_of < depth && of >= 0 && of < length;
    list[static_cast<std::size_t>(k)] = inside ? from.at[k_of * from.k_step + of * from.step] : 0;
  }
}

std::size_t GemmModel::ProductOf(std::int64_t product, const std::vector<std::int64_t>* heads,
                                 std::int64_t before) const {
  const std::int64_t own = product;
  product -= before;
  if (product < 0 || product >= spec_.products) product = own;
  if (heads != nullptr) {
    const std::int64_t head = product % spec_.group;
    product += (*heads)[static_cast<std::size_t>(head)] - head;
  }
  return static_cast<std::size_t>(product);
}

GemmModel::Operand GemmModel::OperandOf(const Settings& settings, bool left,
                                        std::int64_t product) const {
  const OperandChoice& operand = settings.operand;
  const bool swapped = operand.kind == OperandKind::kSwapped;
  const bool of_left = left != swapped;
  const std::size_t of = of_left ? ProductOf(product, settings.lhs_head, operand.lhs_products)
                                 : ProductOf(product, settings.rhs_head, operand.rhs_products);
  Operand from =
      of_left ? Operand{spec_.lhs.data() + spec_.lhs_start[of], spec_.lhs_col, spec_.lhs_row}
              : Operand{spec_.rhs.data() + spec_.rhs_start[of], spec_.rhs_row, spec_.rhs_col};
  const OperandKind transposed = left ? OperandKind::kLhsTransposed : OperandKind::kRhsTransposed;
  if (swapped || operand.kind == transposed) std::swap(from.k_step, from.step);
  return from;
}

void GemmModel::Gather(const Settings& settings, bool left, std::int64_t product,
                       std::int64_t other, std::vector<std::int32_t>& list) const {
  const OperandChoice& operand = settings.operand;
  if (!left && operand.kind == OperandKind::kRhsColumns)
    other = operand.columns[static_cast<std::size_t>(other)];
  const Operand from = OperandOf(settings, left, product);
  const auto depth = static_cast<std::size_t>(spec_.depth);
  list.resize(depth);
  if (const Entries& entries = left ? operand.lhs : operand.rhs) {
    Move(entries, other, left ? spec_.rows : spec_.cols, from, list);
  } else if (from.k_step == 1) {
    std::copy_n(from.at + other * from.step, depth, list.begin());
  } else {
    for (std::size_t k = 0; k < depth; ++k)
      list[k] = from.at[other * from.step + static_cast<std::int64_t>(k) * from.k_step];
  }
  if (left && operand.kind == OperandKind::kDepthOrder) {
    const std::vector<std::int32_t> own = list;
    for (std::size_t k = 0; k < depth; ++k)
      list[k] = own[static_cast<std::size_t>(
          operand.order.SourceOf(static_cast<std::int64_t>(k), spec_.depth))];
  }
  if (operand.kind == (left ? OperandKind::kOneInput : OperandKind::kOneWeight))
    list.assign(depth, std::int32_t{list[static_cast<std::size_t>(operand.k)]});
  if (const auto& value = left ? operand.lhs_value : operand.rhs_value)
    std::transform(list.begin(), list.end(), list.begin(),
                   [&](std::int32_t v) { return static_cast<std::int32_t>(value(v)); });
  if (left ? settings.lhs_other_sign : settings.rhs_other_sign) {
    for (std::int32_t& v : list)
      v = static_cast<std::int32_t>(OtherSign(v, left ? spec_.lhs_bits : spec_.rhs_bits,
                                              left ? spec_.lhs_signed : spec_.rhs_signed));
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
  const std::vector<std::int32_t>& l = terms.lhs;
  const std::vector<std::int32_t>& r = terms.rhs;
  const std::size_t depth = l.size();
  const DepthChoice& again = settings.depth;
  const auto times = [&](std::size_t k) {
    const auto at = static_cast<std::int64_t>(k);
    return at >= again.first && at < again.end ? again.times : std::int64_t{1};
  };

  const std::int64_t start = acc.bias_last ? 0 : terms.bias;
  std::int64_t sum = start + terms.carried;
  auto count = static_cast<std::int64_t>(depth);
  const bool known = !terms.partial.empty() && again.times == 1;
  std::int64_t lhs_sum = terms.lhs_sum;
  std::int64_t rhs_sum = terms.rhs_sum;
  const bool corrected = !settings.correction.golden || terms.lhs_zero != 0 || terms.rhs_zero != 0;
  if (!known && corrected) {
    lhs_sum = std::accumulate(l.begin(), l.end(), std::int64_t{0});
    rhs_sum = std::accumulate(r.begin(), r.end(), std::int64_t{0});
  }
  if (again.times != 1) {
    for (auto k = static_cast<std::size_t>(again.first); k < static_cast<std::size_t>(again.end);
         ++k) {
      count += again.times - 1;
      lhs_sum += (again.times - 1) * l[k];
      rhs_sum += (again.times - 1) * r[k];
    }
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
    case AccKind::kTilePartial:
    case AccKind::kTileSaturate: {
      const auto tile = static_cast<std::size_t>(acc.tile);
      for (std::size_t first = 0; first < depth; first += tile) {
        const std::size_t end = std::min(first + tile, depth);
        std::int64_t part = 0;
        if (known && acc.kind != AccKind::kGroupSaturate) {
          part = terms.partial[end] - terms.partial[first];
        } else if (again.times == 1 && acc.kind != AccKind::kGroupSaturate) {
          part = Dot(l, r, first, end);
        } else {
          for (std::size_t k = first; k < end; ++k) {
            part += times(k) * l[k] * r[k];
            if (acc.kind == AccKind::kGroupSaturate) part = SaturateTo(part, acc.bits);
          }
        }
        if (acc.kind == AccKind::kGroupWrap) part = WrapTo(part, acc.bits);
        if (acc.kind == AccKind::kTilePartial) part = WithoutLow(part, acc.bits, acc.low);
        if (acc.kind == AccKind::kTileBefore) sum = WithoutLow(sum, acc.bits, acc.low);
        sum += part;
        if (acc.kind == AccKind::kTileAfter) sum = WithoutLow(sum, acc.bits, acc.low);
        if (acc.kind == AccKind::kTileSaturate) sum = SaturateTo(sum, acc.bits);
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
      sum += Dot(l, r, 0, depth);
      for (std::int64_t k = again.first; k < again.end; ++k) {
        const auto at = static_cast<std::size_t>(k);
        sum += (again.times - 1) * l[at] * r[at];
      }
      break;
  }
  if (!terms.lower_lhs.empty()) {
    std::int64_t lower = 0;
    for (std::size_t k = 0; k < depth; ++k) {
      const std::int64_t product = std::int64_t{terms.lower_lhs[k]} * terms.lower_rhs[k];
      lower += product;
      if (!settings.borrow.of_sums && product < 0) --sum;
    }
    if (settings.borrow.of_sums && lower < 0) --sum;
  }

  return Finish(settings, acc, terms, {sum, lhs_sum, rhs_sum, count});
}

void GemmModel::AddPartialSums(Terms& terms) {
  terms.partial.assign(1, 0);
  terms.partial.reserve(terms.lhs.size() + 1);
  for (std::size_t k = 0; k < terms.lhs.size(); ++k)
    terms.partial.push_back(terms.partial.back() + std::int64_t{terms.lhs[k]} * terms.rhs[k]);
  terms.lhs_sum = std::accumulate(terms.lhs.begin(), terms.lhs.end(), std::int64_t{0});
  terms.rhs_sum = std::accumulate(terms.rhs.begin(), terms.rhs.end(), std::int64_t{0});
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

// Whatever the layout, a column's entries are neighbours then: they are gathered time and again.
void GemmModel::PutColumnsTogether() {
  if (spec_.rhs_row == 1) return;
  std::vector<std::int32_t> rhs;
  std::map<std::int64_t, std::int64_t> starts;  // the new ones by the old ones
  for (std::int64_t& start : spec_.rhs_start) {
    const auto [place, added] = starts.emplace(start, std::ssize(rhs));
    if (added) {
      for (std::int64_t n = 0; n < spec_.cols; ++n)
        for (std::int64_t k = 0; k < spec_.depth; ++k)
          rhs.push_back(
              spec_.rhs[static_cast<std::size_t>(start + k * spec_.rhs_row + n * spec_.rhs_col)]);
    }
    start = place->second;
  }
  spec_.rhs = std::move(rhs);
  spec_.rhs_row = 1;
  spec_.rhs_col = spec_.depth;
}

void GemmModel::AddUp() {
  const auto depth = static_cast<std::size_t>(spec_.depth);
  product_sums_.resize(static_cast<std::size_t>(size()));
  std::vector<std::int32_t> left(depth);
  const auto sum_of = [](std::span<const std::int32_t> list) {
    return std::accumulate(list.begin(), list.end(), std::int64_t{0});
  };
  for (std::int64_t p = 0; p < spec_.products; ++p) {
    const auto at = static_cast<std::size_t>(p);
    const auto column = [&](std::int64_t n) {
      return std::span(spec_.rhs.data() + spec_.rhs_start[at] + n * spec_.rhs_col, depth);
    };
    for (std::int64_t n = 0; n < spec_.cols; ++n) rhs_sums_.push_back(sum_of(column(n)));
    for (std::int64_t m = 0; m < spec_.rows; ++m) {
      const std::int32_t* lhs = spec_.lhs.data() + spec_.lhs_start[at] + m * spec_.lhs_row;
      for (std::size_t k = 0; k < depth; ++k)
        left[k] = lhs[static_cast<std::int64_t>(k) * spec_.lhs_col];
      lhs_sums_.push_back(sum_of(left));
      for (std::int64_t n = 0; n < spec_.cols; ++n)
        product_sums_[static_cast<std::size_t>(ElementOf({p, m, n}))] =
            Dot(left, column(n), 0, depth);
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
  Gather(settings, /*left=*/true, place.product, place.row, terms.lhs);
  Gather(settings, /*left=*/false, place.product, place.col, terms.rhs);
  return OfTerms(settings, place, terms);
}

// One after the other: neighbours have their row in common, and the rows of a product its columns.
void GemmModel::AtAll(const Settings& settings, std::span<const std::int64_t> elements,
                      std::span<std::int64_t> out) const {
  const bool one_right = std::all_of(spec_.rhs_start.begin(), spec_.rhs_start.end(),
                                     [&](auto start) { return start == spec_.rhs_start[0]; });
  struct Column {
    std::int64_t product = -1;
    std::vector<std::int32_t> entries;
  };
  std::vector<Column> columns(static_cast<std::size_t>(spec_.heads * spec_.cols));
  Place last = {-1, -1, -1};
  Terms terms;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Place place = PlaceOf(elements[i]);
    if (place.product != last.product || place.row != last.row)
      Gather(settings, /*left=*/true, place.product, place.row, terms.lhs);
    last = place;
    Column& column =
        columns[static_cast<std::size_t>(place.product % spec_.heads * spec_.cols + place.col)];
    const std::int64_t product = one_right ? 0 : place.product;
    if (column.product != product) {
      Gather(settings, /*left=*/false, place.product, place.col, column.entries);
      column.product = product;
    }
    terms.rhs.swap(column.entries);
    out[i] = OfTerms(settings, place, terms);
    terms.rhs.swap(column.entries);
  }
}

std::int64_t GemmModel::OfTerms(const Settings& settings, const Place& place, Terms& terms) const {
  terms.bias = settings.bias->empty() ? 0 : (*settings.bias)[static_cast<std::size_t>(place.col)];
  terms.lhs_zero = spec_.lhs_zero[static_cast<std::size_t>(place.product)];
  terms.rhs_zero = spec_.rhs_zero[static_cast<std::size_t>(place.product * spec_.cols + place.col)];
  terms.lower_lhs.clear();
  if (const BorrowChoice& borrow = settings.borrow; borrow.period != 0) {
    const std::int64_t index = borrow.rows != 0 ? place.row : place.col;
    const Place lower = {place.product, place.row + borrow.rows, place.col + borrow.cols};
    const bool inside =
        lower.row >= 0 && lower.row < spec_.rows && lower.col >= 0 && lower.col < spec_.cols;
    if (inside && index / borrow.period % 2 == borrow.upper) {
      Gather(settings, /*left=*/true, lower.product, lower.row, terms.lower_lhs);
      Gather(settings, /*left=*/false, lower.product, lower.col, terms.lower_rhs);
    }
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
