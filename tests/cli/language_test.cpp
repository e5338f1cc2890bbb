// Language models on the command line: sequences of tokens from files to taps, bundles and bits per
// token.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "golden/program/queries.h"
#include "sim/bundle/bundle.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class Language : public ::testing::TestWithParam<const char*> {
 protected:
  ProcessResult Qsim(std::vector<std::string> arguments, bool model = true) const {
    if (model) {
      const fs::path config = kSourceDir / "configs" / "lm_w8a8.yaml";
      for (const std::string& word :
           {std::string("--config"), config.string(), std::string("--input"), input_.string()})
        arguments.push_back(word);
    }
    return RunQsim(arguments, dir_.path());
  }
  json Json(const std::vector<std::string>& arguments) const {
    const ProcessResult result = Qsim(arguments);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return json::parse(result.out);
  }
  fs::path At(const std::string& name) const { return dir_.path() / name; }

  TempDir dir_;
  fs::path input_ = kSourceDir / "vectors" / GetParam();
};

TEST_P(Language, EveryCutWritesTheSameFiles) {
  std::map<std::string, std::string> first;
  for (const std::string chunk : {"257", "1", "16", "3,200"}) {
    const ProcessResult result = Qsim({"run", "--rtl", "off", "--images", "2", "--tokens", "41",
                                       "--chunk", chunk, "--output", "out"});
    ASSERT_EQ(result.exit_status, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("running 2 sequences"));
    std::map<std::string, std::string> files = FilesOf(At("out") / "golden");
    files.merge(FilesOf(At("out") / "float"));
    EXPECT_GT(files.size(), 60U);
    if (first.empty()) first = files;
    EXPECT_EQ(files, first) << chunk;
    for (const auto& [name, bytes] : files) EXPECT_EQ(name.find("past"), std::string::npos) << name;
    const json report = json::parse(ReadBytes(At("out") / "report.json"));
    EXPECT_EQ(report["lengths"], json({41, 41}));
    for (const json& tap : report["taps"]) {
      EXPECT_TRUE(tap["qsnr_db"] == "inf" || tap["qsnr_db"] > 10) << tap["name"];
      EXPECT_TRUE(tap["shape"][1] == 41 || tap["shape"].size() >= 3) << tap["name"];
    }
  }
}

TEST_P(Language, TheRtlComputesTheSame) {
  const json report = Json({"run", "--images", "1", "--tokens", "20", "--chunk", "8", "--json"});
  if (!report["rtl"]) GTEST_SKIP();
  EXPECT_EQ(report["total_mismatches"], 0);
  EXPECT_GT(report["cycles"].size(), 20U);
}

TEST_P(Language, ASweepRanksByBitsPerToken) {
  WriteBytes(At("space.yaml"), "axes:\n  - {key: numerics.recurrence_chunk, values: [0, 16]}\n");
  const json sweep = Json({"sweep", "--space", "space.yaml", "--images", "2", "--tokens", "33",
                           "--threads", "2", "--output", "out", "--json"});
  EXPECT_EQ(sweep["objective"], "bits_per_token");
  const json eval = Json({"eval", "--images", "2", "--tokens", "32", "--json"});
  EXPECT_EQ(sweep["float_bits_per_token"], eval["bits_per_token"]["float"]);
  EXPECT_EQ(sweep["points"][0]["bits_per_token"], eval["bits_per_token"]["integer"]);
  EXPECT_EQ(sweep["points"][1]["bits_per_token"], eval["bits_per_token"]["integer"]);
  EXPECT_THAT(ReadBytes(At("out") / "best.yaml"), HasSubstr("bits per token.\n"));
}

TEST_P(Language, AFileThatCannotBeReadCostsNoOther) {
  fs::copy(input_, At("model"), fs::copy_options::recursive);
  input_ = At("model");
  const std::vector<std::string> words = {"eval", "--only", "float", "--tokens", "20", "--json"};
  const json all = Json(words);
  WriteNpy(input_ / "eval" / "zzz.npy", IntTensor({1}, std::vector<std::int32_t>{3}));
  const ProcessResult result = Qsim(words);
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("zzz.npy: has one token, and nothing to predict"));
  EXPECT_EQ(json::parse(result.out), all);
}

