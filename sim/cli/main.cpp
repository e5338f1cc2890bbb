#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "sim/cli/calibrate_command.h"
#include "sim/cli/command_line.h"
#include "sim/cli/conform_command.h"
#include "sim/cli/describe_command.h"
#include "sim/cli/diagnose_command.h"
#include "sim/cli/diff_command.h"
#include "sim/cli/eval_command.h"
#include "sim/cli/explain_command.h"
#include "sim/cli/export_command.h"
#include "sim/cli/run_command.h"
#include "sim/cli/selftest_command.h"
#include "sim/cli/sweep_command.h"
#include "sim/cli/version.h"
#include "sim/error.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kDefect = 3;

int Dispatch(int argc, char** argv) {
  qsim::CommandLine line(qsim::VersionText());
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
  const qsim::Command calibrate_command = qsim::AddCalibrate(line, calibrate);
  const qsim::Command run_command = qsim::AddRun(line, run);
  const qsim::Command eval_command = qsim::AddEval(line, eval);
  const qsim::Command sweep_command = qsim::AddSweep(line, sweep);
  const qsim::Command diff_command = qsim::AddDiff(line, diff);
  const qsim::Command explain_command = qsim::AddExplain(line, explain);
  const qsim::Command diagnose_command = qsim::AddDiagnose(line, diagnose);
  const qsim::Command export_command = qsim::AddExport(line, exporting);
  const qsim::Command describe_command = qsim::AddDescribe(line, describe);
  const qsim::Command conform_command = qsim::AddConform(line, conform);
  const qsim::Command selftest_command = qsim::AddSelftest(line, selftest);
  if (!line.Parse({argv + 1, argv + argc})) return 0;
  if (calibrate_command.given()) return qsim::RunCalibrate(calibrate);
  if (run_command.given()) return qsim::RunRun(run);
  if (eval_command.given()) return qsim::RunEval(eval);
  if (sweep_command.given()) return qsim::RunSweep(sweep);
  if (diff_command.given()) return qsim::RunDiff(diff);
  if (explain_command.given()) return qsim::RunExplain(explain);
  if (diagnose_command.given()) return qsim::RunDiagnose(diagnose);
  if (export_command.given()) return qsim::RunExport(exporting);
  if (describe_command.given()) return qsim::RunDescribe(describe);
  if (selftest_command.given()) return qsim::RunSelftest(selftest);
  if (conform_command.given()) return qsim::RunConformCommand(conform);
  return kUsageError;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Dispatch(argc, argv);
  } catch (const qsim::UsageError& error) {
    std::cerr << "qsim: " << error.what() << "; see 'qsim --help'\n";
    return kUsageError;
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
