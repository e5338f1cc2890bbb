#include "sim/io/files/limits.h"

#include <atomic>
#include <limits>

namespace qsim::io {
namespace {

std::atomic<std::int64_t> limit_factor = 1;

}  // namespace

void SetLimits(std::int64_t factor) { limit_factor = factor; }

std::int64_t Raised(std::int64_t limit) {
  const std::int64_t factor = limit_factor;
  return limit > std::numeric_limits<std::int64_t>::max() / factor
             ? std::numeric_limits<std::int64_t>::max()
             : limit * factor;
}

}  // namespace qsim::io
