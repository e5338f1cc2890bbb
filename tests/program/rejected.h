// Programs with one rule broken at a time, and the error that each must give.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "golden/program/program.h"
#include "tests/namespaces.h"

namespace qsim::testing {

// What Validate says; "" where it accepts the program.
inline std::string ErrorOf(const Program& program) {
  try {
    Validate(program);
  } catch (const ProgramError& error) {
    return error.what();
  }
  return "";
}

struct Broken {
  std::string message;  // what the error must contain
  std::function<void(Program&)> change;
};

inline void ExpectRejected(const Program& valid, const std::vector<Broken>& cases) {
  ASSERT_EQ(ErrorOf(valid), "");
  for (const Broken& broken : cases) {
    Program program = valid;
    broken.change(program);
    EXPECT_THAT(ErrorOf(program), ::testing::HasSubstr(broken.message));
  }
}

}  // namespace qsim::testing
