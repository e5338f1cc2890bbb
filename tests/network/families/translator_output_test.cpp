// What is printed and written of the second family: exports, equations, report and page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/export/describe.h"
#include "sim/export/export_formats.h"
#include "sim/report/page_data.h"
#include "sim/report/run_report_text.h"
#include "sim/run/profile_request.h"
#include "sim/run/run_images.h"
#include "tests/network/families/translator_test.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;

TEST(TranslatorExport, EveryFormatHasItsTables) {
  const Bundle bundle = Subject().BundleOf();
  const ExportTable table = BuildExportTable(bundle);
  const nlohmann::json json = nlohmann::json::parse(ExportJson(table));
  EXPECT_THAT(json.dump(), HasSubstr("\"encoder.think.relu\""));
  EXPECT_THAT(ExportYaml(table), HasSubstr("decoder.read.share"));
  EXPECT_THAT(ExportCsv(table), HasSubstr("encoder.think.relu,table,"));
  EXPECT_THAT(ExportSvh(table), HasSubstr("qsim_encoder_think_relu_table"));
  EXPECT_THAT(ExportC(table), HasSubstr("qsim_decoder_look_sum_a_multiplier"));
  const TempDir dir;
  OutputDirectory output(dir.path() / "memh");
  ExportMemh(table, bundle, output);
  EXPECT_TRUE(std::filesystem::exists(dir.path() / "memh" / "parameters" /
                                      "encoder.think.relu.table.memh"));
}

TEST(TranslatorDescribe, EveryOperationHasItsEquation) {
  const Bundle bundle = Subject().BundleOf();
  const std::string text = DescribeProgram(bundle, "");
  for (const Op& op : bundle.program.ops) EXPECT_THAT(text, HasSubstr(OutputOf(op)));
  EXPECT_THAT(DescribeProgram(bundle, "decoder.look.share"), HasSubstr("where s <= t"));
}

TEST(TranslatorReport, TableAndPageHoldEveryTap) {
  const Bundle bundle = Subject().BundleOf();
  const Config config = Subject().ConfigOf({"decoder.read.found.enable_profiler=True"});
  const FloatSource floats = {Subject().model, Subject().evaluation};
  RunSettings settings;
  settings.images = 2;
  settings.profile = RequestProfile(&config, false);
  const RunReport report = RunImages(bundle, &floats, settings);
  ASSERT_TRUE(report.profile.has_value());
  const std::string text = FormatRunReport(report, {.verbose = true});
  const std::string page = PageData(report, bundle).dump();
  for (const TapReport& tap : report.taps) {
    EXPECT_THAT(text, HasSubstr(tap.name));
    EXPECT_THAT(page, HasSubstr("\"" + tap.name + "\""));
  }
}

}  // namespace
}  // namespace qsim::testing
