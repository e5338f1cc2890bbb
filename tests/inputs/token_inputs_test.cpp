// Inputs of a language model: files of token ids, and the config.json that says what reads them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/inputs/configuration_file.h"
#include "sim/inputs/input_reader.h"
#include "sim/io/tensors/npy.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TokenInputsTest : public ::testing::Test {
 protected:
  TokenInputsTest() {
    for (const char* name : {"calib", "eval"}) fs::create_directories(dir_.path() / name);
    WriteIds("calib/b.npy", {5, 0, 63});
    WriteIds("calib/a.npy", {1, 2, 3, 4, 5, 6});
    WriteIds("calib/c.npy", {9, 8, 7});
    WriteIds("eval/0.npy", {1, 1, 2, 3});
    WriteBytes(dir_.path() / "calib" / "README", "not an input");
    WriteBytes(dir_.path() / "config.json", R"({"model_type": "gla", "hidden_size": 7})");
    WriteBytes(dir_.path() / "model.safetensors", "weights are read by others");
  }
  template <typename T = std::uint16_t>
  void WriteIds(const std::string& file, std::vector<T> ids) {
    const auto count = static_cast<std::int64_t>(ids.size());
    WriteNpy(dir_.path() / file, IntTensor(Shape{count}, std::move(ids)));
  }
  // As LoadModel leaves it: the network's table has said how many ids there are.
  Manifest Load(const std::string& yaml = "") {
    fs::remove(dir_.path() / "manifest.yaml");
    if (!yaml.empty()) WriteBytes(dir_.path() / "manifest.yaml", yaml);
    Manifest manifest = Manifest::Load(dir_.path());
    manifest.geometry.vocabulary = 64;
    return manifest;
  }
  std::string ErrorFor(const std::string& yaml) {
    return ErrorOf([&] {
      const Manifest manifest = Load(yaml);
      LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
    });
  }
  static std::vector<std::int32_t> Ids(const ModelInputs& inputs, std::int64_t index) {
    return std::get<TokenInputs>(inputs.data).Sequence(index).As<std::int32_t>();
  }

  TempDir dir_;
};

constexpr const char* kManifest =
    "model: model.safetensors\nconfig: config.json\ncalibration: {tokens: calib}\n"
    "evaluation: {tokens: eval}\n";

