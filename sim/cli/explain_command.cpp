#include "sim/cli/explain_command.h"

#include <iostream>

#include "sim/cli/model_options.h"
#include "sim/explain/bundle_explain.h"
#include "sim/explain/explain_report.h"

namespace qsim::cli {
namespace {

constexpr std::int64_t kZeroLimit = 0x7fffffff;

void AddPlainOptions(const Command& command, PlainOptions& plain) {
  std::string group = "Plain tensors";
  const auto add = [&](const char* name, auto& value, const char* what) {
    return command.Add(name, value, what).Group(group);
  };
  const auto file = [&](const char* name, std::filesystem::path& path, const char* what) {
    add(name, path, what).Type("FILE");
  };
  const auto numbers = [&](const char* name, std::string& text, const char* what) {
    add(name, text, what).Type("N|FILE");
  };
  file("--actual", plain.actual, "The implementation's output");
  file("--expected", plain.expected, "The golden output, to check the parameters with");
  group = "Requantize and residual add";
  file("--acc", plain.acc, "Requantize: the accumulators");
  file("--a", plain.a, "Residual add: the first operand");
  file("--b", plain.b, "Residual add: the second operand");
  numbers("--multiplier", plain.multiplier, "M: one, or one per channel");
  numbers("--b-multiplier", plain.b_multiplier, "M of the second operand");
  numbers("--shift", plain.shift, "S: one, or one per channel");
  numbers("--zero", plain.zero, "Output zero point: one, or one per channel");
  numbers("--addend", plain.addend, "Added to the product: one, or one per channel");
  add("--input-zero", plain.input_zero, "Zero point of --acc or --a")
      .Between(-kZeroLimit, kZeroLimit);
  add("--b-zero", plain.b_zero, "Zero point of --b").Between(-kZeroLimit, kZeroLimit);
  add("--bits", plain.bits, "Output width (8)").Between(2, 32);
  command.Flag("--unsigned", plain.is_unsigned, "The output is unsigned").Group(group);
  add("--rounding", plain.rounding, "The golden rule or scheme (half_up)").Type("NAME");
  add("--axis", plain.axis, "Axis of M, S and zero: last, first, element, none (auto)")
      .Type("AXIS");
  group = "Matrix product";
  file("--lhs", plain.lhs, "The left operand, [..., M, K]");
  file("--rhs", plain.rhs, "The right operand, [..., K, N]");
  command.Flag("--transpose-rhs", plain.transpose_rhs, "--rhs is [..., N, K]").Group(group);
  numbers("--bias", plain.bias, "One per column");
  numbers("--lhs-zero", plain.lhs_zero, "Zero point of --lhs");
  numbers("--rhs-zero", plain.rhs_zero, "Zero point of --rhs: one, or one per column");
  add("--acc-bits", plain.acc_bits, "Accumulator width (32)").Between(16, 32);
  add("--acc-policy", plain.acc_policy, "wrap or saturate (wrap)").Type("POLICY");
}

// Directories and plain tensors are two ways to ask; each needs all of its own.
void CheckUsage(const ExplainOptions& options) {
  const PlainOptions& plain = options.plain;
  const int operations =
      (plain.acc.empty() ? 0 : 1) + (plain.a.empty() ? 0 : 1) + (plain.lhs.empty() ? 0 : 1);
  if (!options.a.empty()) {
    if (options.b.empty()) throw UsageError("explain: directory B is missing");
    if (options.bundle.empty()) throw UsageError("--bundle, for two directories, is required");
    if (operations != 0 || !plain.actual.empty())
      throw UsageError("explain: give two directories or plain tensors, not both");
    return;
  }
  if (!options.bundle.empty() || !options.tap.empty())
    throw UsageError("explain: --bundle and --tap go with two directories, A and B");
  if (plain.actual.empty())
    throw UsageError("Two directories A and B with --bundle, or --actual is required");
  if (operations != 1)
    throw UsageError(
        "explain: --actual needs one operation's inputs: --acc, --a and --b, or --lhs and --rhs");
  if (plain.a.empty() != plain.b.empty())
    throw UsageError("explain: --a and --b are the two operands of a residual add");
  if (plain.lhs.empty() != plain.rhs.empty())
    throw UsageError("explain: --lhs and --rhs are the two operands of a product");
}

}  // namespace

Command AddExplain(CommandLine& line, ExplainOptions& options) {
  const Command command =
      line.Add("explain", "Name the rule behind an implementation's mismatches");
  command.Footer(
      "Either two directories of tensors and their bundle, or plain tensors (.npy or\n"
      "memory files) with one operation's parameters: --acc, --a and --b, or --lhs\n"
      "and --rhs.\n"
      "Exit status: 0 no differences; 1 differences, explained or not; 2 bad input.\n\n"
      "Examples:\n"
      "  qsim explain out/run/golden out/rtl --bundle out/bundle\n"
      "  qsim explain --acc acc.npy --actual y.npy --multiplier m.npy --shift 24");
  command.Add("A", options.a, "Directory of golden tensors").Type("PATH");
  command.Add("B", options.b, "Directory of the implementation's tensors").Type("PATH");
  command.Add("--bundle", options.bundle, "Bundle written by qsim calibrate").Type("DIR");
  command.Add("--tap", options.tap, "Look at this tensor only").Type("NAME");
  AddThreadsOption(command, options.threads);
  AddPlainOptions(command, options.plain);
  command.Flag("--json", options.json, "Print the complete result as JSON");
  command.Check([&options] { CheckUsage(options); });
  return command;
}

int RunExplain(const ExplainOptions& options) {
  std::string text;
  bool equal = false;
  const int threads = ThreadCount(options.threads);
  if (!options.a.empty()) {
    const DirectoryExplanation result = ExplainDirectories(
        options.a, options.b, OpenBundle(options.bundle, Edits::kTake), options.tap, threads);
    equal = result.differing == 0;
    text = options.json ? DirectoryJson(result) : DirectoryText(result);
  } else {
    const Explanation explanation = ExplainFiles(options.plain, threads);
    equal = explanation.verdict == Explanation::Verdict::kEqual;
    text = options.json ? ExplanationJson(explanation) : ExplanationText(explanation);
  }
  std::cout << text;
  return equal ? 0 : 1;
}

}  // namespace qsim::cli
