#include "sim/explain/gemm_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qsim::explain {
namespace {

std::int64_t WrapTo(std::int64_t value, int bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return ((value + half) & (2 * half - 1)) - half;
}

std::int64_t SaturateTo(std::int64_t value, int bits) {
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return std::clamp(value, -half, half - 1);
}

// The same bits read with the other signedness.
std::int64_t OtherSign(std::int64_t value, int bits, bool is_signed) {
  return is_signed ? value & ((std::int64_t{1} << bits) - 1) : WrapTo(value, bits);
}

std::int64_t WithoutLow(std::int64_t value, int bits, GemmModel::LowBits how) {
  const std::int64_t unit = std::int64_t{1} << bits;
  if (how == GemmModel::LowBits::kHalfUp) value += unit / 2;
  if (how == GemmModel::LowBits::kTowardZero && value < 0) return -(-value >> bits << bits);
  return value >> bits << bits;
}

OutputRange RangeOf(const Accumulator& acc) {
  const int bits = acc.policy == AccPolicy::kError ? 32 : acc.bits;
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return {-half, half - 1};
}

}  // namespace

GemmModel::GemmModel(GemmSpec spec, std::span<const std::int64_t> actual)
    : OperationModel(spec.shape, spec.axis_names, RangeOf(spec.acc), actual),
      spec_(std::move(spec)) {
  BuildCoordinates();
  ComputeGolden();
  AddSolved();
  AddOutputRules();
}

GemmModel::Settings GemmModel::SettingsOf(const Hypothesis& point) const {
  Settings settings;
  settings.lhs_other_sign = point[0] != 0;
  settings.rhs_other_sign = point[1] != 0;
  settings.lhs_zero = lhs_zeros_[point[2]];
  settings.rhs_zero = rhs_zeros_[point[3]];
  settings.correction = corrections_[point[4]];
  settings.bias = &biases_[point[5]];
  settings.acc = accs_[point[6]];
  settings.operand = operands_[point[7]];
  settings.depth = depths_[point[8]];
  settings.borrow = borrows_[point[9]];
  settings.carry = carries_[point[10]];
  if (point[11] != 0) settings.lhs_head = &lhs_heads_[point[11]];
  if (point[12] != 0) settings.rhs_head = &rhs_heads_[point[12]];
  return settings;
}

GemmModel::Place GemmModel::PlaceOf(std::int64_t element) const {
  const std::int64_t col = element % spec_.cols;
  element /= spec_.cols;
  const std::int64_t head = element % spec_.heads;
  element /= spec_.heads;
  return {element / spec_.rows * spec_.heads + head, element % spec_.rows, col};
}

std::int64_t GemmModel::ElementOf(const Place& place) const {
  const std::int64_t image = place.product / spec_.heads;
  const std::int64_t head = place.product % spec_.heads;
  return ((image * spec_.rows + place.row) * spec_.heads + head) * spec_.cols + place.col;
}

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

