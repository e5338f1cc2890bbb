// A sweep over the second family: two values of a setting.
#include <gtest/gtest.h>

#include <fstream>

#include "sim/sweep/sweep.h"
#include "sim/sweep/sweep_report.h"
#include "tests/network/families/translator_test.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

TEST(TranslatorSweep, FewerBitsCostAccuracyAndSaveWeights) {
  const TempDir dir;
  std::ofstream(dir.path() / "space.yaml")
      << "axes:\n  - {key: decoder.think.up.weight.bit_type.bits, values: [8, 3]}\n";
  const Config base = Subject().ConfigOf();
  const SweepSpace space = SweepSpace::Load(dir.path() / "space.yaml", base, 0);
  const CalibrationInputs calibration = CalibrationInputs::From(Subject().calibration);
  const SweepBench bench({Subject().model, calibration, Subject().evaluation, Subject().Options()},
                         base, 1);
  EXPECT_TRUE(bench.has_classes());
  ResumeLog log("", "", {});
  SweepReport report;
  report.rows = TryAll(bench, base, space, space.Draw(2, 1), 2, log);
  ASSERT_EQ(report.rows.size(), 3u);
  const SweepResult &eight = report.rows[1].result, &three = report.rows[2].result;
  EXPECT_EQ(eight.cost, report.rows[0].result.cost);
  EXPECT_EQ(eight.qsnr_db, report.rows[0].result.qsnr_db);
  EXPECT_LT(three.qsnr_db, eight.qsnr_db - 3);
  EXPECT_LT(three.cost.weight_bits, eight.cost.weight_bits);
  report.front = ParetoFront(ResultsOf(report.rows), SweepObjective::kQsnr);
  EXPECT_EQ(report.front, (std::vector<std::size_t>{0, 2}));
  EXPECT_NE(FormatSweep(report).find("decoder.think.up.weight.bit_type.bits 3"), std::string::npos);
}

}  // namespace
}  // namespace qsim::testing
