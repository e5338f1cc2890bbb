// A result directory that appears complete or not at all. It is built under a temporary sibling
// name and renamed into place by Commit(), which lists its files (result_list.h) and atomically
// replaces an older result of qsim's: one that holds nothing but the files of its own list.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "sim/io/files/temporary.h"

namespace qsim::io {

class OutputDirectory {
 public:
  // Creates the temporary directory (and missing parents). Throws InputError: the path exists as
  // something other than a directory, is a non-empty directory that qsim did not write, holds
  // files that are not in its list (which are named) or belongs to another user, or cannot be
  // created. Construct it before long work, so that a bad path is reported at once.
  explicit OutputDirectory(const std::filesystem::path& path);
  // Without Commit() nothing is left behind.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  // Where to write until Commit().
  const std::filesystem::path& path() const { return temporary_->path(); }
  // Where the result will be.
  const std::filesystem::path& final_path() const { return path_; }

  void Commit();

 private:
  void RemoveParents();

  std::filesystem::path path_;    // as given, for messages
  std::filesystem::path target_;  // absolute, symbolic links resolved
  std::optional<Temporary> temporary_;
  std::vector<std::filesystem::path> created_parents_;  // outermost first
  bool committed_ = false;
};

}  // namespace qsim::io
