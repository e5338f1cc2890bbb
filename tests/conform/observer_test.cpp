// FQ-ViT's range estimators in their published form.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

TEST(ObserverConform, Minmax) { testing::ExpectCasesConform("observer", "fqvit_minmax"); }
TEST(ObserverConform, Ema) { testing::ExpectCasesConform("observer", "fqvit_ema"); }
TEST(ObserverConform, Percentile) { testing::ExpectCasesConform("observer", "fqvit_percentile"); }
TEST(ObserverConform, Omse) { testing::ExpectCasesConform("observer", "fqvit_omse"); }
TEST(ObserverConform, Ptf) { testing::ExpectCasesConform("observer", "fqvit_ptf"); }

// The shipped case with another parameter.
std::string ErrorWith(const std::string& parameter, const std::string& value) {
  namespace fs = std::filesystem;
  const TempDir directory;
  const fs::path shipped =
      fs::path(QSIM_SOURCE_DIR) / "tests/conform/cases/observer/fqvit_percentile/layer_int8";
  fs::copy(shipped, directory.path() / "case");
  nlohmann::json json = nlohmann::json::parse(std::ifstream(shipped / "case.json"));
  json["params"][parameter] = nlohmann::json::parse(value);
  std::ofstream(directory.path() / "case" / "case.json") << json;
  const ConformReport report = RunConform(directory.path(), "", nullptr);
  return report.errors.empty() ? "" : report.errors.front();
}

// A quantile beyond the values was read from behind them.
TEST(ObserverConform, ParametersAreWithinTheirRanges) {
  EXPECT_EQ(ErrorWith("alpha", "0.5"), "");
  for (const char* alpha : {"2147483648", "1.0000001", "0.49", "-1", "\"1\""})
    EXPECT_NE(ErrorWith("alpha", alpha).find("params.alpha must be a number in 0.5..1"),
              std::string::npos)
        << alpha;
  EXPECT_NE(ErrorWith("sigma", "1e300").find("params.sigma must be a number in 0..1"),
            std::string::npos);
}

}  // namespace
}  // namespace qsim::testing
