#include "sim/sweep/sweep_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/text/text_util.h"

namespace qsim::sweep {
namespace {

std::string KiloBits(std::int64_t bits) {
  return fmt::format("{:.1f}", static_cast<double>(bits) / 1000);
}

std::string Row(const SweepReport& report, const std::string& name, const SweepResult& row) {
  std::string worth =
      report.labels ? fmt::format("{:.2f}", Percent(row.correct, report.images)) : "-";
  std::string beside =
      report.classes ? fmt::format("{:.1f}", Percent(row.same_class, report.images)) : "-";
  if (report.float_bits) {
    worth = fmt::format("{:.4f}", row.bits_per_token);
    beside = fmt::format("{:+.2f}", 100 * (row.bits_per_token / *report.float_bits - 1));
  }
  return fmt::format("{:>7}{:>9.2f}{:>12}{:>13}{:>13}{:>14}{:>12}\n", name, row.qsnr_db, worth,
                     beside, KiloBits(row.cost.table_bits), KiloBits(row.cost.weight_bits),
                     row.cost.multiplier_width);
}

nlohmann::ordered_json JsonOf(const SweepReport& report, const SweepRow& of) {
  const SweepResult& row = of.result;
  nlohmann::ordered_json json;
  json["point"] = row.point;
  json["settings"] = of.settings;
  if (!row.refused.empty()) {
    json["refused"] = row.refused;
    return json;
  }
  json["qsnr_db"] = std::isfinite(row.qsnr_db) ? nlohmann::ordered_json(row.qsnr_db)
                                               : nlohmann::ordered_json(nullptr);
  if (report.float_bits) json["bits_per_token"] = row.bits_per_token;
  if (report.labels) json["correct"] = row.correct;
  if (report.classes) json["same_class_as_float"] = row.same_class;
  json["table_bits"] = row.cost.table_bits;
  json["weight_bits"] = row.cost.weight_bits;
  json["multiplier_width"] = row.cost.multiplier_width;
  return json;
}

}  // namespace

std::string MeritOf(const SweepReport& report, const SweepResult& result) {
  return report.objective == "bits_per_token"
             ? fmt::format("{:.4f} bits per token", result.bits_per_token)
             : fmt::format("{:.2f} dB", result.qsnr_db);
}

std::string FormatSweep(const SweepReport& report) {
  const auto points = static_cast<std::int64_t>(report.rows.size()) - 1;
  std::string text =
      report.drawn ? fmt::format("{} of {} points (seed {})", points, report.space, report.seed)
                   : Count(points, "point", "points");
  text += fmt::format(", {}, {}, objective {}\n\n", CountInputs(report.images, report.tokens),
                      report.scope, report.objective);
  const bool bits = report.float_bits.has_value();
  text += fmt::format("{:>7}{:>9}{:>12}{:>13}{:>13}{:>14}{:>12}\n", "point", "QSNR dB",
                      bits ? "bits/token" : "top-1 %", bits ? "over float %" : "as float %",
                      "tables kbit", "weights kbit", "multiplier");
  text += Row(report, "base", report.rows.front().result);
  text += "Pareto front, best first:\n";
  for (const std::size_t index : report.front) {
    const SweepRow& row = report.rows[index];
    text +=
        Row(report, row.result.point == 0 ? "base" : std::to_string(row.result.point), row.result);
    if (!row.changes.empty()) {
      text += WrapText("    ", fmt::format("{}", fmt::join(row.changes, ", ")));
    }
  }
  const auto is_refused = [](const SweepRow& row) { return !row.result.refused.empty(); };
  const auto refused = std::count_if(report.rows.begin(), report.rows.end(), is_refused);
  if (refused > 0) {
    const SweepResult& first =
        std::find_if(report.rows.begin(), report.rows.end(), is_refused)->result;
    text +=
        WrapText("", fmt::format("{} cannot be lowered to integers; the first, point {}: {}",
                                 Count(refused, "point", "points"), first.point, first.refused));
  }
  if (!report.best_file.empty()) text += fmt::format("best written to {}\n", report.best_file);
  return text;
}

std::string SweepJsonText(const SweepReport& report) {
  nlohmann::ordered_json json;
  json["space"] = report.space;
  json["seed"] = report.seed;
  json["images"] = report.images;
  json["scope"] = report.scope;
  json["objective"] = report.objective;
  if (report.float_bits) json["float_bits_per_token"] = *report.float_bits;
  json["points"] = nlohmann::ordered_json::array();
  for (const SweepRow& row : report.rows) json["points"].push_back(JsonOf(report, row));
  json["front"] = nlohmann::ordered_json::array();
  for (const std::size_t index : report.front)
    json["front"].push_back(report.rows[index].result.point);
  return json.dump(2) + "\n";
}

}  // namespace qsim::sweep
