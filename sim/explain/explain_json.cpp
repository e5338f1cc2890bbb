#include <nlohmann/json.hpp>

#include "sim/explain/explain_report.h"

namespace qsim::explain {
namespace {

using Json = nlohmann::ordered_json;

std::string_view NameOf(Explanation::Verdict verdict) {
  switch (verdict) {
    case Explanation::Verdict::kEqual:
      return "equal";
    case Explanation::Verdict::kExplained:
      return "explained";
    case Explanation::Verdict::kRegions:
      return "regions";
    case Explanation::Verdict::kUnexplained:
      return "unexplained";
  }
  return "";
}

Json TieJson(const Tie& tie) {
  Json json = {{"id", tie.id}, {"hypothesis", tie.phrase}, {"separated_by", nullptr}};
  if (tie.separation) {
    json["separated_by"] = {{"input", tie.separation->input},
                            {"best", tie.separation->first},
                            {"this", tie.separation->second}};
  }
  return json;
}

Json TensorJson(const Explanation& e) {
  Json json = {{"name", e.name},
               {"verdict", NameOf(e.verdict)},
               {"sentence", SentenceOf(e)},
               {"golden", e.golden},
               {"elements", e.elements},
               {"mismatches", e.mismatches},
               {"explained", e.explained},
               {"broken", e.broken},
               {"freedom", e.freedom},
               {"where", e.where},
               {"where_mismatches", e.inside},
               {"floor_or_ceil", e.floor_or_ceil}};
  json["hypotheses"] = Json::array();
  for (const Finding& f : e.findings)
    json["hypotheses"].push_back({{"id", f.id},
                                  {"hypothesis", f.phrase},
                                  {"published", f.published},
                                  {"changes", f.changes},
                                  {"explained", f.explained},
                                  {"broken", f.broken}});
  json["ties"] = Json::array();
  for (const Tie& tie : e.ties) json["ties"].push_back(TieJson(tie));
  json["parts"] = Json::array();
  for (const Part& part : e.parts)
    json["parts"].push_back({{"id", part.id},
                             {"hypothesis", part.phrase},
                             {"where", part.where},
                             {"explained", part.explained},
                             {"not_told_from", part.alternatives}});
  json["differences"] = Json::array();
  for (const auto& [difference, count] : e.differences)
    json["differences"].push_back({{"difference", difference}, {"count", count}});
  json["observations"] = e.observations;
  return json;
}

Json Header() {
  return {{"format", "qsim-explain"}, {"format_version", 1}, {"tensors", Json::array()}};
}

std::string Text(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ExplanationJson(const Explanation& explanation) {
  Json json = Header();
  json["tensors"].push_back(TensorJson(explanation));
  return Text(json);
}

std::string DirectoryJson(const DirectoryExplanation& result) {
  Json json = Header();
  for (const Explanation& e : result.taps) json["tensors"].push_back(TensorJson(e));
  json["compared"] = result.compared;
  json["differing"] = result.differing;
  json["followers"] = result.followers;
  json["notes"] = result.notes;
  return Text(json);
}

}  // namespace qsim::explain
