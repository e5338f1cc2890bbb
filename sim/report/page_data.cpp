#include "sim/report/page_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <variant>

#include "sim/report/json_values.h"
#include "sim/report/profile_json.h"
#include "sim/report/report_json.h"
#include "sim/report/run_report_text.h"

namespace qsim::report {
namespace {

using Json = nlohmann::ordered_json;

double SevenDigits(double value) {
  const std::string text = fmt::format("{:.7g}", value);
  return std::strtod(text.c_str(), nullptr);
}

// One entry where all are equal: a list per channel need not be written out.
template <typename T, typename F>
Json ShortListJson(const std::vector<T>& list, F value_of) {
  Json json = Json::array();
  const bool constant = std::all_of(list.begin(), list.end(),
                                    [&](const T& v) { return value_of(v) == value_of(list[0]); });
  for (const T& value : list) {
    json.push_back(value_of(value));
    if (constant) break;
  }
  return json;
}

Json IntsJson(const std::vector<std::int32_t>& list) {
  return ShortListJson(list, [](std::int32_t v) { return v; });
}

// The integers that an operation rescales with: of its main input, and of the other one.
Json RescaleJson(const Op& op) {
  Json json = Json::object();
  const auto add = [&]<typename T>(const Field& field, const T& member) {
    const char* key = json.contains("multiplier") ? "other_multiplier" : "multiplier";
    if (field.role == Role::kMultiplier) {
      if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
        json[key] = ShortListJson(member, [](const Multiplier& m) { return m.m; });
        json["shift"] = ShortListJson(member, [](const Multiplier& m) { return m.shift; });
      } else if constexpr (std::is_same_v<T, Multiplier>) {
        json[key] = {member.m};
        json["shift"] = {member.shift};
      } else if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
        json[key] = IntsJson(member);
      } else if constexpr (std::is_integral_v<T>) {
        json[key] = {member};
      }
    } else if (field.role == Role::kShift) {
      if constexpr (std::is_integral_v<T>) json["shift"] = {member};
    }
  };
  std::visit([&](const auto& o) { ForEachParameter(o, add); }, op);
  return json;
}

std::string_view AxisName(const TensorScale& scale, bool weight) {
  if (scale.scale.size() <= 1 && scale.zero.size() <= 1) return "tensor";
  if (weight || scale.axis == ChannelAxis::kLast) return "channel";
  return "head";
}

Json ScaleJson(const std::string& name, const TensorScale& scale, bool weight, Json rescale) {
  Json json = {{"name", name}, {"weight", weight}, {"axis", AxisName(scale, weight)}};
  if (scale.kind == TensorScale::Kind::kLog2) {
    json["axis"] = "log2 code";
  } else {
    json["scale"] = ShortListJson(scale.scale, SevenDigits);
    json["zero"] = IntsJson(scale.zero);
  }
  json.update(rescale);
  return json;
}

Json ScalesJson(const Bundle& bundle) {
  std::map<std::string, Json> rescale;
  std::map<std::string, std::string> weights;  // by output
  for (const Op& op : bundle.program.ops) {
    rescale[OutputOf(op)] = RescaleJson(op);
    if (std::string weight = WeightOf(op); !weight.empty())
      weights[OutputOf(op)] = std::move(weight);
  }
  Json json = Json::array();
  for (const TensorInfo& info : bundle.program.tensors) {
    if (const auto weight = weights.find(info.name); weight != weights.end()) {
      const auto found = bundle.scales.find(weight->second);
      if (found != bundle.scales.end())
        json.push_back(ScaleJson(found->first, found->second, true, Json::object()));
    }
    const auto found = bundle.scales.find(info.name);
    if (found == bundle.scales.end()) continue;
    const auto integers = rescale.find(info.name);
    json.push_back(ScaleJson(info.name, found->second, false,
                             integers == rescale.end() ? Json::object() : integers->second));
  }
  return json;
}

Json GraphJson(const Program& program) {
  Json json = {{"inputs", program.inputs}, {"operations", Json::array()}};
  for (const Op& op : program.ops) {
    Json entry = {{"kind", KindName(op)}, {"output", OutputOf(op)}, {"inputs", InputsOf(op)}};
    if (std::string weight = WeightOf(op); !weight.empty()) entry["weight"] = std::move(weight);
    json["operations"].push_back(std::move(entry));
  }
  return json;
}

Json DiagnosisJson(const DiagnosisPage& page) {
  Json json = {{"title", page.title},
               {"verdict", page.verdict},
               {"output", page.output},
               {"output_db", OrNull(page.output_db)},
               {"top1", OrNull(page.top1)}};
  json["findings"] = ListJson(page.findings, [](const FindingRow& row) {
    return Json{{"rank", row.rank},
                {"cause", row.cause},
                {"tensor", row.tensor},
                {"text", row.text},
                {"evidence", row.evidence},
                {"repair", row.repair},
                {"measured_at", row.measured_at},
                {"before_db", OrNull(row.before_db)},
                {"after_db", OrNull(row.after_db)}};
  });
  json["ranking"] = ListJson(page.ranking, [](const RankingRow& row) {
    return Json{{"tensor", row.tensor},           {"part", row.part},
                {"own_db", OrNull(row.own_db)},   {"alone_db", OrNull(row.alone_db)},
                {"gain_db", OrNull(row.gain_db)}, {"cumulative_db", OrNull(row.cumulative_db)}};
  });
  json["budget"] = ListJson(page.budget, [](const BudgetRow& row) {
    return Json{{"cause", row.cause},
                {"noise_share", JsonNumber(row.noise_share)},
                {"low", OrNull(row.low)},
                {"high", OrNull(row.high)},
                {"after_db", OrNull(row.after_db)},
                {"top1_after", OrNull(row.top1_after)}};
  });
  return json;
}

// Every tensor, whether it was asked for or not.
Json FullProfileJson(RunProfile profile) {
  for (TensorProfile& tensor : profile.taps) tensor.requested = true;
  for (TensorProfile& tensor : profile.weights) tensor.requested = true;
  return ProfileJson(profile);
}

}  // namespace

Json PageData(const RunReport& report, const Bundle& bundle) {
  Json run = RunReportToJson(report);
  run.erase("profile");
  Json json = {{"verdict", Verdict(report)}, {"low_qsnr_db", kLowQsnrDb}};
  json["run"] = std::move(run);
  json["profile"] = report.profile ? FullProfileJson(*report.profile) : Json(nullptr);
  json["graph"] = GraphJson(bundle.program);
  json["scales"] = ScalesJson(bundle);
  json["contract"] = ContractsYaml(bundle.contracts);
  json["diagnosis"] = report.diagnosis ? DiagnosisJson(*report.diagnosis) : Json(nullptr);
  return json;
}

}  // namespace qsim::report
