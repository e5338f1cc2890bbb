#include "sim/report/run_report_text.h"

#include <fmt/format.h>

#include <unistd.h>
#include <algorithm>

#include <array>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string_view>

#include "sim/report/profile_text.h"
#include "sim/text/block_name.h"
#include "sim/text/printable.h"
#include "sim/text/text_table.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

constexpr std::string_view kRed = "31";
constexpr std::string_view kYellow = "33";

constexpr double kHighSaturatedShare = 0.01;

std::string FormatHeader(const RunReport& report) {
  std::string rtl = "RTL off";
  if (report.rtl) {
    rtl = fmt::format("RTL {}x{}", report.hardware.array_rows, report.hardware.array_cols);
    if (report.rtl_checks_every_tile) rtl += ", assertions in every tile";
    if (report.stall_seed) rtl += fmt::format(", random stalls (seed {})", *report.stall_seed);
  }
  std::string out =
      WrapText("", fmt::format("{}, {}, {}", report.scope,
                               CountInputs(report.images, !report.lengths.empty()), rtl));
  if (!report.kernels.by_reference.empty()) {
    out += WrapText(
        "  ", fmt::format("no fast kernel  {}", fmt::join(report.kernels.by_reference, ", ")));
  }
  for (const std::string& file : report.config_files) out += "  config  " + file + "\n";
  if (!report.input.empty()) out += "  input   " + report.input + "\n";
  return out;
}

std::string FormatTaps(const RunReport& report, bool color) {
  const TextTable table(16,
                        {{"shape", 16},
                         {"QSNR dB", 8},
                         {"cosine", 10},
                         {"max |err|", 10},
                         {"sat %", 7},
                         {"RTL diff", 11}},
                        color);
  BlockHeadings headings(table, "taps");
  std::string out;
  for (const TapReport& tap : report.taps) {
    const BlockName name = SplitBlock(tap.name);
    out += headings.Before(name);
    TextCell qsnr = OptionalCell(tap.qsnr_db, "{:.2f}");
    if (tap.qsnr_db && !(*tap.qsnr_db >= kLowQsnrDb)) qsnr.color = kYellow;
    TextCell saturated{fmt::format("{:.2f}", 100 * tap.saturated_share)};
    if (tap.saturated_share > kHighSaturatedShare) saturated.color = kYellow;
    TextCell mismatches{"-"};
    if (tap.mismatches) mismatches.text = fmt::format("{}", *tap.mismatches);
    // A shortened number would be another number; all digits are in the mismatch section.
    if (mismatches.text.size() > 10)
      mismatches.text = fmt::format("{:.2e}", static_cast<double>(*tap.mismatches));
    if (tap.mismatches.value_or(0) != 0) mismatches.color = kRed;
    out += table.Row(name.rest, {{ShapeText(tap.shape)},
                                 qsnr,
                                 OptionalCell(tap.cosine, "{:.6f}"),
                                 OptionalCell(tap.max_abs_error, "{:.2e}"),
                                 saturated,
                                 mismatches});
  }
  return out;
}

// Where the loss arises: accumulated, what the bits alone cost, what the integer approximations
// add, and the operation by itself.
std::string FormatLosses(const RunReport& report, const TextOptions& options) {
  const bool measured =
      std::any_of(report.taps.begin(), report.taps.end(),
                  [](const TapReport& tap) { return tap.ideal_qsnr_db.has_value(); });
  if (!measured || (report.scope == "attention" && !options.verbose)) return "";
  const TextTable table(24,
                        {{"QSNR dB", 12}, {"ideal FQ", 12}, {"difference", 12}, {"step alone", 14}},
                        options.color);
  std::string out = "\n" + table.Header("loss by tap");
  for (const TapReport& tap : report.taps) {
    if (!tap.qsnr_db && !tap.step_qsnr_db) continue;
    TextCell difference{"-"};
    if (tap.qsnr_db && tap.ideal_qsnr_db && std::isfinite(*tap.ideal_qsnr_db)) {
      difference.text = fmt::format("{:+.2f}", *tap.qsnr_db - *tap.ideal_qsnr_db);
    }
    out += table.Row(
        tap.name, {OptionalCell(tap.qsnr_db, "{:.2f}"), OptionalCell(tap.ideal_qsnr_db, "{:.2f}"),
                   difference, OptionalCell(tap.step_qsnr_db, "{:.2f}")});
  }
  return out;
}

