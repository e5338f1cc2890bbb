#include "sim/diagnose/causes/constant_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/multipliers.h"
#include "sim/error.h"

namespace qsim::diagnose {
namespace {

Lines LinesOf(const RatioList& list, std::size_t count) {
  Lines lines;
  for (std::size_t c = 0; c < count; ++c) lines.values.push_back(RealOf(EntryFor(list.values, c)));
  return lines;
}

Lines LinesOf(const std::vector<std::int64_t>& values, std::size_t count) {
  Lines lines;
  for (std::size_t c = 0; c < count; ++c)
    lines.values.push_back(static_cast<double>(EntryFor(values, c)));
  return lines;
}

// Half a step of each multiplier, and what its neighbours' rounding makes of that.
Tolerance ToleranceOf(const RatioList& list, std::size_t count) {
  Tolerance tolerance{0.005, 0, {}};
  for (std::size_t c = 0; c < count; ++c)
    tolerance.of_line.push_back(std::ldexp(1.0, -EntryFor(list.values, c).shift));
  return tolerance;
}

// The same list of the operations of the same kind.
std::vector<Foreign> SameOfOthers(const Remaking& of, std::size_t count,
                                  const std::function<Lines(const Op& op)>& lines) {
  std::vector<Foreign> others;
  for (const Op& op : of.remade.program.ops) {
    if (op.index() != of.op.index() || OutputOf(op) == of.tensor) continue;
    Lines theirs = lines(op);
    if (theirs.values.size() == count) others.emplace_back(OutputOf(op), std::move(theirs));
  }
  return others;
}

Lines LinesOf(const IntTensor& constant, bool columns) {
  const Shape& shape = constant.shape();
  const auto width = static_cast<std::size_t>(shape.size() > 1 ? shape.back() : 1);
  const std::size_t rows = static_cast<std::size_t>(constant.size()) / width;
  Lines lines{{}, columns ? rows : width};
  lines.values.resize(static_cast<std::size_t>(constant.size()));
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < width; ++c) {
      lines.values[columns ? c * rows + r : r * width + c] =
          static_cast<double>(constant.At(static_cast<std::int64_t>(r * width + c)));
    }
  }
  return lines;
}

// How the rows of a constant are called, or its columns.
Places PlacesOf(const Remaking& of, const std::string& name, bool columns) {
  const network::Network& model = of.subject.model;
  const network::Node& node = *model.NodeOf(of.tensor);
  if (const auto* positions = std::get_if<network::Positions>(&node.function)) {
    if (columns) return ChannelsOf(model, of.tensor);
    Places rows{"row", {}, 1, static_cast<std::size_t>(positions->rows()), {}};
    for (const network::Node& other : model.nodes()) {
      const auto* patches = std::get_if<network::Patches>(&other.function);
      if (patches == nullptr) continue;
      const Shape& pixels = model.At(other.inputs[0]).shape;
      rows.grid = {static_cast<std::size_t>(pixels[1] / patches->size),
                   static_cast<std::size_t>(pixels[2] / patches->size)};
    }
    return rows;
  }
  const bool taps = std::holds_alternative<network::CausalConvolution>(node.function);
  if (of.remade.program.Constant(name).shape().size() < 2 || (columns && !taps) ||
      (!columns && taps)) {
    return ChannelsOf(model, of.tensor);
  }
  return {taps ? "tap" : "row"};
}

// A constant of rows and columns that is not the one wanted: by its rows, else by its columns.
Story ExplainConstant(const Remaking& of, const std::string& name) {
  const IntTensor& is = of.subject.bundle.program.Constant(name);
  const IntTensor& should = of.remade.program.Constant(name);
  const bool positions =
      std::holds_alternative<network::Positions>(of.subject.model.NodeOf(of.tensor)->function);
  Story story{positions ? Cause::kPositions : Cause::kConstants, ""};
  if (is.shape() != should.shape()) {
    story.text = fmt::format("its '{}' has another shape than the model's", name);
    return story;
  }
  int common = 0;
  for (std::int64_t i = 0; i < is.size(); ++i)
    common = std::gcd(common, static_cast<int>(is.At(i) - is.At(0)));
  const Tolerance tolerance{0.02, 1, {}};
  Kinship best;
  for (const bool columns : {false, true}) {
    if (columns && is.shape().size() < 2) break;
    const Kinship kin = KinshipOf(LinesOf(is, columns), LinesOf(should, columns),
                                  PlacesOf(of, name, columns), tolerance);
    if (kin.kind == Kinship::Kind::kSame) {
      story.text = fmt::format("its '{}' is a step off here and there", name);
      return story;
    }
    if (!columns || kin.kind != Kinship::Kind::kOther) best = kin;
    if (best.kind != Kinship::Kind::kOther) break;
  }
  if (best.kind == Kinship::Kind::kOther && common > 1) {
    return {Cause::kTooFewBits,
            fmt::format("the values of its '{}' lie {} apart: too few bits", name, common)};
  }
  const std::string what = positions ? "its positions" : fmt::format("the values of '{}'", name);
  story.text = best.Sentence(what, "the model's");
  return story;
}

