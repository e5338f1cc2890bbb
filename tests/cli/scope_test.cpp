// Scopes block and model, --until and eval, through the real binary on the shipped model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "sim/cosim/rtl_backend.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"
#include "tests/support/second_geometry.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::Lines;
using ::testing::Not;
using testing::ProcessResult;

class Scopes : public ::testing::Test {
 protected:
  static inline const std::vector<std::string> kAll = {"attn_config", "block_config", "mlp_config",
                                                       "model_config"};
  static inline const std::vector<std::string> kBlocks = {"attn_config", "block_config",
                                                          "mlp_config"};

  ProcessResult Qsim(std::vector<std::string> arguments,
                     const std::vector<std::string>& configs = kAll) const {
    for (const std::string& name : configs) {
      arguments.insert(arguments.end(),
                       {"--config", (kSourceDir / "configs" / (name + ".yaml")).string()});
    }
    arguments.insert(arguments.end(), {"--input", (kSourceDir / "vectors").string()});
    return testing::RunQsim(arguments, sandbox_.path());
  }
  nlohmann::json Json(const std::vector<std::string>& arguments,
                      const std::vector<std::string>& configs = kAll) const {
    const ProcessResult result = Qsim(arguments, configs);
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  static const char* Rtl() { return cosim::BuiltWithRtl() ? "on" : "off"; }

  testing::TempDir sandbox_;
};

TEST_F(Scopes, ModelChainsPixelsToLogitsAndTheRtlAgrees) {
  const nlohmann::json report =
      Json({"run", "--scope", "model", "--images", "2", "--rtl", Rtl(), "--json"});
  std::map<std::string, nlohmann::json> taps;
  for (const auto& tap : report["taps"]) taps[tap["name"]] = tap;
  EXPECT_EQ(taps.at("image")["shape"], (std::vector<int>{2, 1, 8, 8}));
  EXPECT_EQ(taps.at("logits")["shape"], (std::vector<int>{2, 1, 10}));
  EXPECT_FALSE(taps.contains("blocks.0.input"));
  int compared = 0;
  for (const auto& [name, tap] : taps) {
    if (name == "image" || name == "patches") continue;
    EXPECT_GT(tap["qsnr_db"].get<double>(), 24) << name;
    if (cosim::BuiltWithRtl()) {
      EXPECT_EQ(tap["mismatches"], 0) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 2 + 4 * 18 + 3);
}

// What the integers lose beyond what their bits cost: the project's own limit is 2 dB.
TEST_F(Scopes, EveryTapOfABlockIsWithinTwoDecibelsOfIdealFakeQuantization) {
  const nlohmann::json report =
      Json({"run", "--scope", "block", "--images", "16", "--rtl", "off", "--json"}, kBlocks);
  int compared = 0;
  for (const auto& tap : report["taps"]) {
    if (!tap["ideal_qsnr_db"].is_number()) continue;
    EXPECT_GT(tap["qsnr_db"].get<double>(), tap["ideal_qsnr_db"].get<double>() - 2) << tap["name"];
    ++compared;
  }
  EXPECT_EQ(compared, 4 * 19);
}

TEST_F(Scopes, ABlockIsASubsequenceOfTheModel) {
  ASSERT_EQ(Qsim({"calibrate", "--output", "model"}).exit_status, 0);
  ASSERT_EQ(Qsim({"calibrate", "--output", "block"}, kBlocks).exit_status, 0);
  ASSERT_EQ(Qsim({"calibrate", "--output", "attention"}, {"attn_config"}).exit_status, 0);
  for (const char* array : {"blocks.1.attn_qkv.weight.npy", "blocks.2.intSoft.x0.npy",
                            "blocks.1.attn_q_out.multiplier.npy", "blocks.3.attn_proj.bias.npy"}) {
    for (const char* scope : {"block", "attention"}) {
      const fs::path a = sandbox_.path() / "model" / "arrays" / array;
      const fs::path b = sandbox_.path() / scope / "arrays" / array;
      if (!fs::exists(a) && !fs::exists(b)) continue;  // a single entry is inline
      EXPECT_EQ(testing::ReadBytes(a), testing::ReadBytes(b)) << array << " in scope " << scope;
    }
  }
}

TEST_F(Scopes, TheResidualStreamMayBeEightBitsWide) {
  const nlohmann::json report =
      Json({"run", "--scope", "block", "--images", "2", "--rtl", Rtl(), "--json", "--set",
            "residual1={bit_type: {bits: 8, name: int8}}", "--set",
            "residual2={bit_type: {bits: 8, name: int8}}", "--set",
            "embed={bit_type: {bits: 8, name: int8}}"},
           kBlocks);
  for (const auto& tap : report["taps"]) {
    const std::string name = tap["name"];
    if (name.ends_with("residual1") || name.ends_with("residual2")) {
      EXPECT_EQ(tap["dtype"], "int8") << name;
    }
    if (cosim::BuiltWithRtl()) {
      EXPECT_EQ(tap["mismatches"], 0) << name;
    }
  }
}

TEST_F(Scopes, UntilCutsTheProgramBehindATap) {
  const nlohmann::json report = Json({"run", "--scope", "model", "--until", "blocks.0.attn_v_out",
                                      "--images", "1", "--rtl", "off", "--json"});
  EXPECT_EQ(report["taps"].back()["name"], "blocks.0.attn_v_out");
  EXPECT_EQ(report["taps"].front()["name"], "image");
  // Where blocks are not chained, the later ones' inputs go with them.
  const nlohmann::json blocks =
      Json({"run", "--until", "blocks.1.attn_proj", "--images", "1", "--rtl", "off", "--json"},
           {"attn_config"});
  EXPECT_EQ(blocks["taps"].back()["name"], "blocks.1.attn_proj");
  for (const auto& tap : blocks["taps"]) EXPECT_NE(tap["name"], "blocks.2.input");
}

TEST_F(Scopes, UnknownScopesAndTapsNameTheNearest) {
  const ProcessResult scope = Qsim({"run", "--scope", "modle"});
  EXPECT_EQ(scope.exit_status, 2);
  EXPECT_THAT(scope.err, AllOf(HasSubstr("modle"), HasSubstr("'model'")));
  const ProcessResult tap =
      Qsim({"run", "--rtl", "off", "--until", "blocks.0.attn_v_oot", "--output", "out"}, kBlocks);
  EXPECT_EQ(tap.exit_status, 2);
  EXPECT_THAT(tap.err, AllOf(HasSubstr("blocks.0.attn_v_oot"), HasSubstr("'blocks.0.attn_v_out'")));
  EXPECT_FALSE(fs::exists(sandbox_.path() / "out"));
  EXPECT_EQ(Qsim({"run", "--scope", "model", "--blocks", "1"}).exit_status, 2);
}

// Without --scope, whatever has a section of its own is in the program.
TEST_F(Scopes, TheScopeIsTheSmallestThatCoversTheConfiguration) {
  const auto scope = [&](const std::vector<std::string>& configs,
                         std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"run", "--images", "1", "--rtl", "off", "--json"});
    return Json(more, configs)["scope"].get<std::string>();
  };
  EXPECT_EQ(scope({"attn_config"}), "attention");
  EXPECT_EQ(scope({"global_config"}), "attention");
  EXPECT_EQ(scope({"block_config"}), "block");
  EXPECT_EQ(scope({"mlp_config"}), "block");
  EXPECT_EQ(scope({"model_config"}), "model");
  EXPECT_EQ(scope({"w8a8-per_channel"}), "model");
  EXPECT_EQ(scope({"attn_config"}, {"--set", "mlp_gelu.bit_type.bits=6"}), "block");
  // Some blocks cannot be chained: what lies outside them is left out on purpose, and noted.
  const nlohmann::json some =
      Json({"run", "--images", "1", "--rtl", "off", "--json", "--blocks", "1"}, kAll);
  EXPECT_EQ(some["scope"], "block");
  EXPECT_THAT(some["notes"].dump(),
              HasSubstr("leaves out: patch_embed.weight (model_config.yaml:"));
}

