// The W8A8 family, its bundles and sizes; token inputs of varying length. Through the real binary.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/cosim/rtl_backend.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::ProcessResult;

class W8a8Files : public ::testing::Test {
 protected:
  ProcessResult Qsim(std::vector<std::string> arguments, const std::string& granularity) const {
    arguments.insert(
        arguments.end(),
        {"--config", (kSourceDir / "configs" / ("w8a8-" + granularity + ".yaml")).string()});
    return testing::RunQsim(arguments, sandbox_.path());
  }
  static std::string Shipped() { return (kSourceDir / "vectors").string(); }

  testing::TempDir sandbox_;
};

// Integers realise every one of them as it stands, and the RTL agrees.
TEST_F(W8a8Files, EveryChoiceRunsExactly) {
  for (const char* granularity : {"per_tensor", "per_channel"}) {
    for (const char* a : {"True", "False"}) {
      for (const char* w : {"True", "False"}) {
        for (const char* residual : {"8", "16"}) {
          const ProcessResult result = Qsim(
              {"run", "--input", Shipped(), "--images", "2", "--json", "--rtl",
               cosim::BuiltWithRtl() ? "on" : "off", "--set", fmt::format("w8a8.a_symmetric={}", a),
               "--set", fmt::format("w8a8.w_symmetric={}", w), "--set",
               fmt::format("hardware.residual_bits={}", residual)},
              granularity);
          ASSERT_EQ(result.exit_status, 0) << result.err;
          const auto report = nlohmann::json::parse(result.out);
          EXPECT_EQ(report["scope"], "model");
          const std::string sign = std::string(a) == "True" ? "int" : "uint";
          for (const auto& tap : report["taps"]) {
            const std::string name = tap["name"];
            if (name.ends_with("residual1")) {
              EXPECT_EQ(tap["dtype"], sign + residual);
            }
            if (name.ends_with("attn_q_out") || name.ends_with("mlp_gelu")) {
              EXPECT_EQ(tap["dtype"], sign + "8");
            }
            if (name != "image" && name != "patches") {
              EXPECT_GT(tap["qsnr_db"].get<double>(), 20) << name;
            }
            EXPECT_FALSE(tap["mismatches"].is_number() && tap["mismatches"] != 0) << name;
          }
        }
      }
    }
  }
}

TEST_F(W8a8Files, ACalibrationNamesItsBundle) {
  const ProcessResult result = Qsim({"calibrate", "--input", Shipped()}, "per_channel");
  ASSERT_EQ(result.exit_status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("qsim-digits-w8a8-per_channel: scope model, "));
  EXPECT_TRUE(fs::exists(sandbox_.path() / "qsim-digits-w8a8-per_channel" / "program.yaml"));
  // Without a name in the manifest, the directory's.
  fs::copy(Shipped(), sandbox_.path() / "tiny");
  const fs::path manifest = sandbox_.path() / "tiny" / "manifest.yaml";
  std::string text = testing::ReadBytes(manifest);
  testing::WriteBytes(manifest, text.replace(text.find("name: digits\n"), 13, ""));
  ASSERT_EQ(Qsim({"calibrate", "--input", "tiny/"}, "per_tensor").exit_status, 0);
  EXPECT_TRUE(fs::exists(sandbox_.path() / "qsim-tiny-w8a8-per_tensor" / "program.yaml"));
  const ProcessResult none =
      testing::RunQsim({"calibrate", "--input", "tiny", "--config",
                        (kSourceDir / "configs" / "attn_config.yaml").string()},
                       sandbox_.path());
  EXPECT_EQ(none.exit_status, 2);
  EXPECT_THAT(none.err, HasSubstr("--output DIR is missing"));
}

TEST_F(W8a8Files, SizesAreCountedFromTheProgram) {
  ASSERT_EQ(Qsim({"calibrate", "--input", Shipped(), "--output", "b"}, "per_channel").exit_status,
            0);
  const ProcessResult result =
      testing::RunQsim({"run", "--bundle", "b", "--rtl", "off", "--json"}, sandbox_.path());
  const auto size = nlohmann::json::parse(result.out)["size"];
  std::int64_t weights = 0;
  std::int64_t biases = 0;
  for (const auto& entry : fs::directory_iterator(sandbox_.path() / "b" / "arrays")) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".weight.npy")) weights += ReadIntNpy(entry.path()).size();
    const bool linear = name.find("norm") == std::string::npos;
    if ((name.ends_with(".bias.npy") && linear) || name == "embed.position.npy") {
      biases += 4 * ReadIntNpy(entry.path()).size();
    }
  }
  EXPECT_EQ(size["weight_bytes"], weights);
  EXPECT_EQ(size["bias_bytes"], biases);
  // Every number of the model, as float32: dim 64, MLP 256, 4 blocks, 17 tokens, 10 classes.
  const std::int64_t block =
      (64 * 192 + 192) + (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64) + 4 * 64;
  const std::int64_t ends = (4 * 64 + 64) + 64 + 17 * 64 + 2 * 64 + (64 * 10 + 10);
  EXPECT_EQ(size["float_bytes"], 4 * (4 * block + ends));
  EXPECT_EQ(size["integer_bytes"], weights + biases + size["table_bytes"].get<std::int64_t>());
  EXPECT_GT(size["ratio"], 3);
  const std::string text = fmt::format(
      "size in bytes: float {}, integers {}, {:.2f} times smaller\n  weights {}, biases and "
      "positions {}, tables {}\n",
      size["float_bytes"].get<std::int64_t>(), size["integer_bytes"].get<std::int64_t>(),
      size["ratio"].get<double>(), weights, biases, size["table_bytes"].get<std::int64_t>());
  EXPECT_THAT(
      testing::RunQsim({"describe", "--bundle", "b", "--tap", "logits"}, sandbox_.path()).out,
      HasSubstr(text));
}

