// What seed_test.sh runs: a random test that says what it drew.
#include <gtest/gtest.h>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace {

TEST(SeedProbe, Draws) {
  qsim::testing::SeededRandom random;
  std::cout << "drawn: " << random.Between(0, std::int64_t{1} << 60) << std::endl;
}

}  // namespace
