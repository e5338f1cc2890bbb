#include "tests/fuzz/files.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegin = "-- ", kEnd = " --\n";
constexpr std::size_t kMostFiles = 64, kLongestName = 80;

bool IsInside(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-' || c == '/';
  };
  if (name.empty() || name.size() > kLongestName || name.find("//") != std::string_view::npos)
    return false;
  for (const char c : name) {
    if (!is_plain(c)) return false;
  }
  for (const fs::path& part : fs::path(name)) {
    if (part.empty() || part == "." || part == ".." || part == "/") return false;
  }
  return true;
}

// Where the next line that names a file lies, at or behind `from`, and its length.
std::pair<std::size_t, std::size_t> NextName(std::string_view input, std::size_t from) {
  for (std::size_t at = input.find(kBegin, from); at != std::string_view::npos;
       at = input.find(kBegin, at + 1)) {
    const std::size_t end = input.find('\n', at);
    if (end == std::string_view::npos) break;
    const std::size_t length = end + 1 - at;
    if ((at == 0 || input[at - 1] == '\n') && length > kBegin.size() + kEnd.size() &&
        input.substr(at, length).ends_with(kEnd))
      return {at, length};
  }
  return {std::string_view::npos, 0};
}

}  // namespace

std::string Joined(const Files& files) {
  std::string input;
  for (const auto& [name, bytes] : files)
    input += std::string(kBegin) + name + std::string(kEnd) + bytes + '\n';
  return input;
}

Files Split(std::string_view input) {
  Files files;
  for (auto [at, length] = NextName(input, 0); at != std::string_view::npos;) {
    const std::string_view name =
        input.substr(at + kBegin.size(), length - kBegin.size() - kEnd.size());
    const auto [next, next_length] = NextName(input, at + length);
    std::string_view bytes = input.substr(at + length, next - at - length);
    if (bytes.ends_with('\n')) bytes.remove_suffix(1);
    if (IsInside(name) && files.size() < kMostFiles) files[std::string(name)] = bytes;
    at = next;
    length = next_length;
  }
  return files;
}

Files FilesIn(const fs::path& directory, std::size_t most_bytes) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.file_size() <= most_bytes)
      files[entry.path().lexically_relative(directory).string()] = BytesOfFile(entry.path());
  }
  return files;
}

fs::path Written(const Files& files) {
  static const TempDir directory;
  static Files there;
  // A name may be a file in one input and a directory in the next.
  const bool fits =
      std::ranges::all_of(there, [&](const auto& file) { return files.contains(file.first); });
  if (!fits || there.size() != files.size()) {
    for (const auto& entry : fs::directory_iterator(directory.path())) fs::remove_all(entry);
    there.clear();
  }
  for (const auto& [name, bytes] : files) {
    const auto found = there.find(name);
    if (found != there.end() && found->second == bytes) continue;
    const fs::path path = directory.path() / name;
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);
    std::ofstream(path, std::ios::binary) << bytes;
    there[name] = bytes;
  }
  return directory.path();
}

fs::path Written(const std::string& name, std::string_view bytes) {
  return Written(Files{{name, std::string(bytes)}}) / name;
}

std::string BytesOfFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("no file " + path.string());
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace qsim::testing