// Every coefficient and addend of an operation, in order.
std::vector<std::int64_t> CoefficientsOf(const Op& op) {
  std::vector<std::int64_t> all;
  for (const Role role : {Role::kCoefficient, Role::kAddend, Role::kTable, Role::kMultiplier}) {
    for (const Integers& list : IntegersOf(op, role))
      all.insert(all.end(), list.values.begin(), list.values.end());
  }
  return all;
}

// The factor by which a scale beside it must be another one for an operation to have these
// numbers; nothing where none does.
std::optional<std::string> MadeForScale(const Remaking& of) {
  const std::vector<std::int64_t> is = CoefficientsOf(of.op), should = CoefficientsOf(of.good);
  std::set<double> candidates;
  for (std::size_t i = 0; i < std::min(is.size(), should.size()); ++i) {
    if (is[i] == should[i] || is[i] == 0 || should[i] == 0) continue;
    const double r = std::fabs(static_cast<double>(is[i]) / static_cast<double>(should[i]));
    for (const double f : {r, 1 / r, std::sqrt(r), 1 / std::sqrt(r)}) candidates.insert(f);
    if (candidates.size() > 12) break;
  }
  for (int power = -6; power <= 6; ++power) candidates.insert(std::exp2(power));
  std::vector<std::string> tensors = InputsOf(of.op);
  tensors.push_back(of.tensor);
  for (const std::string& tensor : tensors) {
    for (const double factor : candidates) {
      if (std::fabs(factor - 1) < 1e-6) continue;
      Bundle other = of.subject.bundle;
      for (double& s : other.scales.at(tensor).scale) s *= factor;
      try {
        of.rederivation.Derive({of.tensor}, other);
      } catch (const InputError&) {
        continue;
      }
      const std::vector<std::int64_t> made = CoefficientsOf(*ProducerOf(other.program, of.tensor));
      if (made.size() != is.size() || made == should) continue;
      const bool same = std::equal(is.begin(), is.end(), made.begin(), [](auto a, auto b) {
        return std::llabs(a - b) <= 1 + std::llabs(b) / 50;
      });
      if (!same) continue;
      return fmt::format("made for a scale of '{}' that is {} times the stated one", tensor,
                         FactorText(factor));
    }
  }
  return std::nullopt;
}

}  // namespace

Places ChannelsOf(const network::Network& model, const std::string& tensor) {
  Places places{"channel"};
  places.heads = HeadsOf(model, tensor);
  return places;
}

Story ExplainRatioList(const Remaking& of, std::size_t list, const std::string& what) {
  const RatioList actual = RatiosOf(of.op)[list], wanted = RatiosOf(of.good)[list];
  const std::size_t count = std::max(actual.values.size(), wanted.values.size());
  const auto lines_of = [&](const Op& op) {
    const std::vector<RatioList> ratios = RatiosOf(op);
    if (list >= ratios.size() || ratios[list].values.size() != count) return Lines{};
    return LinesOf(ratios[list], count);
  };
  const Places places = ChannelsOf(of.subject.model, of.tensor);
  const Kinship kin = KinshipOf(LinesOf(actual, count), LinesOf(wanted, count), places,
                                ToleranceOf(actual, count), SameOfOthers(of, count, lines_of));
  Story story{
      Cause::kScaleMismatch, "", {{"channels at fault", static_cast<double>(kin.at.size()), ""}}};
  const auto lost = [&](std::size_t c) { return EntryFor(actual.values, c).m == 1; };
  if (kin.kind == Kinship::Kind::kNegated) story.cause = Cause::kConstants;
  story.text = kin.Sentence(what, "what the scales around it ask for");
  if (!kin.at.empty() && std::all_of(kin.at.begin(), kin.at.end(), lost)) {
    const std::size_t c = kin.at.front();
    const std::int64_t one = EntryFor(wanted.values, c).m;
    story.text = fmt::format(
        "{} has lost its multiplier: 1{}, {} times what the scales around it ask for",
        PlacesText(kin.at, count, places),
        kin.at.size() == 1 && one != 1 ? fmt::format(" in place of {}", one) : "",
        FactorText(RealOf(EntryFor(actual.values, c)) / RealOf(EntryFor(wanted.values, c))));
  }
  return story;
}

