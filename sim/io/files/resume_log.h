// A text file of finished pieces of work, one line each, from which an interrupted run goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace qsim::io {

class ResumeLog {
 public:
  // `header`, one line, says what the work is; `path` may be empty: then nothing is kept. Reads
  // what an earlier run finished; a last line that was cut short is dropped. Throws InputError when
  // the file is some other work's, has a damaged line, or cannot be written.
  ResumeLog(std::filesystem::path path, std::string header);

  // The text of each finished piece by its number.
  const std::map<std::int64_t, std::string>& done() const { return done_; }

  // `text`: one line. Written at once, so that a kill loses at most the line it cuts. Throws
  // InputError when the disk is full.
  void Add(std::int64_t number, const std::string& text);

  // For a piece whose text does not read as its owner wrote it.
  [[noreturn]] void FailDamaged(const std::string& text) const;

 private:
  void Read();

  std::filesystem::path path_;
  std::string header_;
  std::map<std::int64_t, std::string> done_;
  std::ofstream out_;
};

}  // namespace qsim::io
