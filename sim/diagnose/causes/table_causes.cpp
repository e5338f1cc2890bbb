#include "sim/diagnose/causes/table_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <set>
#include <utility>

#include "golden/ops/table.h"
#include "golden/program/queries.h"
#include "sim/network/families/activations.h"
#include "sim/statistics/pair_sums.h"

namespace qsim::diagnose {
namespace {

constexpr double kSameFactor = 0.02;
constexpr std::size_t kLooked = 512;  // entries of a long table that a rule is compared with

using Real = std::function<double(double)>;

struct NamedFunction {
  const char* name;
  double (*of)(double);
};
double Erf(double x) { return x / 2 * (1 + std::erf(x / std::numbers::sqrt2)); }
double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
constexpr NamedFunction kFunctions[] = {
    {"ReLU", network::Relu},
    {"the identity", [](double x) { return x; }},
    {"GELU", Erf},
    {"GELU by tanh", network::TanhGelu},
    {"GELU by x / (1 + e^(-1.702 x))", network::QuickGelu},
    {"SiLU", network::Silu},
    {"the sigmoid", Sigmoid},
    {"tanh", [](double x) { return std::tanh(x); }},
    {"the exponential", [](double x) { return std::exp(x); }},
    {"softplus", network::Softplus},
    {"the logarithm of the sigmoid", [](double x) { return -network::Softplus(-x); }},
    {"the absolute value", [](double x) { return std::fabs(x); }},
    {"ReLU6", [](double x) { return std::clamp(x, 0.0, 6.0); }},
    {"hard swish", [](double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }},
    {"leaky ReLU", [](double x) { return x < 0 ? 0.01 * x : x; }},
};

// The function of a node's column; empty where it has none.
Real FunctionOf(const network::Node& node, std::size_t column) {
  if (std::holds_alternative<network::Gelu>(node.function)) return Erf;
  const auto* functions = std::get_if<network::Elementwise>(&node.function);
  if (functions == nullptr) return {};
  const auto columns = static_cast<std::size_t>(node.shape.back());
  return functions->of[column / (columns / functions->of.size())];
}

// One table of the program's operation, and the one that should be in its place.
struct Piece {
  std::vector<double> is, should;  // of every code of the input, less the output's zero point
  Real function;
  double in_scale = 1, out_scale = 1;
  double in_zero = 0;          // as an index
  double least = 0, most = 0;  // of the output, less its zero point
  int step = 1;                // codes of the input from one stored entry to the next
  double Input(std::size_t i) const { return in_scale * (static_cast<double>(i) - in_zero); }
};

std::vector<Piece> PiecesOf(const Remaking& of) {
  const auto &is = std::get<TableOp>(of.op), &good = std::get<TableOp>(of.good);
  const Bundle& bundle = of.subject.bundle;
  const TensorScale &in = bundle.scales.at(is.input), &out = bundle.scales.at(of.tensor);
  const QuantRange range = bundle.program.Tensor(is.input).range;
  const QuantRange outputs = bundle.program.Tensor(of.tensor).range;
  const std::int64_t codes = std::int64_t{range.qmax} - range.qmin + 1;
  const network::Node& node = *of.subject.model.NodeOf(of.tensor);
  const auto first = [](const TableOp& op, std::size_t c) {
    return op.table_of.empty() ? 0 : op.table_of.at(c);
  };
  std::vector<Piece> pieces;
  std::set<std::pair<std::int32_t, std::int32_t>> seen;
  for (std::size_t c = 0; c < std::max({is.table_of.size(), good.table_of.size(), std::size_t{1}});
       ++c) {
    if (!seen.emplace(first(is, c), first(good, c)).second) continue;
    Piece piece;
    const auto zero = static_cast<double>(out.At(c).zero);
    for (std::int64_t code = 0; code < codes; ++code) {
      piece.is.push_back(TableValue(code, is.TableOf(c, codes), is.step_bits) - zero);
      piece.should.push_back(TableValue(code, good.TableOf(c, codes), good.step_bits) - zero);
    }
    piece.function = FunctionOf(node, c);
    piece.in_scale = in.At(c).scale;
    piece.in_zero = static_cast<double>(in.At(c).zero) - range.qmin;
    piece.out_scale = out.At(c).scale;
    piece.least = outputs.qmin - zero;
    piece.most = outputs.qmax - zero;
    piece.step = 1 << is.step_bits;
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

// What a rule says of every entry, beside what the table has.
struct Agreement {
  double rest = 0, before = 0, count = 0;
  // Two roundings to a step, or what an interpolated table is off by.
  bool Explains() const { return rest <= count + 0.02 * before && rest * 4 <= before; }
};
Agreement Agree(const std::vector<Piece>& pieces,
                const std::function<double(const Piece& piece, std::size_t i)>& rule) {
  Agreement sum;
  for (const Piece& piece : pieces) {
    const std::size_t stride = std::max<std::size_t>(1, piece.is.size() / kLooked);
    for (std::size_t i = 0; i < piece.is.size(); i += stride) {
      const double y = std::clamp(rule(piece, i), piece.least, piece.most);
      if (!std::isfinite(y)) continue;
      sum.rest += (piece.is[i] - y) * (piece.is[i] - y);
      sum.before += (piece.is[i] - piece.should[i]) * (piece.is[i] - piece.should[i]);
      sum.count += 1;
    }
  }
  return sum;
}

double At(const std::vector<double>& values, double i) {
  return values[static_cast<std::size_t>(
      std::clamp(i, 0.0, static_cast<double>(values.size() - 1)))];
}

// The factor of the input's scale that explains the table best, and how well.
std::pair<double, Agreement> BestScale(const std::vector<Piece>& pieces, const Real* other) {
  const auto with = [&](double factor) {
    return Agree(pieces, [&](const Piece& p, std::size_t i) {
      const Real& f = other != nullptr ? *other : p.function;
      return f(factor * p.Input(i)) / p.out_scale;
    });
  };
  std::pair<double, Agreement> best{1, with(1)};
  const auto look = [&](double from, double step, int steps) {
    for (int s = -steps; s <= steps; ++s) {
      const double factor = from * std::exp2(step * s);
      const Agreement here = with(factor);
      if (here.rest < best.second.rest) best = {factor, here};
    }
  };
  look(1, 0.125, 40);
  look(best.first, 1.0 / 64, 8);
  look(best.first, 1.0 / 512, 8);
  return best;
}

Story Told(std::string text) { return {Cause::kTable, std::move(text), {}}; }

// By where its entries are.
std::optional<Story> Moved(const std::vector<Piece>& pieces) {
  const auto reads = [&](const std::function<double(double i, double count)>& from) {
    return Agree(pieces,
                 [&](const Piece& p, std::size_t i) {
                   return At(p.should,
                             from(static_cast<double>(i), static_cast<double>(p.is.size())));
                 })
        .Explains();
  };
  if (reads([](double i, double n) { return n - 1 - i; }))
    return Told("its table is in reverse order");
  if (reads([](double i, double n) { return std::fmod(i + n / 2, n); }))
    return Told("the halves of its table are in each other's place: signed codes as unsigned ones");
  const int stored = pieces.front().step;
  for (const int step : std::set<int>{1, stored}) {
    for (int entries = 1; entries <= 160; ++entries) {
      for (const int by : {entries * step, -entries * step}) {
        if (reads([by](double i, double) { return i + by; })) {
          return Told(fmt::format("its table is made for an input whose zero point is {} {}",
                                  std::abs(by), by > 0 ? "smaller" : "larger"));
        }
        if (step == stored && reads([by](double i, double n) { return std::fmod(i + by + n, n); }))
          return Told(fmt::format("its table is rotated by {} {}", entries,
                                  entries == 1 ? "entry" : "entries"));
      }
    }
  }
  return std::nullopt;
}

// The right one, but for values that it does not have.
std::optional<Story> CutOff(const std::vector<Piece>& pieces) {
  double least = std::numeric_limits<double>::infinity(), most = -least, low = least, high = most;
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.is.size(); ++i) {
      least = std::min(least, piece.is[i]);
      most = std::max(most, piece.is[i]);
      low = std::min(low, piece.should[i]);
      high = std::max(high, piece.should[i]);
    }
  }
  const bool below = least > low, above = most < high;
  const Agreement kept = Agree(
      pieces, [&](const Piece& p, std::size_t i) { return std::clamp(p.should[i], least, most); });
  if (below == above || kept.rest > 0.02 * kept.before) return std::nullopt;
  const double scale = pieces.front().out_scale;
  return Told(fmt::format("its table is cut off: what should be {} {:.3g} is {:.3g}",
                          below ? "below" : "above", scale * (below ? least : most),
                          scale * (below ? least : most)));
}

// Several tables, by which of them is where.
std::optional<Story> Reordered(const std::vector<Piece>& pieces) {
  if (pieces.size() < 2) return std::nullopt;
  Lines is, should;
  is.width = should.width = pieces.front().is.size();
  for (const Piece& piece : pieces) {
    is.values.insert(is.values.end(), piece.is.begin(), piece.is.end());
    should.values.insert(should.values.end(), piece.should.begin(), piece.should.end());
  }
  const Kinship kin = KinshipOf(is, should, {"table"}, {0.02, 1, {}});
  const bool exact = kin.kind == Kinship::Kind::kOrder &&
                     std::all_of(kin.at.begin(), kin.at.end(), [&](std::size_t n) {
                       return pieces[n].is == pieces[kin.from[n]].should;
                     });
  if (!exact) return std::nullopt;
  return Told(fmt::format("its tables are in another order: {}", kin.text));
}

std::optional<TableStory> ExplainPieces(const std::vector<Piece>& pieces) {
  PairSums sums;
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.is.size(); ++i) sums.Add(piece.should[i], piece.is[i]);
  }
  const double factor = sums.Slope(), offset = sums.Offset();
  // A true line leaves the roundings of two tables: two steps at most.
  const bool line = sums.Residual() <= 2 * sums.count() && factor != 0;
  const bool moved = std::fabs(offset) > 2, scaled = std::fabs(factor - 1) > kSameFactor;
  const std::vector<Evidence> evidence = {{"factor", factor, "x"}, {"offset", offset, ""}};
  if (line && moved && !scaled) {
    return TableStory{
        {Cause::kZeroPointMismatch,
         fmt::format("its table has an output zero point {:.1f} steps off", offset), evidence},
        std::nullopt};
  }
  if (line && !moved) {
    return TableStory{{Cause::kTable,
                       fmt::format("its table's outputs are {} times those of the output's scale",
                                   FactorText(factor)),
                       evidence},
                      factor};
  }
  if (auto story = Reordered(pieces)) return TableStory{std::move(*story), std::nullopt};
  const bool known = std::all_of(pieces.begin(), pieces.end(), [](const Piece& piece) {
    return static_cast<bool>(piece.function);
  });
  if (known) {
    const auto [scale, agreement] = BestScale(pieces, nullptr);
    if (agreement.Explains()) {
      return TableStory{
          {Cause::kTable,
           fmt::format("its table is made for an input scale that is {:.3g} times the stated one",
                       scale),
           {{"factor of the input's scale", scale, "x"}}},
          std::nullopt};
    }
    const NamedFunction* best = nullptr;
    Agreement least;
    for (const NamedFunction& candidate : kFunctions) {
      const Agreement here = Agree(pieces, [&](const Piece& p, std::size_t i) {
        return candidate.of(p.Input(i)) / p.out_scale;
      });
      if (!here.Explains() || (best != nullptr && here.rest >= least.rest)) continue;
      best = &candidate;
      least = here;
    }
    if (best != nullptr)
      return TableStory{Told(fmt::format("its table is that of {}", best->name)), std::nullopt};
  }
  if (line) {
    return TableStory{{Cause::kTable,
                       fmt::format("its table's outputs are {} times those of the output's scale, "
                                   "and {:.1f} steps off",
                                   FactorText(factor), offset),
                       evidence},
                      std::nullopt};
  }
  if (auto story = CutOff(pieces)) return TableStory{std::move(*story), std::nullopt};
  if (auto story = Moved(pieces)) return TableStory{std::move(*story), std::nullopt};
  if (known) {
    const NamedFunction* best = nullptr;
    std::pair<double, Agreement> fit;
    for (const NamedFunction& candidate : kFunctions) {
      const Real function = candidate.of;
      const auto here = BestScale(pieces, &function);
      if (!here.second.Explains() || (best != nullptr && here.second.rest >= fit.second.rest))
        continue;
      best = &candidate;
      fit = here;
    }
    if (best != nullptr) {
      return TableStory{Told(fmt::format("its table is that of {}, for an input scale that is {} "
                                         "times the stated one",
                                         best->name, FactorText(fit.first))),
                        std::nullopt};
    }
  }
  int common = 0;
  for (const Piece& piece : pieces) {
    std::optional<double> first;  // at the ends of the range they may lie anywhere
    for (const double v : piece.is) {
      if (v <= piece.least || v >= piece.most) continue;
      if (!first) first = v;
      common = std::gcd(common, static_cast<int>(v - *first));
    }
  }
  if (common > 1) {
    return TableStory{{Cause::kTooFewBits,
                       fmt::format("the entries of its table lie {} apart: too few bits", common),
                       {}},
                      std::nullopt};
  }
  double wrong = 0;
  for (const Piece& piece : pieces) {
    for (std::size_t i = 0; i < piece.is.size(); ++i)
      wrong += std::fabs(piece.is[i] - piece.should[i]) > 2;
  }
  return TableStory{
      {Cause::kTable,
       fmt::format("its table is not the function's: {:.0f} of {:.0f} entries are off "
                   "by more than two steps",
                   wrong, sums.count()),
       {{"entries off", 100 * wrong / sums.count(), "%"}}},
      std::nullopt};
}

}  // namespace

