#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "sim/cli/calibrate_command.h"
#include "sim/cli/conform_command.h"
#include "sim/cli/describe_command.h"
#include "sim/cli/diagnose_command.h"
#include "sim/cli/diff_command.h"
#include "sim/cli/eval_command.h"
#include "sim/cli/explain_command.h"
#include "sim/cli/export_command.h"
#include "sim/cli/help_formatter.h"
#include "sim/cli/run_command.h"
#include "sim/cli/selftest_command.h"
#include "sim/cli/sweep_command.h"
#include "sim/error.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kDefect = 3;

constexpr const char* kFooter =
    "Exit status: 0 as asked and equal; 1 a comparison found a difference;\n"
    "2 wrong usage, configuration or input; 3 a defect in qsim itself.\n\n"
    "Examples:\n"
    "  qsim run --config configs/attn_config.yaml --input vectors/\n"
    "'qsim COMMAND --help' describes a command.";

// CLI11 asks for a subcommand before it looks at what was given in its place.
std::string UsageMessage(const CLI::App& app, const CLI::ParseError& error) {
  const std::vector<std::string> unknown = app.remaining();
  if (!app.get_subcommands().empty() || unknown.empty()) return error.what();
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands({})) commands.push_back(command->get_name());
  return fmt::format("unknown {} '{}'; {}", unknown[0].starts_with("-") ? "option" : "command",
                     qsim::Printable(unknown[0]), qsim::SuggestWord(unknown[0], commands));
}

int Dispatch(int argc, char** argv) {
  CLI::App app{"A bit-accurate, integer-only reference simulator for ViT attention hardware"};
  app.name("qsim");
  app.formatter(std::make_shared<qsim::HelpFormatter>());
  app.set_version_flag("--version", "qsim " QSIM_VERSION);
  app.require_subcommand(1);
  app.footer(kFooter);

  qsim::CalibrateCommandOptions calibrate;
  qsim::RunOptions run;
  qsim::EvalOptions eval;
  qsim::DiffOptions diff;
  qsim::ExplainOptions explain;
  qsim::DiagnoseCommandOptions diagnose;
  qsim::ExportOptions exporting;
  qsim::ConformOptions conform;
  qsim::DescribeOptions describe;
  qsim::SelftestOptions selftest;
  qsim::SweepOptions sweep;
  const CLI::App* calibrate_command = qsim::AddCalibrate(app, calibrate);
  const CLI::App* run_command = qsim::AddRun(app, run);
  const CLI::App* eval_command = qsim::AddEval(app, eval);
  const CLI::App* sweep_command = qsim::AddSweep(app, sweep);
  const CLI::App* diff_command = qsim::AddDiff(app, diff);
  const CLI::App* explain_command = qsim::AddExplain(app, explain);
  const CLI::App* diagnose_command = qsim::AddDiagnose(app, diagnose);
  const CLI::App* export_command = qsim::AddExport(app, exporting);
  const CLI::App* describe_command = qsim::AddDescribe(app, describe);
  const CLI::App* conform_command = qsim::AddConform(app, conform);
  const CLI::App* selftest_command = qsim::AddSelftest(app, selftest);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    std::cerr << "qsim: " << UsageMessage(app, error) << "; see 'qsim --help'\n";
    return kUsageError;
  }
  if (*calibrate_command) return qsim::RunCalibrate(calibrate);
  if (*run_command) return qsim::RunRun(run);
  if (*eval_command) return qsim::RunEval(eval);
  if (*sweep_command) return qsim::RunSweep(sweep);
  if (*diff_command) return qsim::RunDiff(diff);
  if (*explain_command) return qsim::RunExplain(explain);
  if (*diagnose_command) return qsim::RunDiagnose(diagnose);
  if (*export_command) return qsim::RunExport(exporting);
  if (*describe_command) return qsim::RunDescribe(describe);
  if (*selftest_command) return qsim::RunSelftest(selftest);
  if (*conform_command) return qsim::RunConformCommand(conform);
  return kUsageError;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Dispatch(argc, argv);
  } catch (const qsim::InputError& error) {
    std::cerr << "qsim: " << error.what() << '\n';
    return kUsageError;
  } catch (const std::filesystem::filesystem_error& error) {
    std::cerr << fmt::format("qsim: {}: {}\n", error.path1().string(), error.code().message());
    return kUsageError;
  } catch (const std::bad_alloc&) {
    std::cerr << "qsim: not enough memory; try fewer images or a smaller --batch\n";
    return kUsageError;
  } catch (const std::exception& error) {
    std::cerr << "qsim: defect: " << error.what() << '\n';
    return kDefect;
  }
}
