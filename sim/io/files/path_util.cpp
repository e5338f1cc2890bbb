#include "sim/io/files/path_util.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "sim/error.h"
#include "sim/io/files/temporary.h"
#include "sim/namespaces.h"

namespace qsim::io {

std::filesystem::path ResolveOutputPath(const std::filesystem::path& path) {
  if (path.empty()) throw InputError("the output path is empty");
  std::error_code error;
  std::filesystem::path resolved = std::filesystem::absolute(path, error);
  if (!error) resolved = std::filesystem::weakly_canonical(resolved, error);
  if (error) ThrowOutputError(path, "cannot be written", error.value());
  if (!resolved.has_filename()) resolved = resolved.parent_path();
  if (!resolved.has_filename()) {
    throw InputError(
        fmt::format("{}: cannot be written: names no file or directory", path.string()));
  }
  return resolved;
}

std::vector<DirectoryEntry> EntriesOf(const std::filesystem::path& directory) {
  const auto fail = [&](int error) { ThrowOutputError(directory, "cannot be read", error); };
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), &::closedir);
  if (stream == nullptr) fail(errno);
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) fail(errno);
    if (entry == nullptr) return entries;
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    const bool found =
        ::fstatat(::dirfd(stream.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (found) entries.push_back({name, S_ISDIR(status.st_mode)});  // else it is gone already
  }
}

void RequireOwn(const std::filesystem::path& path, const std::filesystem::path& target) {
  struct stat status {};
  if (::lstat(target.c_str(), &status) != 0 || status.st_uid == ::geteuid()) return;
  throw InputError(
      fmt::format("{}: belongs to another user and is not replaced; remove it or name another path",
                  path.string()));
}

void RequireApart(const std::filesystem::path& output,
                  const std::vector<std::filesystem::path>& inputs) {
  for (const std::filesystem::path& input : inputs) {
    std::error_code error;
    if (output.empty() || input.empty() || !std::filesystem::equivalent(output, input, error))
      continue;
    throw InputError(fmt::format("--output {}: is an input of this command; name another output",
                                 output.string()));
  }
}

void ThrowOutputError(const std::filesystem::path& path, std::string_view what, int error) {
  throw InputError(fmt::format("{}: {}: {}", UserPath(path).string(), what, std::strerror(error)));
}

}  // namespace qsim::io
