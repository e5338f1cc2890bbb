// Contracts, describe, conform and selftest, through the real binary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/config/contract.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::Lines;
using testing::ProcessResult;

class NamedArithmetic : public ::testing::Test {
 protected:
  ProcessResult Qsim(const std::vector<std::string>& arguments) const {
    return testing::RunQsim(arguments, sandbox_.path());
  }
  ProcessResult OnModel(std::vector<std::string> arguments) const {
    for (const char* config : {"attn", "block", "mlp", "model"}) {
      arguments.insert(
          arguments.end(),
          {"--config", (kSourceDir / "configs" / (std::string(config) + "_config.yaml")).string()});
    }
    arguments.insert(arguments.end(), {"--input", (kSourceDir / "vectors").string()});
    ProcessResult result = Qsim(arguments);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return result;
  }
  fs::path Path(const std::string& name) const { return sandbox_.path() / name; }

  testing::TempDir sandbox_;
};

class EveryContract : public NamedArithmetic, public ::testing::WithParamInterface<std::string> {};

// Pixels to logits in the contract's arithmetic, on the RTL too, and close to the float model.
TEST_P(EveryContract, RunsTheWholeModel) {
  const ProcessResult run = OnModel(
      {"run", "--scope", "model", "--images", "1", "--json", "--realise", "nearest", "--set",
       "numerics.contract=" + GetParam(), "--rtl", cosim::BuiltWithRtl() ? "on" : "off"});
  const auto report = nlohmann::json::parse(run.out);
  EXPECT_EQ(report["provenance"]["contract"],
            GetParam() + " " + std::to_string(LoadContract(GetParam()).version));
  EXPECT_EQ(report["provenance"]["contract_sha256"], LoadContract(GetParam()).Hash());
  if (cosim::BuiltWithRtl()) {
    EXPECT_EQ(report["total_mismatches"], 0);
  }
  double logits = -1;
  for (const auto& tap : report["taps"]) {
    if (tap["name"] == "logits") logits = tap["qsnr_db"].get<double>();
  }
  EXPECT_GT(logits, 5) << "the arithmetic is wrong, not merely coarse";
}

