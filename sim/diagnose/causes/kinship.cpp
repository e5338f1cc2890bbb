#include "sim/diagnose/causes/kinship.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/namespaces.h"
#include "sim/statistics/median.h"
#include "sim/statistics/pair_sums.h"

namespace qsim::diagnose {
namespace {

constexpr double kMatch = 0.9;        // correlation of a line with the one that it is
constexpr double kShortMatch = 0.98;  // of a short one
constexpr std::size_t kShort = 16;
constexpr double kMatched = 0.8;        // of the lines at fault, in another order
constexpr double kExplained = 20;       // noise before over after, of what explains it
constexpr std::size_t kVector = 3;      // numbers that give a line a face
constexpr std::size_t kLeastOrder = 8;  // lines without one, whose order says something

class Comparison {
 public:
  Comparison(const Lines& is, const Lines& should, const Places& places, const Tolerance& tolerance)
      : is_(is), should_(should), places_(places), tolerance_(tolerance) {
    for (std::size_t n = 0; n < is.count(); ++n) {
      if (Off(is, n, n) > Allowed(n)) at_.push_back(n);
    }
  }

  Kinship Explain(const std::vector<Foreign>& others) {
    Kinship kin;
    kin.at = at_;
    if (at_.empty()) return kin;
    if (at_.size() < is_.count())
      kin.where = fmt::format(" at {}", PlacesText(at_, is_.count(), places_));
    if (AllOf([&](std::size_t n) { return is_.Energy(n) <= Unseen(n); })) {
      return Of(kin, Kinship::Kind::kZero, "0");
    }
    // Most agree with one factor: what is 0 agrees with any.
    const double factor = Factor(at_);
    if (std::fabs(factor + 1) < 0.02 && Explains([](double w) { return -w; }))
      return Of(kin, Kinship::Kind::kNegated, "the wrong sign");
    if (Explains([&](double w) { return factor * w; })) {
      kin.factor = factor;
      return Of(kin, Kinship::Kind::kScaled, FactorText(factor) + " times");
    }
    if (InAnotherOrder(kin)) return kin;
    if (const auto other = ForeignOf(others)) {
      return Of(kin, Kinship::Kind::kForeign, fmt::format("those of '{}'", *other));
    }
    double shift = 0;
    for (const std::size_t n : at_) {
      for (std::size_t k = 0; k < is_.width; ++k) shift += is_.At(n, k) - should_.At(n, k);
    }
    shift /= static_cast<double>(at_.size() * is_.width);
    if (at_.size() * is_.width > 1 && Explains([&](double w) { return w + shift; })) {
      kin.shift = shift;
      return Of(kin, Kinship::Kind::kShifted, fmt::format("off by {:.4g}", shift));
    }
    if (FactorOfGroups(kin)) return kin;
    if (at_.size() == 1 && is_.width == 1) {
      kin.factor = factor;
      return Of(kin, Kinship::Kind::kScaled, FactorText(factor) + " times");
    }
    if (AllOf([&](std::size_t n) { return Correlation(n, should_) < -kMatch; }))
      return Of(kin, Kinship::Kind::kNegated, "the wrong sign");
    return Of(kin, Kinship::Kind::kOther, "other numbers");
  }

 private:
  static Kinship Of(Kinship kin, Kinship::Kind kind, std::string text) {
    kin.kind = kind;
    kin.text = std::move(text);
    return kin;
  }

  double Off(const Lines& of, std::size_t n, std::size_t m) const {
    double sum = 0;
    for (std::size_t k = 0; k < is_.width; ++k) {
      const double off = of.At(n, k) - should_.At(m, k);
      sum += off * off;
    }
    return sum;
  }
  // What a line may have without being anything.
  double Unseen(std::size_t n) const {
    const double each = tolerance_.of_line.empty() ? tolerance_.absolute : tolerance_.of_line[n];
    return each * each * static_cast<double>(is_.width);
  }
  double Allowed(std::size_t n) const {
    return tolerance_.relative * tolerance_.relative * should_.Energy(n) + Unseen(n);
  }
  template <typename Holds>
  bool AllOf(Holds holds) const {
    return std::all_of(at_.begin(), at_.end(), holds);
  }

  // Least squares, of the lines given; then of those that agree with it, since a few that do not
  // may have most of the energy.
  double Factor(const std::vector<std::size_t>& lines) const {
    std::vector<double> factors;
    double both = 0, exact = 0;
    for (const std::size_t n : lines) {
      const double b = Both(n, should_);
      both += b;
      exact += should_.Energy(n);
      if (should_.Energy(n) > 0) factors.push_back(b / should_.Energy(n));
    }
    if (factors.empty()) return 1;
    const double mean = both / exact, middle = Median(std::move(factors));
    return std::fabs(mean / middle - 1) < 0.05 ? mean : middle;
  }

