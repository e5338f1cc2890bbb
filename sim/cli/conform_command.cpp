#include "sim/cli/conform_command.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "sim/conform/conform_report.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/text/printable.h"

namespace qsim::cli {
namespace {

// Any array computes the same; of those built, the one with the most elements is the fastest.
std::unique_ptr<Backend> MakeRtl(const std::string& mode) {
  if (mode == "off" || (mode == "auto" && !cosim::BuiltWithRtl())) return nullptr;
  cosim::RtlOptions options;
  for (const cosim::ArrayShape shape : cosim::BuiltArrays()) {
    options.array = std::max(options.array, shape,
                             [](auto a, auto b) { return a.rows * a.cols < b.rows * b.cols; });
  }
  return std::make_unique<cosim::RtlBackend>(options);
}

}  // namespace

Command AddConform(CommandLine& line, ConformOptions& options) {
  const Command command = line.Add("conform", "Run other projects' test cases, element by element");
  command.Footer(
      "DIR holds folders with case.json and .npy files (docs/formats.md), at any\n"
      "depth. Each case runs through the golden operations and, where RTL for it\n"
      "exists, through the RTL.\n"
      "Exit status: 0 all equal; 1 something differs, is unsupported, or nothing was\n"
      "compared; 2 a case that cannot be run.\n\n"
      "Example: qsim conform conformance/ --only softmax");
  command.Add("DIR", options.dir, "Folder of cases").Type("PATH").Required();
  command.Add("--only", options.only, "One op or op/algorithm: softmax, requant/ita").Type("NAME");
  command.Add("--rtl", options.rtl, "on, off, or auto: if this build has RTL")
      .OneOf({"auto", "on", "off"})
      .Type("auto|on|off");
  command.Flag("--allow-unsupported", options.allow_unsupported,
               "An algorithm that qsim does not have is no failure");
  command.Flag("--json", options.json, "Print the complete result as JSON");
  return command;
}

int RunConformCommand(const ConformOptions& options) {
  const std::unique_ptr<Backend> rtl = MakeRtl(options.rtl);
  const ConformReport report = RunConform(options.dir, options.only, rtl.get());
  std::cout << (options.json ? ConformJsonText(report) : FormatConform(report));
  for (const std::string& error : report.errors) std::cerr << "qsim: " << Escaped(error) << '\n';
  if (!report.errors.empty()) return 2;
  const ConformRow total = report.Total();
  const bool equal = total.golden.mismatches == 0 && total.rtl.mismatches == 0;
  const bool complete = total.supported || options.allow_unsupported;
  return equal && complete && total.golden.elements > 0 ? 0 : 1;
}

}  // namespace qsim::cli
