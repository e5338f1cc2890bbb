#include "sim/diagnose/diagnosis_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "sim/text/block_name.h"
#include "sim/text/text_util.h"

namespace qsim::diagnose {
namespace {

constexpr std::size_t kNameWidth = 27;
constexpr std::size_t kTopSteps = 10;
constexpr std::size_t kTopHeads = 5;

std::string Db(double db) {
  if (std::isinf(db)) return db > 0 ? "exact" : "-inf";
  return fmt::format("{:.2f}", db);
}

std::string Signed(double db) {
  return std::isinf(db) || std::isnan(db) ? "-" : fmt::format("{:+.2f}", db);
}

std::string RangeText(const Span& span) {
  return fmt::format("[{:.3g}, {:.3g}]", span.min, span.max);
}

std::string PercentText(double share) { return fmt::format("{:.1f} %", 100 * share); }

std::string OutputName(const Diagnosis& d) {
  if (d.measured.output.parts() == 1) return d.measured.output.NameOf(0);
  return fmt::format("the last taps of {} blocks", d.measured.output.parts());
}

std::string Top1(const OutputPower& output) {
  if (output.labelled() == 0) return "-";
  return fmt::format("{}/{}", output.right(), output.labelled());
}

std::string HeaderText(const Diagnosis& d) {
  const OutputPower& output = d.measured.output;
  std::string out;
  if (d.OtherWeights()) {
    out += WrapText(
        "", fmt::format("{}: the bundle's hash is {}, that of these weights {}",
                        Name(Cause::kStaleWeights), d.made_of.weights_hash, d.weights_hash));
  }
  out += WrapText("", fmt::format("scope {}, {}{}", d.scope, CountInputs(d.images, d.tokens),
                                  d.bundle.empty() ? "" : ", bundle " + d.bundle));
  out += WrapText("", fmt::format("output: {}, QSNR {} dB", OutputName(d), Db(output.Db())));
  if (output.parts() > 1) {
    const std::size_t worst = output.WorstPart();
    out += fmt::format("worst: {}, {} dB\n", output.NameOf(worst), Db(output.DbOf(worst)));
  }
  if (output.labelled() > 0) {
    out +=
        fmt::format("top-1: {} in float, {} in integers\n", Top1(d.measured.exact), Top1(output));
  }
  return out;
}

// A label, and a text in lines that start behind it.
std::string Labelled(const std::string& label, const std::string& text) {
  constexpr std::size_t kIndent = 13;
  std::string out;
  std::string line = fmt::format("   {:<{}}", label, kIndent - 3);
  std::istringstream words(text);
  bool first = true;
  for (std::string word; words >> word; first = false) {
    if (!first && line.size() + 1 + word.size() > kTextColumns) {
      out += line + "\n";
      line = std::string(kIndent, ' ') + word;
    } else {
      line += (first ? "" : " ") + word;
    }
  }
  return out + line + "\n";
}

std::string FindingText(const Diagnosis& d, const Culprit& f, std::size_t rank) {
  std::string out = fmt::format("\n{}. {}: {}\n", rank, f.tensor, Name(f.cause));
  out += Labelled("what", f.text);
  std::vector<std::string> evidence;
  for (const Evidence& e : f.evidence) evidence.push_back(EvidenceText(e));
  if (!evidence.empty()) out += Labelled("evidence", fmt::format("{}", fmt::join(evidence, ", ")));
  out += Labelled("repair", f.trial.text);
  for (const std::string& setting : f.trial.settings) out += Labelled("", "--set " + setting);
  const RepairTrial& t = f.trial;
  const std::string output =
      fmt::format("output {} -> {} dB", Db(t.output_before), Db(t.output_after));
  const std::string own =
      fmt::format("{} {} -> {} dB, ", f.tensor, Db(t.own_before), Db(t.own_after));
  out += Labelled("tried", (f.exact_instead ? output : own + output) +
                               (t.worse ? ": worse, so that it is left out" : ""));
  const bool repaired = std::any_of(d.findings.begin(), d.findings.end(), [](const Culprit& c) {
    return !c.exact_instead && !c.trial.worse;
  });
  if (rank == d.findings.size() && rank > 1 && repaired) {
    out += fmt::format("\nWith every repair the output has {} dB.\n", Db(d.repaired_db));
  }
  return out;
}

// What a cost is of: "intSoft (12 tensors)".
std::string KindText(const Cost& cost) {
  return cost.tensors == 1 ? cost.worst : fmt::format("{} ({} tensors)", cost.kind, cost.tensors);
}

std::string CostsText(const Diagnosis& d) {
  if (d.costs.empty()) return "";
  std::string out =
      "\n" + WrapText("",
                      "What costs accuracy although nothing is broken, and what mends it; each "
                      "behind the ones before it:");
  for (std::size_t i = 0; i < d.costs.size(); ++i) {
    const Cost& c = d.costs[i];
    out += fmt::format("\n{}. {}: {}\n", i + 1, KindText(c), Name(c.cause));
    out += Labelled("what", c.text);
    std::vector<std::string> evidence;
    for (const Evidence& e : c.evidence) evidence.push_back(EvidenceText(e));
    out += Labelled("evidence", fmt::format("{}", fmt::join(evidence, ", ")));
    for (std::size_t t = 0; t < c.trials.size(); ++t) {
      const RepairTrial& trial = c.trials[t];
      out += Labelled(t == 0 ? "repair" : "or", trial.text);
      for (const std::string& setting : trial.settings) out += Labelled("", "--set " + setting);
      out += Labelled("tried", fmt::format("output {} -> {} dB ({})", Db(trial.output_before),
                                           Db(trial.output_after),
                                           Signed(trial.output_after - trial.output_before)));
    }
    if (c.trials.empty()) out += Labelled("repair", "none of the settings that were tried helps");
    out += Labelled("exact", fmt::format("with these tensors exact {} dB", Db(c.exact)));
  }
  return out;
}

// The blocks whose taps are printed: those of the findings and of the worst step; without findings
// also the block that loses most, where that step is in none.
std::set<std::string> BlocksToShow(const Diagnosis& d) {
  std::set<std::string> blocks;
  for (const Culprit& f : d.findings) blocks.insert(SplitBlock(f.tensor).block);
  const bool named = !blocks.empty();
  for (const StepContribution* step : RankSteps(d)) {
    const std::string block = SplitBlock(step->tensor).block;
    blocks.insert(block);
    if (named || !block.empty()) break;
  }
  return blocks;
}

std::string TapsText(const Diagnosis& d, bool verbose) {
  const std::set<std::string> blocks = BlocksToShow(d);
  const auto row = [](const std::string& name, const Span& exact, const Span& integer,
                      const std::string& own, const std::string& place) {
    return fmt::format("{:<{}}{:>18}{:>18}{:>8}{:>9}\n", Shorten(name, kNameWidth - 1), kNameWidth,
                       RangeText(exact), RangeText(integer), own, place);
  };
  std::string out = fmt::format("\n{:<{}}{:>18}{:>18}{:>8}{:>9}\n", "QSNR in dB", kNameWidth,
                                "float range", "integer range", "own", "in place");
  std::size_t hidden = 0;
  for (const TensorLoss& tap : d.measured.taps) {
    if (!verbose && !blocks.contains(SplitBlock(tap.tensor).block)) {
      ++hidden;
      continue;
    }
    for (const WeightLoss& w : d.weights) {
      if (w.tensor == tap.tensor + ".weight")
        out += row(w.tensor, w.exact, w.integer, Db(Decibel(w.own.Ratio())), "");
    }
    out += row(tap.tensor, tap.exact, tap.integer, Db(tap.OwnDb()), Db(tap.InPlaceDb()));
  }
  if (hidden > 0) out += fmt::format("({} taps of other blocks: --verbose)\n", hidden);
  return out;
}

std::string StepsText(const Diagnosis& d, bool verbose) {
  std::string out = fmt::format("\n{:<{}}{:>10}{:>12}{:>12}{:>12}\n", "steps, the worst first",
                                kNameWidth, "own QSNR", "alone", "gain if", "up to it");
  out += fmt::format("{:<{}}{:>10}{:>12}{:>12}{:>12}\n", "", kNameWidth, "", "integer", "exact",
                     "integer");
  std::vector<const StepContribution*> ranked = RankSteps(d);
  const std::size_t all = ranked.size();
  if (!verbose && all > kTopSteps) ranked.resize(kTopSteps);
  const double output = d.measured.output.Db();
  for (const StepContribution* step : ranked) {
    out += fmt::format("{:<{}}{:>10}{:>12}{:>12}{:>12}\n", Shorten(step->tensor, kNameWidth - 1),
                       kNameWidth, Db(d.measured.Find(step->tensor)->OwnDb()), Db(step->alone.Db()),
                       Signed(step->without.Db() - output), Db(step->cumulative.Db()));
  }
  if (all > ranked.size()) out += fmt::format("({} more: --verbose)\n", all - ranked.size());
  if (all < d.measured.taps.size()) {
    out += WrapText("", fmt::format("({} of {} steps were carried to the output, those that lose "
                                    "most by themselves: the model is large)",
                                    all, d.measured.taps.size()));
  }
  return out;
}

std::string HeadsText(const Diagnosis& d, bool verbose) {
  std::vector<HeadShare> heads = RankHeads(d.measured);
  if (heads.empty()) return "";
  const std::size_t all = heads.size();
  if (!verbose && all > kTopHeads) heads.resize(kTopHeads);
  std::string out = fmt::format("\n{:<{}}{:>10}{:>12}{:>12}{:>12}\n", "heads, the worst first",
                                kNameWidth, "head", "own QSNR", "in place", "of noise");
  for (const HeadShare& h : heads) {
    out += fmt::format("{:<{}}{:>10}{:>12}{:>12}{:>12}\n", Shorten(h.tensor, kNameWidth - 1),
                       kNameWidth, h.head, Db(h.own_db), Db(h.in_place_db), PercentText(h.share));
  }
  if (all > heads.size()) out += fmt::format("({} more: --verbose)\n", all - heads.size());
  return out;
}

// Shares of a total in tenths of a per cent, rounded so that they add up to 100.0 %.
class Shares {
 public:
  explicit Shares(double total) : total_(total) {}
  std::string Next(double noise) {
    sum_ += noise;
    const double rounded = std::nearbyint(1000 * (total_ > 0 ? sum_ / total_ : 0));
    const double tenths = rounded - rounded_;
    rounded_ = rounded;
    return fmt::format("{:.1f} %", tenths == 0 ? 0.0 : tenths / 10);
  }

