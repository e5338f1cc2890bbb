#include "sim/io/files/temporary.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <exception>
#include <iostream>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "sim/io/files/input_file.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"
#include "sim/signals.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp-";

// ---- what a signal removes: a table, since a handler may neither allocate nor lock ----

struct Slot {
  std::atomic<bool> taken = false;
  std::atomic<bool> filled = false;
  std::atomic<int> parents = 0;
  char path[PATH_MAX];
};
std::array<Slot, 8> slots;

int TakeSlot(const fs::path& path) {
  if (path.native().size() >= PATH_MAX) return -1;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].taken.exchange(true)) continue;
    std::memcpy(slots[i].path, path.c_str(), path.native().size() + 1);
    slots[i].parents = 0;
    slots[i].filled = true;
    return static_cast<int>(i);
  }
  return -1;
}

void FreeSlot(int slot) {
  if (slot < 0) return;
  slots[static_cast<std::size_t>(slot)].filled = false;
  slots[static_cast<std::size_t>(slot)].taken = false;
}

// With system calls alone, which need no memory.
void RemoveTree(int directory, const char* name) {
  if (::unlinkat(directory, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
  const int fd = ::openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return;
  // Other threads may still create files in it: until it is empty, for a while.
  for (int attempt = 0; attempt < 100 && ::unlinkat(directory, name, AT_REMOVEDIR) != 0 &&
                        (errno == ENOTEMPTY || errno == EEXIST);
       ++attempt) {
    ::lseek(fd, 0, SEEK_SET);
    alignas(8) char entries[4096];
    for (;;) {
      const long size = ::syscall(SYS_getdents64, fd, entries, sizeof(entries));
      if (size <= 0) break;
      for (long at = 0; at < size;) {
        std::uint16_t length = 0;
        std::memcpy(&length, entries + at + 16, sizeof(length));  // d_reclen
        const char* const entry = entries + at + 19;              // d_name
        if (std::strcmp(entry, ".") != 0 && std::strcmp(entry, "..") != 0) RemoveTree(fd, entry);
        at += length;
      }
    }
  }
  ::close(fd);
}

void RemoveAll() {
  for (Slot& slot : slots) {
    if (!slot.filled) continue;
    RemoveTree(AT_FDCWD, slot.path);
    for (int i = 0; i < slot.parents; ++i) {
      char* const end = std::strrchr(slot.path, '/');
      if (end == nullptr || end == slot.path) break;
      *end = '\0';
      if (::rmdir(slot.path) != 0) break;
    }
  }
}

extern "C" void RemoveAndEnd(int signal) {
  RemoveAll();
  // The default action, which the flags of the handler have put back: it ends the process.
  ::raise(signal);
}

// ---- ends that nothing can catch ----

std::atomic<bool> memory_was_short = false;

void NoteShortMemory() {
  memory_was_short = true;
  throw std::bad_alloc();
}

void Say(std::string_view text) {
  // What cannot be written here cannot be said anywhere.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

// Libraries allocate in destructors and under noexcept (JSON trees, std::filesystem's iterators):
// where memory is short that is not a defect of qsim's, and ends as a lack of memory does.
[[noreturn]] void EndAtOnce() {
  RemoveAll();
  if (memory_was_short) {
    Say("qsim: not enough memory, the last file read is ");
    Say(LastInput());
    Say("; try fewer images or a smaller --batch\n");
    ::_exit(2);
  }
  Say("qsim: defect: an exception that nothing could catch\n");
  ::_exit(3);
}

// ---- names ----

std::uint64_t RandomNumber() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof(number), GRND_NONBLOCK) == sizeof(number)) return number;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  static std::atomic<std::uint64_t> counter{0};
  return static_cast<std::uint64_t>(now.tv_nsec) * 0x9e3779b97f4a7c15u ^
         static_cast<std::uint64_t>(::getpid()) << 32 ^ counter++;
}

bool IsWithinTemporary(const fs::path& path) {
  for (const fs::path& part : path.parent_path()) {
    if (part.native().starts_with('.') && part.native().find(kMark) != std::string::npos)
      return true;
  }
  return false;
}

// False: another process has it. Where a file system has no locks, nobody is known to have it, and
// nothing of it is ever taken for left behind.
bool Lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; }

