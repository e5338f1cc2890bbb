#include "sim/io/files/result_list.h"

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <system_error>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"
#include "sim/parallel.h"

namespace qsim::io {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 26;
constexpr std::size_t kDigits = 64;
constexpr std::string_view kHead =
    "# Written by qsim: the files and their SHA-256 (sha256sum -c .qsim-result)\n";
constexpr std::string_view kSelf = "# this list: ";
// Of a qsim that listed no files.
constexpr std::string_view kWithoutList = "A result directory written by qsim.\n";
constexpr int kThreads = 2;  // beyond that it is the memory that is busy

// As sha256sum writes names with line ends and backslashes: escaped, and the line begins with one.
std::string Line(const std::string& hash, const std::string& name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '\n' || c == '\r' || c == '\\') escaped += '\\';
    escaped += c == '\n' ? 'n' : c == '\r' ? 'r' : c;
  }
  return fmt::format("{}{}  {}\n", escaped == name ? "" : "\\", hash, escaped);
}

std::string NameFrom(std::string_view escaped) {
  std::string name;
  for (std::size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] == '\\' && i + 1 < escaped.size()) {
      ++i;
      name += escaped[i] == 'n' ? '\n' : escaped[i] == 'r' ? '\r' : escaped[i];
    } else {
      name += escaped[i];
    }
  }
  return name;
}

// The hashes by name; nothing of a list that is not as it was written is believed.
struct Listed {
  bool listed = false, damaged = false;
  std::map<std::string, std::string> hashes;
};

Listed Read(const fs::path& directory) {
  const fs::path path = directory / kResultMarker;
  Listed result;
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(path, ignored))) return result;
  const std::string text = ReadTextFile(path, kMostBytes, "a list of files");
  if (text == kWithoutList) return result;
  result.listed = true;
  const std::size_t self = text.rfind(kSelf);
  if (self == std::string::npos || !text.starts_with(kHead) ||
      text.substr(self) != fmt::format("{}{}\n", kSelf, Sha256Hex(text.substr(0, self)))) {
    result.damaged = true;
    return result;
  }
  for (std::size_t begin = kHead.size(); begin < self;) {
    const std::size_t end = text.find('\n', begin);
    std::string_view line = std::string_view(text).substr(begin, end - begin);
    const bool escaped = line.starts_with('\\');
    if (escaped) line.remove_prefix(1);
    result.damaged = result.damaged || end > self || line.size() < kDigits + 3;
    if (result.damaged) return result;
    const std::string_view name = line.substr(kDigits + 2);
    result.hashes[escaped ? NameFrom(name) : std::string(name)] = line.substr(0, kDigits);
    begin = end + 1;
  }
  return result;
}

std::vector<std::string> HashesOf(const fs::path& directory,
                                  const std::vector<std::string>& names) {
  std::vector<std::string> hashes(names.size());
  ParallelFor(static_cast<std::int64_t>(names.size()), kThreads, [&](std::int64_t i, int) {
    const auto n = static_cast<std::size_t>(i);
    hashes[n] = Sha256HexOfFile(directory / names[n]);
  });
  return hashes;
}

}  // namespace

FileNames FilesBelow(const fs::path& directory) {
  FileNames names;
  std::vector<std::string> open = {""};  // directories, relative
  while (!open.empty()) {
    const std::string within = std::move(open.back());
    open.pop_back();
    for (const DirectoryEntry& entry : EntriesOf(directory / within)) {
      std::string name = within.empty() ? entry.name : within + "/" + entry.name;
      if (entry.directory) {
        open.push_back(std::move(name));
      } else if (name != kResultMarker) {
        names.insert(std::move(name));
      }
    }
  }
  return names;
}

void WriteResultList(const fs::path& directory, const FileNames& files) {
  const std::vector<std::string> names(files.begin(), files.end());
  const std::vector<std::string> hashes = HashesOf(directory, names);
  std::string text(kHead);
  for (std::size_t i = 0; i < names.size(); ++i) text += Line(hashes[i], names[i]);
  text += fmt::format("{}{}\n", kSelf, Sha256Hex(text));
  WriteFileAtomically(directory / kResultMarker, text, /*update=*/true);
}

ResultList ReadResultList(const fs::path& directory) {
  const Listed read = Read(directory);
  ResultList list = {read.listed, read.damaged, {}};
  for (const auto& [name, hash] : read.hashes) list.files.insert(name);
  return list;
}

ResultChanges CompareResult(const fs::path& directory) {
  const Listed read = Read(directory);
  ResultChanges changes;
  changes.listed = read.listed;
  if (read.damaged) {
    changes.changed.push_back(std::string(kResultMarker));
    return changes;
  }
  if (!read.listed) return changes;
  changes.unlisted = FilesBelow(directory);
  std::vector<std::string> names;
  for (const auto& [name, hash] : read.hashes) {
    if (changes.unlisted.erase(name) != 0) {
      names.push_back(name);
    } else {
      changes.missing.push_back(name);
    }
  }
  const std::vector<std::string> hashes = HashesOf(directory, names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (hashes[i] != read.hashes.at(names[i])) changes.changed.push_back(names[i]);
  }
  return changes;
}

}  // namespace qsim::io