std::optional<Story> ExplainExchange(const Remaking& of, const std::vector<std::string>& operands) {
  const std::vector<RatioList> is = RatiosOf(of.op), should = RatiosOf(of.good);
  for (std::size_t i = 0; i < is.size(); ++i) {
    for (std::size_t j = i + 1; j < is.size(); ++j) {
      const std::size_t count = std::max(is[i].values.size(), is[j].values.size());
      bool exchanged = true, differ = false;
      for (std::size_t c = 0; c < count; ++c) {
        const double a = RealOf(EntryFor(is[i].values, c)), b = RealOf(EntryFor(is[j].values, c));
        const double x = RealOf(EntryFor(should[i].values, c)),
                     y = RealOf(EntryFor(should[j].values, c));
        exchanged = exchanged && std::fabs(a - y) <= 0.005 * std::fabs(y) + 1e-300 &&
                    std::fabs(b - x) <= 0.005 * std::fabs(x) + 1e-300;
        differ = differ || std::fabs(x - y) > 0.02 * std::fabs(x);
      }
      if (!exchanged || !differ) continue;
      return Story{Cause::kScaleMismatch,
                   fmt::format("the multipliers of '{}' and '{}' are in each other's place",
                               operands.at(i), operands.at(j)),
                   {}};
    }
  }
  return std::nullopt;
}

std::optional<Story> ExplainConstants(const Remaking& of) {
  for (const Role role : {Role::kAddend, Role::kCoefficient}) {
    const std::vector<Integers> actual = IntegersOf(of.op, role);
    const std::vector<Integers> wanted = IntegersOf(of.good, role);
    for (std::size_t i = 0; i < std::min(actual.size(), wanted.size()); ++i) {
      const std::vector<std::int64_t>& a = actual[i].values;
      const std::vector<std::int64_t>& w = wanted[i].values;
      if (a == w) continue;
      const bool by_channel = actual[i].field.axis == Axis::kChannel;
      Story story{role == Role::kAddend ? Cause::kZeroPointMismatch
                  : by_channel          ? Cause::kScaleMismatch
                                        : Cause::kConstants,
                  ""};
      const std::string name(actual[i].field.name);
      const std::string several = name + (name.ends_with('s') ? "es" : "s");
      const std::size_t count = std::max(a.size(), w.size());
      if (count == 1) {
        story.text = fmt::format("its {} is {}, the scales around it ask for {}", name, a[0], w[0]);
      } else if (by_channel) {
        const auto lines_of = [&](const Op& op) {
          const std::vector<Integers> lists = IntegersOf(op, role);
          return i < lists.size() ? LinesOf(lists[i].values, lists[i].values.size()) : Lines{};
        };
        const Places places = ChannelsOf(of.subject.model, of.tensor);
        const Kinship kin = KinshipOf(LinesOf(a, count), LinesOf(w, count), places, {0.01, 1, {}},
                                      SameOfOthers(of, count, lines_of));
        if (kin.kind == Kinship::Kind::kSame) continue;
        story.text =
            kin.Sentence(fmt::format("its {}", several), "what the scales around it ask for");
        using Kind = Kinship::Kind;
        const bool theirs =
            role == Role::kAddend && (kin.kind == Kind::kOrder || kin.kind == Kind::kForeign);
        if (kin.kind == Kind::kNegated || kin.kind == Kind::kZero || theirs)
          story.cause = Cause::kConstants;
      } else {
        story.text = fmt::format("its {} are not those that the scales around it ask for", several);
      }
      if (story.cause == Cause::kConstants || !by_channel) {
        if (const auto made = MadeForScale(of)) {
          story.cause = Cause::kConstants;
          story.text += fmt::format(": they are {}", *made);
        }
      }
      return story;
    }
  }
  for (const std::string& name : ConstantsOf(of.op)) {
    if (!(of.subject.bundle.program.Constant(name) == of.remade.program.Constant(name)))
      return ExplainConstant(of, name);
  }
  return std::nullopt;
}

}  // namespace qsim::diagnose
