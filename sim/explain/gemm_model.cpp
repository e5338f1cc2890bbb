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

}  // namespace

GemmModel::GemmModel(GemmSpec spec) : spec_(std::move(spec)) { BuildCoordinates(); }

void GemmModel::BuildCoordinates() {
  for (const char* name :
       {"lhs", "rhs", "lhs_zero", "rhs_zero", "bias", "accumulator", "order", "depth"}) {
    coordinates_.push_back({name, {{"golden", "as given", 0, true}}});
  }
  AddOperands();
  AddAccumulator();
  AddOrder();
}

void GemmModel::AddOperands() {
  const auto add_sign = [this](std::size_t coordinate, const char* name, int bits, bool is_signed) {
    if (bits == 0) return;
    coordinates_[coordinate].choices.push_back(
        {is_signed ? "unsigned" : "signed",
         fmt::format("the {} operand read as {}", name, is_signed ? "unsigned" : "signed")});
  };
  add_sign(0, "left", spec_.lhs_bits, spec_.lhs_signed);
  add_sign(1, "right", spec_.rhs_bits, spec_.rhs_signed);
  const auto add_zero = [this](std::size_t coordinate, const char* name,
                               const std::vector<std::int64_t>& zeros,
                               std::vector<ZeroKind>& settings) {
    settings.push_back(ZeroKind::kGolden);
    if (std::all_of(zeros.begin(), zeros.end(), [](std::int64_t z) { return z == 0; })) return;
    auto& choices = coordinates_[coordinate].choices;
    settings.push_back(ZeroKind::kIgnored);
    choices.push_back({"ignored", fmt::format("the {} operand's zero point ignored", name)});
    settings.push_back(ZeroKind::kAdded);
    choices.push_back(
        {"added", fmt::format("the {} operand's zero point added, not subtracted", name)});
  };
  add_zero(2, "left", spec_.lhs_zero, lhs_zeros_);
  add_zero(3, "right", spec_.rhs_zero, rhs_zeros_);
  biases_.push_back(BiasKind::kGolden);
  if (std::all_of(spec_.bias.begin(), spec_.bias.end(), [](std::int64_t b) { return b == 0; }))
    return;
  const auto add_bias = [this](BiasKind kind, const char* id, const char* phrase, int cost) {
    biases_.push_back(kind);
    coordinates_[4].choices.push_back({id, phrase, cost});
  };
  add_bias(BiasKind::kMissing, "missing", "the bias left out", 2);
  add_bias(BiasKind::kTwice, "twice", "the bias added twice", 2);
  add_bias(BiasKind::kSubtracted, "subtracted", "the bias subtracted", 2);
  add_bias(BiasKind::kNext, "next", "the next column's bias", 3);
  add_bias(BiasKind::kPrevious, "previous", "the previous column's bias", 3);
}

void GemmModel::AddAccumulator() {
  accs_.push_back({});
  auto& choices = coordinates_[5].choices;
  const auto add = [&](AccKind kind, int bits, std::string id, std::string phrase, int cost) {
    accs_.push_back({kind, bits});
    choices.push_back({std::move(id), std::move(phrase), cost});
  };
  if (spec_.acc.policy != AccPolicy::kError)
    add(AccKind::kExact, 32, "wrap_32", "the accumulator has 32 bits", 2);
  for (int bits = 31; bits >= 8; --bits) {
    const int cost = bits % 8 == 0 ? 2 : 3;
    if (spec_.acc != Accumulator{bits, AccPolicy::kWrap})
      add(AccKind::kWrap, bits, fmt::format("wrap_{}", bits),
          fmt::format("the accumulator wraps to {} bits", bits), cost);
    if (spec_.acc != Accumulator{bits, AccPolicy::kSaturate})
      add(AccKind::kSaturate, bits, fmt::format("saturate_{}", bits),
          fmt::format("the accumulator saturates at {} bits in every addition", bits), cost);
    add(AccKind::kSaturateFinal, bits, fmt::format("saturate_{}_at_the_end", bits),
        fmt::format("the final sum saturates at {} bits", bits), cost);
  }
  for (int bits = 1; bits <= 16; ++bits)
    add(AccKind::kDropLow, bits, fmt::format("drop_{}", bits),
        fmt::format("the sum loses its lowest {}",
                    bits == 1 ? "bit" : fmt::format("{} bits", bits)),
        3);
}

