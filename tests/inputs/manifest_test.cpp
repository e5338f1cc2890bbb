#include "sim/inputs/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/inputs/input_reader.h"
#include "sim/io/tensors/npy.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::TempDir;
using testing::WriteBytes;

IntTensor Images(const Shape& shape, std::uint8_t step = 1) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(ElementCount(shape)));
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * step);
  return IntTensor(shape, IntTensor::Storage(std::move(pixels)));
}

FloatTensor Tokens(const Shape& shape) {
  FloatTensor tensor{shape, {}};
  for (std::int64_t i = 0; i < ElementCount(shape); ++i) {
    tensor.data.push_back(static_cast<float>(i) * 0.5f);
  }
  return tensor;
}

class ManifestTest : public ::testing::Test {
 protected:
  ManifestTest() {
    WriteNpy(dir_.path() / "images.npy", Images({4, 3, 8, 8}));
    WriteNpy(dir_.path() / "labels.npy",
             IntTensor(Shape{4}, std::vector<std::int64_t>{0, 1, 2, 3}));
    WriteNpy(dir_.path() / "tokens.npy", Tokens({4, 17, 12}));
    WriteNpy(dir_.path() / "one.npy", Tokens({17, 12}));
  }
  Manifest Load(const std::string& yaml) {
    WriteBytes(dir_.path() / "manifest.yaml", yaml);
    return Manifest::Load(dir_.path());
  }
  std::string ErrorFor(const std::string& yaml) {
    return ErrorOf([&] { Load(yaml); });
  }
  // What loading the calibration inputs of a manifest says.
  std::string InputError(const std::string& yaml, InputUse use = InputUse::kCalibration) {
    return ErrorOf([&] {
      const Manifest manifest = Load(yaml);
      LoadInputs(manifest, manifest.Calibration(), use);
    });
  }
  std::filesystem::path File(const char* name) const { return dir_.path() / name; }

  TempDir dir_;
};

constexpr const char* kImages =
    "model: m.safetensors\nmean: [0.5, 0.5, 0.5]\nstd: [0.2, 0.3, 0.4]\n"
    "calibration: {images: images.npy}\n";

TEST_F(ManifestTest, ReadsGeometryNestedOrFlat) {
  const std::string keys[] = {"image: 8",   "channels: 3", "patch: 2", "dim: 12",
                              "heads: 3",   "tokens: 17",  "depth: 2", "mlp_hidden: 48",
                              "classes: 4", "eps: 1e-6"};
  std::string flat = kImages;
  std::string nested = std::string(kImages) + "geometry:\n";
  for (const std::string& key : keys) {
    flat += key + "\n";
    nested += "  " + key + "\n";
  }
  for (const std::string& yaml : {flat, nested}) {
    const Geometry g = Load(yaml).geometry;
    EXPECT_EQ(g.image, 8);
    EXPECT_EQ(g.channels, 3);
    EXPECT_EQ(g.patch, 2);
    EXPECT_EQ(g.dim, 12);
    EXPECT_EQ(g.heads, 3);
    EXPECT_EQ(g.tokens, 17);
    EXPECT_EQ(g.depth, 2);
    EXPECT_EQ(g.mlp_hidden, 48);
    EXPECT_EQ(g.classes, 4);
    EXPECT_EQ(g.eps, 1e-6);
  }
  EXPECT_EQ(Load(kImages).geometry.dim, std::nullopt);
}

