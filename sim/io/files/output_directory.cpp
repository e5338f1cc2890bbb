#include "sim/io/files/output_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/path_util.h"
#include "sim/io/files/result_list.h"
#include "sim/namespaces.h"
#include "sim/signals.h"

namespace qsim::io {
namespace {

namespace fs = std::filesystem;

// Throws unless `target` does not exist, is empty, or holds a result of qsim's and nothing else.
void CheckReplaceable(const fs::path& path, const fs::path& target) {
  std::error_code error;
  const fs::file_status status = fs::status(target, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) {
    throw InputError(
        fmt::format("{}: exists and is not a directory; name a new directory", path.string()));
  }
  if (EntriesOf(target).empty()) return;
  if (!fs::is_regular_file(target / kResultMarker, error)) {
    throw InputError(fmt::format(
        "{}: is not empty and was not written by qsim; name a new or an empty directory",
        path.string()));
  }
  RequireOwn(path, target);
  const ResultList list = ReadResultList(target);
  if (!list.listed || list.damaged) {
    throw InputError(fmt::format(
        "{}: has {} list of its files, so that none can be replaced; remove it or name another "
        "directory",
        path.string(), list.listed ? "a damaged" : "no"));
  }
  for (const std::string& name : FilesBelow(target)) {
    RequireNoInput(path, target / name);
    if (list.files.contains(name)) continue;
    throw InputError(
        fmt::format("{}: was not written by qsim and would be lost with {}; move it, or "
                    "name another directory",
                    (path / name).string(), path.string()));
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
  for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
    if (::mkdir(it->c_str(), 0777) != 0 && errno != EEXIST) {
      const int reason = errno;
      RemoveParents();
      ThrowOutputError(path_, "cannot be created", reason);
    }
    created_parents_.push_back(*it);
  }
  try {
    temporary_.emplace(path_, target_, Temporary::Kind::kDirectory);
  } catch (...) {
    RemoveParents();
    throw;
  }
  temporary_->OwnParents(static_cast<int>(created_parents_.size()));
  NameTemporary(temporary_->path(), path_);
}

void OutputDirectory::RemoveParents() {
  std::error_code ignored;
  for (auto it = created_parents_.rbegin(); it != created_parents_.rend(); ++it)
    fs::remove(*it, ignored);
}

OutputDirectory::~OutputDirectory() {
  temporary_.reset();
  if (!committed_) RemoveParents();
}

void OutputDirectory::Commit() {
  const fs::path& temporary = temporary_->path();
  WriteResultList(temporary, FilesBelow(temporary));
  CheckReplaceable(path_, target_);  // it may have changed during a long run
  std::error_code error;
  const auto done = [&] {
    committed_ = true;
    temporary_->OwnParents(0);
  };
  // This replaces nothing, or an empty directory.
  if (std::rename(temporary.c_str(), target_.c_str()) == 0) {
    done();
    temporary_->Release();
    return;
  }
  if (errno != ENOTEMPTY && errno != EEXIST) ThrowOutputError(path_, "cannot be created", errno);
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0) {
    done();
    temporary_.reset();  // now the older result
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) ThrowOutputError(path_, "cannot be replaced", errno);
  // A file system that cannot exchange two directories: move the older one aside first. A kill in
  // between leaves both, the older one under a name that nothing removes.
  const SignalsBlocked blocked;
  const fs::path older =
      target_.parent_path() / fmt::format(".{}.older-{}", target_.filename().string(), ::getpid());
  if (std::rename(target_.c_str(), older.c_str()) != 0)
    ThrowOutputError(path_, "cannot be replaced", errno);
  if (std::rename(temporary.c_str(), target_.c_str()) != 0) {
    const int reason = errno;
    std::rename(older.c_str(), target_.c_str());
    ThrowOutputError(path_, "cannot be replaced", reason);
  }
  done();
  temporary_->Release();
  fs::remove_all(older, error);
}

}  // namespace qsim::io
