#include "sim/report/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "sim/report/html_chart.h"
#include "sim/report/tables.h"
#include "sim/report/text_util.h"

namespace qsim {
namespace {

constexpr double kFullBarDb = 60;

constexpr std::string_view kStyle = R"css(
:root { --ink:#1c2430; --soft:#5c6878; --line:#dfe4ea; --page:#f5f7f9; --card:#fff; --bar:#3b77c2;
  --low:#c98500; --bad:#c2313b; --good:#1f8a4c; --track:#e8edf2; }
@media (prefers-color-scheme: dark) { :root { --ink:#e4e9ef; --soft:#9aa7b5; --line:#313b47;
  --page:#141a21; --card:#1c242d; --bar:#6aa3e8; --low:#e0a83c; --bad:#ef6b73; --good:#4fc07e;
  --track:#2a343f; } }
* { box-sizing:border-box; }
body { margin:0; background:var(--page); color:var(--ink);
  font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif; }
main { max-width:1200px; margin:0 auto; padding:28px 20px 48px; }
h1 { font-size:22px; margin:0; } h2 { font-size:16px; margin:0 0 10px; }
h3 { font-size:14px; margin:20px 0 6px; font-family:ui-monospace,"DejaVu Sans Mono",monospace; }
section { background:var(--card); border:1px solid var(--line); border-radius:8px; padding:18px 20px;
  margin-top:16px; overflow-x:auto; }
header { display:flex; flex-wrap:wrap; align-items:center; gap:8px 16px; }
.badge { padding:3px 12px; border-radius:20px; color:#fff; font-weight:600; }
.badge.good { background:#1f8a4c; } .badge.bad { background:#c2313b; color:#fff; } .badge.none { background:#5c6878; }
dl { display:grid; grid-template-columns:max-content 1fr; gap:2px 16px; margin:12px 0 0; }
dt { color:var(--soft); } dd { margin:0; overflow-wrap:anywhere; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th { text-align:right; font-weight:600; color:var(--soft); font-size:12px; padding:4px 10px; white-space:nowrap;
  border-bottom:1px solid var(--line); }
td { text-align:right; padding:3px 10px; border-bottom:1px solid var(--line); white-space:nowrap; }
tr:last-child td { border-bottom:0; }
th:first-child, td:first-child { text-align:left; padding-left:0; }
td:first-child { font-family:ui-monospace,"DejaVu Sans Mono",monospace; font-size:13px; }
.meter { display:inline-block; width:120px; height:9px; border-radius:3px; background:var(--track);
  position:relative; overflow:hidden; }
.meter i { position:absolute; left:0; top:0; bottom:0; background:var(--bar); }
.meter i.soft { opacity:.45; } .meter i.low { background:var(--low); } .meter i.bad { background:var(--bad); }
.low { color:var(--low); font-weight:600; } .bad { color:var(--bad); font-weight:600; }
.quiet { color:var(--soft); } p { margin:8px 0 0; }
ul { margin:0; padding-left:18px; } li { margin:2px 0; overflow-wrap:anywhere; }
code { font-family:ui-monospace,"DejaVu Sans Mono",monospace; font-size:13px; }
svg { width:100%; height:auto; display:block; min-width:640px; }
svg text { font:11px system-ui,"DejaVu Sans",sans-serif; fill:var(--soft); }
svg .tick { text-anchor:end; } svg .name { text-anchor:end; } svg .mark { text-anchor:middle; }
svg .block { text-anchor:middle; font-weight:600; fill:var(--ink); }
svg .grid { stroke:var(--line); } svg .axis { stroke:var(--soft); }
svg .target { stroke:var(--low); stroke-dasharray:5 4; }
svg .bar { fill:var(--bar); stroke:none; } svg .bar.low { fill:var(--low); } svg .bar.bad { fill:var(--bad); }
)css";

std::string Code(std::string_view text) { return "<code>" + EscapeHtml(text) + "</code>"; }

std::string Cell(const std::string& html, std::string_view css = {}) {
  if (css.empty()) return "<td>" + html + "</td>";
  return fmt::format("<td class=\"{}\">{}</td>", css, html);
}

std::string Head(const std::vector<std::string_view>& titles) {
  std::string out = "<tr>";
  for (const std::string_view title : titles) out += fmt::format("<th>{}</th>", title);
  return out + "</tr>\n";
}

// A bar that is `share` of the meter's width full.
std::string Fill(double share, std::string_view css) {
  const double percent = 100 * std::clamp(std::isnan(share) ? 0.0 : share, 0.0, 1.0);
  return fmt::format("<i class=\"{}\" style=\"width:{:.1f}%\"></i>", css, percent);
}

std::string Meter(const std::string& fills) { return "<span class=\"meter\">" + fills + "</span>"; }

std::string NumberOr(const std::optional<double>& value, std::string_view format) {
  return value ? fmt::format(fmt::runtime(format), *value) : "–";
}

std::string Summary(const RunReport& report) {
  const bool compared =
      report.rtl && std::any_of(report.taps.begin(), report.taps.end(),
                                [](const TapReport& tap) { return tap.mismatches.has_value(); });
  std::string_view css = "none";
  if (compared) css = report.total_mismatches() == 0 ? "good" : "bad";
  std::string out = fmt::format(
      "<section><header><h1>qsim run</h1><span class=\"badge {}\">{}</span></header>\n<dl>\n", css,
      EscapeHtml(Verdict(report)));
  const auto fact = [&out](std::string_view name, const std::string& html) {
    if (!html.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, html);
  };
  const HardwareParams& hardware = report.hardware;
  fact("Scope",
       EscapeHtml(fmt::format("{}, {}", report.scope, Count(report.images, "image", "images"))));
  for (const std::string& file : report.config_files) fact("Configuration", Code(file));
  if (!report.input.empty()) fact("Input", Code(report.input));
  fact("Array",
       fmt::format("{} × {} processing elements", hardware.array_rows, hardware.array_cols));
  fact("Requantization", hardware.power_of_two
                             ? "power-of-two shifts"
                             : fmt::format("{}-bit multipliers", hardware.multiplier_bits));
  std::string rtl = report.rtl ? "Verilator" : "not run";
  if (report.stall_seed) rtl += fmt::format(", random stalls with seed {}", *report.stall_seed);
  fact("RTL", rtl);
  return out + "</dl></section>\n";
}

std::string Chart(const RunReport& report) {
  const std::string svg = QsnrChartSvg(report.taps, kLowQsnrDb);
  if (svg.empty()) return "";
  return fmt::format(
      "<section><h2>QSNR by layer, dB</h2>\n{}<p class=\"quiet\">Integers against the float "
      "reference; higher is better. Dashed: {} dB, bars below it in amber, taps where golden and "
      "RTL "
      "differ in red.</p></section>\n",
      svg, kLowQsnrDb);
}

std::string TapRow(const TapReport& tap, const std::string& name) {
  std::string_view level;
  if (tap.qsnr_db && !(*tap.qsnr_db >= kLowQsnrDb)) level = "low";
  std::string out = "<tr>" + Cell(EscapeHtml(name)) + Cell(ShapeText(tap.shape)) + Cell(tap.dtype);
  out += Cell(tap.qsnr_db ? Meter(Fill(*tap.qsnr_db / kFullBarDb, level)) : "");
  out += Cell(NumberOr(tap.qsnr_db, "{:.2f}"), level);
  out += Cell(NumberOr(tap.ideal_qsnr_db, "{:.2f}")) + Cell(NumberOr(tap.step_qsnr_db, "{:.2f}"));
  out += Cell(NumberOr(tap.cosine, "{:.6f}")) + Cell(NumberOr(tap.max_abs_error, "{:.3e}"));
  out += Cell(fmt::format("{:.3f}", 100 * tap.saturated_share));
  out += Cell(tap.mismatches ? fmt::format("{}", *tap.mismatches) : "–",
              tap.mismatches.value_or(0) != 0 ? "bad" : "");
  return out + "</tr>\n";
}

std::string Taps(const RunReport& report) {
  std::string out = "<section><h2>Taps</h2>\n";
  std::string block;
  bool open = false;
  for (const TapReport& tap : report.taps) {
    const BlockName name = SplitBlock(tap.name);
    if (!open || name.block != block) {
      if (open) out += "</table>\n";
      block = name.block;
      open = true;
      out += fmt::format("<h3>{}</h3><table>\n", EscapeHtml(block.empty() ? "taps" : block));
      out += Head({"tap", "shape", "type", "", "QSNR dB", "ideal dB", "step dB", "cosine",
                   "max |error|", "sat %", "RTL diff"});
    }
    out += TapRow(tap, name.rest);
  }
  if (open) out += "</table>\n";
  return out + "</section>\n";
}

std::string Mismatches(const RunReport& report) {
  std::string items;
  for (const TapReport& tap : report.taps) {
    if (tap.mismatches.value_or(0) == 0) continue;
    items += fmt::format("<li>{}: {} of {} elements", Code(tap.name), *tap.mismatches,
                         ElementCount(tap.shape));
    if (tap.first_mismatch) {
      const FirstMismatch& first = *tap.first_mismatch;
      const std::optional<DType> dtype = DTypeFromName(tap.dtype);
      const int bits = dtype ? BitsOf(*dtype) : 64;
      items += fmt::format(
          "; first at {}: golden {} ({}), RTL {} ({})", Code(IndexText(first.index)),
          first.expected, HexText(first.expected, bits), first.actual, HexText(first.actual, bits));
      if (!first.tile.empty()) items += ", " + EscapeHtml(first.tile);
      if (!first.waveform.empty()) items += ", waveform " + Code(first.waveform);
    }
    items += "</li>\n";
  }
  if (items.empty()) return "";
  return "<section><h2 class=\"bad\">Golden and RTL differ</h2><ul>\n" + items +
         "</ul></section>\n";
}

std::string Accumulators(const RunReport& report) {
  if (report.accumulators.empty()) return "";
  std::string out = "<section><h2>Accumulators</h2>\n<table>\n";
  out += Head(
      {"product", "policy", "", "bits given", "worst case", "channel", "seen", "worst-case range"});
  for (const AccumulatorReport& entry : report.accumulators) {
    const AccumulatorProof& proof = entry.proof;
    const auto share = [](int bits) { return static_cast<double>(bits) / 32; };
    const std::string_view level = proof.fits() ? "" : "low";
    std::string fills = Fill(share(proof.bits_needed), proof.fits() ? "soft" : "soft low");
    if (entry.seen) fills += Fill(share(BitsFor(*entry.seen)), level);
    out += "<tr>" + Cell(EscapeHtml(proof.tap)) + Cell(std::string(Name(proof.acc.policy))) +
           Cell(Meter(fills)) + Cell(fmt::format("{}", proof.acc.bits)) +
           Cell(fmt::format("{}", proof.bits_needed), level) +
           Cell(proof.worst_channel < 0 ? "–" : fmt::format("{}", proof.worst_channel)) +
           Cell(entry.seen ? fmt::format("{}", BitsFor(*entry.seen)) : "–") +
           Cell(fmt::format("{} … {}", proof.range.min, proof.range.max)) + "</tr>\n";
  }
  return out +
         "</table><p class=\"quiet\">Bits of 32: full colour seen in this run, pale the proven "
         "worst "
         "case for these very weights.</p></section>\n";
}

std::string Cycles(const RunReport& report) {
  if (!report.rtl || report.cycles.empty()) return "";
  std::string out = "<section><h2>RTL cycles</h2>\n<table>\n";
  out += Head({"operation", "cycles", "MACs", "tiles", "", "array use %"});
  for (const CycleReport& entry : report.cycles) {
    const bool array = entry.macs != 0;
    out += "<tr>" + Cell(EscapeHtml(entry.name)) + Cell(fmt::format("{}", entry.cycles)) +
           Cell(array ? fmt::format("{}", entry.macs) : "–") +
           Cell(fmt::format("{}", entry.tiles)) +
           Cell(array ? Meter(Fill(entry.utilisation, "")) : "") +
           Cell(array ? fmt::format("{:.1f}", 100 * entry.utilisation) : "–") + "</tr>\n";
  }
  return out + "</table></section>\n";
}

std::string Notes(const RunReport& report) {
  if (report.notes.empty()) return "";
  std::string out = "<section><h2>Notes of the lowering</h2><ul>\n";
  for (const LoweringNote& note : report.notes) {
    const bool info = note.kind == LoweringNote::Kind::kInfo;
    out += fmt::format("<li>{}: <span{}>{}</span></li>\n", Code(note.tensor),
                       info ? "" : " class=\"low\"", EscapeHtml(note.text));
  }
  return out + "</ul></section>\n";
}

std::string ProvenanceSection(const Provenance& provenance) {
  std::string out = "<section><h2>Provenance</h2><dl>\n";
  const auto fact = [&out](std::string_view name, const std::string& value) {
    if (!value.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, Code(value));
  };
  fact("qsim", provenance.qsim_version);
  fact("Configuration SHA-256", provenance.config_hash);
  fact("Weights SHA-256", provenance.weights_hash);
  fact("Numerics contract", provenance.contract);
  fact("Contract SHA-256", provenance.contract_hash);
  return out + "</dl></section>\n";
}

}  // namespace

std::string RunReportHtml(const RunReport& report) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>qsim run</title>\n<style>";
  out += kStyle;
  out += "</style></head><body><main>\n";
  out += Summary(report) + Mismatches(report) + Chart(report) + Taps(report) +
         Accumulators(report) + Cycles(report) + Notes(report) +
         ProvenanceSection(report.provenance);
  return out + "</main></body></html>\n";
}

}  // namespace qsim