std::int64_t GemmModel::Accumulate(const Settings& settings, const Terms& terms) const {
  AccChoice acc = settings.acc;
  if (acc.kind == AccKind::kGolden && spec_.acc.policy != AccPolicy::kError)
    acc = {spec_.acc.policy == AccPolicy::kWrap ? AccKind::kWrap : AccKind::kSaturate,
           spec_.acc.bits};
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

  const auto zero_of = [](ZeroKind kind, std::int64_t zero) {
    if (kind == ZeroKind::kIgnored) return std::int64_t{0};
    return kind == ZeroKind::kAdded ? -zero : zero;
  };
  const std::int64_t lhs_zero = zero_of(settings.lhs_zero, terms.lhs_zero);
  const std::int64_t rhs_zero = zero_of(settings.rhs_zero, terms.rhs_zero);
  std::int64_t row_term = -rhs_zero * lhs_sum;
  std::int64_t column_term = -lhs_zero * rhs_sum;
  std::int64_t constant = count * lhs_zero * rhs_zero;
  if (const Correction& other = settings.correction; !other.golden) {
    row_term = other.row_sums * (other.of_terms ? row_term : lhs_sum);
    column_term = other.column_sums * (other.of_terms ? column_term : rhs_sum);
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

void GemmModel::Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
                        std::span<std::int64_t> out, bool /*limited*/) const {
  const Settings settings = SettingsOf(point);
  Terms terms;
  for (std::size_t i = 0; i < elements.size(); ++i) out[i] = At(settings, elements[i], terms);
}

std::vector<Feature> GemmModel::Features() const {
  std::vector<Feature> features = OperationModel::Features();
  if (spec_.heads > 1)
    features.insert(features.begin(),
                    {Feature::Kind::kIndex,
                     "head",
                     {},
                     spec_.heads,
                     [this](std::int64_t e) { return e / spec_.cols % spec_.heads; },
                     Feature::Of::kAxis});
  return features;
}

std::vector<std::string> GemmModel::Observe(std::span<const std::int64_t>) const { return {}; }

// Nothing is known of an element without computing it: a spread over all of them is as good.
double GemmModel::Interest(std::int64_t element) const {
  return static_cast<double>(static_cast<std::uint64_t>(element) * 0x9e3779b97f4a7c15ULL >> 11);
}

std::optional<Separation> GemmModel::Separate(const Hypothesis& a, const Hypothesis& b) const {
  const Settings first = SettingsOf(a);
  const Settings second = SettingsOf(b);
  // Rows and columns of one value each: they say nothing about places and neighbours.
  const auto positional = [](const Settings& s) {
    return (s.operand.kind != OperandKind::kGolden && s.operand.kind != OperandKind::kNegated) ||
           s.borrow.period != 0 || s.carry.products + s.carry.rows + s.carry.cols != 0 ||
           s.lhs_head != nullptr || s.rhs_head != nullptr;
  };
  if (!SamePlaces(a, b) || positional(first) || positional(second)) return std::nullopt;
  const auto levels = [](int bits, bool is_signed) {
    if (bits == 0) return std::vector<std::int64_t>{0, 1, 32768};
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    return is_signed ? std::vector<std::int64_t>{half - 1, -half, 1, -1, 0}
                     : std::vector<std::int64_t>{2 * half - 1, 1, 0};
  };
  const auto depth = static_cast<std::size_t>(spec_.depth);
  for (const std::int64_t l : levels(spec_.lhs_bits, spec_.lhs_signed)) {
    for (const std::int64_t r : levels(spec_.rhs_bits, spec_.rhs_signed)) {
      for (const bool alternate : {false, true}) {
        const std::int64_t back = spec_.rhs_signed ? -1 - r : 0;
        const auto compute = [&](const Hypothesis& point, const Settings& s) {
          Terms terms;
          terms.lhs.assign(depth,
                           s.lhs_other_sign ? OtherSign(l, spec_.lhs_bits, spec_.lhs_signed) : l);
          for (std::size_t k = 0; k < depth; ++k) {
            // The second half takes back what the first one brought.
            const std::int64_t value = alternate && 2 * k >= depth ? back : r;
            terms.rhs.push_back(
                s.rhs_other_sign ? OtherSign(value, spec_.rhs_bits, spec_.rhs_signed) : value);
          }
          terms.bias = s.bias->empty() ? 0 : s.bias->front();
          terms.lhs_zero = spec_.lhs_zero[0];
          terms.rhs_zero = spec_.rhs_zero[0];
          return AtLimits(point, Accumulate(s, terms));
        };
        const std::int64_t y_first = compute(a, first);
        const std::int64_t y_second = compute(b, second);
        if (y_first == y_second) continue;
        std::string input = fmt::format(
            "in column 0 a left row of {} {}s and a right column of {}s", spec_.depth, l, r);
        if (alternate) input += fmt::format(", the second half {}s", back);
        return Separation{input, y_first, y_second};
      }
    }
  }
  return std::nullopt;
}

}  // namespace qsim::explain
