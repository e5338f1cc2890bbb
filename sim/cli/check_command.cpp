#include "sim/cli/check_command.h"

#include <fmt/format.h>

#include <iostream>

#include "sim/cli/model_options.h"
#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/content_hash.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/result_list.h"
#include "sim/text/printable.h"

namespace qsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestExport = std::uint64_t{1} << 30;

// An export that is one file: --seal accepts it as it is.
void CheckFile(const fs::path& path, bool seal) {
  const std::string text = ReadTextFile(path, kLargestExport, "an export");
  const Content content = CheckContent(text);
  if (content == Content::kWithoutHash) {
    throw InputError(fmt::format(
        "{}: carries no hash of its content ({}: 64 digits); was it written by `qsim export`?",
        path.string(), kContentHash));
  }
  if (content == Content::kChanged) {
    if (!seal) {
      throw InputError(fmt::format(
          "{}: is not as qsim wrote it (another SHA-256 than its {}); restore it, or accept "
          "what is there: `qsim check --seal {}`",
          path.string(), kContentHash, path.string()));
    }
    WriteFileAtomically(path, WithContentHash(text), /*update=*/true);
  }
  std::cout << fmt::format("{}: as it was {}\n", Escaped(path.string()),
                           seal ? "accepted" : "written");
}

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
      "until --seal has accepted it; diagnose and explain read it and name the file.\n"
      "An export that is one file is compared with its content_sha256.\n\n"
      "Example: qsim check out/bundle");
  command.Add("RESULT", options.result, "Directory, or export, that qsim wrote")
      .Type("PATH")
      .Required();
  command.Flag("--seal", options.seal,
               "Accept the files as they are; to an older qsim's bundle hashes are added");
  return command;
}

int RunCheck(const CheckOptions& options) {
  const fs::path& directory = options.result;
  std::error_code ignored;
  if (!fs::exists(directory, ignored))
    throw InputError(fmt::format("{}: no such directory or file", directory.string()));
  if (!fs::is_directory(directory, ignored)) {
    CheckFile(directory, options.seal);
    return 0;
  }
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