bool IsLeftBehind(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return false;
  struct stat status {};
  const bool left = ::fstat(fd, &status) == 0 && status.st_uid == ::geteuid() &&
                    (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)) &&
                    ::flock(fd, LOCK_EX | LOCK_NB) == 0;
  ::close(fd);
  return left;
}

void RemoveLeftBehind(const fs::path& target) {
  const std::string prefix = fmt::format(".{}{}", target.filename().string(), kMark);
  const fs::path parent = target.parent_path();
  // Where nothing can be listed, nothing is removed.
  if (::access(parent.c_str(), R_OK | X_OK) != 0) return;
  for (const DirectoryEntry& entry : EntriesOf(parent)) {
    const fs::path path = parent / entry.name;
    if (!entry.name.starts_with(prefix) || !IsLeftBehind(path)) continue;
    RemoveTree(AT_FDCWD, path.c_str());
    if (::access(path.c_str(), F_OK) == 0) continue;
    std::cerr << NoteLine(
        fmt::format("removed {}, which a qsim that was killed has left", path.string()));
  }
}

struct Names {
  std::mutex mutex;
  std::vector<std::pair<std::string, std::string>> list;  // what is temporary, what it will be
};
Names& AllNames() {
  static Names names;
  return names;
}

}  // namespace

Temporary::Temporary(const fs::path& path, const fs::path& target, Kind kind) {
  const bool inside = IsWithinTemporary(target);
  if (!inside) RemoveLeftBehind(target);
  const bool directory = kind == Kind::kDirectory;
  const auto fail = [&](const char* what, int reason) {
    FreeSlot(slot_);
    ThrowOutputError(path, what, reason);
  };
  for (int attempt = 0; fd_ < 0; ++attempt) {
    path_ = target.parent_path() /
            fmt::format(".{}{}{:016x}", target.filename().string(), kMark, RandomNumber());
    // Before there is anything, since a signal may come as soon as there is.
    if (!inside) slot_ = TakeSlot(path_);
    if (directory && ::mkdir(path_.c_str(), 0777) == 0) {
      fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd_ < 0) {
        const int reason = errno;
        ::rmdir(path_.c_str());
        fail("cannot be created", reason);
      }
    } else if (!directory) {
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    }
    if (fd_ < 0 && (errno != EEXIST || attempt > 100))
      fail(directory ? "cannot be created" : "cannot be written", errno);
    // Another process may have found it before it was locked, and removed it.
    struct stat status {};
    const bool kept = fd_ >= 0 && (inside || (Lock(fd_) && ::stat(path_.c_str(), &status) == 0));
    if (kept) break;
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    FreeSlot(std::exchange(slot_, -1));
  }
}

Temporary::~Temporary() {
  if (there_) RemoveTree(AT_FDCWD, path_.c_str());  // where memory is short, too
  ::close(fd_);
  // Its own descriptor may have been the last, and without one nothing is listed.
  if (there_ && ::access(path_.c_str(), F_OK) == 0) RemoveTree(AT_FDCWD, path_.c_str());
  FreeSlot(slot_);
}

void Temporary::OwnParents(int count) {
  if (slot_ >= 0) slots[static_cast<std::size_t>(slot_)].parents = count;
}

fs::path UserPath(const fs::path& path) {
  Names& names = AllNames();
  const std::lock_guard lock(names.mutex);
  const std::string& text = path.native();
  for (const auto& [temporary, user] : names.list) {
    if (!text.starts_with(temporary)) continue;
    if (text.size() == temporary.size() || text[temporary.size()] == '/')
      return user + text.substr(temporary.size());
  }
  return path;
}

void NameTemporary(const fs::path& temporary, const fs::path& user) {
  Names& names = AllNames();
  const std::lock_guard lock(names.mutex);
  std::string text = user.string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  names.list.emplace_back(temporary.string(), std::move(text));
}

void EndCleanly() {
  std::set_new_handler(NoteShortMemory);
  std::set_terminate(EndAtOnce);
  struct sigaction action {};
  action.sa_handler = RemoveAndEnd;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
  for (const int signal : kEndingSignals) {
    struct sigaction before {};
    const bool ignored = ::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN;
    // Who closes a pipe has read enough, whatever was inherited.
    if (!ignored || signal == SIGPIPE) ::sigaction(signal, &action, nullptr);
  }
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace qsim::io
