// A regular file opened for reading. Sizes are known before anything is allocated, and every
// failure is an InputError that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace qsim::io {

class InputFile {
 public:
  // Throws InputError: missing, a directory, not a regular file (a pipe would never end),
  // unreadable.
  explicit InputFile(const std::filesystem::path& path);
  // A file that another file names, within a directory: `inside` must be relative, without "..",
  // and no part of it a link to elsewhere, symbolic or hard. Nothing on the way is followed.
  InputFile(const std::filesystem::path& directory, const std::filesystem::path& inside);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }

  // Reads exactly `bytes` bytes from `offset`. Throws InputError when the file ends before.
  void ReadAt(std::uint64_t offset, void* out, std::size_t bytes) const;

 private:
  void TakeRegularFile();

  std::filesystem::path path_;
  std::uint64_t size_ = 0;
  int fd_ = -1;
};

// From now on what has been read is remembered, and RequireNoInput throws InputError where a file
// that is to be replaced has been. For main(): a test may change what it read.
void RememberInputs();
void RequireNoInput(const std::filesystem::path& path, const std::filesystem::path& target);

// The file that was opened last, as far as it is remembered; safe to call when memory is short.
const char* LastInput();

// The whole file. Throws InputError as above, or when it is larger than max_bytes; `what` names the
// kind of file in that message ("a configuration file").
std::string ReadTextFile(const std::filesystem::path& path, std::uint64_t max_bytes,
                         std::string_view what);
std::string ReadTextFile(const InputFile& file, std::uint64_t max_bytes, std::string_view what);

}  // namespace qsim::io
