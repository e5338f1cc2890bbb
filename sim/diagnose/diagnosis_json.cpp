#include "sim/diagnose/diagnosis_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/diagnose/diagnosis_text.h"

namespace qsim::diagnose {
namespace {

using Json = nlohmann::ordered_json;

std::optional<double> Number(double value) {
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

Json Maybe(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json RangeJson(const Span& span) { return {Maybe(span.min), Maybe(span.max)}; }

std::optional<double> Top1Of(const OutputPower& output) {
  if (output.labelled() == 0) return std::nullopt;
  return static_cast<double>(output.right()) / static_cast<double>(output.labelled());
}

void AddTop1(Json& json, const char* key, const OutputPower& output) {
  if (const auto top1 = Top1Of(output)) json[key] = *top1;
}

Json EvidenceJson(const std::vector<Evidence>& all) {
  Json evidence = Json::array();
  for (const Evidence& e : all)
    evidence.push_back({{"name", e.name}, {"value", Maybe(e.value)}, {"unit", e.unit}});
  return evidence;
}

Json FindingJson(const Culprit& f) {
  const RepairTrial& t = f.trial;
  return {{"tensor", f.tensor},
          {"cause", Name(f.cause)},
          {"text", f.text},
          {"evidence", EvidenceJson(f.evidence)},
          {"repair",
           {{"text", t.text},
            {"settings", t.settings},
            {"output_before_db", t.output_before},
            {"output_after_db", t.output_after},
            {"own_before_db", t.own_before},
            {"own_after_db", t.own_after},
            {"helps", !f.exact_instead && !t.worse}}}};
}

Json CostJson(const Cost& c) {
  Json repairs = Json::array();
  for (const RepairTrial& t : c.trials) {
    repairs.push_back({{"text", t.text},
                       {"settings", t.settings},
                       {"output_after_db", t.output_after},
                       {"gain_db", t.output_after - t.output_before}});
  }
  return {{"cause", Name(c.cause)},
          {"kind", c.kind},
          {"tensors", c.tensors},
          {"worst", c.worst},
          {"text", c.text},
          {"evidence", EvidenceJson(c.evidence)},
          {"output_before_db", c.before},
          {"output_exact_db", c.exact},
          {"repairs", std::move(repairs)}};
}

Json TapJson(const TensorLoss& tap) {
  Json json = {{"tensor", tap.tensor},
               {"float_range", RangeJson(tap.exact)},
               {"integer_range", RangeJson(tap.integer)},
               {"own_qsnr_db", Maybe(tap.OwnDb())},
               {"in_place_qsnr_db", Maybe(tap.InPlaceDb())},
               {"excess_db", Maybe(tap.ExcessDb())}};
  for (std::size_t h = 0; h < tap.own_by_head.size(); ++h) {
    json["heads"].push_back(
        {{"own_qsnr_db", Maybe(Decibel(tap.own_by_head[h].Ratio()))},
         {"in_place_qsnr_db", Maybe(Decibel(tap.in_place_by_head[h].Ratio()))},
         {"noise_share",
          tap.in_place.noise > 0 ? tap.in_place_by_head[h].noise / tap.in_place.noise : 0.0}});
  }
  return json;
}

Json BudgetJson(const LossBudget& budget) {
  Json entries = Json::array();
  for (const LossEntry& e : budget.entries) {
    Json entry = {{"cause", e.cause},
                  {"noise", Maybe(e.noise)},
                  {"noise_first", Maybe(e.first)},
                  {"noise_alone", Maybe(e.last)},
                  {"after_db", Maybe(e.after.Db())}};
    AddTop1(entry, "after_top1", e.after);
    entries.push_back(std::move(entry));
  }
  return {{"total_noise", Maybe(budget.total.Ratio())},
          {"causes", std::move(entries)},
          {"remainder", Maybe(budget.remainder)}};
}

std::string OutputName(const OutputPower& output) {
  return output.parts() == 1 ? output.NameOf(0) : "last tap of each block";
}

}  // namespace

std::string DiagnosisJsonText(const Diagnosis& d) {
  const OutputPower& output = d.measured.output;
  Json json = {{"verdict", VerdictOf(d)},
               {"healthy", d.healthy()},
               {"scope", d.scope},
               {"bundle", d.bundle.empty() ? Json(nullptr) : Json(d.bundle)},
               {"stale_weights", d.OtherWeights()},
               {"provenance",
                {{"qsim_version", d.made_of.qsim_version},
                 {"config_sha256", d.made_of.config_hash},
                 {"bundle_weights_sha256", d.made_of.weights_hash},
                 {"weights_sha256", d.weights_hash},
                 {"contract", d.made_of.contract},
                 {"contract_sha256", d.made_of.contract_hash}}},
               {"images", d.images},
               {"output", OutputName(output)},
               {"output_qsnr_db", Maybe(output.Db())}};
  AddTop1(json, "float_top1", d.measured.exact);
  AddTop1(json, "integer_top1", output);
  for (std::size_t p = 0; p < output.parts(); ++p) {
    json["outputs"].push_back({{"tensor", output.NameOf(p)}, {"qsnr_db", Maybe(output.DbOf(p))}});
  }
  json["findings"] = Json::array();
  for (const Culprit& f : d.findings) json["findings"].push_back(FindingJson(f));
  json["costs"] = Json::array();
  for (const Cost& c : d.costs) json["costs"].push_back(CostJson(c));
  json["repaired_qsnr_db"] = Maybe(d.repaired_db);
  for (const TensorLoss& tap : d.measured.taps) json["taps"].push_back(TapJson(tap));
  json["weights"] = Json::array();
  for (const WeightLoss& w : d.weights) {
    json["weights"].push_back({{"tensor", w.tensor},
                               {"float_range", RangeJson(w.exact)},
                               {"integer_range", RangeJson(w.integer)},
                               {"own_qsnr_db", Maybe(Decibel(w.own.Ratio()))}});
  }
  json["steps"] = Json::array();
  for (const StepContribution* step : RankSteps(d)) {
    json["steps"].push_back({{"tensor", step->tensor},
                             {"alone_db", Maybe(step->alone.Db())},
                             {"gain_db", Maybe(step->without.Db() - output.Db())},
                             {"cumulative_db", Maybe(step->cumulative.Db())}});
  }
  json["budget"] = BudgetJson(d.budget);
  return json.dump(2) + "\n";
}

DiagnosisPage PageOf(const Diagnosis& d) {
  const OutputPower& output = d.measured.output;
  DiagnosisPage page;
  page.title = "qsim diagnose";
  if (!d.bundle.empty()) page.title += " " + d.bundle;
  page.verdict = VerdictOf(d);
  page.output = OutputName(output);
  page.output_db = Number(output.Db());
  page.top1 = Top1Of(output);
  for (std::size_t i = 0; i < d.findings.size(); ++i) {
    const Culprit& f = d.findings[i];
    FindingRow row;
    row.rank = static_cast<int>(i) + 1;
    row.cause = Name(f.cause);
    row.tensor = f.tensor;
    row.text = f.text;
    for (const Evidence& e : f.evidence) row.evidence.push_back(EvidenceText(e));
    row.repair = f.trial.text;
    row.measured_at = page.output;
    row.before_db = Number(f.trial.output_before);
    row.after_db = Number(f.trial.output_after);
    page.findings.push_back(std::move(row));
  }
  for (const Cost& c : d.costs) {
    FindingRow row;
    row.rank = static_cast<int>(page.findings.size()) + 1;
    row.cause = Name(c.cause);
    row.tensor = c.kind;
    row.text = c.text;
    for (const Evidence& e : c.evidence) row.evidence.push_back(EvidenceText(e));
    row.repair = c.trials.empty() ? "none of the settings that were tried helps"
                                  : fmt::format("{}: {}", c.trials.front().text,
                                                c.trials.front().settings.front());
    row.measured_at = page.output;
    row.before_db = Number(c.before);
    row.after_db = Number(c.trials.empty() ? c.exact : c.trials.front().output_after);
    page.findings.push_back(std::move(row));
  }
  for (const StepContribution* step : RankSteps(d)) {
    page.ranking.push_back({step->tensor, "", Number(d.measured.Find(step->tensor)->OwnDb()),
                            Number(step->alone.Db()), Number(step->without.Db() - output.Db()),
                            Number(step->cumulative.Db())});
  }
  for (const HeadShare& h : RankHeads(d.measured)) {
    page.ranking.push_back(
        {h.tensor, fmt::format("head {}", h.head), Number(h.own_db), {}, {}, {}});
  }
  const double total = d.budget.total.Ratio();
  for (const LossEntry& e : d.budget.entries) {
    if (total == 0) break;
    page.budget.push_back({e.cause, e.noise / total, std::min({e.noise, e.first, e.last}) / total,
                           std::max({e.noise, e.first, e.last}) / total, Number(e.after.Db()),
                           Top1Of(e.after)});
  }
  return page;
}

}  // namespace qsim::diagnose
