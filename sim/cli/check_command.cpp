#include "sim/cli/check_command.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/cli/model_options.h"
#include "sim/error.h"
#include "sim/io/files/result_list.h"
#include "sim/text/printable.h"

namespace qsim::cli {
namespace {

namespace fs = std::filesystem;

void PrintFiles(const fs::path& directory) {
  const ResultList list = ReadResultList(directory);
  if (!list.listed) return;
  std::cout << fmt::format("{}: {} files as they were written\n", Escaped(directory.string()),
                           list.files.size());
  for (const std::string& name : FilesBelow(directory)) {
    if (list.files.contains(name)) continue;
    std::cout << NoteLine(fmt::format("{}: is none of them", (directory / name).string()));
  }
}

}  // namespace

Command AddCheck(CommandLine& line, CheckOptions& options) {
  const Command command = line.Add("check", "Is a bundle, or another result, as it was written?");
  command.Footer(
      "Compares every file with its SHA-256 in .qsim-result, and reads a bundle as\n"
      "other commands do. run, eval and export refuse a bundle with an edited file\n"
      "until --seal has accepted it; diagnose and explain read it and name the file.\n\n"
      "Example: qsim check out/bundle");
  command.Add("RESULT", options.directory, "Directory that qsim wrote").Type("DIR").Required();
  command.Flag("--seal", options.seal,
               "Accept the files as they are; to an older qsim's bundle hashes are added");
  return command;
}

int RunCheck(const CheckOptions& options) {
  const fs::path& directory = options.directory;
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored))
    throw InputError(fmt::format("{}: no such directory", directory.string()));
  const bool bundle = IsBundle(directory);
  if (!bundle && !ReadResultList(directory).listed) {
    throw InputError(
        fmt::format("{}: is no bundle and has no list of files ({}); was it written by "
                    "qsim?",
                    directory.string(), kResultMarker));
  }
  if (options.seal) Seal(directory);
  if (bundle) {
    const Bundle loaded = OpenBundle(directory);
    PrintFiles(directory);
    std::cout << fmt::format("{}: a bundle of {} operations\n", Escaped(directory.string()),
                             loaded.program.ops.size());
    return 0;
  }
  RequireUnchanged(directory, CompareResult(directory));
  PrintFiles(directory);
  return 0;
}

}  // namespace qsim::cli
