// Bad input: one line that says what is wrong, exit status 2, nothing written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "sim/cosim/rtl_backend.h"
#include "sim/io/tensors/npy.h"
#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::kSourceDir;
using testing::ReadBytes;
using testing::WriteBytes;

class BadInput : public ::testing::Test {
 protected:
  BadInput() {
    fs::copy(kSourceDir / "vectors", vectors_, fs::copy_options::recursive);
    fs::copy(kSourceDir / "configs" / "attn_config.yaml", config_);
  }

  // Every message is one line; nothing may be left in the sandbox, the output directory included.
  void ExpectRefused(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& fragments) const {
    SCOPED_TRACE(::testing::PrintToString(arguments));
    const auto before = testing::NamesIn(sandbox_.path());
    const testing::ProcessResult result = testing::RunQsim(arguments, sandbox_.path());
    EXPECT_EQ(result.exit_status, 2) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(testing::Lines(result.err).size(), 1u) << result.err;
    EXPECT_THAT(result.err, ::testing::StartsWith("qsim: "));
    for (const std::string& fragment : fragments) EXPECT_THAT(result.err, HasSubstr(fragment));
    EXPECT_EQ(testing::NamesIn(sandbox_.path()), before);
  }

  // The same model and configuration through every command that reads them.
  void ExpectRefusedEverywhere(const std::vector<std::string>& fragments,
                               const std::vector<std::string>& extra = {}) const {
    const std::vector<std::string> source = {"--config", "config.yaml", "--input", "vectors"};
    const std::vector<std::vector<std::string>> commands = {
        {"run", "--rtl", "off", "--output", "new/out"},
        {"calibrate", "--output", "new/bundle"},
        {"export", "--format", "json", "--output", "table.json"}};
    for (std::vector<std::string> command : commands) {
      command.insert(command.end(), source.begin(), source.end());
      command.insert(command.end(), extra.begin(), extra.end());
      ExpectRefused(command, fragments);
    }
  }

  void Replace(const fs::path& file, const std::string& from, const std::string& to) const {
    std::string text = ReadBytes(file);
    const std::size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    WriteBytes(file, text.replace(at, from.size(), to));
  }

  // Rewrites the safetensors header; the data stay as they are.
  void EditHeader(const std::function<void(nlohmann::ordered_json&)>& edit) const {
    const std::string bytes = ReadBytes(model_);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    auto header = nlohmann::ordered_json::parse(bytes.substr(8, length));
    edit(header);
    const std::string text = header.dump();
    length = text.size();
    std::string result(8, '\0');
    std::memcpy(result.data(), &length, 8);
    const std::uint64_t data = 8 + HeaderLength(bytes);
    WriteBytes(model_, result + text + bytes.substr(data));
  }
  static std::uint64_t HeaderLength(const std::string& bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    return length;
  }

  testing::TempDir sandbox_;
  fs::path vectors_ = sandbox_.path() / "vectors";
  fs::path model_ = vectors_ / "model.safetensors";
  fs::path manifest_ = vectors_ / "manifest.yaml";
  fs::path config_ = sandbox_.path() / "config.yaml";
};

TEST_F(BadInput, TheFixtureItselfIsGood) {
  const auto result = testing::RunQsim(
      {"run", "--config", "config.yaml", "--input", "vectors", "--rtl", "off", "--images", "1"},
      sandbox_.path());
  EXPECT_EQ(result.exit_status, 0) << result.err;
}

