// How far long work has come, on stderr: a bar on a terminal, a line for each tenth elsewhere.
// Nothing in the first two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace qsim::text {

class Progress {
 public:
  // `what` is counted in words: "points".
  Progress(std::string what, std::int64_t all);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Not for several threads at once.
  void Show(std::int64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  std::int64_t all_;
  bool terminal_;
  bool open_line_ = false;  // a bar that needs a line end
  std::int64_t tenths_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace qsim::text
