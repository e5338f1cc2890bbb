#include "sim/conform/conform_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/text/text_util.h"

namespace qsim::conform {
namespace {

constexpr std::size_t kNameWidth = 34;

std::string Grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string Line(const std::string& name, const std::string& cases, const std::string& elements,
                 const std::string& mismatches, const std::string& rtl_elements,
                 const std::string& rtl_mismatches) {
  return fmt::format("{:<{}}{:>6}{:>12}{:>7}{:>12}{:>7}\n", Shorten(name, kNameWidth), kNameWidth,
                     cases, elements, mismatches, rtl_elements, rtl_mismatches);
}

std::string RowText(const std::string& name, const ConformRow& row) {
  const auto cases = Grouped(row.cases);
  if (row.golden.cases == 0 && !row.supported) {
    return Line(name, cases, "unsupported", "", "", "");
  }
  const bool rtl = row.rtl.cases > 0;
  return Line(name, cases, Grouped(row.golden.elements), Grouped(row.golden.mismatches),
              rtl ? Grouped(row.rtl.elements) : "-", rtl ? Grouped(row.rtl.mismatches) : "-");
}

std::string Verdict(const ConformReport& report, const ConformRow& total) {
  std::string text = fmt::format(
      "{}, {} elements: {} in golden", Count(total.cases, "case", "cases"),
      Grouped(total.golden.elements), Count(total.golden.mismatches, "mismatch", "mismatches"));
  text += !report.rtl_used ? "; RTL not run"
                           : fmt::format(", {} in RTL", Grouped(total.rtl.mismatches));
  std::int64_t unsupported = 0;
  for (const ConformRow& row : report.rows) unsupported += row.supported ? 0 : row.cases;
  if (unsupported > 0) text += fmt::format("; {} unsupported", Count(unsupported, "case", "cases"));
  if (!report.errors.empty()) {
    text += fmt::format("; {} not run",
                        Count(static_cast<std::int64_t>(report.errors.size()), "case", "cases"));
  }
  return text + "\n";
}

}  // namespace

std::string FormatConform(const ConformReport& report) {
  std::string text = fmt::format("{:<{}}{:>6}{:>19}{:>19}\n", "", kNameWidth, "", "golden", "RTL");
  text += Line("", "cases", "elements", "differ", "elements", "differ");
  std::string op;
  for (const ConformRow& row : report.rows) {
    if (row.op != op) text += row.op + "\n";
    op = row.op;
    text += RowText("  " + row.algorithm, row);
  }
  const ConformRow total = report.Total();
  text += RowText("total", total) + "\n";
  for (const ConformRow& row : report.rows) {
    if (!row.golden.first_mismatch.empty()) {
      text += WrapText("first in golden: ", row.golden.first_mismatch);
    }
    if (!row.rtl.first_mismatch.empty()) {
      text += WrapText("first in RTL: ", row.rtl.first_mismatch);
    }
  }
  return text + Verdict(report, total);
}

std::string ConformJsonText(const ConformReport& report) {
  using nlohmann::ordered_json;
  const auto count = [](const ConformCount& c) {
    return ordered_json{{"cases", c.cases},
                        {"elements", c.elements},
                        {"mismatches", c.mismatches},
                        {"first_mismatch", c.first_mismatch}};
  };
  ordered_json json;
  json["root"] = report.root.string();
  json["rtl_run"] = report.rtl_used;
  json["algorithms"] = ordered_json::array();
  for (const ConformRow& row : report.rows) {
    ordered_json entry{{"op", row.op},
                       {"algorithm", row.algorithm},
                       {"supported", row.supported},
                       {"cases", row.cases},
                       {"golden", count(row.golden)}};
    entry["rtl"] = row.rtl.cases > 0 ? count(row.rtl) : ordered_json(nullptr);
    json["algorithms"].push_back(std::move(entry));
  }
  json["errors"] = report.errors;
  return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace qsim::conform
