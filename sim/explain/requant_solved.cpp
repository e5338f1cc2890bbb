// Numbers of the requantizer that the actual outputs tell: every one of them bounds what was
// rounded, and so the ratio, a constant before the shift, or an offset of the accumulator.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "sim/explain/bounds.h"
#include "sim/explain/requant_model.h"

namespace qsim::explain {

class RequantModel::Solver {
 public:
  explicit Solver(RequantModel& model) : model_(model), spec_(model.spec_) {
    std::vector<std::int64_t> mismatches;
    std::vector<std::int64_t> matches;
    for (std::int64_t e = 0; e < model.size(); ++e) {
      const auto at = static_cast<std::size_t>(e);
      (model.actual()[at] == model.golden()[at] ? matches : mismatches).push_back(e);
    }
    Take(mismatches);
    mismatches_ = elements_.size();
    Take(matches);
    one_shift_ = std::all_of(spec_.shift.begin(), spec_.shift.end(),
                             [&](int s) { return s == spec_.shift[0]; });
  }

  void Add() {
    if (mismatches_ == 0) return;
    AddRotations();
    if (spec_.is_sum || spec_.layout.channels > 1) AddLate(OperandKind::kXLate);
    if (spec_.is_sum) AddLate(OperandKind::kBLate);
    const RoundRule golden = spec_.rounding.last;
    std::vector<RoundRule> rules = {golden};
    for (const RoundRule other : {RoundRule::kHalfUp, RoundRule::kFloor, RoundRule::kTowardZero}) {
      const bool same = std::any_of(rules.begin(), rules.end(), [&](RoundRule rule) {
        return ValuesRoundedTo(1, rule) == ValuesRoundedTo(1, other) &&
               ValuesRoundedTo(-1, rule) == ValuesRoundedTo(-1, other);
      });
      if (!same) rules.push_back(other);
    }
    for (const RoundRule rule : rules) {
      SetBounds(rule);
      bounds_ = rule;
      suffix_ = rule == golden ? "" : fmt::format("_under_{}", Name(rule));
      if (spec_.is_sum) {
        AddRatios();
      } else {
        AddRatio();
      }
      AddConstant();
      AddOffset();
    }
  }

 private:
  static constexpr double kShare = 0.97;  // of the elements that have to agree
  static constexpr std::size_t kElements = std::size_t{1} << 16;

  struct Element {
    std::int64_t index = 0;
    std::size_t channel = 0;
    double first = 0, second = 0;  // the products, in steps of the output
    double unit = 0;               // one of the accumulator, in steps
    double quantum = 0;            // one before the shift, in steps
    double low = 0, high = 0;      // of what was rounded
  };

  template <typename T>
  T At(const std::vector<T>& values, std::size_t channel) const {
    return values[model_.Entry(values.size(), channel)];
  }

  void Take(const std::vector<std::int64_t>& list) {
    const std::size_t step = list.size() / kElements + 1;
    for (std::size_t i = 0; i < list.size(); i += step) {
      Element element;
      element.index = list[i];
      const auto at = static_cast<std::size_t>(list[i]);
      element.channel = static_cast<std::size_t>(spec_.layout.ChannelOf(list[i]));
      element.quantum = std::ldexp(1.0, -At(spec_.shift, element.channel));
      element.unit = static_cast<double>(At(spec_.multiplier, element.channel)) * element.quantum;
      element.first = static_cast<double>(spec_.x[at] - spec_.x_zero) * element.unit;
      if (!spec_.b.empty())
        element.second = static_cast<double>(spec_.b[at] - spec_.b_zero) *
                         static_cast<double>(At(spec_.b_multiplier, element.channel)) *
                         element.quantum;
      elements_.push_back(element);
    }
  }

  void SetBounds(RoundRule rule) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    for (Element& e : elements_) {
      const std::int64_t actual = model_.actual()[static_cast<std::size_t>(e.index)];
      const auto [low, high] = ValuesRoundedTo(actual - At(spec_.zero, e.channel), rule);
      e.low = actual <= spec_.qmin ? -kInfinity : low;
      e.high = actual >= spec_.qmax ? kInfinity : high;
    }
  }

