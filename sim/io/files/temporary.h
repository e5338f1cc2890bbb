// What is being written, under a temporary name beside its target.
#pragma once

#include <filesystem>
#include <string>

namespace qsim::io {

// A file or directory ".NAME.tmp-RANDOM" beside its target. It is locked while it exists, so that
// what a killed process left behind is known from what another one is writing; it goes with the
// object, and with the process where a signal ends that (EndCleanly).
class Temporary {
 public:
  enum class Kind : bool { kFile, kDirectory };
  // `path`: the target as the user named it, for messages. First removes what is left behind of the
  // same target, with a note. Throws InputError where nothing can be created.
  Temporary(const std::filesystem::path& path, const std::filesystem::path& target, Kind kind);
  // Removes what is there under the name, which after an exchange is the older result.
  ~Temporary();
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const std::filesystem::path& path() const { return path_; }
  int fd() const { return fd_; }  // of a file open for writing, or the directory

  // How many directories above it go too where a signal ends the process: those made for it.
  void OwnParents(int count);
  // It has been renamed: nothing is there any more.
  void Release() { there_ = false; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  int slot_ = -1;  // in the table that the signal handler reads; none within another temporary
  bool there_ = true;
};

// A path in a temporary directory, as it will be called; any other as it is. For messages.
std::filesystem::path UserPath(const std::filesystem::path& path);
void NameTemporary(const std::filesystem::path& temporary, const std::filesystem::path& user);

// From now on SIGINT, SIGTERM, SIGHUP, SIGPIPE and SIGXCPU remove what is temporary before they end
// the process, unless they were ignored; a file that grows beyond its limit is an error of the
// write. For main().
void EndCleanly();

}  // namespace qsim::io