TEST_F(ManifestTest, LoadsImagesWithLabels) {
  const Manifest manifest = Load(
      "model: m.safetensors\nmean: 0.1\nstd: 0.2\n"
      "calibration: {images: images.npy, mean: [0.4, 0.5, 0.6], std: [1, 2, 3], labels: "
      "labels.npy}\n");
  EXPECT_THAT(manifest.notes, ::testing::ElementsAre(HasSubstr("a std of 2 is above 1")));
  EXPECT_EQ(manifest.model, dir_.path() / "m.safetensors");
  const ModelInputs inputs = LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
  const auto& images = std::get<ImageInputs>(inputs.data);
  EXPECT_EQ(images.pixels.shape(), (Shape{4, 3, 8, 8}));
  EXPECT_EQ(images.mean, (std::vector<double>{0.4, 0.5, 0.6}));
  EXPECT_EQ(images.stddev, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(inputs.labels, (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(inputs.count(), 4);
}

TEST_F(ManifestTest, LoadsTokensFromOneFileOrAList) {
  const Manifest manifest = Load(
      "model: m.safetensors\ndim: 12\nheads: 3\ntokens: 17\n"
      "calibration: {tokens: tokens.npy}\nevaluation:\n  tokens:\n    - one.npy\n    - one.npy\n");
  const ModelInputs whole = LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration);
  EXPECT_EQ(std::get<FloatTensor>(whole.data).shape, (Shape{4, 17, 12}));
  const ModelInputs list = LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  EXPECT_EQ(std::get<FloatTensor>(list.data).shape, (Shape{2, 17, 12}));
  EXPECT_EQ(std::get<FloatTensor>(list.data).data.size(), 2u * 17u * 12u);
  EXPECT_EQ(list.count(), 2);
}

constexpr const char* kLengths =
    "model: m.safetensors\ndim: 12\nheads: 3\ntokens: 17\ncalibration:\n  labels: labels.npy\n"
    "  tokens: [t5.npy, one.npy, one.npy, t9.npy]\n";

TEST_F(ManifestTest, CalibrationTokensMayDifferInLength) {
  WriteNpy(dir_.path() / "t5.npy", Tokens({5, 12}));
  WriteNpy(dir_.path() / "t9.npy", Tokens({9, 12}));
  const Manifest manifest = Load(kLengths);
  const InputReader all(manifest, manifest.Calibration(), InputUse::kCalibration);
  EXPECT_EQ(all.count(), 4);
  EXPECT_EQ(all.EqualRun(0, 4), 1);
  EXPECT_EQ(all.EqualRun(1, 4), 2);
  EXPECT_EQ(all.EqualRun(1, 1), 1);
  EXPECT_EQ(all.EqualRun(3, 4), 1);
  const ModelInputs piece = all.Read(1, 2);
  EXPECT_EQ(std::get<FloatTensor>(piece.data).shape, (Shape{2, 17, 12}));
  EXPECT_EQ(piece.labels, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(Format(all.lengths().value(), "calibration"),
            "calibration inputs: 4 used, 0 skipped (shorter than 0 tokens); length min 5, mean "
            "12.0, max 17");

  const InputReader some(manifest, manifest.Calibration(), InputUse::kCalibration, 9);
  EXPECT_EQ(some.count(), 3);
  EXPECT_EQ(some.labels(), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(std::get<FloatTensor>(some.Read(2, 1).data).shape, (Shape{1, 9, 12}));
  EXPECT_EQ(some.lengths()->skipped, 1);
  EXPECT_EQ(some.lengths()->min, 9);
  EXPECT_THAT(
      ErrorOf([&] { InputReader(manifest, manifest.Calibration(), InputUse::kCalibration, 18); }),
      HasSubstr("none of the 4 calibration inputs is used: the longest has 17 tokens, below "
                "--min-length 18"));
  // What runs has the program's length.
  EXPECT_THAT(
      ErrorOf([&] { InputReader(manifest, manifest.Calibration(), InputUse::kEvaluation); }),
      HasSubstr("t5.npy: shape [5, 12]: axis 0 is 5, but the model's tokens is 17"));
}

TEST_F(ManifestTest, AModelHasANameAndTensorsToIgnore) {
  EXPECT_EQ(Load("model: m\n").name, dir_.path().filename().string());
  const Manifest manifest = Load("name: deit_tiny\nmodel: m\nignore_tensors: ['a.*', b]\n");
  EXPECT_EQ(manifest.name, "deit_tiny");
  ASSERT_EQ(manifest.ignore_tensors.size(), 2u);
  EXPECT_EQ(manifest.ignore_tensors[0].pattern, "a.*");
  EXPECT_EQ(manifest.ignore_tensors[1].line, 3);
  EXPECT_THAT(ErrorFor("name: a/b\nmodel: m\n"), HasSubstr("key 'name': expected a name of"));
  EXPECT_THAT(ErrorFor("model: m\nignore_tensors: a\n"),
              HasSubstr("key 'ignore_tensors': expected a list"));
}

TEST_F(ManifestTest, RejectsWrongKeysAndTypes) {
  EXPECT_THAT(ErrorFor("model: m\nheds: 2\n"),
              HasSubstr("manifest.yaml:2: key 'heds': unknown key; did you mean 'heads'?"));
  EXPECT_THAT(ErrorFor("model: m\ngeometry:\n  dims: 2\n"),
              HasSubstr("manifest.yaml:3: key 'dims': unknown key; did you mean 'dim'?"));
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {image: x}\n"),
              HasSubstr("key 'image': unknown key; did you mean 'images'?"));
  EXPECT_THAT(ErrorFor("model: m\nevaluate: {}\n"), HasSubstr("did you mean 'evaluation'?"));
  EXPECT_THAT(ErrorFor("model: m\ndim: 12.0\n"),
              HasSubstr("key 'dim': expected an integer in 1..1048576, got '12.0'"));
  EXPECT_THAT(ErrorFor("model: m\nheads: 0\n"), HasSubstr("key 'heads': expected an integer"));
  EXPECT_THAT(ErrorFor("model: m\neps: -1\n"), HasSubstr("key 'eps': expected a number in (0, 1)"));
  EXPECT_THAT(ErrorFor("model: m\ndim: 4\ngeometry: {dim: 4}\n"),
              HasSubstr("key 'dim': is given twice"));
  EXPECT_THAT(ErrorFor("model: [m]\n"), HasSubstr("key 'model': expected a file name, got a list"));
  EXPECT_THAT(ErrorFor("dim: 4\n"), HasSubstr("key 'model' is missing"));
  EXPECT_THAT(ErrorFor("- model\n"), HasSubstr("manifest.yaml:1: expected a map"));
  EXPECT_THAT(ErrorFor("model: m\ngeometry: 7\n"),
              HasSubstr("key 'geometry': expected a map, got '7'"));
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {}\n"),
              HasSubstr("expected either 'images' or 'tokens'"));
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {images: a, tokens: b}\n"),
              HasSubstr("expected either"));
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {tokens: []}\n"), HasSubstr("zero samples"));
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {tokens: a, mean: 1}\n"),
              HasSubstr("'mean' and 'std' belong to images"));
  EXPECT_THAT(ErrorFor(""), HasSubstr("manifest.yaml: is empty"));
}

