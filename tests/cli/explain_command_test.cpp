// qsim explain as a user runs it: exit statuses, one clear line for bad input, both ways to ask.
#include <nlohmann/json.hpp>

#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class ExplainCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    // acc * 3 / 2^2 is a tie where acc is 2 modulo 4.
    std::vector<std::int32_t> acc;
    for (std::int32_t x = -80; x < 80; ++x) acc.push_back(x);
    Write("acc.npy", {20, 8}, acc);
    Write("golden.npy", {20, 8}, Requantized(acc, [](int p) { return (p + 2) >> 2; }));
    Write("away.npy", {20, 8},
          Requantized(acc, [](int p) { return p < 0 ? -((-p + 2) >> 2) : (p + 2) >> 2; }));
  }

  template <typename T>
  void Write(const char* name, Shape shape, const std::vector<T>& values) {
    WriteNpy(dir_.path() / name, IntTensor(std::move(shape), values));
  }

  template <typename Round>
  static std::vector<std::int8_t> Requantized(const std::vector<std::int32_t>& acc, Round round) {
    std::vector<std::int8_t> out;
    for (const std::int32_t x : acc) out.push_back(static_cast<std::int8_t>(round(3 * x)));
    return out;
  }

  ProcessResult Explain(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "explain");
    return RunQsim(arguments, dir_.path());
  }

  // Exit status 2 and one line that holds every one of these.
  void ExpectBadInput(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& words) {
    const ProcessResult result = Explain(arguments);
    EXPECT_EQ(result.exit_status, 2) << result.out << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& word : words)
      EXPECT_NE(result.err.find(word), std::string::npos) << word << " in " << result.err;
  }

  TempDir dir_;
};

TEST_F(ExplainCommand, NamesARuleOfPlainTensors) {
  const ProcessResult result = Explain({"--acc", "acc.npy", "--actual", "away.npy", "--expected",
                                        "golden.npy", "--multiplier", "3", "--shift", "2"});
  EXPECT_EQ(result.exit_status, 1) << result.err;
  EXPECT_EQ(result.out.find("all 20 mismatches in away.npy are explained by half_away instead of"),
            0U)
      << result.out;
}

TEST_F(ExplainCommand, PrintsJson) {
  const ProcessResult result = Explain(
      {"--acc", "acc.npy", "--actual", "away.npy", "--multiplier", "3", "--shift", "2", "--json"});
  EXPECT_EQ(result.exit_status, 1) << result.err;
  const Json json = Json::parse(result.out);
  const Json& tensor = json.at("tensors").at(0);
  EXPECT_EQ(tensor.at("verdict"), "explained");
  EXPECT_EQ(tensor.at("hypotheses").at(0).at("id"), "rounding=half_away");
  EXPECT_EQ(tensor.at("explained"), 20);
}

TEST_F(ExplainCommand, HasNothingToExplainOfEqualTensors) {
  const ProcessResult result =
      Explain({"--acc", "acc.npy", "--actual", "golden.npy", "--multiplier", "3", "--shift", "2"});
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_NE(result.out.find("nothing to explain"), std::string::npos) << result.out;
}

