#include "sim/io/files/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/temporary.h"
#include "sim/namespaces.h"
#include "sim/text/printable.h"

namespace qsim::io {

namespace {

struct Inputs {
  std::mutex mutex;
  bool remember = false;
  std::set<std::pair<dev_t, ino_t>> files;
  char last[512] = "";  // not a string: it is read when there is no memory
};
Inputs& AllInputs() {
  static Inputs inputs;
  return inputs;
}

void Remember(const std::filesystem::path& path, const struct stat& status) {
  Inputs& inputs = AllInputs();
  const std::lock_guard lock(inputs.mutex);
  const std::string& text = path.native();
  const std::size_t size = std::min(text.size(), sizeof(inputs.last) - 1);
  text.copy(inputs.last, size);
  inputs.last[size] = '\0';
  if (inputs.remember) inputs.files.emplace(status.st_dev, status.st_ino);
}

}  // namespace

void RememberInputs() { AllInputs().remember = true; }

const char* LastInput() { return AllInputs().last; }

void RequireNoInput(const std::filesystem::path& path, const std::filesystem::path& target) {
  Inputs& inputs = AllInputs();
  const std::lock_guard lock(inputs.mutex);
  struct stat status {};
  if (inputs.files.empty() || ::stat(target.c_str(), &status) != 0) return;
  if (!inputs.files.contains({status.st_dev, status.st_ino})) return;
  throw InputError(
      fmt::format("{}: is an input of this command and is not replaced; name another "
                  "output",
                  path.string()));
}

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) {
    const int error = errno;
    // What another file names may be anything.
    const std::string name = UserPath(path).string();
    throw ReadError(fmt::format("{}: cannot be opened: {}",
                                name.size() > 300 ? Printable(name) : name, std::strerror(error)));
  }
  TakeRegularFile();
}

InputFile::InputFile(const std::filesystem::path& directory, const std::filesystem::path& inside)
    : path_(directory / inside) {
  const auto fail = [&](const std::string& what) {
    if (fd_ >= 0) ::close(fd_);
    throw InputError(
        fmt::format("{}: {}", (directory / Printable(inside.string())).string(), what));
  };
  if (inside.empty() || inside.is_absolute()) fail("must lie in the directory that names it");
  for (const auto& part : inside) {
    if (part == "..") fail("leaves the directory that names it; '..' is not followed");
  }
  fd_ = ::open(directory.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  for (auto part = inside.begin(); fd_ >= 0 && part != inside.end(); ++part) {
    const int way = std::next(part) == inside.end() ? O_NONBLOCK : O_DIRECTORY;
    const int next = ::openat(fd_, part->c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | way);
    const int error = errno;
    struct stat status {};
    const bool link = next < 0 &&
                      ::fstatat(fd_, part->c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                      S_ISLNK(status.st_mode);
    ::close(fd_);
    fd_ = next;
    if (link) fail("is or lies behind a symbolic link, which is not followed");
    errno = error;
  }
  if (fd_ < 0) fail(fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat status {};
  if (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink > 1)
    fail("has another name elsewhere (a hard link); copy the file");
  TakeRegularFile();
}

void InputFile::TakeRegularFile() {
  struct stat status {};
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const bool directory = known && S_ISDIR(status.st_mode);
    ::close(fd_);
    throw InputError(fmt::format("{}: {}, expected a file", UserPath(path_).string(),
                                 directory ? "is a directory" : "is not a regular file"));
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
  Remember(path_, status);
}

InputFile::~InputFile() {
  if (fd_ >= 0) ::close(fd_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), size_(other.size_), fd_(std::exchange(other.fd_, -1)) {}

void InputFile::ReadAt(std::uint64_t offset, void* out, std::size_t bytes) const {
  char* cursor = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(fd_, cursor, bytes, static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw ReadError(
          fmt::format("{}: cannot be read: {}", UserPath(path_).string(), std::strerror(errno)));
    }
    if (got == 0) {
      throw ReadError(fmt::format("{}: truncated: ends at byte {}, {} more expected",
                                  path_.string(), offset, bytes));
    }
    cursor += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

std::string ReadTextFile(const std::filesystem::path& path, std::uint64_t max_bytes,
                         std::string_view what) {
  return ReadTextFile(InputFile(path), max_bytes, what);
}

std::string ReadTextFile(const InputFile& file, std::uint64_t max_bytes, std::string_view what) {
  if (file.size() > max_bytes) {
    throw InputError(fmt::format("{}: {} bytes are too many for {}; at most {} are read",
                                 file.path().string(), file.size(), what, max_bytes));
  }
  std::string text(file.size(), '\0');
  file.ReadAt(0, text.data(), text.size());
  return text;
}

}  // namespace qsim::io