  // The number u for which base + u times basis lies within all bounds, from these elements.
  template <typename Base, typename Basis>
  std::optional<Interval> Solve(Base base, Basis basis, std::size_t count, double share) const {
    std::vector<Interval> intervals;
    for (std::size_t i = 0; i < count; ++i) {
      const Element& e = elements_[i];
      const double step = basis(e);
      if (step == 0) continue;
      const double low = (e.low - base(e)) / step;
      const double high = (e.high - base(e)) / step;
      intervals.push_back({std::min(low, high), std::max(low, high)});
    }
    if (intervals.size() < 2) return std::nullopt;
    return CommonInterval(intervals, share);
  }
  // From all elements, or where they do not agree from the mismatches: the rule may hold in a part.
  template <typename Base, typename Basis>
  std::optional<Interval> SolveAnywhere(Base base, Basis basis) const {
    if (const auto all = Solve(base, basis, elements_.size(), kShare)) return all;
    return Solve(base, basis, mismatches_, kShare);
  }
  // The same for each channel; nullopt where fewer than half of the channels have one. A channel
  // without one keeps `kept`.
  template <typename Base, typename Basis>
  std::optional<std::vector<Interval>> SolveEach(Base base, Basis basis, double kept) const {
    const auto channels = static_cast<std::size_t>(spec_.layout.channels);
    if (channels < 2 || channels * 4 > elements_.size()) return std::nullopt;
    std::vector<std::vector<Interval>> intervals(channels);
    for (const Element& e : elements_) {
      const double step = basis(e);
      if (step == 0) continue;
      const double low = (e.low - base(e)) / step;
      const double high = (e.high - base(e)) / step;
      intervals[e.channel].push_back({std::min(low, high), std::max(low, high)});
    }
    std::vector<Interval> solved;
    std::size_t found = 0;
    for (const auto& list : intervals) {
      const auto one = list.size() < 2 ? std::nullopt : CommonInterval(list, kShare);
      found += one ? 1U : 0U;
      solved.push_back(one ? *one : Interval{kept, kept});
    }
    if (2 * found < channels) return std::nullopt;
    return solved;
  }

  static double Middle(const Interval& interval) { return (interval.low + interval.high) / 2; }

  void AddChoice(std::size_t coordinate, std::string id, std::string phrase, std::int64_t freedom) {
    model_.coordinates_[coordinate].choices.push_back(
        {std::move(id), std::move(phrase), freedom > 2 ? 4 : 3, true, {}, freedom});
  }

  // Multipliers with more bits that are the stated ones times these factors, one per channel.
  Ratios Scaled(const std::vector<double>& factors, const std::vector<double>& b_factors) const {
    constexpr int kBits = 31;
    Ratios ratios;
    for (std::size_t c = 0; c < factors.size(); ++c) {
      const std::int64_t m = At(spec_.multiplier, c);
      const int more = std::max(8, kBits - BitsOfMagnitude(m));
      const auto scaled = [&](std::int64_t value, double factor) {
        return static_cast<std::int64_t>(
            std::llround(std::ldexp(static_cast<double>(value) * factor, more)));
      };
      ratios.multiplier.push_back(scaled(m, factors[c]));
      ratios.shift.push_back(At(spec_.shift, c) + more);
      if (!spec_.b.empty())
        ratios.b_multiplier.push_back(scaled(At(spec_.b_multiplier, c), b_factors[c]));
    }
    return ratios;
  }
  void AddRatios(Ratios ratios, const char* id, std::string phrase, std::int64_t freedom) {
    model_.multipliers_.push_back(
        {MultiplierKind::kSolved, static_cast<int>(model_.ratios_.size())});
    model_.ratios_.push_back(std::move(ratios));
    AddChoice(1, id + suffix_, std::move(phrase), freedom);
  }
  std::vector<double> Everywhere(double factor) const {
    return std::vector<double>(static_cast<std::size_t>(spec_.layout.channels), factor);
  }