std::string FormatAccumulators(const RunReport& report, bool color) {
  if (report.accumulators.empty()) return "";
  const TextTable table(
      30, {{"policy", 10}, {"given", 8}, {"worst case", 12}, {"channel", 9}, {"seen", 7}}, color);
  std::string out = "\n" + table.Header("accumulator bits");
  for (const AccumulatorReport& entry : report.accumulators) {
    const AccumulatorProof& proof = entry.proof;
    TextCell needed{fmt::format("{}", proof.bits_needed)};
    if (!proof.fits()) needed = {needed.text + " !", kYellow};
    const std::string channel =
        proof.worst_channel < 0 ? "-" : fmt::format("{}", proof.worst_channel);
    out += table.Row(proof.tap, {{std::string(Name(proof.acc.policy))},
                                 {fmt::format("{}", proof.acc.bits)},
                                 needed,
                                 {channel},
                                 {entry.seen ? fmt::format("{}", BitsFor(*entry.seen)) : "-"}});
  }
  return out;
}

std::string FormatCycles(const RunReport& report, bool color) {
  if (!report.rtl || report.cycles.empty()) return "";
  const TextTable table(30, {{"cycles", 13}, {"MACs", 15}, {"tiles", 9}, {"array use", 11}}, color);
  const auto cells = [](const CycleReport& entry) -> std::vector<TextCell> {
    const std::string use =
        entry.macs == 0 ? "-" : fmt::format("{:.1f} %", 100 * entry.utilisation);
    return {{fmt::format("{}", entry.cycles)},
            {entry.macs == 0 ? "-" : fmt::format("{}", entry.macs)},
            {fmt::format("{}", entry.tiles)},
            {use}};
  };
  std::string out = "\n" + table.Header(fmt::format("RTL, {}x{} array", report.hardware.array_rows,
                                                    report.hardware.array_cols));
  CycleReport total;
  std::uint64_t array_cycles = 0;  // of the operations that use the array
  for (const CycleReport& entry : report.cycles) {
    out += table.Row(entry.name, cells(entry));
    total.cycles += entry.cycles;
    total.macs += entry.macs;
    total.tiles += entry.tiles;
    if (entry.macs != 0) array_cycles += entry.cycles;
  }
  if (array_cycles != 0) {
    const double size = static_cast<double>(report.hardware.array_rows) *
                        static_cast<double>(report.hardware.array_cols);
    total.utilisation =
        static_cast<double>(total.macs) / (size * static_cast<double>(array_cycles));
  }
  return out + table.Row("total", cells(total));
}

