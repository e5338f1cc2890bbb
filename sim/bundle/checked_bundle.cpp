#include "sim/bundle/checked_bundle.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "sim/bundle/bundle_records.h"
#include "sim/error.h"
#include "sim/io/files/result_list.h"
#include "sim/parallel.h"

namespace qsim::bundle {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kProgramFile = "program.yaml";

// An optional file counts as changed where it was added: it would be read.
void AddAdded(ResultChanges& changes) {
  if (changes.unlisted.contains(std::string(bundle_format::kLengths)))
    changes.changed.emplace_back(bundle_format::kLengths);
}

std::vector<std::string> Messages(const fs::path& directory, const ResultChanges& changes) {
  std::vector<std::string> messages;
  for (const std::string& name : changes.changed) {
    messages.push_back(fmt::format("{}: is not as qsim wrote it (another SHA-256 than in {})",
                                   (directory / name).string(), kResultMarker));
  }
  for (const std::string& name : changes.missing) {
    messages.push_back(
        fmt::format("{}: is missing; {} lists it", (directory / name).string(), kResultMarker));
  }
  return messages;
}

}  // namespace

bool IsBundle(const fs::path& directory) {
  std::error_code ignored;
  return fs::exists(directory / kProgramFile, ignored);
}

void RequireUnchanged(const fs::path& directory, const ResultChanges& changes) {
  const std::vector<std::string> messages = Messages(directory, changes);
  if (messages.empty()) return;
  throw InputError(fmt::format(
      "{}{}; restore it, or accept what is there: `qsim check --seal {}`", messages[0],
      messages.size() > 1 ? fmt::format(" (and {} more files)", messages.size() - 1) : "",
      directory.string()));
}

Bundle OpenBundle(const fs::path& directory, Edits edits, std::vector<std::string>& notes) {
  ResultChanges changes;
  Bundle bundle;
  std::exception_ptr unreadable;  // what has changed is said first
  ParallelFor(2, 2, [&](std::int64_t task, int) {
    if (task == 0) {
      changes = CompareResult(directory);
      AddAdded(changes);
      return;
    }
    try {
      bundle = LoadBundle(directory);
    } catch (...) {
      unreadable = std::current_exception();
    }
  });
  if (edits == Edits::kRefuse) RequireUnchanged(directory, changes);
  for (std::string& message : Messages(directory, changes)) notes.push_back(std::move(message));
  if (unreadable) std::rethrow_exception(unreadable);
  if (!changes.listed) {
    notes.push_back(
        fmt::format("{}: has no hashes of its files (an older qsim's), which are taken as they "
                    "are; `qsim check "
                    "--seal {}` adds them",
                    directory.string(), directory.string()));
  }
  return bundle;
}

void Seal(const fs::path& directory) {
  // A bundle that no command could read is not sealed.
  if (IsBundle(directory)) LoadBundle(directory);
  const FileNames listed = ReadResultList(directory).files;
  FileNames files;
  for (const std::string& name : FilesBelow(directory)) {
    const fs::path path(name);
    const bool of_bundle = path.parent_path() == bundle_format::kArrays ||
                           path.parent_path() == bundle_format::kInputs ||
                           name == bundle_format::kLengths || name == kProgramFile ||
                           name == "scales.yaml" || name == kContractFile;
    if (of_bundle || listed.contains(name)) files.insert(name);
  }
  WriteResultList(directory, files);
}

}  // namespace qsim::bundle
