// What the commands print and write when all is well, and what diff says when it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/cosim/rtl_backend.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using testing::FilesOf;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::Lines;
using testing::ProcessResult;
using testing::ReadBytes;
using testing::WriteBytes;

class Commands : public ::testing::Test {
 protected:
  ProcessResult Qsim(const std::vector<std::string>& arguments) const {
    return testing::RunQsim(arguments, sandbox_.path());
  }
  ProcessResult QsimOnModel(std::vector<std::string> arguments,
                            const std::vector<std::string>& more = {}) const {
    arguments.insert(arguments.end(),
                     {"--config", (kSourceDir / "configs" / "attn_config.yaml").string(), "--input",
                      (kSourceDir / "vectors").string()});
    arguments.insert(arguments.end(), more.begin(), more.end());
    ProcessResult result = Qsim(arguments);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return result;
  }
  fs::path Path(const std::string& name) const { return sandbox_.path() / name; }

  testing::TempDir sandbox_;
};

TEST_F(Commands, HelpFitsAScreen) {
  const ProcessResult top = Qsim({"--help"});
  EXPECT_EQ(top.exit_status, 0);
  EXPECT_LE(Lines(top.out).size(), 26u);
  for (const char* word : {"run", "calibrate", "diff", "export", "Exit status", "Examples"})
    EXPECT_THAT(top.out, HasSubstr(word));
  for (const char* command : {"", "run", "calibrate", "eval", "diff", "explain", "diagnose",
                              "export", "describe", "conform", "selftest", "bench"}) {
    const ProcessResult help = command[0] == '\0' ? top : Qsim({command, "--help"});
    EXPECT_EQ(help.exit_status, 0);
    EXPECT_EQ(help.err, "");
    for (const std::string& line : Lines(help.out)) EXPECT_LE(line.size(), 80u) << line;
  }
  const ProcessResult version = Qsim({"--version"});
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_THAT(version.out,
              ::testing::MatchesRegex("qsim [0-9.]+, commit (unknown|[0-9a-f]+(-dirty)?)\n"
                                      "compiler .+, .+\n"
                                      "built for .+; this machine: .+\n"));
}

TEST_F(Commands, RunWritesTheDocumentedLayout) {
  QsimOnModel(
      {"run", "--rtl", "off", "--images", "2", "--blocks", "0,2", "--output", "out", "--memh"});
  std::set<std::string> expected = {".qsim-result", "contract.yaml", "report.json", "report.html"};
  for (const std::string block : {"blocks.0.", "blocks.2."}) {
    for (const std::string tap :
         {"input", "norm1", "attn_qkv", "attn_q_out", "attn_k_out", "attn_v_input", "attn_kv_out",
          "attn_kv_out.acc", "intSoft", "attn_v_out", "attn_v_out.acc", "attn_proj", "residual1"}) {
      expected.insert("golden/" + block + tap + ".npy");
      expected.insert("memh/" + block + tap + ".memh");
      if (!tap.ends_with(".acc")) expected.insert("float/" + block + tap + ".npy");
    }
  }
  std::set<std::string> written;
  for (const auto& [name, bytes] : FilesOf(Path("out"))) {
    if (!name.starts_with("memh/") || name.ends_with(".memh")) written.insert(name);
  }
  EXPECT_EQ(written, expected);
  EXPECT_EQ(ReadIntNpy(Path("out/golden/blocks.0.attn_kv_out.npy")).shape(), (Shape{2, 2, 17, 17}));
  EXPECT_EQ(ReadIntNpy(Path("out/golden/blocks.2.intSoft.npy")).dtype(), DType::kUint8);
  // A result of qsim's is replaced as a whole.
  QsimOnModel({"run", "--rtl", "off", "--images", "1", "--blocks", "1", "--output", "out"});
  EXPECT_FALSE(fs::exists(Path("out/golden/blocks.0.input.npy")));
  EXPECT_TRUE(fs::exists(Path("out/golden/blocks.1.input.npy")));
  EXPECT_EQ(std::distance(fs::directory_iterator(sandbox_.path()), {}), 1);
}

