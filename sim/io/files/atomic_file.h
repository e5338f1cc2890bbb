// Files that exist completely or not at all: written under a temporary sibling name, then renamed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string_view>

#include "sim/io/files/temporary.h"

namespace qsim::io {

// AtomicFile file(path); file.Write(...); file.Commit();
// Without Commit() the destructor removes the temporary file and the old content stays.
// Throws InputError: the path is a directory or another non-regular file, its directory is missing,
// no permission, disk full.
class AtomicFile {
 public:
  // `update`: the file may be one that was read.
  explicit AtomicFile(const std::filesystem::path& path, bool update = false);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, std::size_t bytes);
  void Write(std::string_view text) { Write(text.data(), text.size()); }
  void Commit();

 private:
  [[noreturn]] void Fail(std::string_view what, int error) const;

  std::filesystem::path path_;    // as given, for messages
  std::filesystem::path target_;  // symbolic links resolved
  bool update_;
  std::optional<Temporary> temporary_;
};

// The whole content in one call.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content,
                         bool update = false);

}  // namespace qsim::io