std::optional<TableStory> ExplainTable(const Remaking& of) {
  const std::vector<Integers> is = IntegersOf(of.op, Role::kTable),
                              should = IntegersOf(of.good, Role::kTable);
  if (is.empty() || should.empty()) return std::nullopt;
  if (std::holds_alternative<TableOp>(of.op)) {
    const std::vector<Piece> pieces = PiecesOf(of);
    const bool same =
        std::all_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.is == p.should; });
    return same ? std::nullopt : ExplainPieces(pieces);
  }
  // A table within an algorithm: of a function of its own.
  Piece piece;
  for (const std::int64_t v : is.front().values) piece.is.push_back(static_cast<double>(v));
  for (const std::int64_t v : should.front().values) piece.should.push_back(static_cast<double>(v));
  if (piece.is == piece.should || piece.is.size() != piece.should.size()) return std::nullopt;
  const network::Node& node = *of.subject.model.NodeOf(of.tensor);
  const Bundle& bundle = of.subject.bundle;
  const std::string input = InputsOf(of.op).front();
  const QuantRange range = bundle.program.Tensor(input).range;
  const QuantRange outputs = bundle.program.Tensor(of.tensor).range;
  const Quantization in = bundle.scales.at(input).At(0), out = bundle.scales.at(of.tensor).At(0);
  if (static_cast<std::int64_t>(piece.is.size()) == std::int64_t{range.qmax} - range.qmin + 1)
    piece.function = FunctionOf(node, 0);
  piece.in_scale = in.scale;
  piece.in_zero = static_cast<double>(in.zero) - range.qmin;
  piece.out_scale = out.scale;
  for (double& v : piece.is) v -= piece.function ? out.zero : 0;
  for (double& v : piece.should) v -= piece.function ? out.zero : 0;
  piece.least = piece.function ? outputs.qmin - out.zero : -1e300;
  piece.most = piece.function ? outputs.qmax - out.zero : 1e300;
  return ExplainPieces({piece});
}

}  // namespace qsim::diagnose