TEST_F(BadInput, MissingFiles) {
  ExpectRefused({"run", "--config", "absent.yaml", "--input", "vectors", "--output", "out"},
                {"absent.yaml"});
  ExpectRefused({"run", "--config", "config.yaml", "--input", "absent", "--output", "out"},
                {"absent: no such directory"});
  ExpectRefused({"run", "--bundle", "absent", "--output", "out"}, {"absent"});
  ExpectRefused({"export", "--bundle", "absent", "--format", "c"}, {"absent"});
  ExpectRefused({"diff", "absent", "vectors"}, {"absent"});
  for (const char* file : {"eval_images.npy", "eval_labels.npy"}) {
    const fs::path path = vectors_ / file;
    fs::rename(path, sandbox_.path() / "aside");
    ExpectRefused({"run", "--config", "config.yaml", "--input", "vectors", "--output", "out"},
                  {file});
    fs::rename(sandbox_.path() / "aside", path);
  }
  fs::remove(vectors_ / "calib_images.npy");
  ExpectRefusedEverywhere({"calib_images.npy"});
  fs::remove(model_);
  ExpectRefusedEverywhere({"model.safetensors"});
  fs::remove(manifest_);
  ExpectRefusedEverywhere({"manifest.yaml"});
}

TEST_F(BadInput, EmptyYaml) {
  for (const char* text : {"", "\n\n", "# only a comment\n", "---\n"}) {
    WriteBytes(config_, text);
    ExpectRefusedEverywhere({"config.yaml"});
  }
  fs::copy_file(kSourceDir / "configs" / "attn_config.yaml", config_,
                fs::copy_options::overwrite_existing);
  WriteBytes(manifest_, "");
  ExpectRefusedEverywhere({"manifest.yaml"});
}

TEST_F(BadInput, Configuration) {
  const std::string original = ReadBytes(config_);
  const std::vector<std::array<std::string, 4>> cases = {
      {"attn_q_out:\n", "attn_q_outt:\n", "attn_q_outt", "attn_q_out"},
      {"  acc_bits: 32", "  acc_bit: 32", "acc_bit", "acc_bits"},
      {"    bits: 8", "    bits: 1", "bits", "2"},
      {"    bits: 8", "    bits: 17", "bits", "16"},
      {"    bits: 8", "    bits: eight", "bits", "eight"},
      {"MinmaxObserver", "MinMaxxObserver", "MinMaxxObserver", "MinmaxObserver"},
      {"layer_wise", "layerwise", "layerwise", "layer_wise"},
      {"acc_policy: error", "acc_policy: clamp", "clamp", "saturate"},
      {"    name: int8", "    name: int4", "name", "int4"},
      {"norm1:", "norm1: [", "config.yaml:", ""},
  };
  for (const auto& [from, to, first, second] : cases) {
    WriteBytes(config_, original);
    Replace(config_, from, to);
    ExpectRefusedEverywhere({"config.yaml:", first, second});
  }
}

TEST_F(BadInput, SetOverrides) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"hardware.acc_bit=24", "acc_bits"},
      {"hardware.acc_bits", "hardware.acc_bits"},
      {"hardware.acc_bits=15", "16"},
      {"hardware.acc_bits=abc", "abc"},
      {"norm1.bit_type.bits=17", "bits"},
      {"norm1.observer_type=Minmax", "MinmaxObserver"},
      {"norm1.bit_type.name=int08", "int08"},
      {"norm1.bit_type.name=int+8", "int+8"},
      {"blocks.9.norm1.bit_type.bits=7", "blocks.9"},
      {"blocks.+1.norm1.bit_type.bits=7", "blocks.+1"},
      {"blocks.01.norm1.bit_type.bits=7", "blocks.01"},
      {"blocks.4.norm1.calibration_mode=channel_wise", "blocks.4"},
      {"attn_kv_out.calibration_mode=channel_wise", "head_wise"},
  };
  for (const auto& [setting, fragment] : cases)
    ExpectRefusedEverywhere({"--set", fragment}, {"--set", setting});
}

TEST_F(BadInput, WeightWithANan) {
  std::string bytes = ReadBytes(model_);
  const std::uint64_t length = HeaderLength(bytes);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  const std::string tensor = "blocks.2.attn.proj.weight";
  const auto begin = header.at(tensor).at("data_offsets").at(0).get<std::uint64_t>();
  for (const std::uint32_t bits : {0x7fc00000u, 0x7f800000u, 0xff800000u}) {
    std::memcpy(bytes.data() + 8 + length + begin + 4 * 67, &bits, 4);
    WriteBytes(model_, bytes);
    ExpectRefusedEverywhere({"model.safetensors", tensor, "[1, 3]"});
  }
}