// Token embeddings without a head: nothing before the blocks, and nothing behind them.
TEST_F(Scopes, SectionsOfLayersThatANetworkLacksAreNoted) {
  const fs::path tokens = sandbox_.path() / "tokens";
  fs::create_directory(tokens);
  SecondGeometryOptions options;
  options.inputs = SecondGeometryOptions::Inputs::kTokenFile;
  options.depth = 1;
  SecondGeometry::Write(tokens, options);
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"run", "--images", "1", "--rtl", "off", "--input", "tokens"};
    for (const std::string& name : kAll)
      words.insert(words.end(), {"--config", (kSourceDir / "configs" / (name + ".yaml")).string()});
    words.insert(words.end(), more.begin(), more.end());
    return testing::RunQsim(words, sandbox_.path());
  };
  const ProcessResult model = run({"--scope", "model", "--json"});
  ASSERT_EQ(model.exit_status, 0) << model.err;
  constexpr const char* kNote =
      "without effect, since this network has no such layers: patch_embed.weight "
      "(model_config.yaml:4), norm (model_config.yaml:22), head.weight (model_config.yaml:32)";
  EXPECT_THAT(model.err, HasSubstr(kNote));
  EXPECT_THAT(nlohmann::json::parse(model.out)["notes"].dump(), HasSubstr(kNote));
  const ProcessResult attention = run({"--scope", "attention"});
  EXPECT_EQ(attention.exit_status, 2);
  EXPECT_THAT(attention.err, AllOf(HasSubstr("norm2 (block_config.yaml:12)"),
                                   HasSubstr("use --scope block"), Not(HasSubstr("head"))));
  EXPECT_THAT(run({"--until", "embed"}).err,
              HasSubstr("'embed' is what this program begins with, so that nothing of it is "
                        "computed; the first tap behind it is 'blocks.0.norm1'"));
  const ProcessResult other = run({"--until", "patch_embed"});
  EXPECT_THAT(other.err, HasSubstr("valid here: blocks.0.norm1, blocks.0.attn_qkv, "));
  EXPECT_THAT(other.err, HasSubstr(" more\n"));
  EXPECT_LT(other.err.size(), 300u);
}

