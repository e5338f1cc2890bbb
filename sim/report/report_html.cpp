#include "sim/report/report_html.h"

#include <nlohmann/json.hpp>

#include "sim/report/page_assets.h"
#include "sim/report/page_data.h"
#include "sim/report/run_report_text.h"

namespace qsim::report {
namespace {

// Nothing may be loaded: even a defect of the page could not reach a network.
constexpr std::string_view kHead =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n";

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// A script element ends at the first "</script", wherever it stands, and "<!--" changes how it is
// read: without '<' there is neither. JSON reads the escape back as the same character.
std::string EscapeJsonInScript(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (const char c : json) {
    if (c == '<') {
      out += "\\u003c";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string ReportHtml(const RunReport& report, const Bundle& bundle) {
  // Paths and notes may not be UTF-8; a report is not the place to fail for it.
  const std::string data =
      PageData(report, bundle).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string title = report.diagnosis ? report.diagnosis->title : "qsim run";
  std::string out(kHead);
  out += "<title>" + EscapeHtml(title) + "</title>\n<style>\n";
  out += page::Style();
  out += "</style></head>\n<body><div id=\"app\"></div>\n<noscript><p>" +
         EscapeHtml(Verdict(report)) +
         ". The rest of this page is drawn by its script; report.json beside it has the same "
         "numbers.</p></noscript>\n<script type=\"application/json\" id=\"data\">";
  out += EscapeJsonInScript(data);
  out += "</script>\n<script>\n";
  out += page::Plotting();
  out += "</script>\n<script>\n";
  out += page::Script();
  return out + "</script></body></html>\n";
}

}  // namespace qsim::report
