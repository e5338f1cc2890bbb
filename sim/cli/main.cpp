#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cli/bench_command.h"
#include "sim/cli/calibrate_command.h"
#include "sim/cli/check_command.h"
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
#include "sim/io/files/input_file.h"
#include "sim/io/files/temporary.h"
#include "sim/text/printable.h"

namespace {

constexpr int kUsageError = 2;
constexpr int kDefect = 3;

int Dispatch(int argc, char** argv) {
  qsim::cli::CommandLine line(qsim::cli::VersionText());
  qsim::cli::CalibrateCommandOptions calibrate;
  qsim::cli::RunOptions run;
  qsim::cli::EvalOptions eval;
  qsim::cli::DiffOptions diff;
  qsim::cli::ExplainOptions explain;
  qsim::cli::DiagnoseCommandOptions diagnose;
  qsim::cli::ExportOptions exporting;
  qsim::cli::ConformOptions conform;
  qsim::cli::DescribeOptions describe;
  qsim::cli::SelftestOptions selftest;
  qsim::cli::SweepOptions sweep;
  qsim::cli::BenchOptions bench;
  qsim::cli::CheckOptions check;
  const qsim::cli::Command calibrate_command = qsim::cli::AddCalibrate(line, calibrate);
  const qsim::cli::Command run_command = qsim::cli::AddRun(line, run);
  const qsim::cli::Command eval_command = qsim::cli::AddEval(line, eval);
  const qsim::cli::Command sweep_command = qsim::cli::AddSweep(line, sweep);
  const qsim::cli::Command diff_command = qsim::cli::AddDiff(line, diff);
  const qsim::cli::Command explain_command = qsim::cli::AddExplain(line, explain);
  const qsim::cli::Command diagnose_command = qsim::cli::AddDiagnose(line, diagnose);
  const qsim::cli::Command export_command = qsim::cli::AddExport(line, exporting);
  const qsim::cli::Command describe_command = qsim::cli::AddDescribe(line, describe);
  const qsim::cli::Command check_command = qsim::cli::AddCheck(line, check);
  const qsim::cli::Command conform_command = qsim::cli::AddConform(line, conform);
  const qsim::cli::Command selftest_command = qsim::cli::AddSelftest(line, selftest);
  const qsim::cli::Command bench_command = qsim::cli::AddBench(line, bench);
  if (!line.Parse({argv + 1, argv + argc})) return 0;
  if (calibrate_command.given()) return qsim::cli::RunCalibrate(calibrate);
  if (bench_command.given()) return qsim::cli::RunBench(bench);
  if (run_command.given()) return qsim::cli::RunRun(run);
  if (eval_command.given()) return qsim::cli::RunEval(eval);
  if (sweep_command.given()) return qsim::cli::RunSweep(sweep);
  if (diff_command.given()) return qsim::cli::RunDiff(diff);
  if (explain_command.given()) return qsim::cli::RunExplain(explain);
  if (diagnose_command.given()) return qsim::cli::RunDiagnose(diagnose);
  if (export_command.given()) return qsim::cli::RunExport(exporting);
  if (describe_command.given()) return qsim::cli::RunDescribe(describe);
  if (check_command.given()) return qsim::cli::RunCheck(check);
  if (selftest_command.given()) return qsim::cli::RunSelftest(selftest);
  if (conform_command.given()) return qsim::cli::RunConformCommand(conform);
  return kUsageError;
}

// A file that a command opens must not become its standard output: what is closed opens as nothing,
// and what is printed there is lost and said to be.
void OccupyStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) < 0)
      ::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
  }
}

// Before other initialisations, which take memory.
[[gnu::constructor(101)]] void HandleEnds() { qsim::io::EndCleanly(); }

// One line on standard error, whatever it names: of a very long one not the middle.
int Fail(int status, std::string_view message) {
  constexpr std::size_t kFront = 700, kBack = 300;
  std::string line = qsim::text::Escaped(message.substr(0, kFront));
  if (message.size() > kFront + kBack) line += " ... ";
  const std::size_t rest = std::max(kFront, message.size() - std::min(message.size(), kBack));
  if (rest < message.size()) line += qsim::text::Escaped(message.substr(rest));
  std::cerr << "qsim: " << line << '\n';
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  OccupyStandardStreams();
  qsim::io::RememberInputs();
  try {
    const int status = Dispatch(argc, argv);
    // For every command and option, whatever it has printed.
    if (!std::cout.flush() || std::ferror(stdout) != 0)
      throw qsim::InputError("standard output cannot be written (disk full?)");
    return status;
  } catch (const qsim::cli::UsageError& error) {
    return Fail(kUsageError, fmt::format("{}; see 'qsim --help'", error.what()));
  } catch (const qsim::InputError& error) {
    return Fail(kUsageError, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return Fail(kUsageError, fmt::format("{}: {}", qsim::io::UserPath(error.path1()).string(),
                                         error.code().message()));
  } catch (const std::bad_alloc&) {
    // What has been thrown away on the way here is memory enough for one line.
    const std::string_view last = qsim::io::LastInput();
    return Fail(kUsageError,
                fmt::format("not enough memory{}{}; try fewer images or a smaller --batch",
                            last.empty() ? "" : ", the last file read is ", last));
  } catch (const std::exception& error) {
    return Fail(kDefect, fmt::format("defect: {}", error.what()));
  }
}