TEST_F(TokenInputsTest, ADirectoryIsItsFilesByNameOfAnyLength) {
  for (const char* yaml : {kManifest, ""}) {
    const Manifest manifest = Load(yaml);
    EXPECT_EQ(manifest.config, dir_.path() / "config.json");
    EXPECT_EQ(manifest.geometry.dim, std::nullopt);  // it is the family's to read
    const ModelInputs all = LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
    EXPECT_EQ(all.count(), 3);
    EXPECT_THAT(Ids(all, 0), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(Ids(all, 1), ElementsAre(5, 0, 63));
    EXPECT_THAT(Ids(all, 2), ElementsAre(9, 8, 7));
    const InputReader evaluation(manifest, manifest.Evaluation(), InputUse::kEvaluation);
    EXPECT_EQ(evaluation.count(), 1);
    EXPECT_EQ(evaluation.NameOf(0), (dir_.path() / "eval" / "0.npy").string());
  }
}

TEST_F(TokenInputsTest, FilesOfAnyIntegersOneOrAList) {
  WriteIds<std::uint8_t>("u8.npy", {1, 2});
  WriteIds<std::int64_t>("i64.npy", {3, 4, 5});
  const std::string model = "model: model.safetensors\n";
  const auto load = [&](const std::string& tokens) {
    const Manifest manifest = Load(model + "calibration: {tokens: " + tokens + "}\n");
    return LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
  };
  const ModelInputs list = load("[i64.npy, u8.npy]");
  EXPECT_THAT(Ids(list, 0), ElementsAre(3, 4, 5));
  EXPECT_THAT(Ids(list, 1), ElementsAre(1, 2));
  const ModelInputs one = load("i64.npy");
  EXPECT_EQ(one.count(), 1);
  EXPECT_THAT(Ids(one, 0), ElementsAre(3, 4, 5));
  WriteNpy(dir_.path() / "rows.npy", IntTensor(Shape{2, 2}, std::vector<std::int32_t>{1, 2, 3, 4}));
  const ModelInputs rows = load("rows.npy");
  EXPECT_EQ(rows.count(), 2);
  EXPECT_THAT(Ids(rows, 1), ElementsAre(3, 4));
}

TEST_F(TokenInputsTest, ShortSequencesMayBeLeftOut) {
  const Manifest manifest = Load(kManifest);
  const InputReader reader(manifest, manifest.Calibration(), InputUse::kCalibration, 4);
  EXPECT_EQ(reader.count(), 1);
  EXPECT_EQ(Format(reader.lengths().value(), "calibration"),
            "calibration inputs: 1 used, 2 skipped (shorter than 4 tokens); length min 6, mean "
            "6.0, max 6");
  // Runs of one length, for those who want them, and pieces of any.
  const InputReader all(manifest, manifest.Calibration(), InputUse::kCalibration);
  EXPECT_EQ(all.EqualRun(1, 3), 2);
  EXPECT_THAT(Ids(all.Read(1, 2), 1), ElementsAre(9, 8, 7));
}

TEST_F(TokenInputsTest, SaysWhatIsWrongAndWhere) {
  WriteIds<std::uint16_t>("high.npy", {1, 2, 64});
  WriteIds<std::int16_t>("low.npy", {1, -1});
  WriteIds<std::uint8_t>("none.npy", {});
  WriteNpy(dir_.path() / "floats.npy", FloatTensor{{3}, {0, 1, 2}});
  WriteNpy(dir_.path() / "flat.npy", IntTensor(DType::kUint8, {2, 3}));
  WriteNpy(dir_.path() / "cube.npy", IntTensor(DType::kUint8, {2, 3, 4}));
  fs::create_directories(dir_.path() / "empty");
  const auto error = [&](const std::string& tokens) {
    return ErrorFor("model: model.safetensors\ncalibration: {tokens: " + tokens + "}\n");
  };
  EXPECT_THAT(error("[calib/a.npy, high.npy]"),
              HasSubstr("high.npy: token id 64 at [2] is outside 0..63: the model's vocabulary has "
                        "64 tokens"));
  EXPECT_THAT(error("low.npy"), HasSubstr("low.npy: token id -1 at [1] is outside 0..63"));
  EXPECT_THAT(error("[none.npy]"), HasSubstr("none.npy: shape [0]: no tokens"));
  EXPECT_THAT(error("[floats.npy]"),
              HasSubstr("floats.npy: holds floats; the model reads token ids, integers in 0..63"));
  EXPECT_THAT(error("[flat.npy]"),
              HasSubstr("flat.npy: shape [2, 3]; expected [tokens] for each file of ids"));
  EXPECT_THAT(error("cube.npy"), HasSubstr("cube.npy: shape [2, 3, 4]; expected [N, tokens]"));
  EXPECT_THAT(error("empty"), HasSubstr("empty: zero samples: the directory has no .npy files"));
  EXPECT_THAT(error("nowhere"), HasSubstr("nowhere: cannot be opened"));
  EXPECT_THAT(ErrorFor("model: model.safetensors\nmean: 0.5\nstd: 0.5\n"
                       "calibration: {images: calib/a.npy}\n"),
              HasSubstr("a.npy: images, but the model reads token ids: 'tokens' of the section "
                        "'calibration'"));
  // And the other way round.
  Manifest embeddings = Load(kManifest);
  embeddings.geometry.vocabulary.reset();
  EXPECT_THAT(
      ErrorOf([&] { LoadInputs(embeddings, embeddings.Calibration(), InputUse::kCalibration); }),
      HasSubstr("a.npy: holds integers; floats expected: the model reads token embeddings"));
}

TEST_F(TokenInputsTest, TheConfigurationMayLieElsewhereAndMustBeThere) {
  fs::create_directories(dir_.path() / "hf");
  WriteBytes(dir_.path() / "hf" / "config.json", R"({"model_type": "mamba2"})");
  EXPECT_EQ(Load("model: m\nconfig: hf/config.json\n").config, dir_.path() / "hf" / "config.json");
  EXPECT_THAT(ErrorFor("model: m\nconfig: no.json\n"), HasSubstr("no.json: cannot be opened"));
  WriteBytes(dir_.path() / "config.json", R"({"model_type": "bert"})");
  EXPECT_THAT(ErrorFor(kManifest),
              HasSubstr("config.json: model_type 'bert' is not supported; these are: vit,"));
}

TEST_F(TokenInputsTest, InfinityIsReadAsPythonWritesItAndAsTransformersDoes) {
  const fs::path file = dir_.path() / "config.json";
  WriteBytes(file, R"({"a": [0.0, Infinity], "b": {"__float__": "-Infinity"}, "c": -Infinity,
                       "d": NaN, "e": "Infinity \" NaN", "f": {"__float__": "x"}})");
  const nlohmann::json json = ReadConfiguration(file);
  EXPECT_EQ(json["a"][1].get<double>(), INFINITY);
  EXPECT_EQ(json["b"].get<double>(), -INFINITY);
  EXPECT_EQ(json["c"].get<double>(), -INFINITY);
  EXPECT_TRUE(std::isnan(json["d"].get<double>()));
  EXPECT_EQ(json["e"].get<std::string>(), "Infinity \" NaN");
  EXPECT_TRUE(json["f"].is_object());
  WriteBytes(file, "[1]");
  EXPECT_THAT(ErrorOf([&] { ReadConfiguration(file); }), HasSubstr("is not a JSON object"));
}

TEST_F(TokenInputsTest, ADirectoryWithoutCalibrationCanBeEvaluated) {
  fs::remove_all(dir_.path() / "calib");
  const Manifest manifest = Load();
  EXPECT_EQ(LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation).count(), 1);
  EXPECT_THAT(ErrorOf([&] { manifest.Calibration(); }), HasSubstr("section 'calibration'"));
}

}  // namespace
}  // namespace qsim::testing
