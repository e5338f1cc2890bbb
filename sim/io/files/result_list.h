// What qsim wrote to a directory: its files and their SHA-256, in the file .qsim-result, as
// `sha256sum -c` reads it. docs/formats.md, "List of a result's files".
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace qsim::io {

// The file by which qsim recognises its own results.
inline constexpr std::string_view kResultMarker = ".qsim-result";

// Relative to the directory.
using FileNames = std::set<std::string>;

// All files of a directory but the list itself, links not followed. Throws InputError.
FileNames FilesBelow(const std::filesystem::path& directory);

// Hashes the files and writes the list. Throws InputError.
void WriteResultList(const std::filesystem::path& directory, const FileNames& files);

// The files that the list names. `listed`: false without a list, or with that of an older qsim,
// which names none. A list that is damaged names none either.
struct ResultList {
  bool listed = false, damaged = false;
  FileNames files;
};
ResultList ReadResultList(const std::filesystem::path& directory);

struct ResultChanges {
  bool listed = false;
  std::vector<std::string> changed;  // names; the list's own where it is damaged
  std::vector<std::string> missing;
  FileNames unlisted;
};
// Compares every file with its hash, on two threads.
ResultChanges CompareResult(const std::filesystem::path& directory);

}  // namespace qsim::io