TEST_F(Scopes, ALayerThatAScopeHidesIsAnErrorThatNamesThemAll) {
  const ProcessResult attention = Qsim({"calibrate", "--scope", "attention", "--output", "a"});
  EXPECT_EQ(attention.exit_status, 2);
  EXPECT_EQ(Lines(attention.err).size(), 1u);
  for (const char* layer :
       {"patch_embed.weight (model_config.yaml:4)", "norm (model_config.yaml:", "head.weight",
        "norm2 (block_config.yaml:12)", "mlp_fc1.weight (mlp_config.yaml:", "mlp_fc1.output",
        "mlp_gelu", "mlp_fc2.weight", "mlp_fc2.output", "use --scope model"}) {
    EXPECT_THAT(attention.err, HasSubstr(layer));
  }
  const ProcessResult block = Qsim({"run", "--scope", "block"});
  EXPECT_EQ(block.exit_status, 2);
  EXPECT_THAT(block.err, AllOf(HasSubstr("head.weight"), Not(HasSubstr("mlp_gelu"))));
  EXPECT_EQ(Qsim({"run", "--scope", "block", "--blocks", "0", "--rtl", "off"}).exit_status, 0);
}

TEST_F(Scopes, ABundleWithoutTheLayersOfAScopeIsAnErrorThatNamesThemAll) {
  ASSERT_EQ(Qsim({"calibrate", "--output", "b"}, {"attn_config"}).exit_status, 0);
  const auto run = [&](const char* scope) {
    return testing::RunQsim({"run", "--bundle", "b", "--rtl", "off", "--scope", scope},
                            sandbox_.path());
  };
  EXPECT_EQ(run("attention").exit_status, 0);
  const ProcessResult block = run("block");
  EXPECT_EQ(block.exit_status, 2);
  EXPECT_THAT(block.err,
              HasSubstr("b: --scope block: the bundle has no norm2, mlp_fc1, mlp_gelu, mlp_fc2, "
                        "residual2 of blocks 0, 1, 2, 3; calibrate it with --scope block"));
  EXPECT_THAT(run("model").err, HasSubstr("of blocks 0, 1, 2, 3; patch_embed, embed, norm, head"));
  EXPECT_THAT(testing::RunQsim({"export", "--bundle", "b", "--format", "csv", "--scope", "block"},
                               sandbox_.path())
                  .err,
              HasSubstr("mlp_gelu"));
}