  // Whether what a rule makes of the lines that should be at fault is what they are: most of them,
  // and most of the noise.
  template <typename Rule>
  bool Explains(Rule rule) const {
    double before = 0, after = 0;
    std::size_t good = 0;
    for (const std::size_t n : at_) {
      double off = 0;
      for (std::size_t k = 0; k < is_.width; ++k) {
        const double e = is_.At(n, k) - rule(should_.At(n, k));
        off += e * e;
      }
      const double allowed = std::max(Allowed(n), 1e-3 * is_.Energy(n));
      good += off <= 4 * allowed;
      before += Off(is_, n, n);
      after += std::max(0.0, off - std::min(allowed, Unseen(n) + 1e-3 * is_.Energy(n)));
    }
    return good * 10 >= at_.size() * 9 && after * kExplained <= before;
  }

  double Both(std::size_t n, const Lines& lines) const {
    double both = 0;
    for (std::size_t k = 0; k < is_.width; ++k) both += is_.At(n, k) * lines.At(n, k);
    return both;
  }
  double Correlation(std::size_t n, const Lines& lines) const {
    const double energy = is_.Energy(n) * lines.Energy(n);
    return energy > 0 ? Both(n, lines) / std::sqrt(energy) : 0;
  }

  // ---- orders ----

  bool InAnotherOrder(Kinship& kin) const {
    return is_.width >= kVector ? MatchedOrder(kin) : NamedOrderOf(kin);
  }

  bool MatchedOrder(Kinship& kin) const {
    Order from(is_.count());
    for (std::size_t n = 0; n < from.size(); ++n) from[n] = n;
    std::size_t matched = 0;
    const double least = is_.width < kShort ? kShortMatch : kMatch;
    for (const std::size_t n : at_) {
      const LineMatch match = BestLine(is_, n, should_);
      if (match.correlation < least || match.line == n) continue;
      from[n] = match.line;
      ++matched;
    }
    if (static_cast<double>(matched) < kMatched * static_cast<double>(at_.size())) return false;
    kin.from = from;
    kin = Of(kin, Kinship::Kind::kOrder, OrderText(from, places_));
    return true;
  }

  // Of numbers without a face: orders that have a name, two in each other's place, and any.
  bool NamedOrderOf(Kinship& kin) const {
    const auto follows = [&](const Order& from) {
      std::size_t good = 0;
      double before = 0, after = 0;
      for (std::size_t n = 0; n < from.size(); ++n) {
        const double off = Off(is_, n, from[n]);
        good += off <= 4 * std::max(Allowed(from[n]), 1e-4 * should_.Energy(from[n]));
        before += Off(is_, n, n);
        after += off;
      }
      return good * 20 >= from.size() * 19 && after * kExplained <= before;
    };
    if (at_.size() == 2) {
      Order from(is_.count());
      for (std::size_t n = 0; n < from.size(); ++n) from[n] = n;
      std::swap(from[at_[0]], from[at_[1]]);
      if (follows(from)) {
        kin.from = from;
        kin = Of(kin, Kinship::Kind::kOrder, OrderText(from, places_));
        return true;
      }
    }
    if (at_.size() * 2 < kLeastOrder) return false;
    for (NamedOrder& order : OrdersOf(is_.count(), places_)) {
      if (!follows(order.from)) continue;
      kin.from = std::move(order.from);
      kin = Of(kin, Kinship::Kind::kOrder, std::move(order.text));
      return true;
    }
    if (is_.width > 1 || at_.size() < kLeastOrder) return false;
    std::vector<double> is, should;
    for (const std::size_t n : at_) {
      is.push_back(is_.At(n, 0));
      should.push_back(should_.At(n, 0));
    }
    std::sort(is.begin(), is.end());
    std::sort(should.begin(), should.end());
    double off = 0, before = 0;
    for (std::size_t i = 0; i < is.size(); ++i) off += (is[i] - should[i]) * (is[i] - should[i]);
    for (const std::size_t n : at_) before += Off(is_, n, n);
    if (off * 400 > before) return false;  // sorted, any two lists are near each other
    kin = Of(kin, Kinship::Kind::kOrder,
             fmt::format("{} are permuted", PlacesText(at_, is_.count(), places_)));
    return true;
  }

  // ---- others ----

  // One whose lines these are, up to a factor.
  std::optional<std::string> ForeignOf(const std::vector<Foreign>& others) const {
    if (at_.size() * is_.width < kLeastOrder) return std::nullopt;
    double best = is_.width < kVector ? kShortMatch : kMatch;
    std::optional<std::string> name;
    for (const auto& [theirs, lines] : others) {
      if (lines.values.size() != is_.values.size() || lines.width != is_.width) continue;
      const double correlation = is_.width < kVector ? Agreement(lines) : AgreementOfLines(lines);
      if (correlation <= best) continue;
      best = correlation;
      name = theirs;
    }
    return name;
  }

