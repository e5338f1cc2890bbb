// The requantizer of cmake -DQSIM_RTL_FAULT=requant_round: a comparison with the golden model sees
// that it is wrong.
#include <gtest/gtest.h>

#include "Vrequantize_fault.h"
#include "sim/cosim/lanes_driver.h"
#include "tests/namespaces.h"

namespace qsim::cosim {
namespace {

TEST(PlantedFaultTest, RequantRound) {
  LanesDriver<Vrequantize_fault, 1, RequantizeRun> unit(std::nullopt);
  const std::vector<Multiplier> scale = {{3, 4}};
  const std::vector<std::int32_t> zero = {1};
  std::vector<std::int32_t> x;
  for (std::int32_t value = -200; value <= 200; ++value) x.push_back(value);
  for (const Rounding rounding : kAllRoundings) {
    const RequantizeRun run{{0, rounding, {}, scale, zero, x}};
    std::vector<std::int32_t> y(x.size());
    std::vector<std::uint8_t> saturated(x.size());
    StallGenerator stalls;
    RunCost cost;
    unit.Run(run, stalls, 1000, y, saturated, &cost);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::int32_t golden = RequantizeValue(x[i], scale[0], 0, zero[0], rounding, run.range);
      ASSERT_TRUE(y[i] == golden || y[i] == golden + 1) << Name(rounding) << " " << x[i];
      if (y[i] != golden) ++wrong;
    }
    EXPECT_GT(wrong, x.size() / 3) << Name(rounding);
    EXPECT_LT(wrong, x.size() * 2 / 3) << Name(rounding);
  }
}

}  // namespace
}  // namespace qsim::cosim
