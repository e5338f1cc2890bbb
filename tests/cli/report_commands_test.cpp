// qsim diff and qsim export behind their command lines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/cli/diff_command.h"
#include "sim/cli/export_command.h"
#include "sim/error.h"
#include "sim/export/export_formats.h"
#include "sim/io/files/output_directory.h"
#include "sim/io/tensors/npy.h"
#include "sim/report/report_files.h"
#include "tests/report/sample_bundle.h"
#include "tests/report/sample_report.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// What a command line becomes; the words after the program's name, in order.
template <typename Options, typename Add>
Options Parse(Add add, std::vector<std::string> words) {
  CommandLine line("version");
  Options options;
  add(line, options);
  line.Parse(std::move(words));
  return options;
}

DiffOptions ParseDiff(const std::vector<std::string>& words) {
  return Parse<DiffOptions>(AddDiff, words);
}
ExportOptions ParseExport(const std::vector<std::string>& words) {
  return Parse<ExportOptions>(AddExport, words);
}

class DiffCommandTest : public ::testing::Test {
 protected:
  DiffCommandTest() {
    WriteNpy(a(), IntTensor({2}, std::vector<std::int8_t>{1, -1}));
    WriteNpy(b(), IntTensor({2}, std::vector<std::int8_t>{1, -2}));
  }
  fs::path a() const { return temp_.path() / "a.npy"; }
  fs::path b() const { return temp_.path() / "b.npy"; }
  testing::TempDir temp_;
};

TEST_F(DiffCommandTest, ExitStatus) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(RunDiff({a(), a(), false, 0}), 0);
  EXPECT_EQ(RunDiff({a(), b(), false, 0}), 1);
  EXPECT_THAT(::testing::internal::GetCapturedStdout(),
              HasSubstr("first at [1]: a -1 (0xff), b -2 (0xfe)"));
  EXPECT_THROW(RunDiff({a(), temp_.path() / "absent", false, 0}), InputError);
}

TEST_F(DiffCommandTest, JsonOnStdoutIsOnlyJson) {
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(RunDiff({a(), b(), true, 1}), 1);
  const auto json = nlohmann::json::parse(::testing::internal::GetCapturedStdout());
  EXPECT_EQ(json["tensors"][0]["histogram"][0]["low"], -1);
}

TEST(DiffCommand, ParsesItsOptions) {
  const DiffOptions options = ParseDiff({"diff", "left dir", "right", "--json", "--max", "3"});
  EXPECT_EQ(options.a, "left dir");
  EXPECT_EQ(options.b, "right");
  EXPECT_TRUE(options.json);
  EXPECT_EQ(options.max_listed, 3);
  EXPECT_THROW(ParseDiff({"diff", "one"}), UsageError);
  EXPECT_THROW(ParseDiff({"diff", "one", "two", "--max", "-1"}), UsageError);
  EXPECT_THROW(ParseDiff({"diff", "one", "two", "three"}), UsageError);
}

TEST(ExportCommand, NeedsExactlyOneSource) {
  EXPECT_EQ(ParseExport({"export", "--bundle", "b", "--format", "svh"}).bundle, "b");
  const ExportOptions options =
      ParseExport({"export", "--config", "x.yaml", "--input", "vectors", "--format", "json"});
  EXPECT_EQ(options.model.config, std::vector<fs::path>{"x.yaml"});
  EXPECT_EQ(options.model.input, "vectors");
  const std::vector<std::vector<std::string>> wrong = {
      {"export", "--format", "json"},
      {"export", "--bundle", "b"},
      {"export", "--bundle", "b", "--format", "xml"},
      {"export", "--config", "x.yaml", "--format", "json"},
      {"export", "--input", "vectors", "--format", "json"},
      {"export", "--bundle", "b", "--config", "x", "--input", "v", "--format", "json"},
      {"export", "--bundle", "b", "--set", "hardware.acc_bits=24", "--format", "json"},
      {"export", "--bundle", "b", "--format", "memh"}};
  for (const std::vector<std::string>& words : wrong)
    EXPECT_THROW(ParseExport(words), UsageError) << ::testing::PrintToString(words);
}

TEST(ExportCommand, FileAndStdoutHoldTheSame) {
  const Bundle bundle = testing::SampleBundle();
  testing::TempDir temp;
  for (const char* format : {"json", "csv", "yaml", "svh", "sv", "c"}) {
    ExportOptions options;
    options.format = format;
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(ExportBundle(options, bundle), 0);
    const std::string printed = ::testing::internal::GetCapturedStdout();
    options.output = temp.path() / format;
    EXPECT_EQ(ExportBundle(options, bundle), 0);
    std::ostringstream written;
    written << std::ifstream(options.output).rdbuf();
    EXPECT_GT(printed.size(), 1000u);
    EXPECT_EQ(written.str(), printed) << format;
  }
}

TEST(ExportCommand, ReadsABundle) {
  testing::TempDir temp;
  OutputDirectory output(temp.path() / "bundle");
  SaveBundle(testing::SampleBundle(), output);
  ExportOptions options;
  options.bundle = temp.path() / "bundle";
  options.format = "c";
  options.output = temp.path() / "params.h";
  EXPECT_EQ(RunExport(options), 0);
  std::ostringstream written;
  written << std::ifstream(options.output).rdbuf();
  EXPECT_TRUE(written.str() == ExportC(BuildExportTable(testing::SampleBundle())));
  options.bundle = temp.path() / "absent";
  EXPECT_THROW(RunExport(options), InputError);
}

TEST(ExportCommand, RefusesBadOutputs) {
  const Bundle bundle = testing::SampleBundle();
  testing::TempDir temp;
  std::ofstream(temp.path() / "file") << "old";
  ExportOptions options;
  options.format = "memh";
  EXPECT_THROW(ExportBundle(options, bundle), InputError);
  options.output = temp.path() / "file";
  EXPECT_THROW(ExportBundle(options, bundle), InputError);
  options.format = "json";
  options.output = temp.path();
  EXPECT_THROW(ExportBundle(options, bundle), InputError);
  std::ostringstream kept;
  kept << std::ifstream(temp.path() / "file").rdbuf();
  EXPECT_EQ(kept.str(), "old");
  options.format = "xml";
  EXPECT_THROW(ExportBundle(options, bundle), InputError);
}

TEST(ReportFiles, AreWrittenTogether) {
  testing::TempDir temp;
  WriteReportFiles(testing::SampleReport(1, true), Bundle(), temp.path());
  std::ifstream file(temp.path() / "report.json");
  EXPECT_EQ(nlohmann::json::parse(file)["taps"].size(), 10u);
  EXPECT_GT(fs::file_size(temp.path() / "report.html"), 5000u);
  EXPECT_THROW(WriteReportFiles(testing::SampleReport(1, true), Bundle(), temp.path() / "absent"),
               InputError);
}

}  // namespace
}  // namespace qsim::testing
