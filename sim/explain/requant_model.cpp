#include "sim/explain/requant_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/explain/narrow.h"
#include "sim/explain/separation.h"

namespace qsim::explain {
namespace {

// Rounds or clears the low `drop` bits, keeping the magnitude of what is left.
std::int64_t DropLow(std::int64_t value, int drop, bool round) {
  if (drop <= 0) return value;
  const std::int64_t magnitude = value < 0 ? -value : value;
  const std::int64_t half = round ? std::int64_t{1} << (drop - 1) : 0;
  const std::int64_t kept = ((magnitude + half) >> drop) << drop;
  return value < 0 ? -kept : kept;
}

// With its sign; the nearest by the logarithm: from sqrt(2) times a power of two on the next one.
std::int64_t NearestPowerOfTwo(std::int64_t value) {
  if (value == 0) return 0;
  const Int128 magnitude = value < 0 ? -Int128{value} : Int128{value};
  const int bits = BitsOfMagnitude(value);
  const Int128 power = Int128{1} << (bits - 1);
  const std::int64_t nearest =
      static_cast<std::int64_t>(magnitude * magnitude >= 2 * power * power ? 2 * power : power);
  return value < 0 ? -nearest : nearest;
}

}  // namespace

int BitsOfMagnitude(std::int64_t value) {
  const auto magnitude =
      value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  return 64 - std::countl_zero(magnitude);
}

RequantModel::RequantModel(RequantSpec spec, std::span<const std::int64_t> actual)
    : OperationModel(spec.shape, spec.axis_names, {spec.qmin, spec.qmax}, actual),
      spec_(std::move(spec)) {
  BuildCoordinates();
  ComputeGolden();
  AddSolved();
  AddOutputRules();
}

RequantModel::Settings RequantModel::SettingsOf(const Hypothesis& point) const {
  return {roundings_[point[0]], multipliers_[point[1]], shift_offsets_[point[2]],
          zeros_[point[3]],     accs_[point[4]],        signs_[point[5]],
          operands_[point[6]],  parameters_[point[7]],  addends_[point[8]]};
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
    case ParameterKind::kRotated:
      entry = ((channel + choice.n) % channels + channels) % channels;
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

Int128 RequantModel::Result(const Settings& settings, const Operands& operands) const {
  const auto of = [&](bool taken) { return taken ? operands.parameters : operands.channel; };
  const std::size_t m_channel = of(settings.parameter.multiplier);
  const std::size_t shift_channel = of(settings.parameter.shift);
  const std::size_t zero_channel = of(settings.parameter.zero);
  const std::int64_t zero = spec_.zero[Entry(spec_.zero.size(), zero_channel)];
  const std::int64_t golden_m = spec_.multiplier[Entry(spec_.multiplier.size(), m_channel)];
  std::int64_t m = golden_m;
  std::int64_t b_m = 0;
  if (!spec_.b.empty()) b_m = spec_.b_multiplier[Entry(spec_.b_multiplier.size(), m_channel)];
  int shift = spec_.shift[Entry(spec_.shift.size(), shift_channel)];
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
    case MultiplierKind::kPowerOfTwo:
      m = NearestPowerOfTwo(m);
      break;
    case MultiplierKind::kSigned:
      m = static_cast<std::int64_t>(WrapTo<Int128>(m, settings.multiplier.bits));
      break;
    case MultiplierKind::kMagnitude:
      m = m < 0 ? -m : m;
      break;
    case MultiplierKind::kPlus:
      m += settings.multiplier.bits;
      break;
    case MultiplierKind::kSolved: {
      const Ratios& ratios = ratios_[static_cast<std::size_t>(settings.multiplier.bits)];
      m = ratios.multiplier[m_channel];
      if (!spec_.b.empty()) b_m = ratios.b_multiplier[m_channel];
      shift = ratios.shift[m_channel];
      break;
    }
  }
  shift = std::clamp(shift + settings.shift_offset, 0, 126);

  const OperandKind operand = settings.operand.kind;
  Int128 x = operands.x;
  if (settings.acc.kind == AccKind::kWrap) x = WrapTo(x, settings.acc.bits);
  if (settings.acc.kind == AccKind::kSaturate) x = SaturateTo<Int128>(x, settings.acc.bits);
  if (settings.acc.kind == AccKind::kDropLow) x = x >> settings.acc.bits << settings.acc.bits;
  if (settings.sign == SignKind::kUnsigned) x &= (Int128{1} << spec_.x_bits) - 1;
  if (settings.sign == SignKind::kMagnitude && x < 0) x = -x;
  if (operand == OperandKind::kXZeroAdded) {
    x += spec_.x_zero;
  } else if (operand != OperandKind::kXZeroIgnored) {
    x -= spec_.x_zero;
  }
  if (operand == OperandKind::kXOffset) x += settings.operand.number;
  if (settings.zero == ZeroKind::kBeforeMultiply) x += zero;

  Int128 addend = 0;
  if (!spec_.b.empty()) {
    if (operand == OperandKind::kMultipliersSwapped) std::swap(m, b_m);
    const std::int64_t b_zero = operand == OperandKind::kBZeroIgnored ? 0 : spec_.b_zero;
    addend = (Int128{operands.b} - b_zero) * b_m;
    if (operand == OperandKind::kBOmitted) addend = 0;
    if (operand == OperandKind::kBSubtracted) addend = -addend;
    if (operand == OperandKind::kXOmitted) x = 0;
  }
  const int multiplier_bits = BitsOfMagnitude(golden_m);
  const auto round = [&](Int128 value) {
    return RoundWith(settings.rounding, value, shift, multiplier_bits);
  };
  Int128 product = x * m;
  Int128 y = 0;
  if (operand == OperandKind::kRoundedApart || operand == OperandKind::kTruncatedApart) {
    const int guard = std::min(static_cast<int>(settings.operand.number), shift);
    const RoundRule each =
        operand == OperandKind::kRoundedApart ? settings.rounding.last : RoundRule::kFloor;
    y = RoundBy(product, shift - guard, each) + RoundBy(addend, shift - guard, each);
    y = RoundBy(y, guard, settings.rounding.last);
  } else {
    product += addend;
    if (!settings.addends.empty())
      product += settings.addends[Entry(settings.addends.size(), operands.channel)];
    if (settings.acc.kind == AccKind::kProductWrap) product = WrapTo(product, settings.acc.bits);
    if (settings.acc.kind == AccKind::kProductSaturate)
      product = SaturateTo(product, settings.acc.bits);
    if (settings.zero == ZeroKind::kBeforeShift) product += Int128{zero} << shift;
    y = round(product);
  }
  if (settings.sign == SignKind::kNegatedOutput) y = -y;
  switch (settings.zero) {
    case ZeroKind::kAfter:
      return y + zero;
    case ZeroKind::kSubtracted:
      return y - zero;
    case ZeroKind::kAfterClamp:
      return std::clamp<Int128>(y, spec_.qmin, spec_.qmax) + zero;
    case ZeroKind::kRelu:
      return std::max<Int128>(y + zero, zero);
    case ZeroKind::kBeforeShift:
    case ZeroKind::kBeforeMultiply:
    case ZeroKind::kOmitted:
      break;
  }
  return y;
}

Int128 RequantModel::ResultAt(const Settings& settings, std::int64_t element) const {
  const OperandChoice& operand = settings.operand;
  const auto from = [&](OperandKind late) {
    const std::int64_t place = element - (operand.kind == late ? operand.number : 0);
    return static_cast<std::size_t>(place < 0 || place >= size() ? element : place);
  };
  return Result(settings, {spec_.x[from(OperandKind::kXLate)],
                           spec_.b.empty() ? 0 : spec_.b[from(OperandKind::kBLate)],
                           static_cast<std::size_t>(spec_.layout.ChannelOf(element)),
                           ChannelFor(settings.parameter, element)});
}

void RequantModel::Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
                           std::span<std::int64_t> out, bool limited) const {
  const Settings settings = SettingsOf(point);
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Int128 y = ResultAt(settings, elements[i]);
    out[i] = static_cast<std::int64_t>(limited ? std::clamp<Int128>(y, spec_.qmin, spec_.qmax)
                                               : SaturateTo(y, 64));
  }
}

