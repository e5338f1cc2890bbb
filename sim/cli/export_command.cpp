#include "sim/cli/export_command.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/bundle/grids_file.h"
#include "sim/bundle/parameter_table.h"
#include "sim/error.h"
#include "sim/export/export_formats.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/path_util.h"

namespace qsim::cli {
namespace {

std::string Print(const ExportTable& table, const std::string& format) {
  if (format == "json") return ExportJson(table);
  if (format == "yaml") return ExportYaml(table);
  if (format == "csv") return ExportCsv(table);
  if (format == "svh" || format == "sv") return ExportSvh(table);
  if (format == "c") return ExportC(table);
  throw InputError(fmt::format(
      "export: unknown format '{}'; use json, csv, yaml, svh (sv), c, grids or memh", format));
}

}  // namespace

Command AddExport(CommandLine& line, ExportOptions& options) {
  const Command command = line.Add("export", "Print every scale, multiplier, shift and constant");
  command.Footer(
      "All formats hold the same numbers. memh writes a directory of $readmemh files;\n"
      "grids holds scales and zero points alone, for qsim calibrate --grids.\n"
      "Give --bundle, or --config and --input to calibrate first.\n\n"
      "Example: qsim export --bundle out/bundle --format svh --output qsim_params.svh");
  AddBundleOrModelOptions(command, options.bundle, options.model);
  command.Add("--format", options.format, "json, csv, yaml, svh (or sv), c, grids or memh")
      .Required()
      .Type("FORMAT")
      .OneOf({"json", "csv", "yaml", "svh", "sv", "c", "grids", "memh"});
  command
      .Add("--output", options.output,
           "File to write (default: standard output); for memh a directory, required")
      .Type("PATH");
  command.Check([&options] {
    if (options.bundle.empty() && options.model.config.empty())
      throw UsageError("--bundle, or --config and --input, is required");
    if (options.format == "memh" && options.output.empty())
      throw UsageError("--output DIR with --format memh is required");
  });
  return command;
}

int RunExport(const ExportOptions& options) {
  RequireApart(options.output, {options.bundle, options.model.input});
  return ExportBundle(options, LoadBundleOrCalibrate(options.bundle, options.model));
}

int ExportBundle(const ExportOptions& options, const Bundle& bundle) {
  const ExportTable table = BuildExportTable(bundle);
  if (options.format == "memh") {
    if (options.output.empty())
      throw InputError("export: --format memh writes a directory; name it with --output");
    ExportMemh(table, bundle, options.output);
    return 0;
  }
  const std::string text =
      options.format == "grids" ? GridsText(bundle) : Print(table, options.format);
  if (!options.output.empty()) {
    WriteFileAtomically(options.output, text);
    return 0;
  }
  std::cout << text;
  return 0;
}

}  // namespace qsim::cli
