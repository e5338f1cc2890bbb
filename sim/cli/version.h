// What `qsim --version` prints.
#pragma once

#include <string>

namespace qsim::cli {

extern const char* const kCommit;  // generated at every build: cmake/Commit.cmake

// Version and commit; compiler and build type; the instruction sets that the build assumes and
// those that this machine has.
std::string VersionText();

}  // namespace qsim::cli