TEST_P(Language, FloatPredictsAsTheModelsAuthorsMeasured) {
  const auto shared = SharedDir();
  if (!shared) GTEST_SKIP() << "no ../shared beside the source tree and no QSIM_SHARED_DIR";
  input_ = *shared / "data" / GetParam();
  // Their README: bits per character of the first 256 tokens of each of the 48 files.
  const double expected = std::string(GetParam()) == "gla" ? 1.425 : 1.403;
  const json result = Json({"eval", "--only", "float", "--tokens", "256", "--json"});
  EXPECT_EQ(result["sequences"], 48);
  EXPECT_EQ(result["tokens"], 48 * 256);
  EXPECT_NEAR(result["bits_per_token"]["float"].get<double>(), expected, 0.0006);
  EXPECT_EQ(result["bits_per_token"].size(), 1U);
}

TEST_P(Language, EvalComparesTheThreeAndResumes) {
  const std::vector<std::string> some = {"eval", "--images", "4", "--tokens", "96", "--json"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), some.begin(), some.end());
    return more;
  };
  const json whole = Json(with({"--threads", "1"}));
  EXPECT_EQ(whole["tokens"], 4 * 96);
  for (const char* executor : {"float", "ideal", "integer"}) {
    EXPECT_GT(whole["bits_per_token"][executor], 0.8);
    EXPECT_LT(whole["bits_per_token"][executor], 2);
  }
  EXPECT_LT(whole["differences"]["integer_float"]["percent"]["value"], 3);
  ASSERT_EQ(Qsim({"eval", "--images", "2", "--tokens", "96", "--state", "state"}).exit_status, 0);
  EXPECT_EQ(Json(with({"--state", "state"})), whole);
  EXPECT_EQ(Json(with({"--state", "state"})), whole);
  // Of other tokens it is another state.
  const ProcessResult other = Qsim({"eval", "--images", "2", "--tokens", "95", "--state", "state"});
  EXPECT_EQ(other.exit_status, 2);
  EXPECT_THAT(other.err, HasSubstr("state"));
  EXPECT_EQ(Json(with({"--only", "integer"}))["bits_per_token"]["integer"],
            whole["bits_per_token"]["integer"]);
}

TEST_P(Language, ABundleHasItsOwnNameAndSequences) {
  ASSERT_EQ(Qsim({"calibrate", "--images", "3", "--tokens", "30"}).exit_status, 0);
  const std::string name = std::string("qsim-") + GetParam() + "-char-w8a8-per_channel";
  ASSERT_TRUE(fs::exists(At(name))) << name;
  const ProcessResult run =
      Qsim({"run", "--bundle", name, "--rtl", "off", "--output", "out"}, false);
  EXPECT_EQ(run.exit_status, 0) << run.err;
  ASSERT_EQ(
      Qsim({"run", "--rtl", "off", "--images", "3", "--tokens", "30", "--output", "from_config"})
          .exit_status,
      0);
  EXPECT_EQ(FilesOf(At("out") / "golden"), FilesOf(At("from_config") / "golden"));
  const ProcessResult eval = Qsim({"eval", "--bundle", name, "--input", input_.string(), "--images",
                                   "2", "--tokens", "40", "--json"},
                                  false);
  EXPECT_EQ(eval.exit_status, 0) << eval.err;
  EXPECT_EQ(json::parse(eval.out), Json({"eval", "--images", "2", "--tokens", "40", "--json"}));
  for (const char* format : {"json", "csv", "svh", "c", "grids"}) {
    EXPECT_EQ(Qsim({"export", "--bundle", name, "--format", format, "--output", "table"}, false)
                  .exit_status,
              0);
  }
  const std::string text = Qsim({"describe", "--bundle", name}, false).out;
  EXPECT_THAT(text, HasSubstr("recurrence_state("));
  EXPECT_THAT(text, HasSubstr("of the piece before; in the first, 0"));
}

TEST_P(Language, MemoryDoesNotGrowWithTheLength) {
  const auto peak = [&](const char* tokens) {
    const ProcessResult result = Qsim({"run", "--rtl", "off", "--images", "1", "--tokens", tokens,
                                       "--chunk", "64", "--taps", "none", "--output", "out"});
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return static_cast<double>(result.peak_kilobytes) / 1024;
  };
  // Every tensor of 1000 tokens together would be more than 50 MB.
  EXPECT_LT(peak("1000"), peak("128") + 10);
  EXPECT_FALSE(fs::exists(At("out") / "golden"));
}

