// What qsim run --profile and enable_profiler report, held against the tensors that the run wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

using Json = nlohmann::json;
using testing::kSourceDir;

class Profile : public ::testing::Test {
 protected:
  testing::ProcessResult Run(std::vector<std::string> more) {
    std::vector<std::string> command = {"run",
                                        "--rtl",
                                        "off",
                                        "--input",
                                        (kSourceDir / "vectors").string(),
                                        "--config",
                                        (kSourceDir / "configs" / "attn_config.yaml").string()};
    command.insert(command.end(), more.begin(), more.end());
    testing::ProcessResult result = testing::RunQsim(command, sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return result;
  }

  testing::TempDir sandbox_;
};

std::vector<std::string> NamesOf(const Json& tensors) {
  std::vector<std::string> names;
  for (const Json& tensor : tensors) names.push_back(tensor["name"]);
  return names;
}

double Mean(const std::vector<double>& values) {
  long double sum = 0;
  for (const double v : values) sum += v;
  return static_cast<double>(sum / static_cast<long double>(values.size()));
}

double Deviation(const std::vector<double>& values) {
  const long double mean = Mean(values);
  long double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return static_cast<double>(std::sqrt(squares / static_cast<long double>(values.size())));
}

// A profiler once reported another tensor's outliers under a name.
TEST_F(Profile, EveryNameHasItsOwnStatistics) {
  Run({"--images", "3", "--scope", "block", "--profile", "--output", "out"});
  const std::filesystem::path out = sandbox_.path() / "out";
  const Json profile = Json::parse(testing::ReadBytes(out / "report.json"))["profile"];
  std::size_t with_float = 0;
  for (const Json& tap : profile["taps"]) {
    const std::string name = tap["name"];
    SCOPED_TRACE(name);
    const IntTensor codes = ReadIntNpy(out / "golden" / (name + ".npy"));
    std::int64_t min = codes.At(0), max = codes.At(0);
    for (std::int64_t i = 0; i < codes.size(); ++i) {
      min = std::min(min, codes.At(i));
      max = std::max(max, codes.At(i));
    }
    EXPECT_EQ(tap["codes"]["min"], min);
    EXPECT_EQ(tap["codes"]["max"], max);
    EXPECT_EQ(tap["elements"], codes.size());
    const std::filesystem::path file = out / "float" / (name + ".npy");
    if (!std::filesystem::exists(file)) continue;
    ++with_float;
    const FloatTensor exact = ReadFloatNpy(file);
    const std::vector<double> values(exact.data.begin(), exact.data.end());
    const Json& summary = tap["float"];
    const double deviation = Deviation(values);
    EXPECT_EQ(summary["min"], *std::min_element(values.begin(), values.end()));
    EXPECT_EQ(summary["max"], *std::max_element(values.begin(), values.end()));
    EXPECT_NEAR(summary["mean"], Mean(values), 1e-9);
    EXPECT_NEAR(summary["stddev"], deviation, 1e-9);
    const auto beyond = std::count_if(values.begin(), values.end(), [&](double v) {
      return std::abs(v - Mean(values)) > 3 * deviation;
    });
    EXPECT_NEAR(summary["outlier_share"],
                static_cast<double>(beyond) / static_cast<double>(values.size()),
                summary["outlier_error"].get<double>() + 1e-12);
    std::int64_t counted = 0;
    for (const Json& count : tap["histogram"]["float"]) counted += count.get<std::int64_t>();
    EXPECT_EQ(counted, codes.size());
  }
  EXPECT_GT(with_float, 40u);
}

TEST_F(Profile, AllOfItWithTheOption) {
  const testing::ProcessResult result = Run({"--images", "2", "--scope", "model", "--profile"});
  for (const char* part : {"\nprofile of the taps", "\nprofile of the weights",
                           "\ngolden time and memory", "\n  peak memory of the process: "})
    EXPECT_NE(result.out.find(part), std::string::npos) << part;
  for (const std::string& line : testing::Lines(result.out)) {
    if (line.starts_with("  config ") || line.starts_with("  input ")) continue;
    EXPECT_LE(line.size(), 80u) << line;
  }
  const Json report =
      Json::parse(Run({"--images", "2", "--scope", "model", "--profile", "--json"}).out);
  const Json& profile = report["profile"];
  EXPECT_EQ(NamesOf(profile["taps"]), NamesOf(report["taps"]));
  EXPECT_EQ(profile["weights"].size(), 18u);
  for (const Json& weight : profile["weights"]) {
    EXPECT_GT(weight["error"]["qsnr_db"].get<double>(), 35) << weight["name"];
    EXPECT_GT(weight["codes"]["range_share"].get<double>(), 0.9) << weight["name"];
  }
  ASSERT_EQ(profile["operations"].size(), report["taps"].size() - 1);  // all but the image
  double seconds = 0;
  for (const Json& op : profile["operations"]) {
    seconds += op["seconds"].get<double>();
    EXPECT_GT(op["operand_bytes"], 0) << op["name"];
    EXPECT_EQ(op["macs"] > 0, op["kind"] == "gemm" || op["kind"] == "matmul") << op["name"];
  }
  EXPECT_GT(seconds, 0);
  EXPECT_GT(profile["peak_memory_bytes"], 1000000);
  for (const Json& tap : profile["taps"]) {
    for (const Json& row : report["taps"]) {
      if (row["name"] == tap["name"] && !tap["error"].is_null()) {
        EXPECT_EQ(row["qsnr_db"], tap["error"]["qsnr_db"]);
      }
    }
  }
}

TEST_F(Profile, OneSectionAsksForItsOwnTensor) {
  const std::vector<std::string> command = {
      "--images", "5",
      "--set",    "attn_k_out.enable_profiler=True",
      "--set",    "blocks.2.attn_qkv.weight.enable_profiler=True"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = command;
    all.insert(all.end(), more.begin(), more.end());
    return Run(all).out;
  };
  const Json profile = Json::parse(with({"--json"}))["profile"];
  EXPECT_EQ(NamesOf(profile["taps"]),
            (std::vector<std::string>{"blocks.0.attn_k_out", "blocks.1.attn_k_out",
                                      "blocks.2.attn_k_out", "blocks.3.attn_k_out"}));
  EXPECT_EQ(NamesOf(profile["weights"]), (std::vector<std::string>{"blocks.2.attn_qkv.weight"}));
  // Times would differ from run to run.
  EXPECT_TRUE(profile["operations"].empty());
  EXPECT_TRUE(profile["peak_memory_bytes"].is_null());
  EXPECT_EQ(with({"--json", "--threads", "1", "--batch", "1"}), with({"--json", "--threads", "2"}));
  EXPECT_NE(with({}).find("\n  blocks.2.attn_qkv.weight  "), std::string::npos);
}

TEST_F(Profile, NothingUnlessAskedFor) {
  EXPECT_TRUE(Json::parse(Run({"--images", "1", "--json"}).out)["profile"].is_null());
}

// Per-channel norms are absorbed into the weights, and Q's channels have factors: taken out again.
TEST_F(Profile, WeightsAreMeasuredInTheirOwnUnits) {
  const Json profile = Json::parse(
      Run({"--images", "1", "--profile", "--json", "--set", "norm1.calibration_mode=channel_wise",
           "--set", "attn_q_out.calibration_mode=channel_wise", "--set",
           "attn_k_out.calibration_mode=layer_wise", "--set",
           "attn_v_out.calibration_mode=channel_wise"})
          .out)["profile"];
  ASSERT_EQ(profile["weights"].size(), 8u);
  for (const Json& weight : profile["weights"]) {
    EXPECT_GT(weight["error"]["qsnr_db"].get<double>(), 30) << weight["name"];
    EXPECT_NEAR(weight["float"]["max"], weight["quantized"]["max"],
                0.1 * weight["float"]["max"].get<double>());
  }
}

}  // namespace
}  // namespace qsim::testing