// A network may end in its features: then the bundle has all that there is.
TEST_F(Scopes, ANetworkWithoutAHeadHasAScopeModel) {
  const fs::path vectors = sandbox_.path() / "vectors";
  fs::copy(kSourceDir / "vectors", vectors);
  testing::WriteBytes(vectors / "manifest.yaml", testing::ReadBytes(vectors / "manifest.yaml") +
                                                     "\nignore_tensors: ['head.*']\n");
  const std::string configs = (kSourceDir / "configs" / "pretrained.yaml").string();
  const auto run = [&](const std::vector<std::string>& arguments) {
    return testing::RunQsim(arguments, sandbox_.path());
  };
  const ProcessResult made = run({"calibrate", "--scope", "model", "--config", configs, "--input",
                                  "vectors", "--output", "b"});
  ASSERT_EQ(made.exit_status, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("note: no head: the network ends in features, 'norm'"));
  const ProcessResult model =
      run({"run", "--bundle", "b", "--scope", "model", "--rtl", "off", "--images", "1"});
  EXPECT_EQ(model.exit_status, 0) << model.err;
  EXPECT_THAT(model.out, HasSubstr("norm"));
}

TEST_F(Scopes, TheResidualWidthIsASettingOfItsOwn) {
  const auto widths = [&](std::vector<std::string> settings) {
    std::vector<std::string> command = {"run", "--images", "1", "--rtl", Rtl(), "--json"};
    for (std::string& setting : settings) command.insert(command.end(), {"--set", setting});
    const nlohmann::json report = Json(command);
    std::map<std::string, std::string> dtypes;
    for (const auto& tap : report["taps"]) {
      dtypes[tap["name"]] = tap["dtype"];
      if (cosim::BuiltWithRtl()) {
        EXPECT_EQ(tap["mismatches"], 0) << tap["name"];
      }
    }
    return std::pair(dtypes, report["notes"].dump());
  };
  const auto [narrow, notes] = widths({"hardware.residual_bits=8"});
  for (const char* name : {"embed", "blocks.0.residual1", "blocks.3.residual2"}) {
    EXPECT_EQ(narrow.at(name), "int8") << name;
  }
  EXPECT_EQ(narrow.at("logits"), "int16");
  EXPECT_THAT(notes, AllOf(HasSubstr("overrules the 16 bits of embed (model_config.yaml:"),
                           HasSubstr("overrules the 16 bits of residual1 (block_config.yaml:"),
                           HasSubstr("overrules the 16 bits of residual2 (block_config.yaml:")));
  const auto [mixed, said] = widths({"blocks.1.hardware.residual_bits=8"});
  EXPECT_EQ(mixed.at("blocks.0.residual2"), "int16");
  EXPECT_EQ(mixed.at("blocks.1.residual1"), "int8");
  EXPECT_EQ(mixed.at("blocks.1.residual2"), "int8");
  EXPECT_EQ(mixed.at("blocks.2.residual1"), "int16");
  EXPECT_THAT(said, HasSubstr("blocks.1.residual1"));
}

TEST_F(Scopes, EvalLosesNoMoreThanAFewImages) {
  const nlohmann::json result = Json({"eval", "--json"});
  EXPECT_EQ(result["images"], 500);
  EXPECT_EQ(result["float"]["top1"], 489);  // 97.8 %
  EXPECT_GE(result["integer"]["top1"].get<int>(), 487);
  EXPECT_GE(result["same_class_as_float"].get<int>(), 495);
  EXPECT_EQ(result["changed"].size(), 500 - result["same_class_as_float"].get<std::size_t>());
}