  // Whether the stated multipliers are what the solved ones are when rounded.
  bool TooFewBits(const std::vector<double>& factors, const std::vector<std::int64_t>& m) const {
    for (std::size_t c = 0; c < factors.size(); ++c) {
      const auto stated = static_cast<double>(At(m, c));
      if (std::abs(stated * factors[c] - stated) > 0.5) return false;
    }
    return true;
  }
  static std::string Stated(std::int64_t m, int shift) {
    return fmt::format("{} / 2^{} = {:.8g}", m, shift, std::ldexp(static_cast<double>(m), -shift));
  }

  void AddRatio() {
    const auto none = [](const Element&) { return 0.0; };
    const auto product = [](const Element& e) { return e.first + e.second; };
    if (const auto factor = SolveAnywhere(none, product)) {
      const std::vector<double> factors = Everywhere(Middle(*factor));
      const bool one = spec_.multiplier.size() == 1 && spec_.shift.size() == 1;
      const double stated =
          one ? std::ldexp(static_cast<double>(spec_.multiplier[0]), -spec_.shift[0]) : 1.0;
      std::string phrase =
          one ? fmt::format("a ratio of {:.8g} instead of {}", Middle(*factor) * stated,
                            Stated(spec_.multiplier[0], spec_.shift[0]))
              : fmt::format("ratios of {:.8g} times the stated M / 2^S", Middle(*factor));
      phrase += fmt::format(" ({:.7g} to {:.7g} fit{})",
                            std::min(factor->low * stated, factor->high * stated),
                            std::max(factor->low * stated, factor->high * stated),
                            TooFewBits(factors, spec_.multiplier) ? "; M has too few bits" : "");
      AddRatios(Scaled(factors, factors), "ratio", std::move(phrase), 1);
    }
    const auto each = SolveEach(none, product, 1.0);
    if (!each) return;
    std::vector<double> factors;
    for (const Interval& one : *each) factors.push_back(Middle(one));
    const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
    AddRatios(Scaled(factors, factors), "ratio_for_each_channel",
              fmt::format("a ratio of its own for each channel, {:.7g} to {:.7g} times the stated "
                          "M / 2^S{}",
                          *least, *most,
                          TooFewBits(factors, spec_.multiplier) ? " (M has too few bits)" : ""),
              spec_.layout.channels);
  }

  // Of a sum: a factor for each operand.
  void AddRatios() {
    constexpr double kHalfWidth = 0.9;
    std::vector<Strip> strips;
    for (const Element& e : elements_) strips.push_back({e.first, e.second, e.low, e.high});
    std::optional<Point> factors = CommonPoint(strips, kHalfWidth);
    if (!factors) {
      strips.resize(mismatches_);
      factors = CommonPoint(strips, kHalfWidth);
    }
    if (!factors) return;
    const std::vector<double> a = Everywhere(factors->x);
    const std::vector<double> b = Everywhere(factors->y);
    const bool one =
        spec_.multiplier.size() == 1 && spec_.shift.size() == 1 && spec_.b_multiplier.size() == 1;
    const double quantum = one ? std::ldexp(1.0, -spec_.shift[0]) : 1;
    std::string phrase =
        one ? fmt::format("ratios of {:.8g} and {:.8g} instead of {} and {}",
                          factors->x * static_cast<double>(spec_.multiplier[0]) * quantum,
                          factors->y * static_cast<double>(spec_.b_multiplier[0]) * quantum,
                          Stated(spec_.multiplier[0], spec_.shift[0]),
                          Stated(spec_.b_multiplier[0], spec_.shift[0]))
            : fmt::format("ratios of {:.8g} and {:.8g} times the stated M / 2^S", factors->x,
                          factors->y);
    if (TooFewBits(a, spec_.multiplier) && TooFewBits(b, spec_.b_multiplier))
      phrase += " (the multipliers have too few bits)";
    AddRatios(Scaled(a, b), "ratios", std::move(phrase), 2);
  }

