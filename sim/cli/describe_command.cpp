#include "sim/cli/describe_command.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/error.h"
#include "sim/export/describe.h"
#include "sim/bundle/size_report.h"

namespace qsim {

CLI::App* AddDescribe(CLI::App& app, DescribeOptions& options) {
  CLI::App* command =
      app.add_subcommand("describe", "Print a program as equations with widths and ranges");
  command->footer(
      "One entry for each operation: the equation in integers, every parameter, the\n"
      "tensors' types and ranges, and the section of docs/numerics.md.\n"
      "Give --bundle, or --config and --input to calibrate first.\n\n"
      "Example: qsim describe --bundle out/bundle --tap blocks.0");
  AddBundleOrModelOptions(*command, options.bundle, options.model);
  command
      ->add_option("--tap", options.tap, "Only this operation, or those below this name: blocks.0")
      ->type_name("NAME");
  command->callback([&options] {
    if (options.bundle.empty() && options.model.config.empty())
      throw CLI::RequiredError("--bundle, or --config and --input,");
  });
  return command;
}

int RunDescribe(const DescribeOptions& options) {
  const Bundle bundle = LoadBundleOrCalibrate(options.bundle, options.model);
  const std::string text = DescribeProgram(bundle, options.tap);
  std::cout << fmt::format("{} operations, numerics contract {}\n", bundle.program.ops.size(),
                           bundle.contracts.Label())
            << Format(SizeOf(bundle)) << '\n'
            << text << std::flush;
  if (!std::cout) throw InputError("describe: standard output cannot be written");
  return 0;
}

}  // namespace qsim
