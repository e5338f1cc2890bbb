#include "sim/report/profile_text.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/text/block_name.h"
#include "sim/text/text_table.h"

namespace qsim::report {
namespace {

// Four digits in nine columns, whatever the size.
std::string Real(double value) {
  if (value == 0) return "0";
  const double size = std::abs(value);
  if (size >= 1e5 || size < 1e-3) return fmt::format("{:.1e}", value);
  return fmt::format("{:.4g}", value);
}

std::string PercentText(double share) { return fmt::format("{:.2f}", 100 * share); }

TextCell RealOf(const std::optional<ValueSummary>& values, double ValueSummary::*field) {
  return {values ? Real((*values).*field) : "-"};
}

TextCell ErrorOf(const TensorProfile& tensor, double ErrorSummary::*field,
                 std::string_view format) {
  if (!tensor.error) return {"-"};
  return {fmt::format(fmt::runtime(format), (*tensor.error).*field)};
}

std::string Outliers(const ValueSummary& values) { return PercentText(values.outlier_share); }

// An accumulator's range is that of its width: its table of bits says more.
std::string RangeUse(const TensorProfile& tap) {
  return tap.dtype == Name(DType::kInt32) ? "-"
                                          : fmt::format("{:.0f}", 100 * tap.codes.range_share);
}

std::string FormatTaps(const RunProfile& profile, bool color) {
  const TextTable table(16,
                        {{"float min", 10},
                         {"max", 9},
                         {"int min", 9},
                         {"max", 9},
                         {"out %", 6},
                         {"int %", 6},
                         {"KL", 7},
                         {"use %", 6}},
                        color);
  BlockHeadings headings(table, "profile");
  std::string out;
  for (const TensorProfile& tap : profile.taps) {
    if (!tap.requested) continue;
    const BlockName name = SplitBlock(tap.name);
    out += headings.Before(name);
    out += table.Row(name.rest, {RealOf(tap.exact, &ValueSummary::min),
                                 RealOf(tap.exact, &ValueSummary::max),
                                 {Real(tap.quantized.min)},
                                 {Real(tap.quantized.max)},
                                 {tap.exact ? Outliers(*tap.exact) : "-"},
                                 {Outliers(tap.quantized)},
                                 ErrorOf(tap, &ErrorSummary::kl, "{:.4f}"),
                                 {RangeUse(tap)}});
  }
  return out.empty() ? "" : "\nprofile of the taps, float and integers\n" + out.substr(1);
}

std::string FormatWeights(const RunProfile& profile, bool color) {
  const TextTable table(
      28, {{"min", 10}, {"max", 9}, {"out %", 8}, {"QSNR dB", 9}, {"KL", 8}, {"use %", 6}}, color);
  std::string out;
  for (const TensorProfile& weight : profile.weights) {
    if (!weight.requested) continue;
    const ValueSummary& values = weight.exact ? *weight.exact : weight.quantized;
    out += table.Row(weight.name, {{Real(values.min)},
                                   {Real(values.max)},
                                   {Outliers(values)},
                                   ErrorOf(weight, &ErrorSummary::qsnr_db, "{:.2f}"),
                                   ErrorOf(weight, &ErrorSummary::kl, "{:.4f}"),
                                   {fmt::format("{:.0f}", 100 * weight.codes.range_share)}});
  }
  return out.empty() ? "" : "\n" + table.Header("profile of the weights") + out;
}

std::string Bytes(std::int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (size < 1e4) return fmt::format("{} B", bytes);
  if (size < 1e7) return fmt::format("{:.1f} kB", size / 1e3);
  return fmt::format("{:.1f} MB", size / 1e6);
}

std::string FormatCosts(const RunProfile& profile, bool color) {
  if (profile.operations.empty()) return "";
  const TextTable table(
      28, {{"kind", 13}, {"time ms", 11}, {"%", 6}, {"operands", 10}, {"result", 10}}, color);
  double total = 0;
  std::int64_t macs = 0;
  for (const OperationCost& op : profile.operations) {
    total += op.seconds;
    macs += op.macs;
  }
  std::string out = "\n" + table.Header("golden time and memory");
  for (const OperationCost& op : profile.operations) {
    const double share = total > 0 ? 100 * op.seconds / total : 0;
    out += table.Row(op.output, {{op.kind},
                                 {fmt::format("{:.3f}", 1e3 * op.seconds)},
                                 {fmt::format("{:.1f}", share)},
                                 {Bytes(op.operand_bytes)},
                                 {Bytes(op.result_bytes)}});
  }
  out += table.Row("total", {{""}, {fmt::format("{:.3f}", 1e3 * total)}, {"100.0"}, {""}, {""}});
  return out +
         fmt::format("  {} products are summed for each input\n  peak memory of the process: {}\n",
                     macs, Bytes(profile.peak_memory_bytes));
}

}  // namespace

std::string FormatProfile(const RunProfile& profile, bool color) {
  return FormatTaps(profile, color) + FormatWeights(profile, color) + FormatCosts(profile, color);
}

}  // namespace qsim::report