  void AddAddends(Addends addends, std::string id, std::string phrase) {
    const auto freedom = static_cast<std::int64_t>(addends.size());
    model_.addends_.push_back(std::move(addends));
    AddChoice(8, std::move(id) + suffix_, std::move(phrase), freedom);
  }

  void AddConstant() {
    const auto product = [](const Element& e) { return e.first + e.second; };
    const auto quantum = [](const Element& e) { return e.quantum; };
    if (std::all_of(spec_.shift.begin(), spec_.shift.end(), [](int s) { return s == 0; })) return;
    if (const auto range = SolveAnywhere(product, quantum)) {
      // Half a step under floor is half_up.
      const bool half = one_shift_ && bounds_ == RoundRule::kFloor &&
                        std::ldexp(range->low, 1 - spec_.shift[0]) <= 1 &&
                        std::ldexp(range->high, 1 - spec_.shift[0]) >= 1;
      if (const auto constant = RoundestIn(*range); constant && *constant != 0 && !half) {
        std::string phrase = fmt::format("a constant of {} added before the shift", *constant);
        if (one_shift_)
          phrase += fmt::format(", {:.4g} of a step",
                                std::ldexp(static_cast<double>(*constant), -spec_.shift[0]));
        if (std::ceil(range->low) < std::floor(range->high))
          phrase += fmt::format(" ({:.0f} to {:.0f} fit)", std::ceil(range->low),
                                std::floor(range->high));
        AddAddends({*constant}, fmt::format("{}", *constant), std::move(phrase));
      }
    }
    const auto each = SolveEach(product, quantum, 0.0);
    if (!each) return;
    Addends addends;
    for (const Interval& one : *each) addends.push_back(RoundestIn(one).value_or(0));
    AddAddends(addends, "for_each_channel",
               fmt::format("a constant for each channel added before the shift ({})",
                           ListedAddends(addends)));
  }

  // Those that differ from what most channels have; where no number is that common, the first ones.
  static std::string ListedAddends(const Addends& addends) {
    constexpr std::size_t kListed = 3;
    std::map<std::int64_t, std::size_t> counts;
    for (const std::int64_t addend : addends) ++counts[addend];
    const auto usual =
        std::max_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    const bool common = usual->second * 2 > addends.size();
    std::string list;
    if (common && usual->first != 0) list = fmt::format("{} for most", usual->first);
    std::size_t listed = 0, others = 0;
    for (std::size_t c = 0; c < addends.size(); ++c) {
      if (common && addends[c] == usual->first) continue;
      if (++others > kListed) continue;
      list += fmt::format("{}{} for {}{}", list.empty() ? "" : ", ", addends[c],
                          listed++ == 0 ? "channel " : "", c);
    }
    return others > kListed ? list + fmt::format(", and {} more", others - kListed) : list;
  }

  void AddOffset() {
    const auto offset = SolveAnywhere([](const Element& e) { return e.first + e.second; },
                                      [](const Element& e) { return e.unit; });
    if (!offset) return;
    const auto number = RoundestIn(*offset);
    if (!number || *number == 0) return;
    model_.operands_.push_back({OperandKind::kXOffset, *number});
    std::string phrase =
        fmt::format("{:+} at every {}", *number, spec_.is_sum ? "first operand" : "accumulator");
    if (spec_.x_zero != 0)
      phrase += fmt::format(", as of an input zero point {} instead of {}", spec_.x_zero - *number,
                            spec_.x_zero);
    AddChoice(6, fmt::format("input_offset_{}{}", *number, suffix_), std::move(phrase), 1);
  }

  bool Agrees(const Settings& settings, std::int64_t e) const {
    const Int128 y = std::clamp<Int128>(model_.ResultAt(settings, e), spec_.qmin, spec_.qmax);
    return y == model_.actual()[static_cast<std::size_t>(e)];
  }

