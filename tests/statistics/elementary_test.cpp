#include "sim/statistics/elementary.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

TEST(Elementary, ExpEqualsLibmToARelativeErrorBelow4e16) {
  double worst = 0;
  for (double x = -700; x < 700; x += 0.0137) {
    worst = std::max(worst, std::fabs(Exp(x) / std::exp(x) - 1));
  }
  EXPECT_LT(worst, 4e-16);
  EXPECT_EQ(Exp(0), 1);
  EXPECT_EQ(Exp(-800), 0);
}

TEST(Elementary, LogEqualsLibmToARelativeErrorBelow1e15) {
  double worst = 0;
  const auto compare = [&](double x) {
    worst = std::max(worst, std::fabs(Log(x) - std::log(x)) / std::fabs(std::log(x)));
  };
  for (double x = 1e-300; x < 1e300; x *= 1.0137) compare(x);
  for (double x = 0.5; x < 2; x += 0.000137) compare(x);
  EXPECT_LT(worst, 1e-15);
  EXPECT_EQ(Log(1), 0);
}

TEST(Elementary, ErfEqualsLibmToAnAbsoluteErrorBelow1e15) {
  double worst = 0;
  for (double x = -8; x < 8; x += 0.00037) worst = std::max(worst, std::fabs(Erf(x) - std::erf(x)));
  EXPECT_LT(worst, 1e-15);
  EXPECT_EQ(Erf(0), 0);
  EXPECT_EQ(Erf(30), 1);
  EXPECT_EQ(Erf(-30), -1);
}

TEST(Elementary, GeluIsExact) {
  for (double x = -6; x < 6; x += 0.01) {
    EXPECT_NEAR(Gelu(x), 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))), 1e-14);
  }
}

}  // namespace
}  // namespace qsim::testing