INSTANTIATE_TEST_SUITE_P(All, EveryContract, ::testing::ValuesIn(BuiltinContracts()),
                         [](const ::testing::TestParamInfo<std::string>& contract) {
                           std::string name = contract.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_F(NamedArithmetic, ABundleKeepsItsContract) {
  OnModel({"calibrate", "--output", "bundle", "--set", "numerics.contract=tflite-double", "--set",
           "blocks.1.numerics.softmax=ibert"});
  const ModelContracts contracts = ReadContractsYaml(Path("bundle") / "contract.yaml");
  EXPECT_EQ(contracts.Label(), "tflite-double 2 (block 1: custom 2)");
  const ProcessResult run = Qsim({"run", "--bundle", "bundle", "--rtl", "off", "--output", "out"});
  EXPECT_EQ(run.exit_status, 0) << run.err;
  EXPECT_EQ(ReadContractsYaml(Path("out") / "contract.yaml").Hash(), contracts.Hash());
  const ProcessResult header = Qsim({"export", "--bundle", "bundle", "--format", "svh"});
  EXPECT_THAT(header.out, HasSubstr("tflite-double 2 (block 1: custom 2)"));
  EXPECT_THAT(header.out, HasSubstr("tflite_double"));
}

TEST_F(NamedArithmetic, DiffComparesContractsFirst) {
  OnModel({"run", "--images", "1", "--rtl", "off", "--output", "a"});
  OnModel(
      {"run", "--images", "1", "--rtl", "off", "--output", "b", "--set", "numerics.softmax=ibert"});
  const ProcessResult diff = Qsim({"diff", "a/golden", "b/golden"});
  EXPECT_EQ(diff.exit_status, 1);
  EXPECT_THAT(diff.out, HasSubstr("different numerics contracts: a default 2, b custom 2"));
  EXPECT_THAT(diff.out, HasSubstr("  softmax                 ibert_rn                ibert\n"));
  EXPECT_THAT(diff.out, Not(HasSubstr("first at")));
  EXPECT_THAT(Qsim({"diff", "a/golden", "b/golden", "--tensors"}).out, HasSubstr("first at"));
  const auto json = nlohmann::json::parse(Qsim({"diff", "a/golden", "b/golden", "--json"}).out);
  EXPECT_EQ(json["contract_differences"].size(), 1U);
  EXPECT_EQ(Qsim({"diff", "a/golden", "a/golden"}).exit_status, 0);
}

TEST_F(NamedArithmetic, DescribePrintsEveryOperation) {
  OnModel({"calibrate", "--scope", "model", "--output", "bundle"});
  const ProcessResult all = Qsim({"describe", "--bundle", "bundle"});
  EXPECT_EQ(all.exit_status, 0) << all.err;
  for (const char* kind : {"gemm(", "matmul(", "requantize(", "softmax(", "layernorm(", "gelu(",
                           "residual_add(", "patchify(", "embed("}) {
    EXPECT_THAT(all.out, HasSubstr(kind));
  }
  const ProcessResult one =
      Qsim({"describe", "--bundle", "bundle", "--tap", "blocks.0.attn_q_out"});
  EXPECT_THAT(one.out, HasSubstr("y = clamp(z + half_up((x M) / 2^S), -128, 127)"));
  EXPECT_THAT(one.out, Not(HasSubstr("blocks.0.attn_k_out =")));
  const ProcessResult unknown =
      Qsim({"describe", "--bundle", "bundle", "--tap", "blocks.0.atn_q_out"});
  EXPECT_EQ(unknown.exit_status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'blocks.0.attn_q_out'?"));
}

TEST_F(NamedArithmetic, ConformExitsByWhatItFound) {
  const auto write = [&](const std::string& name, const std::string& algorithm, std::int64_t y) {
    const fs::path dir = Path(name) / "one";
    fs::create_directories(dir);
    std::ofstream(dir / "case.json")
        << R"({"op": "softmax", "algorithm": ")" << algorithm
        << R"(", "params": {"shift_bits": 0, "levels": 256}, "inputs": {"x": "x.npy"}, "outputs": {"y": "y.npy"}})";
    WriteNpy(dir / "x.npy", IntTensor({1, 1}, std::vector<std::int8_t>{5}));
    WriteNpy(dir / "y.npy", IntTensor({1, 1}, std::vector<std::int64_t>{y}));
  };
  write("right", "ita", 255);
  write("wrong", "ita", 254);
  write("unknown", "nobody", 255);
  EXPECT_EQ(Qsim({"conform", "right"}).exit_status, 0);
  const ProcessResult wrong = Qsim({"conform", "wrong"});
  EXPECT_EQ(wrong.exit_status, 1);
  EXPECT_THAT(wrong.out, HasSubstr("softmax/ita/one y[0, 0]: 255, expected 254"));
  EXPECT_EQ(Qsim({"conform", "unknown"}).exit_status, 1);
  // Allowed, but nothing was compared.
  EXPECT_EQ(Qsim({"conform", "unknown", "--allow-unsupported"}).exit_status, 1);
  EXPECT_EQ(Qsim({"conform", ".", "--only", "softmax/ita"}).exit_status, 1);
  fs::remove_all(Path("wrong"));
  EXPECT_EQ(Qsim({"conform", "."}).exit_status, 1);
  EXPECT_EQ(Qsim({"conform", ".", "--allow-unsupported"}).exit_status, 0);
  EXPECT_EQ(Qsim({"conform", "nowhere"}).exit_status, 2);
  fs::remove(Path("right") / "one" / "y.npy");
  EXPECT_EQ(Qsim({"conform", "."}).exit_status, 2);
}

TEST_F(NamedArithmetic, SelftestAgreesAndRepeats) {
  const ProcessResult one = Qsim({"selftest"});
  EXPECT_EQ(one.exit_status, 0) << one.out;
  EXPECT_THAT(one.out, HasSubstr(", 0 mismatches\ndigest "));
  EXPECT_EQ(Qsim({"selftest"}).out, one.out);
  EXPECT_NE(Qsim({"selftest", "--seed", "7"}).out, one.out);
}

}  // namespace
}  // namespace qsim::testing