TEST_F(ManifestTest, RejectsContradictoryGeometry) {
  EXPECT_THAT(ErrorFor("model: m\ndim: 64\nheads: 5\n"),
              HasSubstr("geometry: heads (5) must divide dim (64)"));
  EXPECT_THAT(ErrorFor("model: m\nimage: 8\npatch: 3\n"),
              HasSubstr("geometry: patch (3) must divide image (8)"));
  EXPECT_THAT(ErrorFor(std::string(kImages) + "image: 8\npatch: 2\ntokens: 15\n"),
              HasSubstr("geometry: tokens is 15"));
  EXPECT_EQ(ErrorFor(std::string(kImages) + "image: 8\npatch: 2\ntokens: 17\n"), "");
}

TEST_F(ManifestTest, RejectsBadNormalisation) {
  EXPECT_THAT(ErrorFor("model: m\ncalibration: {images: images.npy}\n"),
              HasSubstr("key 'calibration.mean' is missing"));
  EXPECT_THAT(ErrorFor("model: m\nmean: 0\ncalibration: {images: images.npy}\n"),
              HasSubstr("key 'calibration.std' is missing"));
  EXPECT_THAT(ErrorFor("model: m\nmean: 0\nstd: 0\n"), HasSubstr("key 'std': must be above 0"));
  EXPECT_THAT(ErrorFor("model: m\nmean: [a]\n"),
              HasSubstr("key 'mean': expected a finite number per image channel"));
  EXPECT_THAT(ErrorFor("model: m\nmean: .nan\n"),
              HasSubstr("key 'mean': expected a finite number"));
  EXPECT_THAT(ErrorFor("model: m\nmean: [123.675, 116.28, 103.53]\n"),
              HasSubstr("manifest.yaml:2: key 'mean': 123.675 is outside 0..1: mean and std are "
                        "those of p / 255; divide those of pixels 0..255 by 255"));
  EXPECT_THAT(ErrorFor("model: m\nmean: -0.1\n"), HasSubstr("key 'mean': -0.1 is outside 0..1"));
  EXPECT_THAT(ErrorFor("model: m\nchannels: 3\nmean: [1, 0]\nstd: [1, 2, 3]\ncalibration: {images: "
                       "images.npy}\n"),
              HasSubstr("'mean' has 2 values for 3 image channels"));
  EXPECT_THAT(
      InputError("model: m\nmean: 1\nstd: 1\ncalibration: {images: images.npy}\n"),
      HasSubstr("images.npy: 3 image channels, but the manifest's mean or std has 1 values"));
}

