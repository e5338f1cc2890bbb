// qsim diagnose as a user runs it: exit statuses, one clear line for bad input, bundles, the page.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class DiagnoseCommand : public ::testing::Test {
 protected:
  static std::string Source(const char* path) {
    return (fs::path(QSIM_SOURCE_DIR) / path).string();
  }

  ProcessResult Qsim(const std::vector<std::string>& arguments) {
    return RunQsim(arguments, dir_.path());
  }
  ProcessResult Diagnose(const std::vector<std::string>& more, bool config = true) {
    std::vector<std::string> arguments = {"diagnose", "--input", Source("vectors")};
    if (config) {
      arguments.insert(arguments.end(), {"--config", Source("configs/attn_config.yaml")});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Qsim(arguments);
  }
  void ExpectBadInput(const ProcessResult& result, const std::string& words) {
    EXPECT_EQ(result.exit_status, 2) << result.out << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_NE(result.err.find(words), std::string::npos) << words << " in " << result.err;
  }

  TempDir dir_;
};

TEST_F(DiagnoseCommand, AHealthyModel) {
  const ProcessResult result = Diagnose({});
  EXPECT_EQ(result.exit_status, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("scope model, 16 images"), std::string::npos);
  EXPECT_NE(result.out.find("no culprit; most of the loss: "), std::string::npos);
}

TEST_F(DiagnoseCommand, AFaultIsNamedWithItsRepair) {
  const ProcessResult result =
      Diagnose({"--images", "4", "--inject", "clipping", "--json", "--threads", "1"});
  EXPECT_EQ(result.exit_status, 1) << result.err;
  const Json json = Json::parse(result.out);
  ASSERT_EQ(json["findings"].size(), 1U);
  EXPECT_EQ(json["findings"][0]["cause"], "clipping");
  EXPECT_EQ(json["findings"][0]["tensor"], "blocks.0.attn_v_input");
  const Json& repair = json["findings"][0]["repair"];
  EXPECT_GT(repair["settings"].size(), 0U);
  EXPECT_GT(repair["output_after_db"], repair["output_before_db"].get<double>() + 3);
  EXPECT_GT(json["repaired_qsnr_db"], 30);
  EXPECT_EQ(Diagnose({"--images", "4", "--inject", "clipping", "--json"}).out, result.out);
}

// The output hardly notices, but no other block's K has so few bits.
TEST_F(DiagnoseCommand, OneLayerWithFarFewerBitsThanItsPeers) {
  const ProcessResult result =
      Diagnose({"--images", "4", "--set", "blocks.2.attn_k_out.bit_type.bits=3"});
  EXPECT_EQ(result.exit_status, 1) << result.err;
  EXPECT_NE(result.out.find("1 culprit: blocks.2.attn_k_out (too_few_bits)"), std::string::npos)
      << result.out;
}

TEST_F(DiagnoseCommand, ABundleWithoutAConfiguration) {
  const ProcessResult calibrated =
      Qsim({"calibrate", "--config", Source("configs/attn_config.yaml"), "--input",
            Source("vectors"), "--scope", "block", "--blocks", "1", "--inject",
            "scale_mismatch@blocks.1.attn_k_out", "--output", "bundle"});
  ASSERT_EQ(calibrated.exit_status, 0) << calibrated.err;
  const ProcessResult result =
      Diagnose({"--bundle", "bundle", "--images", "3", "--output", "out"}, false);
  EXPECT_EQ(result.exit_status, 1) << result.err;
  EXPECT_NE(result.out.find("1 culprit: blocks.1.attn_k_out (scale_mismatch)"), std::string::npos)
      << result.out;
  for (const char* file : {"report.html", "report.json", "diagnosis.json"}) {
    EXPECT_TRUE(fs::exists(dir_.path() / "out" / file)) << file;
  }
  std::ifstream page(dir_.path() / "out" / "report.html");
  std::stringstream html;
  html << page.rdbuf();
  EXPECT_NE(html.str().find("scale_mismatch"), std::string::npos);
}

// Sections of what lies outside the blocks do not narrow the default scope.
TEST_F(DiagnoseCommand, EveryConfigurationFileTogether) {
  const ProcessResult result = Diagnose({"--config", Source("configs/block_config.yaml"),
                                         "--config", Source("configs/mlp_config.yaml"), "--config",
                                         Source("configs/model_config.yaml"), "--images", "2"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_NE(result.out.find("scope model, 2 images"), std::string::npos);
}

TEST_F(DiagnoseCommand, BadInput) {
  ExpectBadInput(Qsim({"diagnose"}), "--input DIR is missing");
  ExpectBadInput(Diagnose({}, false), "give --config FILE, or --bundle DIR");
  ExpectBadInput(Diagnose({"--bundle", "b"}), "excludes");
  ExpectBadInput(Diagnose({"--bundle", "b"}, false), "no such bundle directory");
  ExpectBadInput(Diagnose({"--images", "100000"}), "evaluation inputs");
  ExpectBadInput(Diagnose({"--scope", "blocks"}), "unknown scope");
  ExpectBadInput(Diagnose({"--inject", "clippin"}), "did you mean 'clipping'");
}

}  // namespace
}  // namespace qsim::testing
