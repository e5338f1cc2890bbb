// Preconditions of the golden operations. A validated program never breaks one; a direct caller
// that does gets std::invalid_argument, never undefined behaviour.
#pragma once

#include <stdexcept>

namespace qsim::golden {

inline void Require(bool condition, const char* what) {
  if (!condition) [[unlikely]] {
    throw std::invalid_argument(what);
  }
}

}  // namespace qsim::golden