std::string InWords(LoweringNote::Kind kind) {
  std::string words(Name(kind));
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

// Notes that say the same of several tensors, in the order of their first appearance.
struct NoteGroup {
  const LoweringNote* first = nullptr;
  std::int64_t count = 0;
};

std::vector<NoteGroup> GroupNotes(const std::vector<LoweringNote>& notes) {
  std::vector<NoteGroup> groups;
  std::map<std::pair<LoweringNote::Kind, std::string>, std::size_t> known;
  for (const LoweringNote& note : notes) {
    const auto [at, inserted] = known.try_emplace({note.kind, note.text}, groups.size());
    if (inserted) groups.push_back({&note, 0});
    ++groups[at->second].count;
  }
  return groups;
}

std::string FormatNotes(const RunReport& report, bool verbose) {
  if (report.notes.empty()) return "";
  std::string out = fmt::format("\nnotes of the lowering ({})\n", report.notes.size());
  if (verbose) {
    for (const LoweringNote& note : report.notes)
      out += WrapText(
          "  ", fmt::format("{}: {}: {}", InWords(note.kind), note.tensor, Escaped(note.text)));
    return out;
  }
  constexpr std::size_t kShown = 8;
  const std::vector<NoteGroup> groups = GroupNotes(report.notes);
  // What changes numbers comes first; plain information fills what is left.
  std::vector<const NoteGroup*> order;
  for (const bool info : {false, true}) {
    for (const NoteGroup& group : groups) {
      if ((group.first->kind == LoweringNote::Kind::kInfo) == info) order.push_back(&group);
    }
  }
  for (std::size_t i = 0; i < std::min(order.size(), kShown); ++i) {
    const LoweringNote& note = *order[i]->first;
    std::string who = note.tensor;
    if (order[i]->count > 1) who += fmt::format(" and {} more", order[i]->count - 1);
    out += WrapText("  ", fmt::format("{}: {}: {}", InWords(note.kind), who, Escaped(note.text)));
  }
  if (order.size() > kShown) {
    out += fmt::format("  and {} other kinds of note\n", order.size() - kShown);
  }
  if (order.size() != report.notes.size() || order.size() > kShown)
    out += "  (--verbose prints every note)\n";
  return out;
}

std::string FormatMismatches(const RunReport& report, bool color) {
  std::string out;
  for (const TapReport& tap : report.taps) {
    if (tap.mismatches.value_or(0) == 0) continue;
    const std::string title = color ? "\x1b[31mMISMATCH\x1b[0m" : "MISMATCH";
    out += fmt::format("\n{} {}\n", title, tap.name);
    out += fmt::format("  {} of {} elements differ between golden and RTL\n", *tap.mismatches,
                       ElementCount(tap.shape));
    if (!tap.first_mismatch) continue;
    const FirstMismatch& first = *tap.first_mismatch;
    const std::optional<DType> dtype = FromName<DType>(tap.dtype);
    const int bits = dtype ? BitsOf(*dtype) : 64;
    out += WrapText("  ",
                    fmt::format("first at {}: golden {} ({}), RTL {} ({})", IndexText(first.index),
                                first.expected, HexText(first.expected, bits), first.actual,
                                HexText(first.actual, bits)));
    if (!first.tile.empty()) out += WrapText("  computed in ", first.tile);
    if (!first.waveform.empty()) out += "  waveform " + first.waveform + "\n";
  }
  return out;
}

}  // namespace

std::string FormatRunReport(const RunReport& report, const TextOptions& options) {
  return FormatHeader(report) + FormatTaps(report, options.color) + FormatLosses(report, options) +
         (report.profile ? FormatProfile(*report.profile, options.color) : "") +
         FormatAccumulators(report, options.color) + FormatCycles(report, options.color) +
         FormatNotes(report, options.verbose) + FormatMismatches(report, options.color) + "\n" +
         (report.size ? Format(*report.size) + "\n" : "") + Verdict(report) + "\n";
}

std::string Verdict(const RunReport& report) {
  const std::string taps = Count(static_cast<std::int64_t>(report.taps.size()), "tap", "taps");
  std::int64_t compared = 0;
  std::int64_t wrong = 0;
  for (const TapReport& tap : report.taps) {
    if (tap.mismatches) ++compared;
    if (tap.mismatches.value_or(0) != 0) ++wrong;
  }
  if (!report.rtl) return taps + ", RTL not run: nothing to compare golden with";
  if (compared == 0) return taps + ", none of them compared between golden and RTL";
  std::string line = taps;
  if (compared != static_cast<std::int64_t>(report.taps.size()))
    line += fmt::format(" ({} compared)", compared);
  line +=
      ", " + Count(report.total_mismatches(), "mismatch", "mismatches") + " between golden and RTL";
  if (wrong != 0) line += " in " + Count(wrong, "tap", "taps");
  return line;
}

bool ColorWanted(int file_descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return ::isatty(file_descriptor) == 1;
}

}  // namespace qsim::report