TEST_F(BadInput, DamagedSafetensors) {
  const std::string original = ReadBytes(model_);
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{100},
                                 original.size() / 2, original.size() - 1}) {
    WriteBytes(model_, original.substr(0, size));
    ExpectRefusedEverywhere({"model.safetensors"});
  }
  for (const std::uint64_t length :
       {std::uint64_t{1} << 63, ~std::uint64_t{0}, std::uint64_t{original.size()}}) {
    std::string bytes = original;
    std::memcpy(bytes.data(), &length, 8);
    WriteBytes(model_, bytes);
    ExpectRefusedEverywhere({"model.safetensors", std::to_string(length)});
  }
}

TEST_F(BadInput, SafetensorsOffsets) {
  const std::string original = ReadBytes(model_);
  const std::string tensor = "blocks.1.attn.qkv.weight";
  const auto with_offsets = [&](std::int64_t begin, std::int64_t end) {
    WriteBytes(model_, original);
    EditHeader([&](auto& header) {
      auto& offsets = header[tensor]["data_offsets"];
      offsets = {offsets[0].template get<std::int64_t>() + begin,
                 offsets[1].template get<std::int64_t>() + end};
    });
    ExpectRefusedEverywhere({"model.safetensors", "blocks.1.attn."});
  };
  with_offsets(-4, -4);                        // overlaps its neighbour
  with_offsets(0, 4);                          // longer than its shape
  with_offsets(1'000'000'000, 1'000'000'000);  // beyond the file
  WriteBytes(model_, original);
  EditHeader([&](auto& header) { header[tensor]["data_offsets"] = {-8, 0}; });
  ExpectRefusedEverywhere({"model.safetensors", tensor});
}

TEST_F(BadInput, Tensors) {
  const std::string original = ReadBytes(model_);
  EditHeader([](auto& header) {
    const std::string text = header.dump();
    const std::string name = "\"blocks.1.attn.qkv.weight\"";
    std::string changed = text;
    changed.replace(changed.find(name), name.size(), "\"blocks.1.attn.qkv.weigth\"");
    header = nlohmann::ordered_json::parse(changed);
  });
  ExpectRefusedEverywhere({"model.safetensors", "blocks.1.attn.qkv.weight"});
  WriteBytes(model_, original);
  EditHeader([](auto& header) { header["blocks.3.attn.qkv.weight"]["shape"] = {64, 192}; });
  ExpectRefusedEverywhere({"blocks.3.attn.qkv.weight", "[64, 192]", "[192, 64]"});
  WriteBytes(model_, original);
  EditHeader([](auto& header) { header["blocks.3.attn.qkv.weight"]["dtype"] = "I32"; });
  ExpectRefusedEverywhere({"blocks.3.attn.qkv.weight", "I32"});
}

TEST_F(BadInput, Geometry) {
  Replace(manifest_, "heads: 2", "heads: 3");
  ExpectRefusedEverywhere({"manifest.yaml", "heads (3) must divide dim (64)"});
  Replace(manifest_, "heads: 3", "heads: 0");
  ExpectRefusedEverywhere({"manifest.yaml", "heads"});
  Replace(manifest_, "heads: 0", "head: 2");
  ExpectRefusedEverywhere({"manifest.yaml", "'head'", "heads"});
  Replace(manifest_, "head: 2", "heads: 2");
  Replace(manifest_, "depth: 4", "depth: 5");
  ExpectRefusedEverywhere({"no tensor 'blocks.4.*'", "depth 5"});
  Replace(manifest_, "depth: 5", "depth: 3");
  ExpectRefusedEverywhere({"depth 3"});
}

