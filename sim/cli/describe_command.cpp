#include "sim/cli/describe_command.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/bundle/size_report.h"
#include "sim/export/describe.h"

namespace qsim::cli {

Command AddDescribe(CommandLine& line, DescribeOptions& options) {
  const Command command =
      line.Add("describe", "Print a program as equations with widths and ranges");
  command.Footer(
      "One entry for each operation: the equation in integers, every parameter, the\n"
      "tensors' types and ranges, and the section of docs/numerics.md.\n"
      "Give --bundle, or --config and --input to calibrate first.\n\n"
      "Example: qsim describe --bundle out/bundle --tap blocks.0");
  AddBundleOrModelOptions(command, options.bundle, options.model);
  command.Add("--tap", options.tap, "Only this operation, or those below this name: blocks.0")
      .Type("NAME");
  command.Check([&options] {
    if (options.bundle.empty() && options.model.config.empty())
      throw UsageError("--bundle, or --config and --input, is required");
  });
  return command;
}

int RunDescribe(const DescribeOptions& options) {
  const Bundle bundle = LoadBundleOrCalibrate(options.bundle, options.model, Edits::kTake);
  const std::string text = DescribeProgram(bundle, options.tap);
  std::cout << fmt::format("{} operations, numerics contract {}\n", bundle.program.ops.size(),
                           bundle.contracts.Label())
            << Format(SizeOf(bundle)) << '\n'
            << text;
  return 0;
}

}  // namespace qsim::cli