 private:
  double total_;
  double sum_ = 0;
  double rounded_ = 0;
};

std::string BudgetText(const Diagnosis& d) {
  const LossBudget& b = d.budget;
  const double total = b.total.Ratio();
  const auto share = [&](double noise) { return total > 0 ? 100 * noise / total : 0; };
  std::string out = fmt::format("\n{:<{}}{:>10}{:>20}{:>12}{:>9}\n", "loss budget, of the noise",
                                kNameWidth, "in order", "in other orders", "dB after", "top-1");
  out += fmt::format("{:<{}}{:>10}{:>20}{:>12}{:>9}\n", "integers as they are", kNameWidth,
                     total > 0 ? "100.0 %" : "0.0 %", "", Db(b.total.Db()), Top1(b.total));
  Shares shares(total);
  for (const LossEntry& e : b.entries) {
    const double low = share(std::min({e.noise, e.first, e.last}));
    const double high = share(std::max({e.noise, e.first, e.last}));
    out +=
        fmt::format("{:<{}}{:>10}{:>20}{:>12}{:>9}\n", Shorten(e.cause, kNameWidth - 1), kNameWidth,
                    shares.Next(e.noise), fmt::format("{:.1f} .. {:.1f} %", low, high),
                    Db(e.after.Db()), Top1(e.after));
  }
  out += fmt::format("{:<{}}{:>10}\n", "what is left", kNameWidth, shares.Next(b.remainder));
  out += WrapText("",
                  "Each cause is replaced by its exact version, in this order; other orders: "
                  "replaced first, and alone. Negative: its errors cancel others.");
  return out;
}

}  // namespace

std::string EvidenceText(const Evidence& e) {
  const std::string value =
      e.unit == "dB" ? fmt::format("{:.2f}", e.value) : fmt::format("{:.4g}", e.value);
  return fmt::format("{} {}{}{}", e.name, value, e.unit.empty() ? "" : " ", e.unit);
}

namespace {

// Of a network without culprits.
std::string MostOfTheLoss(const Diagnosis& d) {
  if (d.measured.output.Ratio() == 0) return ": nothing is lost";
  if (!d.costs.empty()) {
    std::vector<std::string> costs;
    for (const Cost& c : d.costs) {
      const double after = c.trials.empty() ? c.exact : c.trials.front().output_after;
      costs.push_back(
          fmt::format("{} of {} ({} dB: {})", Name(c.cause), c.kind, Signed(after - c.before),
                      c.trials.empty() ? "exact in its place" : c.trials.front().settings.front()));
    }
    return fmt::format("; what costs most: {}", fmt::join(costs, ", "));
  }
  const auto most =
      std::max_element(d.budget.entries.begin(), d.budget.entries.end(),
                       [](const LossEntry& a, const LossEntry& b) { return a.noise < b.noise; });
  return fmt::format("; most of the loss: {}", most->cause);
}

}  // namespace

std::string VerdictOf(const Diagnosis& d) {
  if (d.healthy()) {
    return fmt::format("no culprit{}{}", MostOfTheLoss(d),
                       d.by_chance.empty() ? "" : "; " + d.by_chance);
  }
  std::vector<std::string> names;
  for (const Culprit& f : d.findings)
    names.push_back(fmt::format("{} ({})", f.tensor, Name(f.cause)));
  return fmt::format("{}: {}",
                     Count(static_cast<std::int64_t>(names.size()), "culprit", "culprits"),
                     fmt::join(names, ", "));
}

std::vector<HeadShare> RankHeads(const Measurement& measured) {
  std::vector<HeadShare> heads;
  for (const TensorLoss& tap : measured.taps) {
    const std::size_t count = tap.in_place_by_head.size();
    for (std::size_t h = 0; h < count && tap.in_place.noise > 0; ++h) {
      const Power& here = tap.in_place_by_head[h];
      heads.push_back({tap.tensor, h, Decibel(tap.own_by_head[h].Ratio()), Decibel(here.Ratio()),
                       here.noise / tap.in_place.noise});
    }
  }
  std::stable_sort(heads.begin(), heads.end(), [](const HeadShare& a, const HeadShare& b) {
    return a.in_place_db < b.in_place_db;
  });
  return heads;
}

std::vector<const StepContribution*> RankSteps(const Diagnosis& d) {
  std::vector<const StepContribution*> ranked;
  for (const StepContribution& step : d.effects) ranked.push_back(&step);
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const StepContribution* a, const StepContribution* b) {
                     return a->alone.Ratio() > b->alone.Ratio();
                   });
  return ranked;
}

std::string DiagnosisText(const Diagnosis& d, const DiagnosisTextOptions& options) {
  std::string out = HeaderText(d);
  for (std::size_t i = 0; i < d.findings.size(); ++i) out += FindingText(d, d.findings[i], i + 1);
  out += CostsText(d);
  out += TapsText(d, options.verbose);
  out += StepsText(d, options.verbose);
  out += HeadsText(d, options.verbose);
  out += BudgetText(d);
  out += WrapText("\n", VerdictOf(d));
  return out;
}

}  // namespace qsim::diagnose