class TokenInputs : public W8a8Files {
 protected:
  TokenInputs() {
    fs::create_directory(sandbox_.path() / "v");
    fs::copy(kSourceDir / "vectors" / "model.safetensors", File("model.safetensors"));
    WriteManifest("[t11.npy, t17.npy, t40.npy, u17.npy]");
    WriteTokens("t11.npy", {11, 64});
    WriteTokens("t17.npy", {17, 64});
    WriteTokens("t40.npy", {40, 64});
    WriteTokens("u17.npy", {17, 64});
    WriteTokens("eval.npy", {3, 17, 64});
  }
  fs::path File(const std::string& name) const { return sandbox_.path() / "v" / name; }
  void WriteManifest(const std::string& calibration, const char* evaluation = "eval.npy") const {
    testing::WriteBytes(File("manifest.yaml"),
                        fmt::format("name: tokens\nmodel: model.safetensors\nheads: 2\ntokens: 17\n"
                                    "calibration: {{tokens: {}}}\nevaluation: {{tokens: {}}}\n",
                                    calibration, evaluation));
  }
  void WriteTokens(const std::string& name, const Shape& shape) {
    FloatTensor tensor{shape, {}};
    for (std::int64_t i = 0; i < ElementCount(shape); ++i) {
      tensor.data.push_back(static_cast<float>(random_.Between(-(1 << 23), 1 << 23)) / 8388608.0F);
    }
    WriteNpy(File(name), tensor);
  }

 private:
  testing::SeededRandom random_;
};

TEST_F(TokenInputs, LengthsMayDifferAndShortOnesMayBeLeftOut) {
  const ProcessResult all =
      Qsim({"calibrate", "--input", "v", "--output", "all", "--images", "3"}, "per_channel");
  ASSERT_EQ(all.exit_status, 0) << all.err;
  EXPECT_THAT(all.err, HasSubstr("calibration inputs: 4 used, 0 skipped (shorter than 0 tokens); "
                                 "length min 11, mean 21.2, max 40"));
  const ProcessResult run =
      Qsim({"run", "--input", "v", "--rtl", "off", "--min-length", "17", "--json"}, "per_channel");
  ASSERT_EQ(run.exit_status, 0) << run.err;
  const char* used =
      "calibration inputs: 3 used, 1 skipped (shorter than 17 tokens); length min 17";
  EXPECT_THAT(run.err, HasSubstr(used));
  EXPECT_THAT(nlohmann::json::parse(run.out)["notes"].dump(), HasSubstr(used));
  // Leaving them out is the same as not naming them.
  ASSERT_EQ(
      Qsim({"calibrate", "--input", "v", "--output", "long", "--min-length", "17", "--images", "3"},
           "per_channel")
          .exit_status,
      0);
  WriteManifest("[t17.npy, t40.npy, u17.npy]");
  ASSERT_EQ(Qsim({"calibrate", "--input", "v", "--output", "named", "--images", "3"}, "per_channel")
                .exit_status,
            0);
  const auto scales = [&](const char* bundle) {
    return testing::ReadBytes(sandbox_.path() / bundle / "scales.yaml");
  };
  EXPECT_EQ(scales("long"), scales("named"));
  EXPECT_NE(scales("long"), scales("all"));
}

TEST_F(TokenInputs, BadOnesAreOneLine) {
  const auto refused = [&](const std::vector<std::string>& more) {
    std::vector<std::string> command = {"run", "--input", "v", "--rtl", "off"};
    command.insert(command.end(), more.begin(), more.end());
    const ProcessResult result = Qsim(command, "per_channel");
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_EQ(testing::Lines(result.err).size(), 1u) << result.err;
    return result.err;
  };
  EXPECT_THAT(refused({"--min-length", "41"}),
              HasSubstr("none of the 4 calibration inputs is used: the longest has 40 tokens"));
  FloatTensor bad{{40, 64}, std::vector<float>(40 * 64, 0.5F)};
  bad.data[64 * 33 + 7] = HUGE_VALF;
  WriteNpy(File("t40.npy"), bad);
  EXPECT_THAT(refused({}), AllOf(HasSubstr("t40.npy: Inf"), HasSubstr("at [33, 7]")));
  WriteTokens("t40.npy", {40, 63});
  EXPECT_THAT(refused({}), HasSubstr("t40.npy: shape [40, 63]: axis 1 is 63, but the model's dim"));
  WriteTokens("t40.npy", {40, 64});
  WriteManifest("[t11.npy, t40.npy]", "[t17.npy, t11.npy]");
  EXPECT_THAT(refused({}),
              HasSubstr("t11.npy: shape [11, 64]: axis 0 is 11, but the model's tokens "
                        "is 17"));
  FloatTensor evaluation{{2, 17, 64}, std::vector<float>(2 * 17 * 64, 0.25F)};
  evaluation.data[17 * 64 + 64 * 2 + 9] = std::numeric_limits<float>::quiet_NaN();
  WriteNpy(File("eval.npy"), evaluation);
  WriteManifest("[t11.npy, t40.npy]");
  EXPECT_THAT(refused({}), HasSubstr("eval.npy: NaN at [1, 2, 9]"));
  const ProcessResult images =
      Qsim({"run", "--input", Shipped(), "--rtl", "off", "--min-length", "4"}, "per_channel");
  EXPECT_EQ(images.exit_status, 2);
  EXPECT_THAT(images.err, HasSubstr("--min-length 4: the calibration inputs are images"));
}

}  // namespace
}  // namespace qsim::testing
