#include "sim/text/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iostream>
#include <utility>

#include "sim/namespaces.h"

namespace qsim::text {

Progress::Progress(std::string what, std::int64_t all)
    : what_(std::move(what)), all_(all), terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() {
  if (open_line_) std::cerr << '\n';
}

void Progress::Show(std::int64_t done) {
  constexpr std::int64_t kWidth = 40;
  constexpr std::chrono::seconds kQuiet{2};
  if (all_ <= 0 || Clock::now() - start_ < kQuiet) return;
  if (terminal_) {
    const auto filled = static_cast<std::size_t>(done * kWidth / all_);
    std::cerr << fmt::format("\r[{:<40}] {}/{} {}", std::string(filled, '#'), done, all_, what_)
              << std::flush;
    open_line_ = true;
    return;
  }
  const std::int64_t tenths = 10 * done / all_;
  if (tenths == tenths_) return;
  tenths_ = tenths;
  std::cerr << fmt::format("{}/{} {}\n", done, all_, what_) << std::flush;
}

}  // namespace qsim::text