  // Around their means: numbers of one sign agree with any others.
  double Agreement(const Lines& lines) const {
    PairSums sums;
    for (const std::size_t line : at_) {
      for (std::size_t k = 0; k < is_.width; ++k) sums.Add(is_.At(line, k), lines.At(line, k));
    }
    return sums.Correlation();
  }
  // Each line up to a factor of its own, which is that of a scale of its own.
  double AgreementOfLines(const Lines& lines) const {
    double sum = 0;
    for (const std::size_t line : at_) sum += Correlation(line, lines);
    return sum / static_cast<double>(at_.size());
  }

  // A factor for each part, or for each head.
  bool FactorOfGroups(Kinship& kin) const {
    std::vector<StackedPart> groups = places_.parts;
    if (groups.empty() && places_.heads > 1 && is_.count() % places_.heads == 0) {
      const std::size_t width = is_.count() / places_.heads;
      for (std::size_t h = 0; h < places_.heads; ++h)
        groups.push_back({h * width, width, fmt::format("head {}", h)});
    }
    std::vector<std::string> words;
    std::vector<double> factor(is_.count(), 1);
    for (const StackedPart& group : groups) {
      std::vector<std::size_t> lines;
      for (const std::size_t n : at_) {
        if (n >= group.first && n < group.first + group.channels) lines.push_back(n);
      }
      if (lines.empty()) continue;
      const double f = Factor(lines);
      for (const std::size_t n : lines) factor[n] = f;
      words.push_back(fmt::format("{} times at {}", FactorText(f), group.name));
    }
    if (words.size() < 2) return false;
    double before = 0, after = 0;
    for (const std::size_t n : at_) {
      double off = 0;
      for (std::size_t k = 0; k < is_.width; ++k) {
        const double e = is_.At(n, k) - factor[n] * should_.At(n, k);
        off += e * e;
      }
      const double allowed = std::max(Allowed(n), 1e-3 * is_.Energy(n));
      if (off > 4 * allowed) return false;
      before += Off(is_, n, n);
      after += off;
    }
    if (after * kExplained > before) return false;
    kin.where.clear();
    kin = Of(kin, Kinship::Kind::kGroups, Listed(words));
    return true;
  }

  const Lines& is_;
  const Lines& should_;
  const Places& places_;
  const Tolerance& tolerance_;
  std::vector<std::size_t> at_;
};

}  // namespace

std::string Kinship::Sentence(const std::string& what, const std::string& asked) const {
  switch (kind) {
    case Kind::kOrder:
      return fmt::format("{} are in another order: {}", what, text);
    case Kind::kNegated:
      return fmt::format("{}{} have {}", what, where, text);
    case Kind::kScaled:
      return fmt::format("{}{} are {} {}", what, where, text, asked);
    case Kind::kGroups:
      return fmt::format("{} are {}, of {}", what, text, asked);
    case Kind::kOther:
      return fmt::format("{}{} are not {}", what, where, asked);
    default:
      return fmt::format("{}{} are {}", what, where, text);
  }
}

double Lines::Energy(std::size_t line) const {
  double sum = 0;
  for (std::size_t k = 0; k < width; ++k) sum += At(line, k) * At(line, k);
  return sum;
}

LineMatch BestLine(const Lines& is, std::size_t line, const Lines& should) {
  LineMatch best;
  const double own = is.Energy(line);
  for (std::size_t m = 0; m < should.count(); ++m) {
    double both = 0;
    double energy = 0;
    for (std::size_t k = 0; k < is.width; ++k) {
      both += is.At(line, k) * should.At(m, k);
      energy += should.At(m, k) * should.At(m, k);
    }
    const double correlation = own > 0 && energy > 0 ? both / std::sqrt(own * energy) : 0;
    if (correlation > best.correlation) best = {m, correlation};
  }
  return best;
}

Kinship KinshipOf(const Lines& is, const Lines& should, const Places& places,
                  const Tolerance& tolerance, const std::vector<Foreign>& others) {
  return Comparison(is, should, places, tolerance).Explain(others);
}

std::string FactorText(double factor) {
  const double off = std::fabs(std::fabs(factor) - 1);
  if (off == 0) return factor < 0 ? "-1" : "1";
  int digits = 3;
  while (digits < 9 && off < 5 * std::pow(10.0, -digits)) ++digits;
  return fmt::format("{:.{}g}", factor, off < 0.5 ? digits + 1 : 3);
}

}  // namespace qsim::diagnose
