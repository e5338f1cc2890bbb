// What can go wrong, and the exit status it maps to. main() has the one catch.
#pragma once

#include <stdexcept>
#include <string>

namespace qsim {

// Wrong usage, configuration, input file or environment: exit status 2. The message is one line:
// file, key or tensor and index, what is wrong, what would be right.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file that cannot be opened or read: it says nothing of a setting that is being tried, and is
// never taken for that setting's refusal.
struct ReadError : InputError {
  using InputError::InputError;
};

// A defect in qsim itself: exit status 3.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};

}  // namespace qsim