TEST_F(ManifestTest, NamesMissingThings) {
  EXPECT_THAT(ErrorOf([&] { Manifest::Load(dir_.path() / "nowhere"); }),
              HasSubstr("nowhere: no such directory"));
  EXPECT_THAT(ErrorOf([&] { Manifest::Load(dir_.path()); }),
              HasSubstr("manifest.yaml: cannot be opened"));
  EXPECT_THAT(InputError("model: m\n"),
              HasSubstr("manifest.yaml: section 'calibration' is missing"));
  EXPECT_THAT(InputError("model: m\ncalibration: {tokens: no.npy}\n"),
              HasSubstr("no.npy: cannot be opened"));
}

TEST_F(ManifestTest, RejectsInputsOfTheWrongForm) {
  EXPECT_THAT(InputError(std::string(kImages) + "image: 16\n"),
              HasSubstr("axis 2 is 8, but the model's image is 16"));
  EXPECT_THAT(InputError(std::string(kImages) + "patch: 3\n"),
              HasSubstr("patch (3) must divide the image size (8)"));
  EXPECT_THAT(InputError(std::string(kImages) + "patch: 2\ntokens: 15\n"),
              HasSubstr("make 16 tokens and the class token"));
  WriteNpy(File("images.npy"), Images({4, 3, 8, 4}));
  EXPECT_THAT(InputError(kImages), HasSubstr("must be square"));
  WriteNpy(File("images.npy"), Images({4, 8, 8}));
  EXPECT_THAT(InputError(kImages), HasSubstr("images are uint8 [N, channels, height, width]"));
  WriteNpy(File("images.npy"), Images({0, 3, 8, 8}));
  EXPECT_THAT(InputError(kImages), HasSubstr("images.npy: zero samples"));
  WriteNpy(File("images.npy"), Tokens({4, 3, 8, 8}));
  EXPECT_THAT(InputError(kImages), HasSubstr("holds floats of 0..383.5, but images are uint8"));
  // What people have instead of it.
  FloatTensor pixels = Tokens({4, 3, 8, 8});
  for (float& value : pixels.data) value /= 383.5F;
  WriteNpy(File("images.npy"), pixels);
  EXPECT_THAT(InputError(kImages), HasSubstr("multiply by 255, round and store as uint8"));
  for (float& value : pixels.data) value -= 0.5F;
  WriteNpy(File("images.npy"), pixels);
  EXPECT_THAT(InputError(kImages), HasSubstr("before they are normalised"));
  WriteNpy(File("images.npy"), Images({4, 8, 8, 3}));
  EXPECT_THAT(InputError(kImages), HasSubstr("the channels come last; transpose to [4, 3, 8, 8]"));
  WriteNpy(File("images.npy"), IntTensor(DType::kInt8, {4, 3, 8, 8}));
  EXPECT_THAT(InputError(kImages), HasSubstr("int8 pixels"));
  const std::string tokens = "model: m\ndim: 12\ncalibration: {tokens: tokens.npy}\n";
  WriteNpy(File("tokens.npy"), Tokens({4, 17, 13}));
  EXPECT_THAT(InputError(tokens), HasSubstr("axis 2 is 13, but the model's dim is 12"));
  WriteNpy(File("tokens.npy"), Tokens({17, 12}));
  EXPECT_THAT(InputError(tokens), HasSubstr("expected [N, tokens, dim]"));
  WriteNpy(File("tokens.npy"), FloatTensor{{0, 17, 12}, {}});
  EXPECT_THAT(InputError(tokens), HasSubstr("tokens.npy: zero samples"));
  WriteNpy(File("tokens.npy"), Tokens({16, 12}));
  EXPECT_THAT(
      InputError("model: m\ncalibration: {tokens: [one.npy, tokens.npy]}\n", InputUse::kEvaluation),
      HasSubstr("tokens.npy: [tokens, dim] is [16, 12], but [17, 12] in"));
  WriteNpy(File("tokens.npy"), Tokens({16, 13}));
  EXPECT_THAT(InputError("model: m\ncalibration: {tokens: [one.npy, tokens.npy]}\n"),
              HasSubstr("tokens.npy: [tokens, dim] is [16, 13], but [17, 12] in"));
  FloatTensor nan = Tokens({1, 2, 2});
  nan.data[3] = NAN;
  WriteNpy(File("tokens.npy"), nan);
  EXPECT_THAT(InputError("model: m\ncalibration: {tokens: tokens.npy}\n"),
              HasSubstr("tokens.npy: NaN at [0, 1, 1]"));
}

