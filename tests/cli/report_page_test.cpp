// report.html in a real browser. Skipped where none is installed: any Chromium on the PATH serves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "sim/report/report_html.h"
#include "tests/cli/process.h"
#include "tests/report/sample_bundle.h"
#include "tests/report/sample_report.h"

namespace qsim::testing {
namespace {

using Json = nlohmann::json;
using testing::kSourceDir;

std::optional<std::string> FindBrowser() {
  const char* path = std::getenv("PATH");
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    std::istringstream directories(path == nullptr ? "" : path);
    for (std::string directory; std::getline(directories, directory, ':');) {
      const std::string file = directory + "/" + name;
      if (::access(file.c_str(), X_OK) == 0) return file;
    }
  }
  return std::nullopt;
}

class ReportPage : public ::testing::Test {
 protected:
  void SetUp() override {
    browser_ = FindBrowser();
    if (!browser_) GTEST_SKIP() << "no chromium on the PATH";
  }

  // What the page found out about itself; `words` come behind #selfcheck. Errors on its console
  // fail the test.
  Json SelfCheck(const std::filesystem::path& page, const std::string& words = "",
                 const std::string& size = "1280,900") {
    const testing::ProcessResult result = testing::RunProgram(
        *browser_,
        {"--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
         "--disable-dev-shm-usage", "--enable-logging=stderr", "--virtual-time-budget=4000",
         "--user-data-dir=" + (sandbox_.path() / "browser").string(), "--window-size=" + size,
         "--dump-dom", "file://" + page.string() + "#selfcheck" + words},
        sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    EXPECT_EQ(result.err.find("CONSOLE"), std::string::npos) << result.err;
    const std::string key = "data-selfcheck=\"";
    const std::size_t begin = result.out.find(key);
    if (begin == std::string::npos) {
      ADD_FAILURE() << "the page has not checked itself: its script failed\n" << result.err;
      return {};
    }
    const std::size_t end = result.out.find('"', begin + key.size());
    std::string text = result.out.substr(begin + key.size(), end - begin - key.size());
    for (std::size_t at = 0; (at = text.find("&quot;", at)) != std::string::npos;)
      text.replace(at, 6, "\"");
    return Json::parse(text);
  }

  void ExpectSound(const Json& check) {
    EXPECT_EQ(check["errors"], Json::array());
    EXPECT_EQ(check["requests"], Json::array());
    EXPECT_EQ(check["blank"], Json::array()) << "plots that show none of their data";
    EXPECT_EQ(check["undrawn"], Json::array()) << "parts or operations that cannot be seen";
    EXPECT_EQ(check["sorted"], true);
    EXPECT_EQ(check["filtered"], 1);
    EXPECT_EQ(check["wide"], false) << "the page is wider than its window";
  }

  testing::TempDir sandbox_;
  std::optional<std::string> browser_;
};

TEST_F(ReportPage, OfARealRun) {
  std::vector<std::string> command = {"run",      "--rtl",   "off",
                                      "--scope",  "model",   "--images",
                                      "2",        "--input", (kSourceDir / "vectors"),
                                      "--output", "out",     "--profile"};
  for (const char* name : {"attn", "block", "mlp", "model"}) {
    command.emplace_back("--config");
    command.push_back(kSourceDir / "configs" / (std::string(name) + "_config.yaml"));
  }
  const testing::ProcessResult run = testing::RunQsim(command, sandbox_.path());
  ASSERT_EQ(run.exit_status, 0) << run.err;
  const std::filesystem::path out = sandbox_.path() / "out";
  const Json report = Json::parse(testing::ReadBytes(out / "report.json"));
  for (const char* theme : {"&light", "&dark"}) {
    const Json check = SelfCheck(out / "report.html", theme);
    ExpectSound(check);
    EXPECT_EQ("&" + check.value("theme", ""), theme);
    EXPECT_EQ(check["taps"], report["taps"].size());
    EXPECT_EQ(check["parts"], 6);  // embedding, four blocks, head
    EXPECT_GE(check["charts"], 20);
    EXPECT_GE(check["edges"], 10);
  }
  ExpectSound(SelfCheck(out / "report.html", "", "500,900"));
  EXPECT_LT(testing::ReadBytes(out / "report.html").size(), 1500000u);
}

TEST_F(ReportPage, OfHostileNamesAndADiagnosis) {
  RunReport report = testing::DifficultReport();
  const std::string hostile = "</script><script>throw new Error('escaped')</script><!-- & \" '";
  report.taps[11].name = hostile;
  report.input = hostile;
  report.notes.push_back({LoweringNote::Kind::kInfo, hostile, hostile});
  DiagnosisPage page;
  page.title = hostile;
  page.verdict = hostile;
  page.output = "logits";
  page.output_db = -3.5;
  page.findings.push_back({1,
                           hostile,
                           "blocks.0.attn_qkv",
                           hostile,
                           {hostile, "range ratio 6.1 x"},
                           hostile,
                           "logits",
                           -10.55,
                           33.2});
  page.ranking.push_back({hostile, "head 1", 12.0, std::nullopt, 3.0, 4.0});
  page.budget.push_back({hostile, 0.75, 0.7, 0.8, 31.0, 0.97});
  page.budget.push_back({"clipping", 0.25, std::nullopt, std::nullopt, 40.0, std::nullopt});
  report.diagnosis = page;
  const std::filesystem::path file = sandbox_.path() / "report.html";
  testing::WriteBytes(file, ReportHtml(report, testing::SampleBundleBuilder().Build()));
  const Json check = SelfCheck(file);
  ExpectSound(check);
  EXPECT_EQ(check["taps"], report.taps.size());
}

TEST_F(ReportPage, OfNothing) {
  const std::filesystem::path file = sandbox_.path() / "report.html";
  testing::WriteBytes(file, ReportHtml(RunReport(), Bundle()));
  EXPECT_EQ(SelfCheck(file)["errors"], Json::array());
}

}  // namespace
}  // namespace qsim::testing