TEST_P(Language, OneLineSaysWhatIsWrong) {
  const auto error = [&](const std::vector<std::string>& arguments) {
    const ProcessResult result = Qsim(arguments);
    EXPECT_EQ(result.exit_status, 2);
    return result.err;
  };
  EXPECT_THAT(error({"run", "--images", "99"}), HasSubstr("has 4 evaluation inputs"));
  const ProcessResult shorter =
      Qsim({"eval", "--tokens", "4000", "--only", "float", "--images", "1"});
  EXPECT_EQ(shorter.exit_status, 0);
  EXPECT_THAT(shorter.err, HasSubstr("the shortest file has 1025 tokens"));
  EXPECT_THAT(error({"run", "--chunk", "4,x"}), HasSubstr("--chunk: 'x' is no number of tokens"));
  EXPECT_THAT(error({"run", "--scope", "block"}), HasSubstr("this model runs as a whole"));
  EXPECT_THAT(error({"eval", "--data", "."}), HasSubstr("reads tokens, not images"));
  EXPECT_THAT(error({"run", "--min-length", "999"}),
              HasSubstr("none of the 32 calibration inputs is used"));
}

// Faults as hand-made bundles have them; the operation at fault is named first.
class LanguageFault : public Language {
 protected:
  std::string CulpritOf(const std::function<void(Bundle&)>& plant) const {
    EXPECT_EQ(Qsim({"calibrate", "--images", "1", "--tokens", "40", "--output", "b"}).exit_status,
              0);
    Bundle bundle = LoadBundle(At("b"));
    plant(bundle);
    OutputDirectory output(At("b"));
    SaveBundle(bundle, output);
    const ProcessResult result = Qsim({"diagnose", "--bundle", "b", "--input", input_.string(),
                                       "--images", "2", "--tokens", "64", "--json"},
                                      false);
    EXPECT_LT(result.exit_status, 2) << result.err;
    const json findings = json::parse(result.out)["findings"];
    return findings.empty() ? "" : findings[0]["tensor"].get<std::string>();
  }
  template <typename T>
  static T& OpOf(Bundle& bundle, const std::string& output) {
    return std::get<T>(*ProducerOf(bundle.program, output));
  }
};

TEST_P(LanguageFault, IsNamedFirst) {
  if (std::string(GetParam()) == "gla") {
    // A state whose steps are 64 times finer leaves its width.
    EXPECT_EQ(CulpritOf([](Bundle& b) {
                auto& state = OpOf<RecurrenceStateOp>(b, "layers.1.attn.state");
                auto& readout = OpOf<RecurrenceOp>(b, "layers.1.attn.recurrence");
                for (Multiplier& m : state.update.update) m.shift -= 6;
                for (Multiplier& m : readout.update.update) m.shift -= 6;
                for (Multiplier& m : readout.readout) m.shift += 6;
                for (const char* name : {"layers.1.attn.state", "layers.1.attn.past"})
                  for (double& s : b.scales.at(name).scale) s /= 64;
              }),
              "layers.1.attn.state");
    // Heads of the keys in another order.
    EXPECT_EQ(CulpritOf([](Bundle& b) {
                auto& weight =
                    b.program.constants.at("layers.1.attn.k_proj.weight").As<std::int8_t>();
                std::rotate(weight.begin(), weight.begin() + std::ssize(weight) / 4, weight.end());
              }),
              "layers.1.attn.k_proj");
    return;
  }
  // What another sequence left in the convolution.
  EXPECT_EQ(
      CulpritOf([](Bundle& b) {
        IntTensor& past = b.program.constants.at("layers.1.mixer.conv_past.initial");
        for (std::int64_t i = 0; i < past.size(); ++i) {
          std::visit(
              [&](auto& codes) {
                codes[static_cast<std::size_t>(i)] =
                    static_cast<typename std::decay_t<decltype(codes)>::value_type>(i * 37 % 120);
              },
              past.storage());
        }
      }),
      "layers.1.mixer.conv_past");
  // D is dropped.
  EXPECT_EQ(CulpritOf([](Bundle& b) {
              const std::string factor = OpOf<MultiplyOp>(b, "layers.1.mixer.skip.acc").factor;
              auto& d = b.program.constants.at(factor).As<std::int16_t>();
              std::fill(d.begin(), d.end(), std::int16_t{0});
            }),
            "layers.1.mixer.skip.acc");
}

INSTANTIATE_TEST_SUITE_P(Models, LanguageFault, ::testing::Values("gla", "mamba2"));
INSTANTIATE_TEST_SUITE_P(Models, Language, ::testing::Values("gla", "mamba2"));

}  // namespace
}  // namespace qsim::testing
