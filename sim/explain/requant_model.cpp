#include "sim/explain/requant_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/explain/separation.h"

namespace qsim::explain {
namespace {

Int128 WrapTo(Int128 value, int bits) {
  const Int128 modulus = Int128{1} << bits;
  Int128 rest = value & (modulus - 1);
  if (rest >= modulus / 2) rest -= modulus;
  return rest;
}

Int128 SaturateTo(Int128 value, int bits) {
  const Int128 limit = Int128{1} << (bits - 1);
  return std::clamp<Int128>(value, -limit, limit - 1);
}

// Rounds or clears the low `drop` bits, keeping the magnitude of what is left.
std::int64_t DropLow(std::int64_t value, int drop, bool round) {
  if (drop <= 0) return value;
  const std::int64_t magnitude = value < 0 ? -value : value;
  const std::int64_t half = round ? std::int64_t{1} << (drop - 1) : 0;
  const std::int64_t kept = ((magnitude + half) >> drop) << drop;
  return value < 0 ? -kept : kept;
}

}  // namespace

int BitsOfMagnitude(std::int64_t value) {
  const auto magnitude =
      value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  return 64 - std::countl_zero(magnitude);
}

RequantModel::RequantModel(RequantSpec spec) : spec_(std::move(spec)) {
  output_bits_ = 1;
  const std::int64_t span = spec_.qmax - spec_.qmin;
  while (output_bits_ < 32 && (std::int64_t{1} << output_bits_) <= span) ++output_bits_;
  BuildCoordinates();
}

RequantModel::Settings RequantModel::SettingsOf(const Hypothesis& point) const {
  return {roundings_[point[0]], multipliers_[point[1]], shift_offsets_[point[2]],
          zeros_[point[3]],     overflows_[point[4]],   accs_[point[5]],
          signs_[point[6]],     operands_[point[7]],    parameters_[point[8]],
          orders_[point[9]]};
}

std::int64_t RequantModel::Source(OrderKind order, std::int64_t element) const {
  const std::int64_t last = size() - 1;
  const std::int64_t width = spec_.shape.empty() ? 1 : spec_.shape.back();
  switch (order) {
    case OrderKind::kGolden:
      break;
    case OrderKind::kTransposed: {
      // The matrix of the last two axes, written column by column.
      const std::int64_t rows = spec_.shape[spec_.shape.size() - 2];
      const std::int64_t within = element % (rows * width);
      return element - within + within % rows * width + within / rows;
    }
    case OrderKind::kElementLate:
      return std::max<std::int64_t>(element - 1, 0);
    case OrderKind::kElementEarly:
      return std::min(element + 1, last);
    case OrderKind::kRowLate:
      return element >= width ? element - width : element;
    case OrderKind::kRowEarly:
      return element + width <= last ? element + width : element;
    case OrderKind::kRowReversed:
      return element - element % width + (width - 1 - element % width);
  }
  return element;
}

std::size_t RequantModel::ChannelFor(const ParameterChoice& choice, std::int64_t element) const {
  const std::int64_t channels = spec_.layout.channels;
  const std::int64_t channel = spec_.layout.ChannelOf(element);
  std::int64_t entry = channel;
  switch (choice.kind) {
    case ParameterKind::kGolden:
      break;
    case ParameterKind::kReversed:
      entry = channels - 1 - channel;
      break;
    case ParameterKind::kNext:
      entry = (channel + 1) % channels;
      break;
    case ParameterKind::kPrevious:
      entry = (channel + channels - 1) % channels;
      break;
    case ParameterKind::kFirst:
      entry = 0;
      break;
    case ParameterKind::kLast:
      entry = channels - 1;
      break;
    case ParameterKind::kInterleaved:
      entry = channel % (channels / choice.n) * choice.n + channel / (channels / choice.n);
      break;
    case ParameterKind::kOtherAxis: {
      const auto axis = static_cast<std::size_t>(choice.n);
      std::int64_t inner = 1;
      for (std::size_t i = axis + 1; i < spec_.shape.size(); ++i) inner *= spec_.shape[i];
      entry = element / inner % spec_.shape[axis] % channels;
      break;
    }
  }
  return static_cast<std::size_t>(entry);
}

std::int64_t RequantModel::Overflow(const OverflowChoice& choice, Int128 value,
                                    std::int64_t zero) const {
  const Int128 qmin = spec_.qmin;
  const Int128 qmax = spec_.qmax;
  const Int128 modulus = Int128{1} << output_bits_;
  const auto clamp = [&](Int128 v) { return std::clamp(v, qmin, qmax); };
  const auto read_back = [&](Int128 v, Int128 lowest) {
    const Int128 rest = (v - lowest) & (modulus - 1);
    return rest + lowest;
  };
  const Int128 lowest = qmin < 0 ? -modulus / 2 : Int128{0};
  switch (choice.kind) {
    case OverflowKind::kSaturate:
      value = clamp(value);
      break;
    case OverflowKind::kWrap:
      value = read_back(value, lowest);
      break;
    case OverflowKind::kSymmetric:
      value = std::clamp(value, -qmax, qmax);
      break;
    case OverflowKind::kOtherSign:
      value = qmin < 0 ? std::clamp<Int128>(value, 0, modulus - 1)
                       : std::clamp<Int128>(value, -modulus / 2, modulus / 2 - 1);
      value = read_back(value, lowest);
      break;
    case OverflowKind::kStoredUnsigned:
      value = clamp(value) & (modulus - 1);
      break;
    case OverflowKind::kRelu:
      value = std::clamp(value, std::clamp<Int128>(zero, qmin, qmax), qmax);
      break;
    case OverflowKind::kWrapFirst:
      value = clamp(WrapTo(value, choice.bits));
      break;
    case OverflowKind::kNone:
      value = SaturateTo(value, 64);
      break;
  }
  return static_cast<std::int64_t>(value);
}

std::int64_t RequantModel::Compute(const Settings& settings, const Operands& operands) const {
  const std::size_t channel = operands.channel;
  const int golden_shift = spec_.shift[Entry(spec_.shift.size(), channel)];
  const int shift = std::clamp(golden_shift + settings.shift_offset, 0, 126);
  const std::int64_t zero = spec_.zero[Entry(spec_.zero.size(), channel)];
  const std::int64_t golden_m = spec_.multiplier[Entry(spec_.multiplier.size(), channel)];
  std::int64_t m = golden_m;
  switch (settings.multiplier.kind) {
    case MultiplierKind::kGolden:
      break;
    case MultiplierKind::kDropRound:
    case MultiplierKind::kDropTruncate:
      m = DropLow(m, settings.multiplier.bits,
                  settings.multiplier.kind == MultiplierKind::kDropRound);
      break;
    case MultiplierKind::kTopRound:
    case MultiplierKind::kTopTruncate:
      m = DropLow(m, BitsOfMagnitude(m) - settings.multiplier.bits,
                  settings.multiplier.kind == MultiplierKind::kTopRound);
      break;
    case MultiplierKind::kSigned:
      m = static_cast<std::int64_t>(WrapTo(m, settings.multiplier.bits));
      break;
    case MultiplierKind::kMagnitude:
      m = m < 0 ? -m : m;
      break;
    case MultiplierKind::kPlus:
      m += settings.multiplier.bits;
      break;
  }

  Int128 x = operands.x;
  if (settings.acc.kind == AccKind::kWrap) x = WrapTo(x, settings.acc.bits);
  if (settings.acc.kind == AccKind::kSaturate) x = SaturateTo(x, settings.acc.bits);
  if (settings.acc.kind == AccKind::kDropLow) x = x >> settings.acc.bits << settings.acc.bits;
  if (settings.sign == SignKind::kUnsigned) x &= (Int128{1} << spec_.x_bits) - 1;
  if (settings.sign == SignKind::kMagnitude && x < 0) x = -x;
  if (settings.operand == OperandKind::kXZeroAdded) {
    x += spec_.x_zero;
  } else if (settings.operand != OperandKind::kXZeroIgnored) {
    x -= spec_.x_zero;
  }
  if (settings.zero == ZeroKind::kBeforeMultiply) x += zero;

  Int128 addend = 0;
  if (!spec_.b.empty()) {
    std::int64_t b_m = spec_.b_multiplier[Entry(spec_.b_multiplier.size(), channel)];
    if (settings.operand == OperandKind::kMultipliersSwapped) std::swap(m, b_m);
    const std::int64_t b_zero = settings.operand == OperandKind::kBZeroIgnored ? 0 : spec_.b_zero;
    addend = (Int128{operands.b} - b_zero) * b_m;
    if (settings.operand == OperandKind::kBOmitted) addend = 0;
    if (settings.operand == OperandKind::kBSubtracted) addend = -addend;
    if (settings.operand == OperandKind::kXOmitted) x = 0;
  }
  const int multiplier_bits = BitsOfMagnitude(golden_m);
  const auto round = [&](Int128 value) {
    return RoundWith(settings.rounding, value, shift, multiplier_bits);
  };
  Int128 product = x * m;
  Int128 y = 0;
  if (settings.operand == OperandKind::kRoundedApart) {
    y = round(product) + round(addend);
  } else {
    product += addend;
    if (settings.acc.kind == AccKind::kProductWrap) product = WrapTo(product, settings.acc.bits);
    if (settings.acc.kind == AccKind::kProductSaturate)
      product = SaturateTo(product, settings.acc.bits);
    if (settings.zero == ZeroKind::kBeforeShift) product += Int128{zero} << shift;
    y = round(product);
  }
  if (settings.sign == SignKind::kNegatedOutput) y = -y;
  if (settings.zero == ZeroKind::kAfter) y += zero;
  if (settings.zero == ZeroKind::kSubtracted) y -= zero;
  if (settings.zero == ZeroKind::kAfterClamp)
    y = std::clamp<Int128>(y, spec_.qmin, spec_.qmax) + zero;
  return Overflow(settings.overflow, y, zero);
}

void RequantModel::Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                            std::span<std::int64_t> out) const {
  const Settings settings = SettingsOf(point);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const std::int64_t source = Source(settings.order, elements[i]);
    const auto at = static_cast<std::size_t>(source);
    out[i] = Compute(settings, {spec_.x[at], spec_.b.empty() ? 0 : spec_.b[at],
                                ChannelFor(settings.parameter, source)});
  }
}

