#include "sim/explain/gemm_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/explain/narrow.h"

namespace qsim::explain {
namespace {

OutputRange RangeOf(const Accumulator& acc) {
  const int bits = acc.policy == AccPolicy::kError ? 32 : acc.bits;
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  return {-half, half - 1};
}

}  // namespace

GemmModel::GemmModel(GemmSpec spec, std::span<const std::int64_t> actual)
    : OperationModel(spec.shape, spec.axis_names, RangeOf(spec.acc), actual),
      spec_(std::move(spec)) {
  PutColumnsTogether();
  AddUp();
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

void GemmModel::Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
                        std::span<std::int64_t> out, bool /*limited*/) const {
  const Settings settings = SettingsOf(point);
  if (!IsPlain(settings)) return AtAll(settings, elements, out);
  Terms terms;
  for (std::size_t i = 0; i < elements.size(); ++i) out[i] = PlainAt(settings, elements[i], terms);
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
          terms.lhs.assign(
              depth, static_cast<std::int32_t>(
                         s.lhs_other_sign ? OtherSign(l, spec_.lhs_bits, spec_.lhs_signed) : l));
          for (std::size_t k = 0; k < depth; ++k) {
            // The second half takes back what the first one brought.
            const std::int64_t value = alternate && 2 * k >= depth ? back : r;
            terms.rhs.push_back(static_cast<std::int32_t>(
                s.rhs_other_sign ? OtherSign(value, spec_.rhs_bits, spec_.rhs_signed) : value));
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
