// A result directory that appears complete or not at all. It is built under a temporary sibling
// name and renamed into place by Commit(), which atomically replaces an older result of qsim's.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace qsim::io {

// The file by which qsim recognises its own results.
inline constexpr std::string_view kResultMarker = ".qsim-result";

class OutputDirectory {
 public:
  // Creates the temporary directory (and missing parents). Throws InputError: the path exists as
  // something other than a directory, is a non-empty directory that qsim did not write, or cannot
  // be created. Construct it before long work, so that a bad path is reported at once.
  explicit OutputDirectory(const std::filesystem::path& path);
  // Without Commit() nothing is left behind.
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  // Where to write until Commit().
  const std::filesystem::path& path() const { return temporary_; }
  // Where the result will be.
  const std::filesystem::path& final_path() const { return path_; }

  void Commit();

 private:
  std::filesystem::path path_;    // as given, for messages
  std::filesystem::path target_;  // absolute, symbolic links resolved
  std::filesystem::path temporary_;
  std::vector<std::filesystem::path> created_parents_;  // outermost first
  bool committed_ = false;
};

}  // namespace qsim::io
