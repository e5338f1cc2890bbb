// A sweep over a language model is ranked by bits per token.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/statistics/next_token.h"
#include "sim/sweep/sweep.h"
#include "sim/sweep/sweep_report.h"
#include "tests/network/sequence.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// Of rows that do not matter beyond the tokens.
TEST(NextToken, BitsAreThoseOfTheProbabilities) {
  const std::vector<double> logits = {0, 0, 0, 0, std::log(3), 0, 0, std::log(12), 9, 9, 9, 9};
  const std::vector<std::int32_t> next = {2, 3};
  EXPECT_NEAR(BitsOfNext(logits, 4, next), 2 + std::log2(17.0 / 12), 1e-12);
}

TEST(SequenceSweep, RanksByBitsPerToken) {
  const TempDir dir;
  std::ofstream(dir.path() / "space.yaml")
      << "axes:\n  - {key: norm.bit_type.bits, values: [8, 3]}\n";
  SequenceSubjects subject;
  // Only what lies behind a block is a head.
  const std::vector<network::Node> nodes = subject.model.nodes();
  for (std::size_t i = 0; i + 2 < nodes.size(); ++i) subject.model.At(nodes[i].name).block = 0;
  const Config base = subject.ConfigWith({});
  const SweepSpace space = SweepSpace::Load(dir.path() / "space.yaml", base, 0);
  const CalibrationInputs calibration = CalibrationInputs::From(subject.calibration);
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const SweepBench bench({subject.model, calibration, subject.evaluation, options}, base, 1);
  EXPECT_TRUE(bench.has_bits());
  EXPECT_FALSE(bench.has_classes());
  SweepReport report;
  {
    ResumeLog log(dir.path() / "state", "sweep", bench.InputsIdentity());
    report.rows = TryAll(bench, base, space, space.Draw(2, 1), 2, log);
  }
  report.objective = "bits_per_token";
  report.float_bits = bench.float_bits_per_token();
  ASSERT_EQ(report.rows.size(), 3U);
  const SweepResult &eight = report.rows[1].result, &three = report.rows[2].result;
  EXPECT_NEAR(eight.bits_per_token, *report.float_bits, 0.02 * *report.float_bits);
  EXPECT_GT(std::fabs(three.bits_per_token - *report.float_bits),
            std::fabs(eight.bits_per_token - *report.float_bits));
  // Whatever the QSNR says.
  std::vector<SweepResult> results = {eight, three};
  results[0].point = 0;
  results[1] = results[0];
  results[1].bits_per_token -= 0.1;
  results[1].qsnr_db -= 10;
  EXPECT_EQ(ParetoFront(results, SweepObjective::kBits), std::vector<std::size_t>{1});
  EXPECT_EQ(ParetoFront(results, SweepObjective::kQsnr), std::vector<std::size_t>{0});
  report.front = ParetoFront(ResultsOf(report.rows), SweepObjective::kBits);
  EXPECT_NE(FormatSweep(report).find("objective bits_per_token"), std::string::npos);
  EXPECT_NE(FormatSweep(report).find("bits/token"), std::string::npos);
  const auto json = nlohmann::json::parse(SweepJsonText(report));
  EXPECT_EQ(json["objective"], "bits_per_token");
  EXPECT_EQ(json["points"][1]["bits_per_token"], eight.bits_per_token);
  EXPECT_EQ(json["float_bits_per_token"], *report.float_bits);
  // A finished point is not tried again, and is the same.
  ResumeLog again(dir.path() / "state", "sweep", bench.InputsIdentity());
  const auto resumed = TryAll(bench, base, space, space.Draw(2, 1), 1, again);
  for (std::size_t i = 0; i < resumed.size(); ++i)
    EXPECT_EQ(resumed[i].result, report.rows[i].result);
}

}  // namespace
}  // namespace qsim::testing
