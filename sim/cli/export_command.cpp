#include "sim/cli/export_command.h"

#include <fmt/format.h>

#include <iostream>
#include <optional>
#include <string>

#include "sim/bundle/grids_file.h"
#include "sim/bundle/parameter_table.h"
#include "sim/error.h"
#include "sim/export/export_formats.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/output_directory.h"
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

// Where --output says, made before the work: a path that cannot be written is reported at once.
struct Place {
  explicit Place(const ExportOptions& options) {
    if (options.format == "memh") {
      if (options.output.empty())
        throw InputError("export: --format memh writes a directory; name it with --output");
      directory.emplace(options.output);
    } else if (!options.output.empty()) {
      file.emplace(options.output);
    }
  }
  std::optional<AtomicFile> file;
  std::optional<OutputDirectory> directory;
};

int Export(const ExportOptions& options, const Bundle& bundle, Place& place) {
  const ExportTable table = BuildExportTable(bundle);
  if (place.directory) {
    ExportMemh(table, bundle, *place.directory);
    return 0;
  }
  const std::string text =
      options.format == "grids" ? GridsText(bundle) : Print(table, options.format);
  if (place.file) {
    place.file->Write(text);
    place.file->Commit();
  } else {
    std::cout << text;
  }
  return 0;
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
  Place place(options);
  return Export(options, LoadBundleOrCalibrate(options.bundle, options.model), place);
}

int ExportBundle(const ExportOptions& options, const Bundle& bundle) {
  Place place(options);
  return Export(options, bundle, place);
}

}  // namespace qsim::cli