std::vector<Feature> RequantModel::Features() const {
  std::vector<Feature> features = AxisFeatures(spec_.shape, spec_.axis_names);
  const std::string operand = spec_.b.empty() ? "accumulator" : "first operand";
  features.push_back({Feature::Kind::kCategory,
                      "sign",
                      {"the " + operand + " is not negative", "the " + operand + " is negative"},
                      2,
                      [this](std::int64_t e) -> std::int64_t {
                        return spec_.x[static_cast<std::size_t>(e)] < spec_.x_zero ? 1 : 0;
                      }});
  features.push_back({Feature::Kind::kIndex,
                      "bit length of the " + operand,
                      {},
                      64,
                      [this](std::int64_t e) -> std::int64_t {
                        return BitsOfMagnitude(spec_.x[static_cast<std::size_t>(e)]);
                      }});
  features.push_back({Feature::Kind::kCategory,
                      "tie",
                      {"the rounded bits are no exact tie", "the rounded bits are an exact tie"},
                      2,
                      [this](std::int64_t e) -> std::int64_t { return IsTie(e) ? 1 : 0; }});
  return features;
}

double RequantModel::Interest(std::int64_t element) const {
  const auto at = static_cast<std::size_t>(element);
  const auto channel = static_cast<std::size_t>(spec_.layout.ChannelOf(element));
  const int shift = spec_.shift[Entry(spec_.shift.size(), channel)];
  if (shift == 0) return 0;
  Int128 value = (Int128{spec_.x[at]} - spec_.x_zero) *
                 spec_.multiplier[Entry(spec_.multiplier.size(), channel)];
  if (!spec_.b.empty())
    value += (Int128{spec_.b[at]} - spec_.b_zero) *
             spec_.b_multiplier[Entry(spec_.b_multiplier.size(), channel)];
  const Int128 step = Int128{1} << shift;
  const double fraction = static_cast<double>(value & (step - 1)) / static_cast<double>(step);
  return 0.5 - std::abs(fraction - 0.5);
}

