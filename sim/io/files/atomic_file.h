// Files that exist completely or not at all: written under a temporary sibling name, then renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace qsim::io {

// AtomicFile file(path); file.Write(...); file.Commit();
// Without Commit() the destructor removes the temporary file and the old content stays.
// Throws InputError: the path is a directory or another non-regular file, its directory is missing,
// no permission, disk full.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, std::size_t bytes);
  void Write(std::string_view text) { Write(text.data(), text.size()); }
  void Commit();

 private:
  [[noreturn]] void Fail(std::string_view what, int error) const;

  std::filesystem::path path_;       // as given, for messages
  std::filesystem::path target_;     // symbolic links resolved
  std::filesystem::path temporary_;  // empty once committed
  int fd_ = -1;
};

// The whole content in one call.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

}  // namespace qsim::io