// A layer that nothing uses is a layer that nobody calibrates.
TEST_F(BadInput, TensorsThatNothingUses) {
  EditHeader([](nlohmann::ordered_json& header) {
    header["head.weight_v2"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
    header["blocks.1.mlp.spare.weight"] = {
        {"dtype", "I8"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
  });
  ExpectRefusedEverywhere(
      {"model.safetensors: tensors 'blocks.1.mlp.spare.weight', "
       "'head.weight_v2': no layer that a vision transformer is known"});
  Replace(manifest_, "name: digits", "ignore_tensors: ['*.spare.*']");
  ExpectRefusedEverywhere(
      {"manifest.yaml:2: key 'ignore_tensors': '*.spare.*' matches 'blocks.1.mlp.spare.weight'"});
  Replace(manifest_, "'*.spare.*'", "unknown");
  ExpectRefusedEverywhere(
      {"manifest.yaml:2: key 'ignore_tensors': 'unknown' matches no tensor of"});
}

TEST_F(BadInput, NpyFiles) {
  const fs::path images = vectors_ / "calib_images.npy";
  const std::string original = ReadBytes(images);
  Replace(images, "|u1", "|V1");
  ExpectRefusedEverywhere({"calib_images.npy", "dtype '|V1'"});
  WriteBytes(images, original.substr(0, original.size() - 3));
  ExpectRefusedEverywhere({"calib_images.npy"});
  WriteBytes(images, "not an array");
  ExpectRefusedEverywhere({"calib_images.npy"});
}

TEST_F(BadInput, CalibrationData) {
  const fs::path images = vectors_ / "calib_images.npy";
  WriteNpy(images, IntTensor(DType::kUint8, {0, 1, 8, 8}));
  ExpectRefusedEverywhere({"calib_images.npy", "zero samples"});
  WriteNpy(images, IntTensor(DType::kUint8, {5, 1, 8, 8}));
  ExpectRefusedEverywhere({"calib_images.npy", "the same"});
  WriteNpy(images, IntTensor(DType::kUint8, {5, 3, 8, 8}));
  ExpectRefusedEverywhere({"calib_images.npy", "channels"});
  WriteNpy(images, IntTensor(DType::kInt16, {5, 1, 8, 8}));
  ExpectRefusedEverywhere({"calib_images.npy", "uint8"});
}

// What is legal and hardly meant, assumed or left out: said at once, in the bundle, and in its
// runs.
TEST_F(BadInput, WhatIsHardlyMeantIsNoted) {
  IntTensor pixels(DType::kUint8, {5, 1, 8, 8});
  std::vector<std::uint8_t>& values = pixels.As<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i % 17);
  WriteNpy(vectors_ / "calib_images.npy", pixels);
  Replace(manifest_, "std: [0.376]", "std: 95.88");
  Replace(manifest_, "  activation: gelu\n", "");
  EditHeader([](nlohmann::ordered_json& header) {
    header["mask_token"] = {{"dtype", "F32"}, {"shape", {0}}, {"data_offsets", {0, 0}}};
  });
  const auto calibrated = testing::RunQsim({"calibrate", "--config", "config.yaml", "--input",
                                            "vectors", "--images", "1", "--output", "bundle"},
                                           sandbox_.path());
  const auto run =
      testing::RunQsim({"run", "--bundle", "bundle", "--rtl", "off", "--verbose"}, sandbox_.path());
  EXPECT_EQ(calibrated.exit_status, 0) << calibrated.err;
  for (const char* note : {"the largest pixel of the calibration images is 16", "a std of 95.88 is",
                           "gelu is assumed", "tensor 'mask_token' left out"}) {
    EXPECT_THAT(calibrated.err, HasSubstr(note));
    std::string words = run.out;  // wrapped
    for (std::size_t at = 0; (at = words.find("\n    ", at)) != std::string::npos;)
      words.replace(at, 5, " ");
    EXPECT_THAT(words, HasSubstr(note));
  }
}

TEST_F(BadInput, Labels) {
  WriteNpy(vectors_ / "eval_labels.npy", IntTensor(DType::kInt64, {3}));
  const std::vector<std::string> source = {"--config", "config.yaml", "--input", "vectors"};
  ExpectRefused({"run", "--config", "config.yaml", "--input", "vectors", "--output", "out"},
                {"eval_labels.npy", "3 labels for"});
  ExpectRefused({"calibrate", "--config", "config.yaml", "--input", "vectors", "--output", "out"},
                {"eval_labels.npy", "3 labels for"});
}

// A manifest may leave out whatever the weights tell; the inputs must fit all the same.
TEST_F(BadInput, EvaluationInputsThatDoNotFitTheModel) {
  WriteBytes(manifest_,
             "model: model.safetensors\ngeometry: {heads: 2}\nmean: 0.3\nstd: 0.4\n"
             "calibration: {images: calib_images.npy}\n"
             "evaluation: {images: eval_images.npy, labels: eval_labels.npy}\n");
  const std::vector<std::string> eval = {"eval", "--config", "config.yaml", "--input", "vectors"};
  IntTensor labels(DType::kInt64, {500});
  labels.As<std::int64_t>()[7] = 10;
  WriteNpy(vectors_ / "eval_labels.npy", labels);
  ExpectRefused(eval, {"eval_labels.npy", "label 10 at [7]", "0..9", "10 classes"});
  labels.As<std::int64_t>()[7] = -1;
  WriteNpy(vectors_ / "eval_labels.npy", labels);
  ExpectRefused(eval, {"eval_labels.npy", "label -1 at [7]", "10 classes"});
  WriteNpy(vectors_ / "eval_labels.npy", IntTensor(DType::kInt64, {499}));
  ExpectRefused(eval, {"eval_labels.npy", "499 labels for 500"});

  WriteNpy(vectors_ / "eval_labels.npy", IntTensor(DType::kInt64, {3}));
  for (const Shape& shape : {Shape{3, 1, 16, 16}, Shape{3, 1, 4, 4}, Shape{3, 3, 8, 8}}) {
    WriteNpy(vectors_ / "eval_images.npy", IntTensor(DType::kUint8, shape));
    ExpectRefused(eval, {"eval_images.npy", shape[1] == 3 ? "channels is 1" : "image is 8"});
    ExpectRefused({"run", "--config", "config.yaml", "--input", "vectors", "--rtl", "off"},
                  {"eval_images.npy"});
  }
}

TEST_F(BadInput, AccumulatorTooNarrow) {
  for (const char* bits : {"16", "18", "20"}) {
    ExpectRefusedEverywhere({"blocks.0.attn_qkv", "needs an accumulator of 21 bits",
                             std::string("has ") + bits, "policy error"},
                            {"--set", std::string("hardware.acc_bits=") + bits});
  }
}

TEST_F(BadInput, OutputThatIsAFile) {
  const std::vector<std::string> source = {"--config", "config.yaml", "--input", "vectors"};
  WriteBytes(sandbox_.path() / "taken", "precious");
  fs::create_directory(sandbox_.path() / "full");
  WriteBytes(sandbox_.path() / "full" / "mine", "precious");
  const auto refuse = [&](std::vector<std::string> command, const std::string& output) {
    command.insert(command.end(), source.begin(), source.end());
    command.insert(command.end(), {"--output", output});
    ExpectRefused(command, {output});
  };
  for (const char* output : {"taken", "taken/below", "full"}) {
    refuse({"run", "--rtl", "off"}, output);
    refuse({"calibrate"}, output);
    refuse({"export", "--format", "memh"}, output);
  }
  refuse({"export", "--format", "json"}, "full");
  // Before the work, which would fail as well or print how far it is.
  refuse({"export", "--format", "json", "--set", "hardware.acc_bits=16"}, "full");
  refuse({"export", "--format", "memh", "--set", "hardware.acc_bits=16"}, "full");
  refuse({"calibrate", "--search", "5"}, "full");
  refuse({"calibrate", "--shard", "1/2"}, "missing/shard.json");
  EXPECT_EQ(ReadBytes(sandbox_.path() / "taken"), "precious");
  EXPECT_EQ(ReadBytes(sandbox_.path() / "full" / "mine"), "precious");
}

TEST_F(BadInput, Arguments) {
  const std::vector<std::string> source = {"--config", "config.yaml", "--input", "vectors"};
  const auto run = [&](std::vector<std::string> more, const std::vector<std::string>& fragments) {
    more.insert(more.begin(), source.begin(), source.end());
    more.insert(more.begin(), {"run", "--rtl", "off", "--output", "out"});
    ExpectRefused(more, fragments);
  };
  run({"--blocks", "9"}, {"--blocks", "'9'", "0..3"});
  run({"--blocks", "0,,1"}, {"--blocks"});
  run({"--blocks", "-1"}, {"--blocks"});
  run({"--blocks", ""}, {"--blocks"});
  run({"--images", "100000"}, {"--images 100000", "evaluation inputs"});
  run({"--images", "0"}, {"--images"});
  run({"--images", "-3"}, {"--images"});
  run({"--images", "many"}, {"--images", "many"});
  run({"--batch", "0"}, {"--batch"});
  run({"--threads", "0"}, {"--threads"});
  run({"--realise", "closest"}, {"--realise", "nearest"});
  run({"--stall-probability", "1.5"}, {"--stall-probability"});
  run({"--colour"}, {"--colour"});
  run({"surplus"}, {"surplus"});
  run({"--bundle", "b"}, {"--bundle"});
  run({"--inputs", "b"}, {"--inputs"});
  ExpectRefused({}, {"subcommand"});
  ExpectRefused({"rum"}, {"unknown command 'rum'; did you mean 'run'?"});
  ExpectRefused({"--verbose", "run"}, {"--verbose"});
  ExpectRefused({"--colour"}, {"--colour"});
  ExpectRefused({"run"}, {"--config"});
  ExpectRefused({"run", "--config", "config.yaml"}, {"--input"});
  ExpectRefused({"run", "--input", "vectors"}, {"--config"});
  ExpectRefused({"run", "--bundle", "b", "--set", "a=b"}, {"--set"});
  ExpectRefused({"run", "--config", "config.yaml", "--input", "vectors", "--memh"}, {"--memh"});
  ExpectRefused({"calibrate", "--config", "config.yaml", "--input", "vectors"}, {"--output"});
  ExpectRefused({"export", "--format", "json"}, {"--bundle"});
  ExpectRefused({"diff", "config.yaml"}, {"B"});
}

TEST_F(BadInput, ArrayThatWasNotBuilt) {
  ExpectRefused({"run", "--config", "config.yaml", "--input", "vectors", "--output", "out", "--set",
                 "hardware.array_rows=7"},
                {cosim::BuiltWithRtl() ? "7x16" : "built without RTL"});
  EXPECT_EQ(testing::RunQsim({"calibrate", "--config", "config.yaml", "--input", "vectors",
                              "--output", "bundle", "--set", "hardware.array_rows=7"},
                             sandbox_.path())
                .exit_status,
            0);
  ExpectRefused({"run", "--bundle", "bundle", "--output", "out"},
                {cosim::BuiltWithRtl() ? "7x16" : "built without RTL"});
}

TEST_F(BadInput, BundleInputs) {
  const std::vector<std::string> calibrate = {"calibrate", "--config", "config.yaml",
                                              "--input",   "vectors",  "--output",
                                              "bundle",    "--images", "2"};
  ASSERT_EQ(testing::RunQsim(calibrate, sandbox_.path()).exit_status, 0);
  fs::create_directory(sandbox_.path() / "inputs");
  const std::vector<std::string> run = {"run",      "--bundle", "bundle",   "--rtl", "off",
                                        "--inputs", "inputs",   "--output", "out"};
  ExpectRefused(run, {"blocks.0.input.npy"});
  WriteNpy(sandbox_.path() / "inputs" / "blocks.0.input.npy",
           IntTensor(DType::kInt16, {1, 17, 63}));
  ExpectRefused(run, {"blocks.0.input.npy", "int16 with the shape [images, 17, 64]"});
  ExpectRefused({"run", "--bundle", "bundle", "--rtl", "off", "--images", "3", "--output", "out"},
                {"--images 3", "carries 2 images"});
}

}  // namespace
}  // namespace qsim::testing