bool RequantModel::IsTie(std::int64_t element) const { return Interest(element) == 0.5; }

std::vector<std::string> RequantModel::Observe(std::span<const std::int64_t> mismatches) const {
  std::int64_t ties = 0;
  std::int64_t negative = 0;
  for (const std::int64_t e : mismatches) {
    ties += IsTie(e) ? 1 : 0;
    negative += spec_.x[static_cast<std::size_t>(e)] < spec_.x_zero ? 1 : 0;
  }
  const std::int64_t all_negative = std::count_if(
      spec_.x.begin(), spec_.x.end(), [this](std::int64_t x) { return x < spec_.x_zero; });
  const auto percent = [](std::int64_t part, std::size_t whole) {
    return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  return {fmt::format("at exact ties of the rounding: {:.1f} %", percent(ties, mismatches.size())),
          fmt::format("with a negative {}: {:.1f} % (of all elements: {:.1f} %)",
                      spec_.b.empty() ? "accumulator" : "first operand",
                      percent(negative, mismatches.size()), percent(all_negative, spec_.x.size()))};
}

// Some channels; first those whose multipliers have the most factors of two, since their products
// tie most.
std::vector<std::int64_t> RequantModel::ChannelsToTry() const {
  constexpr std::size_t kChannels = 48;
  std::vector<std::int64_t> list(static_cast<std::size_t>(spec_.layout.channels));
  std::iota(list.begin(), list.end(), std::int64_t{0});
  const auto factors = [this](std::int64_t c) {
    const std::int64_t m =
        spec_.multiplier[Entry(spec_.multiplier.size(), static_cast<std::size_t>(c))];
    return std::countr_zero(static_cast<std::uint64_t>(m));
  };
  const auto end = list.begin() + static_cast<std::ptrdiff_t>(std::min(kChannels, list.size()));
  std::partial_sort(list.begin(), end, list.end(), [&](std::int64_t a, std::int64_t b) {
    return factors(a) != factors(b) ? factors(a) > factors(b) : a < b;
  });
  list.erase(end, list.end());
  return list;
}

std::optional<Separation> RequantModel::Separate(const Hypothesis& a, const Hypothesis& b) const {
  const Settings first = SettingsOf(a);
  const Settings second = SettingsOf(b);
  // Inputs are accumulators in a channel: they say nothing about the order of elements.
  if (first.order != second.order) return std::nullopt;
  const std::int64_t channels = spec_.layout.channels;
  for (const std::int64_t c : ChannelsToTry()) {
    const std::int64_t element = c * spec_.layout.inner;
    const auto channel = static_cast<std::size_t>(c);
    const NearTies ties = {spec_.multiplier[Entry(spec_.multiplier.size(), channel)],
                           spec_.shift[Entry(spec_.shift.size(), channel)], spec_.x_bits};
    for (const std::int64_t deviation : CandidateInputs(ties)) {
      // Counted from the zero point, where it is still an input.
      const std::int64_t x = deviation + spec_.x_zero;
      if (Int128{x} != SaturateTo(x, spec_.x_bits)) continue;
      const auto compute = [&](const Settings& settings) {
        return Compute(settings, {x, spec_.b_zero, ChannelFor(settings.parameter, element)});
      };
      const std::int64_t y_first = compute(first);
      const std::int64_t y_second = compute(second);
      if (y_first == y_second) continue;
      std::string input = fmt::format("{} {}", spec_.b.empty() ? "accumulator" : "a =", x);
      if (!spec_.b.empty()) input += fmt::format(", b = {}", spec_.b_zero);
      if (channels > 1) input += fmt::format(" in channel {}", c);
      return Separation{input, y_first, y_second};
    }
  }
  return std::nullopt;
}

}  // namespace qsim::explain
