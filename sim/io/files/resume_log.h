// A text file of finished pieces of work, one line each, from which an interrupted run goes on.
// docs/formats.md, "State file".
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "sim/io/files/identity.h"

namespace qsim::io {

class ResumeLog {
 public:
  // `work`: one word for its kind and one for the version of its lines, as "eval 5". `path` may be
  // empty: then nothing is kept. Reads what an earlier run finished; a last line that was cut short
  // is dropped. Throws InputError when the file is no state, is one of other work (naming the parts
  // that differ), has a damaged line, is in use by another run, or cannot be written.
  ResumeLog(std::filesystem::path path, const std::string& work, const Identity& identity);
  ~ResumeLog();
  ResumeLog(const ResumeLog&) = delete;
  ResumeLog& operator=(const ResumeLog&) = delete;

  // The text of each finished piece by its number.
  const std::map<std::int64_t, std::string>& done() const { return done_; }

  // `text`: one line. Written at once, so that a kill loses at most the line it cuts. Throws
  // InputError when the disk is full.
  void Add(std::int64_t number, const std::string& text);

  // For a piece whose text does not read as its owner wrote it.
  [[noreturn]] void FailDamaged(const std::string& text) const;

 private:
  void Open();
  void Read(const std::string& header);
  void Append(const std::string& line);
  [[noreturn]] void FailOfAnother(const std::string& theirs, const std::string& ours) const;

  std::filesystem::path path_;
  std::map<std::int64_t, std::string> done_;
  int fd_ = -1;
};

}  // namespace qsim::io