TEST_F(Scopes, EvalComparesFeaturesWithAndWithoutLabels) {
  const nlohmann::json labelled = Json({"eval", "--json", "--images", "20"});
  const nlohmann::json& features = labelled["features"];
  ASSERT_EQ(features.size(), 2u);
  EXPECT_EQ(features[0]["tensor"], "logits");
  EXPECT_EQ(features[1]["tensor"], "norm");
  EXPECT_EQ(features[1]["rows"], "each token");
  for (const nlohmann::json& row : features) {
    const nlohmann::json& integer = row["integer"];
    for (const char* figure : {"qsnr_db", "cosine", "nearest_as_in_float"}) {
      const double value = integer[figure]["value"];
      EXPECT_LE(integer[figure]["interval95"][0].get<double>(), value) << row;
      EXPECT_GE(integer[figure]["interval95"][1].get<double>(), value) << row;
    }
    EXPECT_GT(integer["qsnr_db"]["value"], 25) << row;
    EXPECT_GT(integer["cosine"]["value"], 0.997) << row;
    EXPECT_GT(integer["nearest_as_in_float"]["value"], 0.8) << row;
    EXPECT_NE(row["ideal"], integer);
  }
  // The same images without labels: the same features, and nothing that needs a label.
  const fs::path vectors = sandbox_.path() / "vectors";
  fs::copy(kSourceDir / "vectors", vectors);
  std::string manifest = testing::ReadBytes(vectors / "manifest.yaml");
  const std::size_t labels = manifest.rfind("  labels:");
  ASSERT_NE(labels, std::string::npos);
  manifest.erase(labels, manifest.find('\n', labels) - labels);
  testing::WriteBytes(vectors / "manifest.yaml", manifest);
  const auto unlabelled = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"eval", "--images", "20", "--input", vectors.string()};
    for (const std::string& name : kAll)
      arguments.push_back("--config=" + (kSourceDir / "configs" / (name + ".yaml")).string());
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = testing::RunQsim(arguments, sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return result.out;
  };
  const nlohmann::json bare = nlohmann::json::parse(unlabelled({"--json"}));
  EXPECT_EQ(bare["features"], features);
  EXPECT_EQ(bare["same_class_as_float"], labelled["same_class_as_float"]);
  EXPECT_FALSE(bare.contains("integer"));
  const std::string text = unlabelled({});
  EXPECT_THAT(text, AllOf(HasSubstr("logits, class token\n"), HasSubstr("norm, each token\n"),
                          Not(HasSubstr("top-1"))));
  for (const std::string& line : testing::Lines(text)) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(Scopes, EvalIsTheSameForEveryBatchAndThreadCountAndWhenResumed) {
  const nlohmann::json whole = Json({"eval", "--json", "--images", "60"});
  EXPECT_EQ(Json({"eval", "--json", "--images", "60", "--batch", "7", "--threads", "1"}), whole);
  Json({"eval", "--json", "--images", "25", "--state", "state"});
  EXPECT_EQ(Json({"eval", "--json", "--images", "60", "--state", "state"}), whole);
  // A line cut short by an interruption is done again.
  const fs::path state = sandbox_.path() / "state";
  const std::string bytes = testing::ReadBytes(state);
  testing::WriteBytes(state, bytes.substr(0, bytes.size() - 9));
  EXPECT_EQ(Json({"eval", "--json", "--images", "60", "--state", "state"}), whole);
  const ProcessResult other =
      Qsim({"eval", "--images", "5", "--state", "state", "--set", "numerics.rounding=floor"});
  EXPECT_EQ(other.exit_status, 2);
  EXPECT_THAT(other.err, HasSubstr("state"));
}

