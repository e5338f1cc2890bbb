#include "sim/io/files/path_util.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <system_error>

#include "sim/error.h"
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

std::filesystem::path TemporarySibling(const std::filesystem::path& target) {
  static std::atomic<unsigned> counter{0};
  return target.parent_path() /
         fmt::format(".{}.tmp-{}-{}", target.filename().string(), ::getpid(), counter.fetch_add(1));
}

void ThrowOutputError(const std::filesystem::path& path, std::string_view what, int error) {
  throw InputError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(error)));
}

}  // namespace qsim::io
