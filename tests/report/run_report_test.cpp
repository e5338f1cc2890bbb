// The three printed forms of a run report.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/report/report_html.h"
#include "sim/report/report_json.h"
#include "sim/report/run_report_text.h"
#include "sim/text/block_name.h"
#include "sim/text/text_util.h"
#include "tests/report/sample_bundle.h"
#include "tests/report/sample_report.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Lines that are too wide; a single word, which is never cut, is allowed to be.
std::vector<std::string> TooWide(const std::string& text) {
  std::vector<std::string> wide;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t start = line.find_first_not_of(' ');
    const bool one_word = start != std::string::npos && line.find(' ', start) == std::string::npos;
    if (line.size() > kTextColumns && !one_word) wide.push_back(line);
  }
  return wide;
}

std::string LastLine(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  const std::size_t start = text.rfind('\n', end);
  return text.substr(start + 1, end - start);
}

TEST(RunReportText, FitsEightyColumns) {
  for (const bool verbose : {false, true}) {
    for (const RunReport& report : {testing::SampleReport(4, true), testing::SampleReport(1, false),
                                    testing::DifficultReport(), RunReport()}) {
      EXPECT_THAT(TooWide(FormatRunReport(report, {.verbose = verbose})), ::testing::IsEmpty());
    }
  }
}