void GemmModel::AddOrder() {
  orders_.push_back(OrderKind::kGolden);
  const auto add = [this](OrderKind kind, const char* id, const char* phrase, int cost) {
    orders_.push_back(kind);
    coordinates_[6].choices.push_back({id, phrase, cost});
  };
  const std::int64_t depth = spec_.depth;
  if (depth == spec_.cols && depth > 1)
    add(OrderKind::kRhsTransposed, "rhs_transposed", "the right operand transposed", 2);
  if (depth == spec_.rows && depth > 1)
    add(OrderKind::kLhsTransposed, "lhs_transposed", "the left operand transposed", 2);
  if (spec_.rows == spec_.cols && spec_.rows > 1)
    add(OrderKind::kOutputTransposed, "output_transposed", "the output transposed", 2);
  if (depth == spec_.cols && depth == spec_.rows && depth > 1)
    add(OrderKind::kSwapped, "operands_swapped", "the operands swapped", 2);
  if (depth > 1)
    add(OrderKind::kDepthReversed, "depth_reversed",
        "one operand's contraction axis in reverse order", 3);
  if (spec_.rows > 1) add(OrderKind::kRowLate, "row_late", "the output one row late", 3);
  add(OrderKind::kNegated, "negated", "the sum negated", 3);

  depths_.push_back({});
  const auto add_depth = [this](DepthChoice choice, std::string id, std::string phrase, int cost) {
    depths_.push_back(choice);
    coordinates_[7].choices.push_back({std::move(id), std::move(phrase), cost});
  };
  if (depth < 2) return;
  add_depth({0, 1}, "last_missing", "the last term of each sum missing", 2);
  add_depth({1, 0}, "first_missing", "the first term of each sum missing", 2);
  for (const std::int64_t tile : {4, 8, 16, 32, 64, 128}) {
    const std::int64_t rest = depth % tile == 0 ? tile : depth % tile;
    if (rest == depth || rest == 1) continue;
    const auto same = [&](const DepthChoice& d) { return d.missing == rest; };
    if (std::any_of(depths_.begin(), depths_.end(), same)) continue;
    add_depth({0, rest}, fmt::format("last_{}_missing", rest),
              fmt::format("the last {} terms of each sum missing", rest), 3);
    add_depth({tile, 0}, fmt::format("first_{}_missing", tile),
              fmt::format("the first {} terms of each sum missing", tile), 3);
  }
}

GemmModel::Settings GemmModel::SettingsOf(const Hypothesis& point) const {
  return {point[0] != 0,     point[1] != 0,   lhs_zeros_[point[2]], rhs_zeros_[point[3]],
          biases_[point[4]], accs_[point[5]], orders_[point[6]],    depths_[point[7]]};
}

GemmModel::Place GemmModel::PlaceOf(std::int64_t element) const {
  const std::int64_t col = element % spec_.cols;
  element /= spec_.cols;
  const std::int64_t head = element % spec_.heads;
  element /= spec_.heads;
  return {element / spec_.rows * spec_.heads + head, element % spec_.rows, col};
}

std::int64_t GemmModel::BiasOf(BiasKind kind, std::int64_t col) const {
  if (spec_.bias.empty()) return 0;
  const auto at = [this](std::int64_t c) {
    return spec_.bias[static_cast<std::size_t>((c + spec_.cols) % spec_.cols)];
  };
  switch (kind) {
    case BiasKind::kGolden:
      break;
    case BiasKind::kMissing:
      return 0;
    case BiasKind::kTwice:
      return 2 * at(col);
    case BiasKind::kSubtracted:
      return -at(col);
    case BiasKind::kNext:
      return at(col + 1);
    case BiasKind::kPrevious:
      return at(col - 1);
  }
  return at(col);
}

template <typename Lhs, typename Rhs>
std::int64_t GemmModel::Accumulate(const Settings& settings, std::int64_t bias,
                                   std::int64_t lhs_zero, std::int64_t rhs_zero, Lhs lhs,
                                   Rhs rhs) const {
  const auto zero_of = [](ZeroKind kind, std::int64_t zero) {
    if (kind == ZeroKind::kIgnored) return std::int64_t{0};
    return kind == ZeroKind::kAdded ? -zero : zero;
  };
  lhs_zero = zero_of(settings.lhs_zero, lhs_zero);
  rhs_zero = zero_of(settings.rhs_zero, rhs_zero);
  AccChoice acc = settings.acc;
  if (acc.kind == AccKind::kGolden && spec_.acc.policy != AccPolicy::kError)
    acc = {spec_.acc.policy == AccPolicy::kWrap ? AccKind::kWrap : AccKind::kSaturate,
           spec_.acc.bits};
  const bool every = acc.kind == AccKind::kSaturate;
  const auto limit = [&](std::int64_t sum) { return every ? SaturateTo(sum, acc.bits) : sum; };

  std::int64_t sum = limit(bias);
  std::int64_t lhs_sum = 0;
  std::int64_t rhs_sum = 0;
  const std::int64_t end = spec_.depth - settings.depth.missing;
  for (std::int64_t k = settings.depth.from; k < end; ++k) {
    const std::int64_t l = lhs(k);
    const std::int64_t r = rhs(k);
    lhs_sum += l;
    rhs_sum += r;
    sum = limit(sum + l * r);
  }
  const std::int64_t terms = end - settings.depth.from;
  if (rhs_zero != 0) sum = limit(sum - rhs_zero * lhs_sum);
  if (lhs_zero != 0) sum = limit(sum - lhs_zero * rhs_sum);
  if (lhs_zero != 0 && rhs_zero != 0) sum = limit(sum + terms * lhs_zero * rhs_zero);
  if (settings.order == OrderKind::kNegated) sum = -sum;
  switch (acc.kind) {
    case AccKind::kWrap:
      return WrapTo(sum, acc.bits);
    case AccKind::kSaturateFinal:
      return SaturateTo(sum, acc.bits);
    case AccKind::kDropLow:
      return sum >> acc.bits;
    case AccKind::kGolden:
    case AccKind::kExact:
    case AccKind::kSaturate:
      break;
  }
  return WrapTo(sum, 32);
}

