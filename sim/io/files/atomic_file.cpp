#include "sim/io/files/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "sim/error.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"

namespace qsim::io {

AtomicFile::AtomicFile(const std::filesystem::path& path)
    : path_(path), target_(ResolveOutputPath(path)) {
  std::error_code ignored;
  const auto status = std::filesystem::status(target_, ignored);
  if (std::filesystem::is_directory(status)) {
    throw InputError(fmt::format("{}: cannot be written: is a directory", path.string()));
  }
  // A rename would replace the device or pipe itself.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw InputError(fmt::format("{}: cannot be written: is not a regular file", path.string()));
  }
  temporary_ = TemporarySibling(target_);
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd_ < 0) {
    temporary_.clear();
    Fail("cannot be written", errno);
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::Write(const void* data, std::size_t bytes) {
  const char* cursor = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(fd_, cursor, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      Fail("cannot be written", errno);
    }
    cursor += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::Commit() {
  const int fd = fd_;
  fd_ = -1;
  // Some file systems report a full disk only here.
  if (::close(fd) != 0) Fail("cannot be written", errno);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) Fail("cannot be replaced", errno);
  temporary_.clear();
}

void AtomicFile::Fail(std::string_view what, int error) const {
  ThrowOutputError(path_, what, error);
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.Write(content);
  file.Commit();
}

}  // namespace qsim::io