TEST(RunReportText, HasARowPerTapUnderItsBlock) {
  const std::string text = FormatRunReport(testing::SampleReport(4, true));
  for (const char* part :
       {"\nblocks.0  ", "\nblocks.3  ", "\n  attn_qkv                8x17x576   34.18  0.999871",
        "  attn_qkv                8x17x576   31.18  0.999871  1.23e-02   0.04          0\n",
        "\n  blocks.3.attn_proj", "29.7 %", "\n  total"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(RunReportText, LastLineIsTheVerdictAndIsTrue) {
  EXPECT_EQ(LastLine(FormatRunReport(testing::SampleReport(4, true))),
            "40 taps, 0 mismatches between golden and RTL");
  EXPECT_EQ(Verdict(testing::SampleReport(1, false)),
            "10 taps, RTL not run: nothing to compare golden with");
  RunReport report = testing::SampleReport(1, true);
  report.taps.resize(1);
  report.taps[0].mismatches = 1;
  EXPECT_EQ(Verdict(report), "1 tap, 1 mismatch between golden and RTL in 1 tap");
  report.taps[0].mismatches.reset();
  EXPECT_EQ(Verdict(report), "1 tap, none of them compared between golden and RTL");
  EXPECT_EQ(Verdict(testing::DifficultReport()),
            "20 taps (19 compared), 123456789024 mismatches between golden and RTL in 2 taps");
}

TEST(RunReportText, NamesTheFirstMismatch) {
  const std::string text = FormatRunReport(testing::DifficultReport());
  EXPECT_THAT(text, HasSubstr("MISMATCH blocks.0.attn_q_out\n"
                              "  12 of 26112 elements differ between golden and RTL\n"
                              "  first at [0, 3, 17]: golden -5 (0xfb), RTL -4 (0xfc)\n"
                              "  computed in head 1, tile (0, 3)\n"
                              "  waveform out/waves/blocks.0.attn_q_out.fst\n"));
}

TEST(RunReportText, NotesAreSummarisedUnlessVerbose) {
  const RunReport report = testing::DifficultReport();
  const std::string brief = FormatRunReport(report);
  EXPECT_THAT(brief, HasSubstr("raised scale: blocks.1.attn_qkv.weight"));
  EXPECT_THAT(brief, HasSubstr("substitution: blocks.0.attn_kv_out"));
  EXPECT_THAT(brief, HasSubstr("blocks.0.residual1 and 1 more"));
  EXPECT_THAT(brief, Not(HasSubstr("distinct note number 19")));
  EXPECT_THAT(brief, HasSubstr("--verbose"));
  const std::string full = FormatRunReport(report, {.verbose = true});
  EXPECT_THAT(full, HasSubstr("distinct note number 19"));
  EXPECT_THAT(full, HasSubstr("info: blocks.1.residual1"));
  EXPECT_THAT(full, Not(HasSubstr("--verbose")));
}

TEST(RunReportText, ColourMarksBadCellsOnly) {
  const std::string bad = FormatRunReport(testing::DifficultReport(), {.color = true});
  EXPECT_THAT(bad, HasSubstr("\x1b[31m12\x1b[0m"));
  EXPECT_THAT(bad, HasSubstr("\x1b[33m-10.55\x1b[0m"));
  RunReport good = testing::SampleReport(1, true);
  good.taps[6].qsnr_db = 25;
  EXPECT_THAT(FormatRunReport(good, {.color = true}), Not(HasSubstr("\x1b")));
}

TEST(ColorWanted, OnlyOnATerminalWithoutNoColor) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  ::setenv("TERM", "xterm", 1);
  EXPECT_FALSE(ColorWanted(pipe_ends[1]));
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::isatty(terminal) != 1) GTEST_SKIP() << "no pseudo terminal here";
  ::unsetenv("NO_COLOR");
  EXPECT_TRUE(ColorWanted(terminal));
  ::setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(ColorWanted(terminal));
  ::setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(ColorWanted(terminal));
  ::unsetenv("NO_COLOR");
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(ColorWanted(terminal));
}

TEST(RunReportJson, ReadsBackComplete) {
  const RunReport report = testing::DifficultReport();
  const auto json = nlohmann::ordered_json::parse(RunReportJsonText(report));
  EXPECT_EQ(json["format"], "qsim-report");
  EXPECT_EQ(json["total_mismatches"], 123456789024);
  EXPECT_EQ(json["stall_seed"], 42);
  ASSERT_EQ(json["taps"].size(), report.taps.size());
  EXPECT_EQ(json["taps"][2]["first_mismatch"]["index"], (std::vector<int>{0, 3, 17}));
  EXPECT_EQ(json["taps"][2]["first_mismatch"]["golden"], -5);
  EXPECT_EQ(json["taps"][2]["first_mismatch"]["rtl"], -4);
  EXPECT_EQ(json["taps"][2]["qsnr_db"], 33.4);
  EXPECT_EQ(json["taps"][3]["qsnr_db"], "inf");
  EXPECT_EQ(json["taps"][5]["qsnr_db"], "-inf");
  EXPECT_TRUE(json["taps"][6]["qsnr_db"].is_null());
  EXPECT_TRUE(json["taps"][7]["mismatches"].is_null());
  EXPECT_EQ(json["accumulators"][1]["fits"], false);
  EXPECT_EQ(json["accumulators"][0]["bits_needed"], 19);
  EXPECT_EQ(json["accumulators"][0]["bits_seen"], 16);
  EXPECT_TRUE(json["accumulators"][2]["worst_channel"].is_null());
  EXPECT_TRUE(json["accumulators"][3]["seen"].is_null());
  EXPECT_EQ(json["cycles"].size(), report.cycles.size());
  EXPECT_EQ(json["notes"].size(), report.notes.size());
  EXPECT_EQ(json["hardware"]["array_rows"], 16);
  EXPECT_EQ(json["provenance"]["weights_sha256"], std::string(64, 'b'));
  EXPECT_TRUE(
      nlohmann::json::parse(RunReportJsonText(testing::SampleReport(1, false)))["total_mismatches"]
          .is_null());
}

TEST(RunReportJson, KeysHaveAFixedOrder) {
  const auto json = RunReportToJson(testing::SampleReport(1, true));
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{
                      "format", "format_version", "scope", "images", "lengths", "config_files", "input", "rtl",
                      "rtl_assertions", "stall_seed", "kernels", "total_mismatches", "hardware",
                      "provenance", "size", "taps", "accumulators", "cycles", "notes", "profile"}));
}

TEST(RunReportJson, SurvivesTextThatIsNotUtf8) {
  RunReport report = testing::SampleReport(1, true);
  report.input = "vectors\xff/";
  EXPECT_TRUE(nlohmann::json::accept(RunReportJsonText(report)));
}

