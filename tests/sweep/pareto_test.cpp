#include "sim/sweep/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::ElementsAre;

SweepResult Result(std::int64_t point, double qsnr, std::int64_t table, int multiplier = 16,
                   std::int64_t weights = 100) {
  SweepResult r;
  r.point = point;
  r.qsnr_db = qsnr;
  r.cost = {table, weights, multiplier};
  return r;
}

TEST(Pareto, BestFirstWithoutWhatIsBeaten) {
  std::vector<SweepResult> results = {Result(0, 30, 100), Result(1, 35, 120),
                                      Result(2, 29, 100),  // 2: beaten by 0
                                      Result(3, 30, 100),  // alike: the first stays
                                      Result(4, 20, 90),  Result(5, 20, 200, 8)};
  EXPECT_THAT(ParetoFront(results, SweepObjective::kQsnr), ElementsAre(1, 0, 4, 5));
  results[1].refused = "cannot";
  EXPECT_THAT(ParetoFront(results, SweepObjective::kQsnr), ElementsAre(0, 4, 5));
}

TEST(Pareto, Top1TellsEqualCountsApartByQsnr) {
  std::vector<SweepResult> results = {Result(0, 30, 100), Result(1, 35, 100), Result(2, 10, 100)};
  results[0].correct = 7;
  results[1].correct = 7;
  results[2].correct = 8;
  EXPECT_THAT(ParetoFront(results, SweepObjective::kTop1), ElementsAre(2));
  EXPECT_THAT(ParetoFront(results, SweepObjective::kQsnr), ElementsAre(1));
  EXPECT_TRUE(Better(results[1], results[0], SweepObjective::kTop1));
}

// Against the definition, point by point.
TEST(Pareto, IsWhatItsDefinitionSays) {
  testing::SeededRandom random;
  for (int round = 0; round < 200; ++round) {
    std::vector<SweepResult> results;
    for (int i = 0; i < 12; ++i) {
      results.push_back(Result(i, static_cast<double>(random.Between(0, 4)), random.Between(0, 4),
                               static_cast<int>(random.Between(1, 3)), random.Between(0, 2)));
    }
    const auto beats = [](const SweepResult& a, const SweepResult& b) {
      const bool covers = a.qsnr_db >= b.qsnr_db && a.cost.table_bits <= b.cost.table_bits &&
                          a.cost.multiplier_width <= b.cost.multiplier_width &&
                          a.cost.weight_bits <= b.cost.weight_bits;
      const bool alike = a.qsnr_db == b.qsnr_db && a.cost == b.cost;
      return covers && (!alike || a.point < b.point);
    };
    std::vector<std::size_t> expected;
    for (std::size_t i = 0; i < results.size(); ++i) {
      bool beaten = false;
      for (std::size_t k = 0; k < results.size(); ++k) {
        beaten = beaten || (k != i && beats(results[k], results[i]));
      }
      if (!beaten) expected.push_back(i);
    }
    EXPECT_THAT(ParetoFront(results, SweepObjective::kQsnr),
                ::testing::UnorderedElementsAreArray(expected));
  }
}

}  // namespace
}  // namespace qsim::testing