TEST_F(ExplainCommand, RejectsWhatDoesNotFitTogether) {
  Write("short.npy", {7}, std::vector<std::int8_t>(7));
  const std::vector<std::string> acc = {"--acc", "acc.npy"};
  const auto with = [](std::vector<std::string> first, const std::vector<std::string>& more) {
    first.insert(first.end(), more.begin(), more.end());
    return first;
  };
  const auto actual = with(acc, {"--actual", "away.npy"});
  ExpectBadInput({}, {"--actual"});
  ExpectBadInput(acc, {"--actual"});
  ExpectBadInput({"--actual", "away.npy"}, {"--acc"});
  ExpectBadInput(with(acc, {"--actual", "short.npy"}), {"short.npy", "shape 7", "20x8"});
  ExpectBadInput(with(acc, {"--actual", "absent.npy"}), {"absent.npy"});
  ExpectBadInput(with(acc, {"--actual", "away.csv"}), {"away.csv", ".npy"});
  ExpectBadInput(with(actual, {"--multiplier", "1,2,3"}), {"--multiplier", "3 entries", "20x8"});
  ExpectBadInput(with(actual, {"--multiplier", "3x"}), {"--multiplier", "3x"});
  ExpectBadInput(with(actual, {"--shift", "63"}), {"--shift", "63", "0..62"});
  ExpectBadInput(with(actual, {"--rounding", "up"}), {"--rounding", "half_up"});
  ExpectBadInput(with(actual, {"--axis", "middle"}), {"--axis", "last"});
  ExpectBadInput(with(actual, {"--multiplier", "3", "--shift", "3", "--expected", "golden.npy"}),
                 {"golden.npy", "[0, 0]"});
  ExpectBadInput(with(actual, {"--bundle", "b"}), {"--bundle"});
  ExpectBadInput({"a", "b"}, {"--bundle"});
  ExpectBadInput({"--lhs", "acc.npy", "--rhs", "acc.npy", "--actual", "away.npy"},
                 {"acc.npy", "20x8"});
  ExpectBadInput({"--a", "acc.npy", "--actual", "away.npy"}, {"--b"});
}

// A bundle, its golden tensors, and those of a bundle that rounds in another way.
TEST_F(ExplainCommand, JudgesOperationsOfABundleOnTheirOwnInputs) {
  const std::string config = (kSourceDir / "configs/attn_config.yaml").string();
  const std::string vectors = (kSourceDir / "vectors").string();
  const std::vector<std::string> model = {"--config", config, "--input", vectors, "--blocks", "0"};
  const auto run = [&](std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), model.begin(), model.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = RunQsim(arguments, dir_.path());
    ASSERT_EQ(result.exit_status, 0) << result.err;
  };
  run({"calibrate"}, {"--output", "bundle"});
  run({"run", "--rtl", "off"}, {"--output", "a"});
  run({"run", "--rtl", "off"}, {"--output", "b", "--set", "numerics.requantize=floor"});
  const ProcessResult result = Explain({"a/golden", "b/golden", "--bundle", "bundle", "--json"});
  EXPECT_EQ(result.exit_status, 1) << result.err;
  const Json json = Json::parse(result.out);
  std::set<std::string> culprits;
  for (const Json& tensor : json.at("tensors")) {
    culprits.insert(tensor.at("name"));
    EXPECT_EQ(tensor.at("hypotheses").at(0).at("id"), "rounding=floor") << tensor.at("sentence");
    EXPECT_EQ(tensor.at("explained"), tensor.at("mismatches"));
  }
  EXPECT_EQ(culprits, (std::set<std::string>{"blocks.0.norm1", "blocks.0.attn_q_out",
                                             "blocks.0.attn_k_out", "blocks.0.attn_v_input",
                                             "blocks.0.attn_kv_out", "blocks.0.attn_v_out"}));
  const std::set<std::string> followers = json.at("followers");
  EXPECT_TRUE(followers.contains("blocks.0.attn_qkv"));
  EXPECT_TRUE(followers.contains("blocks.0.residual1"));

  EXPECT_EQ(Explain({"a/golden", "a/golden", "--bundle", "bundle"}).exit_status, 0);
  ExpectBadInput({"b/golden", "a/golden", "--bundle", "bundle"}, {"norm1", "golden"});
  ExpectBadInput({"a/golden", "b/golden", "--bundle", "bundle", "--tap", "blocks.0.norm2"},
                 {"blocks.0.norm1"});
  ExpectBadInput({"a/golden", "absent", "--bundle", "bundle"}, {"absent"});
  ExpectBadInput({"bundle", "bundle", "--bundle", "bundle"}, {"nothing to explain"});
}

}  // namespace
}  // namespace qsim::testing
