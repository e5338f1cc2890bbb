#include "sim/io/files/resume_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/path_util.h"
#include "sim/namespaces.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

constexpr std::size_t kLongestLine = 1 << 24;
constexpr std::size_t kCheckDigits = 16;

// A line ends in a hash of itself: it is whole and as it was written, or it is not taken.
std::string Checked(const std::string& text) {
  return text + "\t" + Sha256Hex(text).substr(0, kCheckDigits) + "\n";
}
bool IsChecked(std::string& line) {
  const std::size_t tab = line.rfind('\t');
  if (tab == std::string::npos) return false;
  const std::string text = line.substr(0, tab);
  if (Checked(text) != line + "\n") return false;
  line = text;
  return true;
}

std::vector<std::string> FieldsOf(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

// The lines of a file of any size, each of bounded length.
class LineReader {
 public:
  LineReader(int fd, const std::filesystem::path& path) : fd_(fd), path_(path) {}

  // The next whole line, without its end; false: none is left. A line that has no end within the
  // limit is returned as far as it was read.
  bool Next(std::string& line) {
    for (;;) {
      const std::size_t end = buffer_.find('\n', searched_);
      if (end != std::string::npos || buffer_.size() > kLongestLine) {
        line = buffer_.substr(0, end);
        const std::size_t used = std::min(line.size() + 1, buffer_.size());
        buffer_.erase(0, used);
        end_ += used;
        searched_ = 0;
        return true;
      }
      searched_ = buffer_.size();
      char chunk[1 << 16];
      const ssize_t got = ::read(fd_, chunk, sizeof(chunk));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        throw InputError(
            fmt::format("{}: cannot be read: {}", path_.string(), std::strerror(errno)));
      }
      if (got == 0) return false;
      buffer_.append(chunk, static_cast<std::size_t>(got));
    }
  }
  // Behind the lines that were returned.
  std::size_t end() const { return end_; }
  const std::string& rest() const { return buffer_; }

 private:
  int fd_;
  const std::filesystem::path& path_;
  std::string buffer_;
  std::size_t searched_ = 0, end_ = 0;
};

}  // namespace

ResumeLog::ResumeLog(std::filesystem::path path, const std::string& work, const Identity& identity)
    : path_(std::move(path)) {
  if (path_.empty()) return;
  std::string header = "qsim " + work;
  for (const auto& [part, value] : identity) header += fmt::format("\t{}={}", part, value);
  Open();
  try {
    Read(Checked(header));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

ResumeLog::~ResumeLog() {
  if (fd_ >= 0) ::close(fd_);
}

void ResumeLog::Open() {
  // Without O_NONBLOCK, opening a pipe would wait for its other end.
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd_ < 0) ThrowOutputError(path_, "cannot be written", errno);
  struct stat status {};
  const bool regular = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  // Two runs must not add to the same file. Where a file system has no locks, nothing keeps them.
  const bool busy = regular && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  if (regular && !busy) return;
  ::close(std::exchange(fd_, -1));
  throw InputError(fmt::format("{}: {}", path_.string(),
                               busy ? "is in use by another qsim; wait for it or name another file"
                                    : "is not a regular file, expected a state file"));
}

void ResumeLog::Read(const std::string& header) {
  LineReader lines(fd_, path_);
  std::string line;
  if (!lines.Next(line)) {
    // New, or cut short within the header.
    if (!header.starts_with(lines.rest())) FailOfAnother(lines.rest(), header);
    if (::ftruncate(fd_, 0) != 0) ThrowOutputError(path_, "cannot be written", errno);
    Append(header);
    return;
  }
  if (line + "\n" != header) FailOfAnother(line, header);
  while (lines.Next(line)) {
    const std::string as_read = line;
    const bool whole = IsChecked(line);
    const std::size_t tab = line.find('\t');
    const auto number = ParseNumber<std::int64_t>(std::string_view(line).substr(0, tab));
    if (!whole || tab == std::string::npos || !number) FailDamaged(as_read);
    done_[*number] = line.substr(tab + 1);
  }
  // A line cut short by an interruption must not stay.
  if (!lines.rest().empty() && ::ftruncate(fd_, static_cast<off_t>(lines.end())) != 0)
    ThrowOutputError(path_, "cannot be written", errno);
}

void ResumeLog::FailOfAnother(const std::string& theirs, const std::string& ours) const {
  std::string line = theirs, own = ours.substr(0, ours.size() - 1);
  IsChecked(own);
  if (!line.starts_with("qsim ")) {
    throw InputError(fmt::format(
        "{}: was not written by --state, and is left as it is; name another file", path_.string()));
  }
  if (line.find('\t') != std::string::npos && !IsChecked(line)) FailDamaged(theirs);
  const std::vector<std::string> found = FieldsOf(line), expected = FieldsOf(own);
  std::vector<std::string> parts;
  if (found[0] != expected[0]) {
    throw InputError(
        fmt::format("{}: is a state of '{}', this one would be of '{}'; name another "
                    "--state file",
                    path_.string(), Printable(found[0]), expected[0]));
  }
  for (const std::string& field : expected) {
    if (std::find(found.begin(), found.end(), field) == found.end())
      parts.push_back(field.substr(0, field.find('=')));
  }
  for (const std::string& field : found) {
    const std::string part = field.substr(0, field.find('='));
    const auto same = [&](const std::string& other) { return other.starts_with(part + "="); };
    if (field != found[0] && std::none_of(expected.begin(), expected.end(), same))
      parts.push_back(Printable(part));
  }
  throw InputError(fmt::format(
      "{}: is of another run, with other {}; name another --state file, or delete this one",
      path_.string(), fmt::join(parts, ", ")));
}

void ResumeLog::Add(std::int64_t number, const std::string& text) {
  done_[number] = text;
  if (!path_.empty()) Append(Checked(fmt::format("{}\t{}", number, text)));
}

void ResumeLog::Append(const std::string& line) {
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t written = ::write(fd_, line.data() + done, line.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) ThrowOutputError(path_, "cannot be written", errno);
    done += static_cast<std::size_t>(written);
  }
}

void ResumeLog::FailDamaged(const std::string& text) const {
  throw InputError(fmt::format("{}: damaged line '{}'; delete the file to start anew",
                               path_.string(), Printable(text)));
}

}  // namespace qsim::io