// The page itself is tested in a browser: tests/cli/report_page_test.cpp.
TEST(ReportHtml, HasEverythingInside) {
  const std::string html = ReportHtml(testing::DifficultReport(), Bundle());
  for (const char* part : {" src=", "<link", "@import", "url(", "<img", "<iframe"})
    EXPECT_THAT(html, Not(HasSubstr(part)));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(html, HasSubstr("Released under the MIT License"));
  EXPECT_THAT(html, HasSubstr("</html>"));
}

// The data, as a browser's parser finds them.
nlohmann::json DataOf(const std::string& html) {
  const std::string start = "id=\"data\">";
  const std::size_t begin = html.find(start) + start.size();
  return nlohmann::json::parse(html.substr(begin, html.find("</script", begin) - begin));
}

TEST(ReportHtml, NamesAreDataAndNeverMarkup) {
  RunReport report = testing::DifficultReport();
  report.taps[0].name = "</script><script>alert(1)</script><!--";
  const std::string html = ReportHtml(report, Bundle());
  EXPECT_THAT(html, Not(HasSubstr("alert(1)</script>")));
  EXPECT_EQ(DataOf(html)["run"]["taps"][0]["name"], report.taps[0].name);
  EXPECT_EQ(DataOf(html)["verdict"], Verdict(report));
  // The data, the plotting library and the page's own script, each ended once.
  std::size_t ends = 0;
  for (std::size_t at = 0; (at = html.find("</script>", at)) != std::string::npos; ++at) ++ends;
  EXPECT_EQ(ends, 3u);
}

TEST(ReportHtml, HoldsTheProgramAndItsScales) {
  const Bundle bundle = testing::SampleBundleBuilder().Build();
  const nlohmann::json data = DataOf(ReportHtml(testing::SampleReport(1, true), bundle));
  ASSERT_EQ(data["graph"]["operations"].size(), bundle.program.ops.size());
  EXPECT_EQ(data["graph"]["operations"][1]["weight"], "blocks.0.attn_qkv.weight");
  const auto& scales = data["scales"];
  const auto named = [&](const std::string& name) {
    return *std::find_if(scales.begin(), scales.end(),
                         [&](const nlohmann::json& entry) { return entry["name"] == name; });
  };
  EXPECT_EQ(named("blocks.0.norm1")["multiplier"].size(), 6u);
  EXPECT_EQ(named("blocks.0.norm1")["shift"][3], 62);
  EXPECT_EQ(named("blocks.0.attn_qkv.weight")["axis"], "channel");
  EXPECT_EQ(named("blocks.0.attn_qkv.weight")["scale"][1], 0.25);
  EXPECT_EQ(named("blocks.0.attn_qkv.weight")["zero"].size(), 1u);
}

TEST(ReportHtml, TheSameBytesTwice) {
  const Bundle bundle = testing::SampleBundleBuilder().Build();
  const RunReport report = testing::DifficultReport();
  EXPECT_EQ(ReportHtml(report, bundle), ReportHtml(report, bundle));
  EXPECT_THAT(ReportHtml(RunReport(), Bundle()), HasSubstr("</html>"));
}

TEST(TextUtil, HexAtEveryWidth) {
  EXPECT_EQ(HexText(-5, 8), "0xfb");
  EXPECT_EQ(HexText(-128, 8), "0x80");
  EXPECT_EQ(HexText(5, 17), "0x00005");
  EXPECT_EQ(HexText(-1, 64), "0xffffffffffffffff");
  EXPECT_EQ(HexText(255, 8), "0xff");
}

TEST(TextUtil, SplitsBlockNames) {
  EXPECT_EQ(SplitBlock("blocks.12.attn_qkv").block, "blocks.12");
  EXPECT_EQ(SplitBlock("blocks.12.attn_qkv").number, 12);
  EXPECT_EQ(SplitBlock("blocks.12.attn.qkv").rest, "attn.qkv");
  for (const char* name : {"patch_embed", "blocks.", "blocks.1", "blocks.1.", "blocks..x",
                           "blocks.x.y", "blocks.-1.x", "blocks.1x.y"}) {
    EXPECT_EQ(SplitBlock(name).block, "") << name;
    EXPECT_EQ(SplitBlock(name).number, -1) << name;
    EXPECT_EQ(SplitBlock(name).rest, name);
  }
}

}  // namespace
}  // namespace qsim::testing