TEST_F(Commands, JsonReportIsOnStdoutAndInTheFile) {
  const ProcessResult run =
      QsimOnModel({"run", "--rtl", "off", "--images", "1", "--json", "--output", "out"});
  const auto json = nlohmann::json::parse(run.out);
  EXPECT_EQ(json["images"], 1);
  EXPECT_EQ(json["taps"].size(), 4u * 13u);
  EXPECT_EQ(run.out, ReadBytes(Path("out/report.json")));
}

TEST_F(Commands, TargetsOfTheShippedConfiguration) {
  const ProcessResult run = QsimOnModel({"run", "--rtl", "off", "--json"});
  const std::map<std::string, double> floors = {{"attn_qkv", 30},
                                                {"attn_q_out", 30},
                                                {"attn_k_out", 30},
                                                {"attn_v_input", 25},
                                                {"attn_v_out", 20}};
  int checked = 0;
  const auto json = nlohmann::json::parse(run.out);
  for (const auto& tap : json["taps"]) {
    const std::string name = tap["name"];
    const auto floor = floors.find(name.substr(std::string("blocks.0.").size()));
    if (floor == floors.end()) continue;
    EXPECT_GT(tap["qsnr_db"].get<double>(), floor->second) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 20);
}

TEST_F(Commands, DiffFindsOneFlippedBit) {
  QsimOnModel({"run", "--rtl", "off", "--images", "1", "--blocks", "0", "--output", "out"});
  fs::copy(Path("out/golden"), Path("other"), fs::copy_options::recursive);
  const ProcessResult equal = Qsim({"diff", "out/golden", "other"});
  EXPECT_EQ(equal.exit_status, 0) << equal.out;
  EXPECT_EQ(Qsim({"diff", "other", "other"}).exit_status, 0);

  const fs::path file = Path("other/blocks.0.attn_v_out.npy");
  const IntTensor before = ReadIntNpy(file);
  std::string bytes = ReadBytes(file);
  // Element [0, 3, 5] of 1 x 17 x 64 int8, counted from the end of the file.
  const std::size_t element = 3 * 64 + 5;
  char& byte = bytes[bytes.size() - 17 * 64 + element];
  byte = static_cast<char>(byte ^ 0x10);
  WriteBytes(file, bytes);
  const auto old_value = static_cast<int>(before.At(static_cast<std::int64_t>(element)));
  const auto new_value = static_cast<int>(static_cast<std::int8_t>(byte));
  const ProcessResult differs = Qsim({"diff", "out/golden", "other"});
  EXPECT_EQ(differs.exit_status, 1);
  EXPECT_EQ(differs.err, "");
  EXPECT_THAT(differs.out, HasSubstr("blocks.0.attn_v_out"));
  EXPECT_THAT(differs.out, HasSubstr("[0, 3, 5]"));
  const auto hex = [](int value) {
    std::ostringstream text;
    text << "0x" << std::hex << (value & 0xff);
    return text.str();
  };
  for (const int value : {old_value, new_value}) {
    EXPECT_THAT(differs.out, HasSubstr(std::to_string(value) + " ("));
    EXPECT_THAT(differs.out, ::testing::ContainsRegex(hex(value).replace(0, 2, "0x0?")));
  }
  const ProcessResult json = Qsim({"diff", "--json", "out/golden", "other"});
  EXPECT_EQ(json.exit_status, 1);
  EXPECT_TRUE(nlohmann::json::accept(json.out));

  fs::remove(file);
  const ProcessResult missing = Qsim({"diff", "out/golden", "other"});
  EXPECT_EQ(missing.exit_status, 1);
  EXPECT_THAT(missing.out, HasSubstr("blocks.0.attn_v_out"));
}

