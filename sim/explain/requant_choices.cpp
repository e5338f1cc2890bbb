// The lattice of the requantizer: which choices each coordinate has, for these parameters.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <set>

#include "sim/explain/requant_model.h"

namespace qsim::explain {
namespace {

constexpr int kUsual = 2;    // the cost of a change that is often seen
constexpr int kUnusual = 3;  // and of one that is not
constexpr int kFarFetched = 4;

template <typename T>
class Adder {
 public:
  Adder(Coordinate& coordinate, std::vector<T>& settings)
      : coordinate_(coordinate), settings_(settings) {}
  void operator()(T setting, std::string id, std::string phrase, int cost = kUsual,
                  bool core = true) {
    settings_.push_back(std::move(setting));
    coordinate_.choices.push_back({std::move(id), std::move(phrase), cost, core});
  }

 private:
  Coordinate& coordinate_;
  std::vector<T>& settings_;
};

template <typename T>
bool Varies(const std::vector<T>& values) {
  return std::any_of(values.begin(), values.end(),
                     [&](const T& value) { return value != values.front(); });
}

}  // namespace

void RequantModel::BuildCoordinates() {
  for (const char* name : {"rounding", "multiplier", "shift", "zero", "accumulator", "sign",
                           "operands", "parameters", "addend"}) {
    coordinates_.push_back({name, {}});
  }
  AddRounding();
  AddMultiplier();
  AddShiftAndZero();
  AddAccumulator();
  AddOperands();
  AddParameters();
  Adder<Addends>(coordinates_[8], addends_)({}, "golden", "nothing added to the product");
}

void RequantModel::AddRounding() {
  using Stage = RoundScheme::Where;
  Adder<RoundScheme> adder(coordinates_[0], roundings_);
  const std::string golden = NameOf(spec_.rounding);
  adder(spec_.rounding, golden, golden);
  const auto add = [&](const RoundScheme& scheme, int cost, bool core) {
    if (scheme == spec_.rounding) return;
    const std::string name = NameOf(scheme);
    adder(scheme, name, fmt::format("{} instead of {}", SchemePhrase(scheme), golden), cost, core);
    coordinates_[0].choices.back().published = PublishedAs(scheme);
    // At any bit: a number that is searched for.
    if (cost == kFarFetched) coordinates_[0].choices.back().freedom = 1;
  };
  // Two roundings are two only where the first leaves bits for the second, in some channel.
  const auto twice = [this](const RoundScheme& scheme) {
    for (std::size_t c = 0; c < std::max(spec_.multiplier.size(), spec_.shift.size()); ++c) {
      const int shift = spec_.shift[Entry(spec_.shift.size(), c)];
      const int first = FirstShift(
          scheme, shift, BitsOfMagnitude(spec_.multiplier[Entry(spec_.multiplier.size(), c)]));
      if (first > 0 && first < shift) return true;
    }
    return false;
  };
  const auto [low, high] = std::minmax_element(spec_.shift.begin(), spec_.shift.end());
  for (const RoundRule rule : kAllRoundRules) {
    // With fewer fraction bits than its addend has, ita is half_up.
    if (rule == RoundRule::kIta && (*high < kItaAddendBits || spec_.is_sum)) continue;
    add({.last = rule}, kUsual, true);
  }
  const RoundScheme tflite = *RoundSchemeFromName("tflite_double");
  const RoundScheme normalized_tflite = {tflite.last, Stage::kNormalized, tflite.first, 0};
  std::set<int> multiplier_bits;
  for (const std::int64_t m : spec_.multiplier) multiplier_bits.insert(BitsOfMagnitude(m));
  if (twice(tflite)) add(tflite, kUsual, true);
  if (twice(normalized_tflite) && multiplier_bits != std::set<int>{tflite.at})
    add(normalized_tflite, kUsual, true);

  static constexpr RoundRule kStages[] = {RoundRule::kHalfUp, RoundRule::kHalfAway,
                                          RoundRule::kHalfEven, RoundRule::kFloor,
                                          RoundRule::kTowardZero};
  for (const RoundRule last : kStages) {
    // The same rule twice is the likelier: it comes first.
    std::vector<RoundRule> firsts = {last};
    std::copy_if(std::begin(kStages), std::end(kStages), std::back_inserter(firsts),
                 [last](RoundRule rule) { return rule != last; });
    for (const RoundRule first : firsts) {
      // Flooring first changes nothing of these, and truncating twice is truncating once.
      if (first == RoundRule::kFloor && (last == RoundRule::kHalfUp || last == RoundRule::kFloor))
        continue;
      if (first == RoundRule::kTowardZero && last == RoundRule::kTowardZero) continue;
      const bool same = first == last;
      const RoundScheme normalized = {last, Stage::kNormalized, first, 0};
      const bool is_tflite = normalized == normalized_tflite;
      if (!is_tflite && twice(normalized) && multiplier_bits != std::set<int>{31})
        add(normalized, kUnusual, same);
      for (int at = 1; at < *high; ++at) {
        // With equal multipliers this is the normalized bit, which has another name.
        if (at != 31 && multiplier_bits == std::set<int>{at}) continue;
        if (at == 31 && is_tflite) continue;
        add({last, Stage::kFixed, first, at}, at == 31 ? kUnusual : kFarFetched, at == 31 && same);
      }
      if (*low == *high) continue;
      for (int at = 1; at < *high; ++at)
        add({last, Stage::kRemaining, first, at}, kFarFetched, false);
    }
  }
}

void RequantModel::AddMultiplier() {
  using Kind = MultiplierKind;
  Adder<MultiplierChoice> add(coordinates_[1], multipliers_);
  int widest = 0;
  int narrowest = 64;
  bool negative = false;
  std::int64_t largest = 0;
  for (const std::int64_t m : spec_.multiplier) {
    widest = std::max(widest, BitsOfMagnitude(m));
    narrowest = std::min(narrowest, BitsOfMagnitude(m));
    largest = std::max(largest, m);
    negative = negative || m < 0;
  }
  add({}, "golden", "the multiplier as given");
  const auto powers = [&](const char* id, const char* how, MultiplierChoice choice, int cost) {
    add(choice, id, fmt::format("each multiplier {} power of two", how), cost);
  };
  powers("power_of_two", "rounded to the nearest", {Kind::kTopRound, 1}, kUsual);
  powers("power_of_two_below", "lowered to the next", {Kind::kTopTruncate, 1}, kUsual);
  powers("power_of_two_log", "rounded to the (logarithmically) nearest", {Kind::kPowerOfTwo, 0},
         kUnusual);
  for (int bits = widest - 1; bits >= 2; --bits) {
    add({Kind::kDropRound, widest - bits}, fmt::format("rounded_to_{}_bits", bits),
        fmt::format("the multiplier rounded to {} bits", bits));
    add({Kind::kDropTruncate, widest - bits}, fmt::format("truncated_to_{}_bits", bits),
        fmt::format("the multiplier truncated to {} bits", bits));
    if (narrowest == widest) continue;
    add({Kind::kTopRound, bits}, fmt::format("normalized_rounded_to_{}_bits", bits),
        fmt::format("each multiplier normalized and rounded to {} bits", bits), kUnusual, false);
    add({Kind::kTopTruncate, bits}, fmt::format("normalized_truncated_to_{}_bits", bits),
        fmt::format("each multiplier normalized and truncated to {} bits", bits), kUnusual, false);
  }
  for (const int bits : {8, 16, 24, 32}) {
    if (largest >= std::int64_t{1} << (bits - 1))
      add({Kind::kSigned, bits}, fmt::format("signed_{}_bits", bits),
          fmt::format("the multiplier read as a signed {}-bit number", bits), kUsual, bits != 8);
  }
  if (negative) add({Kind::kMagnitude, 0}, "magnitude", "the multiplier's sign ignored");
  add({Kind::kPlus, 1}, "plus_one", "the multiplier one too large", kUnusual, false);
  add({Kind::kPlus, -1}, "minus_one", "the multiplier one too small", kUnusual, false);
}

void RequantModel::AddShiftAndZero() {
  Adder<int> shift(coordinates_[2], shift_offsets_);
  shift(0, "golden", "the shift as given");
  shift(1, "plus_one", "a shift that is one too large");
  if (*std::max_element(spec_.shift.begin(), spec_.shift.end()) > 0)
    shift(-1, "minus_one", "a shift that is one too small");

  Adder<ZeroKind> zero(coordinates_[3], zeros_);
  zero(ZeroKind::kAfter, "after_shift", "the zero point after the shift");
  if (spec_.qmin < 0) zero(ZeroKind::kRelu, "relu", "values below the zero point clamped to it");
  if (std::all_of(spec_.zero.begin(), spec_.zero.end(), [](std::int64_t z) { return z == 0; }))
    return;
  zero(ZeroKind::kBeforeShift, "before_shift",
       "the zero point added before the shift, not after it");
  zero(ZeroKind::kBeforeMultiply, "before_multiply",
       "the zero point added before the multiplication", kUnusual);
  zero(ZeroKind::kOmitted, "omitted", "the zero point omitted");
  zero(ZeroKind::kSubtracted, "subtracted", "the zero point subtracted instead of added");
  zero(ZeroKind::kAfterClamp, "after_clamp", "the result clamped before the zero point is added",
       kUnusual);
}

void RequantModel::AddAccumulator() {
  using Kind = AccKind;
  Adder<AccChoice> add(coordinates_[4], accs_);
  add({}, "exact", "the accumulator as given");
  for (int bits = std::min(spec_.x_bits, 33) - 1; bits >= 8; --bits) {
    const int cost = bits % 8 == 0 ? kUsual : kUnusual;
    add({Kind::kWrap, bits}, fmt::format("wrap_{}", bits),
        fmt::format("the accumulator wraps to {} bits", bits), cost, bits >= 16);
    add({Kind::kSaturate, bits}, fmt::format("saturate_{}", bits),
        fmt::format("the accumulator saturates at {} bits", bits), cost, bits >= 16);
  }
  for (int bits = 1; bits <= 16; ++bits) {
    add({Kind::kDropLow, bits}, fmt::format("drop_{}", bits),
        fmt::format("the accumulator loses its lowest {}",
                    bits == 1 ? "bit" : fmt::format("{} bits", bits)),
        kUnusual, bits <= 8);
  }
  for (const int bits : {24, 31, 32, 40, 48}) {
    add({Kind::kProductWrap, bits}, fmt::format("product_wrap_{}", bits),
        fmt::format("the product wraps to {} bits", bits), kUnusual, bits == 32);
    add({Kind::kProductSaturate, bits}, fmt::format("product_saturate_{}", bits),
        fmt::format("the product saturates at {} bits", bits), kUnusual, bits == 32);
  }
}

void RequantModel::AddOperands() {
  Adder<SignKind> sign(coordinates_[5], signs_);
  sign(SignKind::kGolden, "golden", "the signs as given");
  sign(SignKind::kUnsigned, "accumulator_unsigned", "the accumulator read as unsigned");
  sign(SignKind::kMagnitude, "accumulator_magnitude", "the accumulator's sign ignored");
  sign(SignKind::kNegatedOutput, "output_negated", "the result negated");

  using Kind = OperandKind;
  using Kind = OperandKind;
  Adder<OperandChoice> add(coordinates_[6], operands_);
  add({}, "golden", "the operands as given");
  const bool two = !spec_.b.empty();
  const std::string first = two ? "the first operand's" : "the input's";
  if (spec_.x_zero != 0) {
    add({Kind::kXZeroIgnored}, "input_zero_ignored", first + " zero point ignored");
    add({Kind::kXZeroAdded}, "input_zero_added", first + " zero point added, not subtracted");
  }
  if (!two) return;
  const std::string second = "the " + spec_.b_name;
  if (spec_.b_zero != 0)
    add({Kind::kBZeroIgnored}, "b_zero_ignored", second + "'s zero point ignored");
  add({Kind::kMultipliersSwapped}, "multipliers_swapped", "the two multipliers swapped");
  add({Kind::kBOmitted}, "b_omitted", second + " left out");
  add({Kind::kXOmitted}, "a_omitted", "the first operand left out");
  add({Kind::kBSubtracted}, "b_subtracted", second + " subtracted");
  add({Kind::kRoundedApart, 0}, "rounded_apart", "each product rounded on its own before the sum");
  const int high = *std::max_element(spec_.shift.begin(), spec_.shift.end());
  for (int guard = 1; guard < high; ++guard) {
    const std::string bits = guard == 1 ? "1 guard bit" : fmt::format("{} guard bits", guard);
    add({Kind::kRoundedApart, guard}, fmt::format("rounded_apart_{}", guard),
        fmt::format("each product rounded by itself to {}, then their sum rounded", bits),
        guard % 4 == 0 ? kUsual : kUnusual, guard % 4 == 0);
    add({Kind::kTruncatedApart, guard}, fmt::format("truncated_apart_{}", guard),
        fmt::format("each product truncated by itself to {}, then their sum rounded", bits),
        kUnusual, false);
  }
  add({Kind::kTruncatedApart, 0}, "truncated_apart",
      "each product truncated on its own before the sum");
}

void RequantModel::AddParameters() {
  using Kind = ParameterKind;
  Adder<ParameterChoice> adder(coordinates_[7], parameters_);
  const std::int64_t channels = spec_.layout.channels;
  adder({}, "golden", "the channels' own parameters");
  const bool multiplier = Varies(spec_.multiplier) || Varies(spec_.b_multiplier);
  const bool shift = Varies(spec_.shift);
  const bool zero = Varies(spec_.zero);
  if (channels < 2 || (!multiplier && !shift && !zero)) return;
  // Of all parameters, and of each alone where the others vary as well.
  struct Which {
    const char *id, *words;
    bool multiplier, shift, zero;
  };
  std::vector<Which> each = {{"", "parameters", true, true, true}};
  const int varying = (multiplier ? 1 : 0) + (shift ? 1 : 0) + (zero ? 1 : 0);
  if (varying > 1) {
    if (multiplier) each.push_back({"_multiplier", "multiplier", true, false, false});
    if (shift) each.push_back({"_shift", "shift", false, true, false});
    if (zero) each.push_back({"_zero", "zero point", false, false, true});
    if (multiplier && shift && zero)
      each.push_back({"_ratio", "multiplier and shift", true, true, false});
  }
  for (const Which& which : each) {
    const std::string of = which.words;
    const std::string rest = std::string(which.id).empty() ? "" : ", with the rest its own";
    const auto add = [&](Kind kind, std::int64_t n, std::string id, std::string phrase,
                         int cost = kUsual, bool core = true) {
      adder({kind, n, which.multiplier, which.shift, which.zero}, std::move(id) + which.id,
            std::move(phrase) + rest, cost + (rest.empty() ? 0 : 1), core && rest.empty());
    };
    add(Kind::kFirst, 0, "first", fmt::format("channel 0's {} used for every channel", of));
    add(Kind::kReversed, 0, "reversed", fmt::format("the channels' {} in reverse order", of));
    add(Kind::kRotated, 1, "next", fmt::format("the next channel's {}", of));
    add(Kind::kRotated, -1, "previous", fmt::format("the previous channel's {}", of));
    add(Kind::kLast, 0, "last", fmt::format("the last channel's {} used for every channel", of),
        kUnusual);
    std::int64_t stride = 1;
    for (std::size_t axis = spec_.shape.size(); axis-- > 0;) {
      const bool own = stride == spec_.layout.inner && spec_.shape[axis] == channels;
      stride *= spec_.shape[axis];
      if (own || spec_.shape[axis] == 1) continue;
      add(Kind::kOtherAxis, static_cast<std::int64_t>(axis), "along_" + spec_.axis_names[axis],
          fmt::format("the {} applied along the {} axis", of, spec_.axis_names[axis]), kUnusual);
    }
    for (std::int64_t n = 2; n <= channels / 2; ++n) {
      if (channels % n == 0)
        add(Kind::kInterleaved, n, fmt::format("interleaved_{}", n),
            fmt::format("the channels' {} interleaved by {}", of, n), kFarFetched, false);
    }
  }
}

}  // namespace qsim::explain
