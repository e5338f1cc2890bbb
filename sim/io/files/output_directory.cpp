#include "sim/io/files/output_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"

namespace qsim::io {
namespace {

namespace fs = std::filesystem;

// Throws unless `target` does not exist, is empty, or holds a result of qsim's.
void CheckReplaceable(const fs::path& path, const fs::path& target) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) {
    throw InputError(
        fmt::format("{}: exists and is not a directory; name a new directory", path.string()));
  }
  const bool empty = fs::is_empty(target, error);
  if (error) ThrowOutputError(path, "cannot be read", error.value());
  if (!empty && !fs::is_regular_file(target / kResultMarker, error)) {
    throw InputError(fmt::format(
        "{}: is not empty and was not written by qsim; name a new or an empty directory",
        path.string()));
  }
}

}  // namespace

OutputDirectory::OutputDirectory(const fs::path& path)
    : path_(path), target_(ResolveOutputPath(path)) {
  CheckReplaceable(path_, target_);
  // Remembered one by one, so that a run that fails removes exactly what it created.
  fs::path parent = target_.parent_path();
  std::vector<fs::path> missing;
  std::error_code error;
  while (!fs::exists(parent, error) && parent.has_relative_path()) {
    missing.push_back(parent);
    parent = parent.parent_path();
  }
  temporary_ = TemporarySibling(target_);
  const auto remove_created = [this] {
    for (auto it = created_parents_.rbegin(); it != created_parents_.rend(); ++it) {
      std::error_code ignored;
      fs::remove(*it, ignored);
    }
  };
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
    if (::mkdir(it->c_str(), 0777) != 0 && errno != EEXIST) {
      const int reason = errno;
      remove_created();
      ThrowOutputError(path_, "cannot be created", reason);
    }
    created_parents_.push_back(*it);
  }
  if (::mkdir(temporary_.c_str(), 0777) != 0) {
    const int reason = errno;
    remove_created();
    ThrowOutputError(path_, "cannot be created", reason);
  }
}

OutputDirectory::~OutputDirectory() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  for (auto it = created_parents_.rbegin(); it != created_parents_.rend(); ++it) {
    fs::remove(*it, ignored);
  }
}

void OutputDirectory::Commit() {
  WriteFileAtomically(temporary_ / kResultMarker, "A result directory written by qsim.\n");
  CheckReplaceable(path_, target_);  // it may have changed during a long run
  std::error_code error;
  if (!fs::exists(target_, error) || fs::is_empty(target_, error)) {
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) {
      ThrowOutputError(path_, "cannot be created", errno);
    }
    committed_ = true;
    return;
  }
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0) {
    committed_ = true;
    fs::remove_all(temporary_, error);  // now the older result
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) ThrowOutputError(path_, "cannot be replaced", errno);
  // A file system that cannot exchange two directories: move the older one aside first.
  const fs::path older = TemporarySibling(target_);
  if (std::rename(target_.c_str(), older.c_str()) != 0) {
    ThrowOutputError(path_, "cannot be replaced", errno);
  }
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) {
    const int reason = errno;
    std::rename(older.c_str(), target_.c_str());
    ThrowOutputError(path_, "cannot be replaced", reason);
  }
  committed_ = true;
  fs::remove_all(older, error);
}

}  // namespace qsim::io
