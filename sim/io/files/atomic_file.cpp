#include "sim/io/files/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"

namespace qsim::io {

AtomicFile::AtomicFile(const std::filesystem::path& path, bool update)
    : path_(path), target_(ResolveOutputPath(path)), update_(update) {
  std::error_code ignored;
  const auto status = std::filesystem::status(target_, ignored);
  if (std::filesystem::is_directory(status)) {
    throw InputError(fmt::format("{}: cannot be written: is a directory", UserPath(path).string()));
  }
  // A rename would replace the device or pipe itself.
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw InputError(fmt::format("{}: cannot be written: is not a regular file", path.string()));
  }
  if (std::filesystem::exists(status)) {
    RequireOwn(path, target_);
    if (!update_) RequireNoInput(path, target_);
  }
  temporary_.emplace(path, target_, Temporary::Kind::kFile);
}

void AtomicFile::Write(const void* data, std::size_t bytes) {
  const char* cursor = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(temporary_->fd(), cursor, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      Fail("cannot be written", errno);
    }
    cursor += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::Commit() {
  // Some file systems report a full disk only when a file is closed, and the lock must last until
  // it has its name.
  const int copy = ::dup(temporary_->fd());
  if (copy < 0 || ::close(copy) != 0) Fail("cannot be written", errno);
  if (!update_) RequireNoInput(path_, target_);  // or it is one by now
  if (std::rename(temporary_->path().c_str(), target_.c_str()) != 0)
    Fail("cannot be replaced", errno);
  temporary_->Release();
}

void AtomicFile::Fail(std::string_view what, int error) const {
  ThrowOutputError(path_, what, error);
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content, bool update) {
  AtomicFile file(path, update);
  file.Write(content);
  file.Commit();
}

}  // namespace qsim::io
