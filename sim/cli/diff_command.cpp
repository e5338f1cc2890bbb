#include "sim/cli/diff_command.h"

#include <iostream>

#include "sim/report/tensor_diff.h"

namespace qsim::cli {

Command AddDiff(CommandLine& line, DiffOptions& options) {
  const Command command = line.Add("diff", "Compare two tensors, or two directories of them");
  command.Footer(
      "Reads .npy and memory files (.memh, .hex, .mem, .txt, .dat); directories are\n"
      "searched recursively and paired by relative name, whatever the format.\n"
      "Exit status: 0 all equal; 1 something differs or is missing; 2 nothing to\n"
      "compare, or a file that cannot be read.\n\n"
      "Example: qsim diff out/golden out/rtl");
  command.Add("A", options.a, "File or directory").Type("PATH").Required();
  command.Add("B", options.b, "File or directory to compare with").Type("PATH").Required();
  command.Flag("--json", options.json, "Print the complete result as JSON");
  command.Flag("--tensors", options.tensors,
               "List tensors even where the two follow different numerics contracts");
  command.Add("--max", options.max_listed, "List at most N differing tensors (0: all)")
      .Type("N")
      .NotNegative();
  return command;
}

int RunDiff(const DiffOptions& options) {
  const DiffResult result = DiffPaths(options.a, options.b);
  std::cout << (options.json ? DiffJsonText(result)
                             : FormatDiff(result, options.max_listed, options.tensors));
  return result.differing() == 0 && result.contracts.empty() ? 0 : 1;
}

}  // namespace qsim::cli