std::int64_t GemmModel::At(const Settings& settings, std::int64_t element) const {
  Place place = PlaceOf(element);
  if (settings.order == OrderKind::kOutputTransposed) std::swap(place.row, place.col);
  if (settings.order == OrderKind::kRowLate && place.row > 0) --place.row;
  const auto p = static_cast<std::size_t>(place.product);
  const std::int32_t* lhs = spec_.lhs.data() + spec_.lhs_start[p];
  const std::int32_t* rhs = spec_.rhs.data() + spec_.rhs_start[p];
  std::int64_t lhs_row = spec_.lhs_row, lhs_col = spec_.lhs_col;
  std::int64_t rhs_row = spec_.rhs_row, rhs_col = spec_.rhs_col;
  if (settings.order == OrderKind::kLhsTransposed) std::swap(lhs_row, lhs_col);
  if (settings.order == OrderKind::kRhsTransposed) std::swap(rhs_row, rhs_col);
  if (settings.order == OrderKind::kSwapped) {
    std::swap(lhs, rhs);
    std::swap(lhs_row, rhs_row);
    std::swap(lhs_col, rhs_col);
  }
  const bool reversed = settings.order == OrderKind::kDepthReversed;
  const auto left = [&](std::int64_t k) -> std::int64_t {
    const std::int64_t value = lhs[place.row * lhs_row + k * lhs_col];
    return settings.lhs_other_sign ? OtherSign(value, spec_.lhs_bits, spec_.lhs_signed) : value;
  };
  const auto right = [&](std::int64_t k) -> std::int64_t {
    const std::int64_t at = reversed ? spec_.depth - 1 - k : k;
    const std::int64_t value = rhs[at * rhs_row + place.col * rhs_col];
    return settings.rhs_other_sign ? OtherSign(value, spec_.rhs_bits, spec_.rhs_signed) : value;
  };
  const auto column = static_cast<std::size_t>(place.product * spec_.cols + place.col);
  return Accumulate(settings, BiasOf(settings.bias, place.col), spec_.lhs_zero[p],
                    spec_.rhs_zero[column], left, right);
}

void GemmModel::Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                         std::span<std::int64_t> out) const {
  const Settings settings = SettingsOf(point);
  for (std::size_t i = 0; i < elements.size(); ++i) out[i] = At(settings, elements[i]);
}

std::vector<Feature> GemmModel::Features() const {
  std::vector<Feature> features = AxisFeatures(spec_.shape, spec_.axis_names);
  if (spec_.heads > 1)
    features.push_back({Feature::Kind::kIndex, "head", {}, spec_.heads, [this](std::int64_t e) {
                          return e / spec_.cols % spec_.heads;
                        }});
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
  const auto positional = [](const Settings& s) {
    return s.order != OrderKind::kGolden && s.order != OrderKind::kNegated;
  };
  if (positional(first) || positional(second)) return std::nullopt;
  const auto levels = [](int bits, bool is_signed) {
    if (bits == 0) return std::vector<std::int64_t>{0, 1, 32768};
    const std::int64_t half = std::int64_t{1} << (bits - 1);
    return is_signed ? std::vector<std::int64_t>{half - 1, -half, 1, -1, 0}
                     : std::vector<std::int64_t>{2 * half - 1, 1, 0};
  };
  for (const std::int64_t l : levels(spec_.lhs_bits, spec_.lhs_signed)) {
    for (const std::int64_t r : levels(spec_.rhs_bits, spec_.rhs_signed)) {
      for (const bool alternate : {false, true}) {
        const auto compute = [&](const Settings& s) {
          const auto left = [&](std::int64_t) {
            return s.lhs_other_sign ? OtherSign(l, spec_.lhs_bits, spec_.lhs_signed) : l;
          };
          const auto right = [&](std::int64_t k) {
            // The second half takes back what the first one brought.
            const std::int64_t value =
                alternate && 2 * k >= spec_.depth ? (spec_.rhs_signed ? -1 - r : 0) : r;
            return s.rhs_other_sign ? OtherSign(value, spec_.rhs_bits, spec_.rhs_signed) : value;
          };
          return Accumulate(s, BiasOf(s.bias, 0), spec_.lhs_zero[0], spec_.rhs_zero[0], left,
                            right);
        };
        const std::int64_t y_first = compute(first);
        const std::int64_t y_second = compute(second);
        if (y_first == y_second) continue;
        std::string input = fmt::format(
            "in column 0 a left row of {} {}s and a right column of {}s", spec_.depth, l, r);
        if (alternate) input += fmt::format(", the second half {}s", spec_.rhs_signed ? -1 - r : 0);
        return Separation{input, y_first, y_second};
      }
    }
  }
  return std::nullopt;
}

}  // namespace qsim::explain