TEST_F(Commands, RtlEqualsGolden) {
  if (!cosim::BuiltWithRtl()) GTEST_SKIP() << "built with -DQSIM_RTL=OFF";
  QsimOnModel(
      {"run", "--images", "1", "--blocks", "1", "--stall-probability", "0.1", "--output", "out"});
  const auto golden = FilesOf(Path("out/golden"));
  EXPECT_EQ(golden.size(), 13u);
  EXPECT_EQ(golden, FilesOf(Path("out/rtl")));
  EXPECT_EQ(Qsim({"diff", "out/golden", "out/rtl"}).exit_status, 0);
  EXPECT_FALSE(fs::exists(Path("out/waves")));
  EXPECT_THAT(ReadBytes(Path("out/report.json")),
              HasSubstr("\"rtl_assertions\": \"first two tiles of each product\""));

  QsimOnModel({"run", "--images", "1", "--blocks", "1", "--rtl-assertions", "every", "--output",
               "checked"});
  EXPECT_EQ(golden, FilesOf(Path("checked/rtl")));
  EXPECT_THAT(ReadBytes(Path("checked/report.json")),
              HasSubstr("\"rtl_assertions\": \"every tile\""));
}

TEST_F(Commands, ABundleRunsLikeItsModel) {
  QsimOnModel({"calibrate", "--images", "3", "--output", "bundle"});
  QsimOnModel({"run", "--rtl", "off", "--images", "3", "--output", "model"});
  const ProcessResult run =
      Qsim({"run", "--bundle", "bundle", "--rtl", "off", "--output", "alone"});
  EXPECT_EQ(run.exit_status, 0) << run.err;
  EXPECT_EQ(FilesOf(Path("model/golden")), FilesOf(Path("alone/golden")));
  EXPECT_FALSE(fs::exists(Path("alone/float")));
  // Its block inputs can be given from outside, for example from a run.
  const ProcessResult inputs = Qsim({"run", "--bundle", "bundle", "--inputs", "model/golden",
                                     "--rtl", "off", "--images", "2", "--output", "again"});
  EXPECT_EQ(inputs.exit_status, 0) << inputs.err;
  EXPECT_EQ(ReadIntNpy(Path("again/golden/blocks.3.residual1.npy")).shape(), (Shape{2, 17, 64}));
}

TEST_F(Commands, ExportsFromBundleAndModelAreTheSame) {
  QsimOnModel({"calibrate", "--output", "bundle"});
  for (const std::string format : {"json", "csv", "yaml", "svh", "sv", "c"}) {
    const ProcessResult bundle = Qsim({"export", "--bundle", "bundle", "--format", format});
    EXPECT_EQ(bundle.exit_status, 0) << bundle.err;
    EXPECT_GT(bundle.out.size(), 10000u);
    EXPECT_TRUE(format != "json" || nlohmann::json::accept(bundle.out));
    EXPECT_EQ(QsimOnModel({"export", "--format", format}).out, bundle.out) << format;
    QsimOnModel({"export", "--format", format, "--output", "table"});
    EXPECT_EQ(ReadBytes(Path("table")), bundle.out) << format;
  }
  EXPECT_EQ(Qsim({"export", "--bundle", "bundle", "--format", "memh", "--output", "a"}).exit_status,
            0);
  QsimOnModel({"export", "--format", "memh", "--output", "b"});
  EXPECT_GT(FilesOf(Path("a")).size(), 50u);
  EXPECT_EQ(FilesOf(Path("a")), FilesOf(Path("b")));
}

TEST_F(Commands, CalibrateListsSubstitutions) {
  const ProcessResult result =
      QsimOnModel({"calibrate", "--output", "bundle", "--realise", "nearest", "--set",
                   "attn_kv_out.calibration_mode=channel_wise"});
  EXPECT_THAT(result.out, HasSubstr("note: blocks.0.attn_kv_out: channel_wise scores"));
  EXPECT_THAT(result.out, HasSubstr("head_wise taken"));
}

}  // namespace
}  // namespace qsim::testing
