// The most memory that this process has had at once.
#pragma once

#include <sys/resource.h>

#include <cstdint>

namespace qsim {

// In bytes; Linux counts in kilobytes.
inline std::int64_t PeakMemory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace qsim