std::vector<Feature> RequantModel::Features() const {
  std::vector<Feature> features = OperationModel::Features();
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

std::optional<ExactValue> RequantModel::Exact(std::int64_t element) const {
  const auto at = static_cast<std::size_t>(element);
  const auto channel = static_cast<std::size_t>(spec_.layout.ChannelOf(element));
  const int shift = spec_.shift[Entry(spec_.shift.size(), channel)];
  Int128 value = (Int128{spec_.x[at]} - spec_.x_zero) *
                 spec_.multiplier[Entry(spec_.multiplier.size(), channel)];
  if (!spec_.b.empty())
    value += (Int128{spec_.b[at]} - spec_.b_zero) *
             spec_.b_multiplier[Entry(spec_.b_multiplier.size(), channel)];
  const Int128 step = Int128{1} << shift;
  const Int128 floor = (value >> shift) + spec_.zero[Entry(spec_.zero.size(), channel)];
  return ExactValue{static_cast<std::int64_t>(SaturateTo(floor, 64)),
                    static_cast<double>(value & (step - 1)) / static_cast<double>(step)};
}

double RequantModel::Interest(std::int64_t element) const {
  return 0.5 - std::abs(Exact(element)->fraction - 0.5);
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
  // Inputs are accumulators in a channel: they say nothing about the order of elements, nor about
  // what outputs hold besides.
  if (!SamePlaces(a, b)) return std::nullopt;
  const std::int64_t channels = spec_.layout.channels;
  for (const std::int64_t c : ChannelsToTry()) {
    const std::int64_t element = c * spec_.layout.inner;
    const auto channel = static_cast<std::size_t>(c);
    const NearTies ties = {spec_.multiplier[Entry(spec_.multiplier.size(), channel)],
                           spec_.shift[Entry(spec_.shift.size(), channel)], spec_.x_bits};
    for (const std::int64_t deviation : CandidateInputs(ties)) {
      // Counted from the zero point, where it is still an input.
      const std::int64_t x = deviation + spec_.x_zero;
      if (Int128{x} != SaturateTo<Int128>(x, spec_.x_bits)) continue;
      const auto compute = [&](const Hypothesis& point, const Settings& settings) {
        const Int128 y =
            Result(settings, {x, spec_.b_zero, channel, ChannelFor(settings.parameter, element)});
        return AtLimits(point, static_cast<std::int64_t>(SaturateTo(y, 64)));
      };
      const std::int64_t y_first = compute(a, first);
      const std::int64_t y_second = compute(b, second);
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