// By contents and not by names, whatever a verdict depends on.
TEST_F(Scopes, AStateIsRefusedAfterEveryChangeOfContents) {
  const fs::path vectors = sandbox_.path() / "vectors", digit = sandbox_.path() / "data" / "0";
  fs::copy(kSourceDir / "vectors", vectors);
  fs::create_directories(digit);
  fs::copy(kSourceDir / "tests" / "io" / "data" / "decode" / "gray8.png", digit / "b.png");
  const auto eval = [&](std::vector<std::string> more) {
    const std::string config = (kSourceDir / "configs" / "attn_config.yaml").string();
    more.insert(more.begin(), {"eval", "--config", config, "--input", "vectors", "--images", "1"});
    return testing::RunQsim(more, sandbox_.path());
  };
  const auto refused = [&](const std::vector<std::string>& words, const std::string& parts) {
    const ProcessResult result = eval(words);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_THAT(result.err, HasSubstr("state: is of another run, with other " + parts + ";"));
    EXPECT_EQ(result.out, "");
  };
  const std::vector<std::string> plain = {"--state", "state"};
  const std::vector<std::string> files = {"--data", "data", "--state", "files.state"};
  ASSERT_EQ(eval(plain).exit_status, 0);
  ASSERT_EQ(eval(files).exit_status, 0);
  refused({"--state", "state", "--inject", "scale_mismatch"}, "inject, program");
  refused({"--state", "state", "--set", "numerics.rounding=floor"}, "program");
  refused({"--state", "files.state"}, "images, labels");

  fs::rename(vectors, sandbox_.path() / "moved");
  fs::rename(sandbox_.path() / "moved", vectors);
  fs::rename(digit / "b.png", digit / "c.png");
  EXPECT_EQ(eval(files).exit_status, 0);  // a name is no content
  fs::copy(kSourceDir / "tests" / "io" / "data" / "decode" / "gray8.png", digit / "a.png");
  refused(files, "images, labels");
  // One pixel of an image, one byte of the weights, one label.
  const auto flip = [&](const std::string& file, std::size_t from_end) {
    const std::string bytes = testing::ReadBytes(vectors / file);
    std::string changed = bytes;
    changed[changed.size() - from_end] ^= 1;
    testing::WriteBytes(vectors / file, changed);
    return bytes;
  };
  const auto with_flipped = [&](const std::string& file, std::size_t from_end,
                                const std::string& parts) {
    const std::string bytes = flip(file, from_end);
    refused(plain, parts);
    testing::WriteBytes(vectors / file, bytes);
  };
  with_flipped("eval_images.npy", 1, "images");
  with_flipped("eval_labels.npy", 8, "labels");
  with_flipped("model.safetensors", 4, "weights, program");
  EXPECT_EQ(eval(plain).exit_status, 0);
}

TEST_F(Scopes, ImagesAreResizedAsTheFilesBesideTheWeightsSay) {
  const fs::path vectors = sandbox_.path() / "vectors", digit = sandbox_.path() / "data" / "0";
  fs::copy(kSourceDir / "vectors", vectors);
  fs::create_directories(digit);
  fs::copy(kSourceDir / "tests" / "io" / "data" / "decode" / "gray8.png", digit / "a.png");
  testing::WriteBytes(vectors / "preprocessor_config.json",
                      R"({"size": {"shortest_edge": 10}, "crop_size": 8, "resample": 2})");
  const auto eval = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {
        "eval",    "--json",  "--data",   "data",
        "--input", "vectors", "--config", (kSourceDir / "configs" / "pretrained.yaml").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProcessResult result = testing::RunQsim(arguments, sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return result;
  };
  const ProcessResult stated = eval({});
  EXPECT_THAT(stated.err, AllOf(HasSubstr("note: the shorter side of images is resized to 10, and "
                                          "8 x 8 are cropped (bilinear), as"),
                                HasSubstr("preprocessor_config.json says")));
  // One that is asked for wins, in silence.
  const ProcessResult asked = eval({"--crop-pct", "0.5"});
  EXPECT_THAT(asked.err, Not(HasSubstr("shorter side")));
  EXPECT_NE(asked.out, stated.out);
}

TEST_F(Scopes, EvalNamesAnImageThatCannotBeReadAndEvaluatesTheOthers) {
  const fs::path digit = sandbox_.path() / "data" / "0";
  fs::create_directories(digit);
  testing::WriteBytes(digit / "broken.png", "not a picture");
  const ProcessResult none = Qsim({"eval", "--data", "data"});
  EXPECT_EQ(none.exit_status, 2);
  EXPECT_EQ(testing::Lines(none.err).size(), 1u) << none.err;
  EXPECT_THAT(none.err, HasSubstr("; none of the images could be read"));
  fs::copy(kSourceDir / "tests" / "io" / "data" / "decode" / "gray8.png", digit / "good.png");
  const ProcessResult result = Qsim({"eval", "--data", "data", "--json"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, HasSubstr("broken.png"));
  EXPECT_EQ(nlohmann::json::parse(result.out)["images"], 1);
}

TEST_F(Scopes, EvalRejectsMoreClassFoldersThanClasses) {
  for (int label = 0; label < 11; ++label) {
    const fs::path folder = sandbox_.path() / "many" / ("class" + std::to_string(label));
    fs::create_directories(folder);
    fs::copy(kSourceDir / "tests" / "io" / "data" / "decode" / "gray8.png", folder / "image.png");
  }
  const ProcessResult result = Qsim({"eval", "--data", "many"});
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("11"), HasSubstr("10")));
}

}  // namespace
}  // namespace qsim::testing
