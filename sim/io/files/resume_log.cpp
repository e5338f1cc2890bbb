#include "sim/io/files/resume_log.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/atomic_file.h"
#include "sim/namespaces.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

std::string Line(std::int64_t number, const std::string& text) {
  return fmt::format("{}\t{}\n", number, text);
}

}  // namespace

ResumeLog::ResumeLog(std::filesystem::path path, std::string header)
    : path_(std::move(path)), header_(std::move(header)) {
  if (path_.empty()) return;
  Read();
  // Rewritten from what was read: a line cut short by an interruption must not stay.
  std::string text = header_ + "\n";
  for (const auto& [number, line] : done_) text += Line(number, line);
  WriteFileAtomically(path_, text);
  out_.open(path_, std::ios::app);
}

void ResumeLog::Read() {
  std::ifstream in(path_);
  std::string line;
  if (!in || !std::getline(in, line)) return;
  if (line != header_) {
    throw InputError(path_.string() +
                     ": belongs to another model, configuration or data; name another --state "
                     "file");
  }
  while (std::getline(in, line) && !in.eof()) {
    std::int64_t number = 0;
    const char* const last = line.data() + line.size();
    const auto [end, error] = std::from_chars(line.data(), last, number);
    if (error != std::errc() || end == last || *end != '\t') FailDamaged(line);
    done_[number] = std::string(end + 1, last);
  }
}

void ResumeLog::Add(std::int64_t number, const std::string& text) {
  done_[number] = text;
  if (path_.empty()) return;
  out_ << Line(number, text) << std::flush;
  if (!out_) throw InputError(path_.string() + ": cannot be written (disk full?)");
}

void ResumeLog::FailDamaged(const std::string& text) const {
  throw InputError(fmt::format("{}: damaged line '{}'; delete the file to start anew",
                               path_.string(), Printable(text)));
}

}  // namespace qsim::io
