#include "sim/cli/explain_command.h"

#include <iostream>

#include "sim/error.h"
#include "sim/explain/explain_report.h"

namespace qsim {
namespace {

void AddPlainOptions(CLI::App& command, PlainOptions& plain) {
  const auto file = [&command](const char* name, std::filesystem::path& path, const char* what) {
    command.add_option(name, path, what)->type_name("FILE")->group("Plain tensors");
  };
  const auto numbers = [&command](const char* name, std::string& text, const char* what) {
    command.add_option(name, text, what)->type_name("N|FILE")->group("Plain tensors");
  };
  file("--actual", plain.actual, "The implementation's output");
  file("--expected", plain.expected, "The golden output, to check the parameters with");
  file("--acc", plain.acc, "Requantize: the accumulators");
  file("--a", plain.a, "Residual add: the first operand");
  file("--b", plain.b, "Residual add: the second operand");
  numbers("--multiplier", plain.multiplier, "M: one, or one per channel");
  numbers("--b-multiplier", plain.b_multiplier, "M of the second operand");
  numbers("--shift", plain.shift, "S: one, or one per channel");
  numbers("--zero", plain.zero, "Output zero point: one, or one per channel");
  command.add_option("--input-zero", plain.input_zero, "Zero point of --acc or --a")
      ->group("Plain tensors");
  command.add_option("--b-zero", plain.b_zero, "Zero point of --b")->group("Plain tensors");
  command.add_option("--bits", plain.bits, "Output width (8)")
      ->check(CLI::Range(2, 32))
      ->group("Plain tensors");
  command.add_flag("--unsigned", plain.is_unsigned, "The output is unsigned")
      ->group("Plain tensors");
  command.add_option("--rounding", plain.rounding, "The golden rule (half_up)")
      ->group("Plain tensors");
  command.add_option("--axis", plain.axis, "Axis of M, S, zero: last, first, element, none")
      ->group("Plain tensors");
}

}  // namespace

CLI::App* AddExplain(CLI::App& app, ExplainOptions& options) {
  CLI::App* command = app.add_subcommand("explain", "Find the rule that explains a mismatch");
  AddPlainOptions(*command, options.plain);
  command->add_flag("--json", options.json, "Print the complete result as JSON");
  return command;
}

int RunExplain(const ExplainOptions& options) {
  const Explanation explanation = ExplainFiles(options.plain);
  std::cout << (options.json ? ExplanationsJson({explanation}, {}) : ExplanationText(explanation))
            << std::flush;
  if (!std::cout) throw InputError("explain: standard output cannot be written");
  return explanation.verdict == Explanation::Verdict::kEqual ? 0 : 1;
}

}  // namespace qsim