  // An operand of so many elements before: the distance that most of some mismatches agree on.
  void AddLate(OperandKind kind) {
    constexpr std::size_t kTried = 24;
    constexpr std::int64_t kFarthest = std::int64_t{1} << 16;
    const std::vector<std::int64_t> some = model_.SomeMismatches(kTried);
    Settings settings = model_.SettingsOf(model_.Golden());
    std::size_t best = some.size() / 2;
    std::int64_t distance = 0;
    for (std::int64_t n = 1; n < std::min(model_.size(), kFarthest); ++n) {
      for (const std::int64_t late : {n, -n}) {
        settings.operand = {kind, late};
        std::size_t agreeing = 0;
        for (std::size_t i = 0; i < some.size() && agreeing + some.size() - i > best; ++i)
          agreeing += Agrees(settings, some[i]) ? 1U : 0U;
        if (agreeing <= best) continue;
        best = agreeing;
        distance = late;
      }
    }
    if (distance == 0) return;
    // In steps of the longest axis that it is a multiple of.
    std::string name = "element";
    std::int64_t steps = std::abs(distance);
    std::int64_t inner = model_.size();
    for (std::size_t axis = 0; axis < spec_.shape.size(); ++axis) {
      inner /= spec_.shape[axis];
      if (distance % inner != 0 || std::abs(distance) / inner >= spec_.shape[axis]) continue;
      name = spec_.axis_names[axis];
      steps = std::abs(distance) / inner;
      break;
    }
    model_.operands_.push_back({kind, distance});
    const bool first = kind == OperandKind::kXLate;
    AddChoice(6, fmt::format("{}_late_{}", first ? "a" : "b", distance),
              fmt::format("{} {} {}",
                          !first         ? "the " + spec_.b_name
                          : spec_.is_sum ? "the first operand"
                                         : "the accumulator",
                          steps == 1 ? "one " + name : fmt::format("{} {}s", steps, name),
                          distance > 0 ? "late" : "early"),
              1);
  }

  // Parameters of the channel n further on, for every n, where a few mismatches ask for it.
  void AddRotations() {
    constexpr std::size_t kTried = 64;
    const std::int64_t channels = spec_.layout.channels;
    const std::vector<std::int64_t> some = model_.SomeMismatches(kTried);
    std::vector<ParameterChoice> like;
    for (const ParameterChoice& choice : model_.parameters_)
      if (choice.kind == ParameterKind::kRotated && choice.n == 1) like.push_back(choice);
    for (ParameterChoice choice : like) {
      std::size_t best = some.size() / 2;
      std::int64_t best_n = 0;
      for (choice.n = 2; choice.n < channels - 1; ++choice.n) {
        Settings settings = model_.SettingsOf(model_.Golden());
        settings.parameter = choice;
        std::size_t agreeing = 0;
        for (const std::int64_t e : some) {
          agreeing += Agrees(settings, e) ? 1U : 0U;
        }
        if (agreeing <= best) continue;
        best = agreeing;
        best_n = choice.n;
      }
      if (best_n == 0) continue;
      choice.n = best_n;
      model_.parameters_.push_back(choice);
      const bool all = choice.multiplier && choice.shift && choice.zero;
      std::string what = all ? "parameters" : "";
      if (!all) {
        if (choice.multiplier) what += "multiplier";
        if (choice.shift) what += what.empty() ? "shift" : " and shift";
        if (choice.zero) what += what.empty() ? "zero point" : " and zero point";
      }
      AddChoice(7, fmt::format("rotated_{}", best_n),
                best_n <= channels / 2
                    ? fmt::format("the {} of the channel {} further on", what, best_n)
                    : fmt::format("the {} of the channel {} before", what, channels - best_n),
                1);
    }
  }

  RequantModel& model_;
  const RequantSpec& spec_;
  std::vector<Element> elements_;  // the mismatches first
  std::size_t mismatches_ = 0;
  RoundRule bounds_ = RoundRule::kHalfUp;
  std::string suffix_;
  bool one_shift_ = false;  // the same for every channel
};

void RequantModel::AddSolved() { Solver(*this).Add(); }

}  // namespace qsim::explain