TEST_F(ManifestTest, RejectsWrongLabels) {
  const std::string yaml =
      "model: m\nclasses: 4\ncalibration: {tokens: tokens.npy, labels: labels.npy}\n";
  EXPECT_EQ(InputError(yaml), "");
  WriteNpy(File("labels.npy"), IntTensor(Shape{3}, std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_THAT(InputError(yaml), HasSubstr("labels.npy: 3 labels for 4 samples"));
  WriteNpy(File("labels.npy"), IntTensor(Shape{4}, std::vector<std::int64_t>{0, 1, 2, 4}));
  EXPECT_THAT(InputError(yaml),
              HasSubstr("labels.npy: label 4 at [3] is outside 0..3: the model has 4 classes"));
  WriteNpy(File("labels.npy"), IntTensor(Shape{4, 1}, std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_THAT(InputError(yaml), HasSubstr("labels are [N]"));
}

TEST_F(ManifestTest, ConstantCalibrationDataAreAnErrorAndConstantChannelsAreNot) {
  WriteNpy(File("images.npy"), Images({4, 3, 8, 8}, 0));
  EXPECT_THAT(InputError(kImages),
              HasSubstr("images.npy: every value of the calibration input is the same"));
  EXPECT_EQ(InputError(kImages, InputUse::kEvaluation), "");
  FloatTensor tokens{{2, 3, 4}, std::vector<float>(24, 1.0f)};
  const std::string yaml = "model: m\ncalibration: {tokens: tokens.npy}\n";
  WriteNpy(File("tokens.npy"), tokens);
  EXPECT_THAT(InputError(yaml), HasSubstr("tokens.npy: every value"));
  for (std::size_t i = 0; i < tokens.data.size(); i += 4) tokens.data[i] = static_cast<float>(i);
  WriteNpy(File("tokens.npy"), tokens);  // channels 1 to 3 stay constant
  EXPECT_EQ(InputError(yaml), "");
}

TEST_F(ManifestTest, TheDocumentedManifestsLoad) {
  int manifests = 0;
  WriteBytes(File("config.json"), R"({"model_type": "gla"})");
  for (const std::string& yaml : testing::DocumentedYaml()) {
    if (!yaml.starts_with("model:") && !yaml.starts_with("name:")) continue;
    const Manifest manifest = Load(yaml);
    EXPECT_TRUE(manifest.calibration && manifest.evaluation) << yaml;
    // What the manifest does not say of the geometry, the model's own file does.
    EXPECT_NE(manifest.geometry.dim.has_value(), yaml.find("config:") != std::string::npos) << yaml;
    ++manifests;
  }
  EXPECT_EQ(manifests, 3);
}

TEST_F(ManifestTest, TheShippedManifestLoads) {
  const Manifest manifest = Manifest::Load(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors");
  EXPECT_TRUE(std::filesystem::exists(manifest.model));
  EXPECT_EQ(LoadInputs(manifest, manifest.Calibration(), InputUse::kCalibration).count(), 256);
  const ModelInputs evaluation = LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  EXPECT_EQ(evaluation.count(), 500);
  EXPECT_EQ(evaluation.labels.size(), 500u);
}

}  // namespace
}  // namespace qsim::testing
