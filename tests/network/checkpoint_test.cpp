// Checkpoints under the names that their libraries give them: the shipped model, renamed as each of
// them would store it, is the same network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <span>

#include "sim/io/tensors/safetensors.h"
#include "sim/network/families/activations.h"
#include "sim/network/families/position_grid.h"
#include "sim/network/families/vit.h"
#include "tests/io/io_test_util.h"
#include "tests/namespaces.h"
#include "tests/support/checkpoints.h"
#include "tests/support/float_values.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kVectors = fs::path(QSIM_SOURCE_DIR) / "vectors";

class CheckpointTest : public ::testing::Test {
 protected:
  CheckpointTest() {
    for (const char* file : {"calib_images.npy", "eval_images.npy", "eval_labels.npy"})
      fs::create_symlink(kVectors / file, dir_.path() / file);
    Manifest(kManifest);
  }
  void Manifest(const std::string& yaml) const { WriteBytes(dir_.path() / "manifest.yaml", yaml); }

  void Write(const Items& items) const { WriteCheckpoint(dir_.path(), items); }

  network::Network Load(const Items& items) const {
    Write(items);
    return network::LoadVit(inputs::Manifest::Load(dir_.path()));
  }
  std::string Error(const Items& items) const {
    const std::string error = ErrorOf([&] { Load(items); });
    EXPECT_LT(error.size(), 300 + dir_.path().string().size()) << error;
    return error;
  }

  static std::vector<float> Output(const network::Network& model) {
    const inputs::Manifest manifest = inputs::Manifest::Load(kVectors);
    const ModelInputs inputs = LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation);
    return FloatValues(model, inputs, 3).at(model.nodes().back().name).data;
  }
  static std::vector<float> ShippedOutput() {
    return Output(network::LoadVit(inputs::Manifest::Load(kVectors)));
  }
  void ExpectTheShippedModel(const Items& items) const {
    EXPECT_EQ(Output(Load(items)), ShippedOutput());
  }

  static constexpr const char* kManifest =
      "model: model.safetensors\ngeometry: {heads: 2, eps: 1e-6, activation: gelu}\n"
      "mean: 0.3053\nstd: 0.376\ncalibration: {images: calib_images.npy}\n"
      "evaluation: {images: eval_images.npy, labels: eval_labels.npy}\n";
  TempDir dir_;
};

const Renaming kHuggingFace = {{"patch_embed.proj", "embeddings.patch_embeddings.projection"},
                               {"cls_token", "embeddings.cls_token"},
                               {"pos_embed", "embeddings.position_embeddings"},
                               {"^norm", "layernorm"},
                               {"^head", "classifier"},
                               {"blocks\\.", "encoder.layer."},
                               {"attn\\.q\\.", "attention.attention.query."},
                               {"attn\\.k\\.", "attention.attention.key."},
                               {"attn\\.v\\.", "attention.attention.value."},
                               {"attn\\.proj", "attention.output.dense"}};
const Renaming kVit = {{"\\.norm1", ".layernorm_before"},
                       {"\\.norm2", ".layernorm_after"},
                       {"mlp\\.fc1", "intermediate.dense"},
                       {"mlp\\.fc2", "output.dense"}};
const Renaming kTorchvision = {{"patch_embed.proj", "conv_proj"},
                               {"cls_token", "class_token"},
                               {"pos_embed", "encoder.pos_embedding"},
                               {"^norm", "encoder.ln"},
                               {"^head", "heads.head"},
                               {"blocks\\.", "encoder.layers.encoder_layer_"},
                               {"\\.norm", ".ln_"},
                               {"attn\\.qkv\\.", "self_attention.in_proj_"},
                               {"attn\\.proj", "self_attention.out_proj"}};

TEST_F(CheckpointTest, EverySchemeGivesTheSameNetwork) {
  ExpectTheShippedModel(Shipped());
  const Items hugging_face = Renamed(Split(Shipped()), kHuggingFace);
  ExpectTheShippedModel(hugging_face);  // Dinov2
  const Items vit = Renamed(hugging_face, kVit);
  ExpectTheShippedModel(vit);
  const Renaming body = {{"^(embeddings|encoder|layernorm)", "vit.$1"}};
  ExpectTheShippedModel(Renamed(vit, body));
  ExpectTheShippedModel(Renamed(Renamed(vit, body), {{"^", "module."}}));
  const Items torchvision = Renamed(Shipped(), kTorchvision);
  ExpectTheShippedModel(Renamed(torchvision, {{"mlp.fc1", "mlp.0"}, {"mlp.fc2", "mlp.3"}}));
  ExpectTheShippedModel(
      Renamed(torchvision, {{"mlp.fc1", "mlp.linear_1"}, {"mlp.fc2", "mlp.linear_2"}}));
  // DINOv2's blocks in chunks.
  ExpectTheShippedModel(Renamed(
      Shipped(), {{"blocks\\.([01])\\.", "blocks.0.$1."}, {"blocks\\.([23])\\.", "blocks.1.$1."}}));
  // EVA's queries, keys and values.
  ExpectTheShippedModel(Renamed(Split(Shipped()), {{"attn\\.([qkv])\\.", "attn.$1_proj."}}));
}

TEST_F(CheckpointTest, APrefixOfAllNamesIsLeftOutAndSaid) {
  for (const char* prefix : {"module.", "model.", "backbone.", "encoder.", "vit.", "dinov2.",
                             "module.teacher.backbone.", "_orig_mod."}) {
    const network::Network model = Load(Renamed(Shipped(), {{"^", prefix}}));
    EXPECT_EQ(Output(model), ShippedOutput());
    EXPECT_THAT(model.notes, ::testing::ElementsAre(HasSubstr(std::string("'") + prefix)));
  }
  // Not of every name.
  Items items = Renamed(Shipped(), {{"^blocks", "model.blocks"}});
  EXPECT_NE(Error(items), "");
}

TEST_F(CheckpointTest, HalfPrecisionAndConvolutionsAreLinearLayers) {
  Items items = Shipped();
  for (auto& [name, item] : items) {
    if (name.ends_with("fc1.weight") || name == "head.weight") {
      item.tensor.shape.push_back(1);
      item.tensor.shape.push_back(1);
    }
  }
  items.at("cls_token").tensor.shape = {kDim};
  items.at("pos_embed").tensor.shape = {17, kDim};
  ExpectTheShippedModel(items);
  for (const WeightDType dtype : {WeightDType::kF16, WeightDType::kBf16}) {
    items = Shipped();
    for (auto& [name, item] : items) item.dtype = dtype;
    const std::vector<float> output = Output(Load(items));
    const std::vector<float> shipped = ShippedOutput();
    for (std::size_t i = 0; i < output.size(); ++i) EXPECT_NEAR(output[i], shipped[i], 0.3);
  }
}

TEST_F(CheckpointTest, ABiasThatIsNotThereIsZero) {
  Items items = Shipped();
  const auto bias = [&](Items& of, const std::string& name, std::size_t first, std::size_t count,
                        float value) {
    for (std::size_t n = 0; n < 4; ++n) {
      std::vector<float>& values = of.at("blocks." + std::to_string(n) + "." + name).tensor.data;
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(first), count, value);
    }
  };
  bias(items, "attn.qkv.bias", 64, 64, 0);
  const std::vector<float> without_k = Output(Load(items));
  Items beit = Renamed(Split(items, "bias"), {{"attn\\.([qkv])\\.bias", "attn.$1_bias"}});
  for (int n = 0; n < 4; ++n) beit.erase("blocks." + std::to_string(n) + ".attn.k_bias");
  const network::Network model = Load(beit);
  EXPECT_EQ(Output(model), without_k);
  EXPECT_THAT(model.notes, Contains(HasSubstr("bias")));
  bias(items, "attn.qkv.bias", 0, 192, 0);
  const std::vector<float> none = Output(Load(items));
  std::erase_if(items, [](const auto& item) { return item.first.ends_with("qkv.bias"); });
  EXPECT_EQ(Output(Load(items)), none);
}

TEST_F(CheckpointTest, LayerScaleIsFolded) {
  Items items = Shipped();
  Items scaled = items;
  for (int n = 0; n < 4; ++n) {
    const std::string block = "blocks." + std::to_string(n) + ".";
    for (const auto& [scale, layer] :
         {std::pair("ls1.gamma", "attn.proj"), std::pair("ls2.gamma", "mlp.fc2")}) {
      // A power of two undoes itself exactly.
      const std::string name = block + scale;
      scaled[name] = Tensor(name, {kDim}, 0.25F);
      for (const char* kind : {".weight", ".bias"}) {
        for (float& value : scaled.at(block + layer + kind).tensor.data) value *= 4;
      }
    }
  }
  const network::Network model = Load(scaled);
  EXPECT_EQ(Output(model), ShippedOutput());
  EXPECT_THAT(model.notes, ::testing::ElementsAre(HasSubstr("LayerScale")));
  ExpectTheShippedModel(Renamed(scaled, {{"ls1.gamma", "gamma_1"}, {"ls2.gamma", "gamma_2"}}));
  ExpectTheShippedModel(
      Renamed(Renamed(Split(scaled), kHuggingFace),
              {{"ls1.gamma", "layer_scale1.lambda1"}, {"ls2.gamma", "layer_scale2.lambda1"}}));
  scaled.erase("blocks.2.ls1.gamma");
  EXPECT_THAT(Error(scaled), HasSubstr("no tensor 'blocks.2.ls1.gamma'"));
}

TEST_F(CheckpointTest, TokensInFrontOfThePatches) {
  // Registers without positions, as DINOv2 has them: rows of their own behind the class token.
  Items items = Shipped();
  items["register_tokens"] = Tensor("register_tokens", {1, 3, kDim}, 0.5F);
  network::Network model = Load(items);
  EXPECT_EQ(model.At("embed").shape, (Shape{20, kDim}));
  const auto* embed = model.FunctionOf<network::Positions>("embed");
  EXPECT_EQ(embed->rows(), 4);
  EXPECT_EQ(embed->front.data[kDim], 0.5F);
  for (std::int64_t i = kDim; i < 4 * kDim; ++i)
    EXPECT_EQ(embed->position.data[static_cast<std::size_t>(i)], 0);
  EXPECT_EQ(embed->position.data[4 * kDim], items.at("pos_embed").tensor.data[kDim]);
  const std::vector<float> with_registers = Output(model);
  EXPECT_NE(with_registers, ShippedOutput());
  // The same with positions of 0 for them.
  std::vector<float>& stored = items.at("pos_embed").tensor.data;
  stored.insert(stored.begin() + kDim, 3 * kDim, 0.0F);
  items.at("pos_embed").tensor.shape = {1, 20, kDim};
  EXPECT_EQ(Output(Load(Renamed(items, {{"register_tokens", "reg_token"}}))), with_registers);
  // No class token, and no head that would read the mean of the patches.
  items = WithoutClassToken(Shipped());
  std::erase_if(items, [](const auto& item) { return item.first.starts_with("head"); });
  model = Load(items);
  EXPECT_EQ(model.At("embed").shape, (Shape{16, kDim}));
  EXPECT_EQ(model.nodes().back().name, "norm");
  EXPECT_EQ(Output(model).size(), 16u * kDim);
}

// ---- what lies before the blocks and behind them, by hand ----

using Row = std::vector<double>;

std::span<const float> ValuesOf(const Items& items, const std::string& name) {
  return items.at(name).tensor.data;
}

std::vector<Row> RowsOf(const FloatTensor& tokens, std::size_t first = 0) {
  std::vector<Row> rows;
  for (auto row = tokens.data.begin() + static_cast<std::ptrdiff_t>(first) * kDim;
       row != tokens.data.end(); row += kDim)
    rows.emplace_back(row, row + kDim);
  return rows;
}

Row MeanOf(const std::vector<Row>& rows) {
  Row mean(rows.front().size(), 0.0);
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < mean.size(); ++c)
      mean[c] += row[c] / static_cast<double>(rows.size());
  }
  return mean;
}

Row NormOf(const Row& x, const Items& items, const std::string& norm) {
  const auto count = static_cast<double>(x.size());
  double mean = 0, variance = 0;
  for (const double v : x) mean += v / count;
  for (const double v : x) variance += (v - mean) * (v - mean) / count;
  Row y;
  for (std::size_t c = 0; c < x.size(); ++c) {
    y.push_back((x[c] - mean) / std::sqrt(variance + 1e-6) *
                    double{ValuesOf(items, norm + ".weight")[c]} +
                double{ValuesOf(items, norm + ".bias")[c]});
  }
  return y;
}

Row HeadOf(const Row& x, const Items& items, const std::string& head) {
  Row y;
  for (const float bias : ValuesOf(items, head + ".bias")) {
    y.push_back(double{bias});
    for (std::size_t c = 0; c < x.size(); ++c) {
      const std::size_t at = (y.size() - 1) * x.size() + c;
      y.back() += x[c] * double{ValuesOf(items, head + ".weight")[at]};
    }
  }
  return y;
}

void ExpectNear(std::span<const float> value, const Row& by_hand) {
  ASSERT_EQ(value.size(), by_hand.size());
  double largest = 0;
  for (const double v : by_hand) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < by_hand.size(); ++i)
    EXPECT_NEAR(value[i], by_hand[i], 2e-6 * largest) << i;
}

TEST_F(CheckpointTest, AHeadMayReadTheMeanOfThePatches) {
  const auto values = [](const network::Network& model) {
    const inputs::Manifest manifest = inputs::Manifest::Load(kVectors);
    return FloatValues(model, LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation),
                       3);
  };
  const auto said = [](const std::string& rows) {
    return Contains(HasSubstr("the mean of the patches, rows " + rows + ","));
  };
  // timm's fc_norm: of the mean.
  const Items items = Renamed(Shipped(), {{"^norm", "fc_norm"}});
  network::Network model = Load(items);
  auto all = values(model);
  const std::vector<Row> tokens = RowsOf(all.at("blocks.3.residual2"), 1);
  ASSERT_EQ(tokens.size(), 16u);
  ExpectNear(all.at("logits").data,
             HeadOf(NormOf(MeanOf(tokens), items, "fc_norm"), items, "head"));
  EXPECT_THAT(model.notes, said("1 to 16"));
  EXPECT_EQ(model.TokenFeatures()->name, "blocks.3.residual2");
  EXPECT_EQ(model.classes(), 10);
  // Without it, of all tokens before the mean.
  Manifest(std::string(kManifest) + "pool: avg\n");
  model = Load(Shipped());
  all = values(model);
  ExpectNear(all.at("logits").data, HeadOf(MeanOf(RowsOf(all.at("norm"), 1)), Shipped(), "head"));
  EXPECT_EQ(model.TokenFeatures()->name, "norm");
  // Registers are no patches.
  Items with_registers = items;
  with_registers["reg_token"] = Tensor("reg_token", {1, 3, kDim}, 0.5F);
  model = Load(with_registers);
  all = values(model);
  ExpectNear(all.at("logits").data,
             HeadOf(NormOf(MeanOf(RowsOf(all.at("blocks.3.residual2"), 4)), items, "fc_norm"),
                    items, "head"));
  EXPECT_THAT(model.notes, said("4 to 19"));
  // No class token: there is nothing else for the head to read.
  Manifest(kManifest);
  model = Load(WithoutClassToken(Shipped()));
  all = values(model);
  ExpectNear(all.at("logits").data, HeadOf(MeanOf(RowsOf(all.at("norm"))), Shipped(), "head"));
  EXPECT_THAT(model.notes, said("0 to 15"));
  // Without a head the network ends in the norm of the mean.
  Items headless = items;
  std::erase_if(headless, [](const auto& item) { return item.first.starts_with("head"); });
  model = Load(headless);
  ExpectNear(Output(model), NormOf(MeanOf(tokens), items, "fc_norm"));
  Manifest(std::string(kManifest) + "ignore_tensors: ['head.*']\n");
  EXPECT_EQ(Output(Load(items)), Output(model));
  // The norm of the class token alone is that of all.
  Manifest(std::string(kManifest) + "pool: token\n");
  ExpectTheShippedModel(items);
  EXPECT_THAT(Error(WithoutClassToken(Shipped())),
              AllOf(HasSubstr("manifest.yaml: pool is token"), HasSubstr("no tensor 'cls_token'")));
  Manifest(std::string(kManifest) + "pool: max\n");
  EXPECT_THAT(Error(items), HasSubstr("pooling 'max' before the head is not supported; avg"));
}

TEST_F(CheckpointTest, ADistilledModelHasTheMeanOfTwoHeads) {
  const Items items = Distilled(Shipped());
  const network::Network model = Load(items);
  const inputs::Manifest manifest = inputs::Manifest::Load(kVectors);
  const auto all =
      FloatValues(model, LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation), 3);
  const std::vector<Row> rows = RowsOf(all.at("norm"));
  ASSERT_EQ(rows.size(), 18u);
  EXPECT_NE(rows[0], rows[1]);
  ExpectNear(all.at("logits").data,
             MeanOf({HeadOf(rows[0], items, "head"), HeadOf(rows[1], items, "head_dist")}));
  EXPECT_THAT(model.notes, Contains(HasSubstr("the mean of two heads")));
  EXPECT_EQ(model.classes(), 10);
  // transformers' DeiTForImageClassificationWithTeacher.
  const Items teacher = Renamed(Renamed(Split(items), kHuggingFace),
                                {{"^classifier_dist", "distillation_classifier"},
                                 {"^classifier", "cls_classifier"},
                                 {"dist_token", "embeddings.distillation_token"}});
  EXPECT_EQ(Output(Load(teacher)), Output(model));
  Items part = items;
  part.erase("dist_token");
  EXPECT_NE(Error(part), "");
  Manifest(std::string(kManifest) + "ignore_tensors: ['head_dist.*']\n");
  EXPECT_THAT(Error(items), HasSubstr("with which the network computes"));
  Manifest(std::string(kManifest) + "pool: avg\n");
  EXPECT_THAT(Error(items), HasSubstr("tensor 'head_dist.weight': a head on the distillation"));
}

TEST_F(CheckpointTest, ANormMayStandBeforeTheBlocks) {
  const Items items = WithNormBefore(Shipped());
  const network::Network model = Load(items);
  const inputs::Manifest manifest = inputs::Manifest::Load(kVectors);
  const auto all =
      FloatValues(model, LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation), 3);
  EXPECT_EQ(model.FunctionOf<network::Projection>("patch_embed")->layer.bias,
            std::vector<float>(kDim, 0.0F));
  EXPECT_THAT(model.notes, Contains(HasSubstr("no patch_embed.proj.bias: 0")));
  const std::vector<Row> embed = RowsOf(all.at("embed"));
  for (std::size_t row = 0; row < embed.size(); ++row) {
    const Row by_hand = NormOf(embed[row], items, "norm_pre");
    ExpectNear(std::span(all.at("norm_pre").data).subspan(row * kDim, kDim), by_hand);
    ExpectNear(std::span(all.at("blocks.0.norm1").data).subspan(row * kDim, kDim),
               NormOf(by_hand, items, "blocks.0.norm1"));
  }
  // It is what the first block adds to.
  const std::vector<float>& sum = all.at("blocks.0.residual1").data;
  for (std::size_t i = 0; i < sum.size(); ++i)
    EXPECT_EQ(sum[i], all.at("norm_pre").data[i] + all.at("blocks.0.attn_proj").data[i]);
  // CLIP's vision model.
  const Items clip = Renamed(Split(items), {{"patch_embed.proj", "embeddings.patch_embedding"},
                                            {"cls_token", "embeddings.class_embedding"},
                                            {"pos_embed", "embeddings.position_embedding.weight"},
                                            {"^norm_pre", "pre_layrnorm"},
                                            {"^norm", "post_layernorm"},
                                            {"blocks", "encoder.layers"},
                                            {"\\.norm", ".layer_norm"},
                                            {"attn\\.proj", "self_attn.out_proj"},
                                            {"\\.attn\\.([qkv])\\.", ".self_attn.$1_proj."},
                                            {"^head", "classifier"},
                                            {"^(embed|enc|pre|post)", "vision_model.$1"}});
  EXPECT_EQ(Output(Load(clip)), Output(model));
  Items without = Shipped();
  without.erase("patch_embed.proj.bias");
  EXPECT_THAT(Error(without), HasSubstr("no tensor 'patch_embed.proj.bias'"));
}

TEST_F(CheckpointTest, WithoutAHeadTheNetworkEndsInFeatures) {
  Items items = Shipped();
  std::erase_if(items, [](const auto& item) { return item.first.starts_with("head"); });
  const network::Network model = Load(items);
  EXPECT_EQ(model.nodes().back().name, "norm");
  EXPECT_EQ(model.Logits(), nullptr);
  EXPECT_THAT(model.notes, ::testing::ElementsAre(HasSubstr("no head")));
  // The same of a head that is ignored; of both its tensors.
  Manifest(std::string(kManifest) + "ignore_tensors: ['head.*']\n");
  const network::Network ignored = Load(Shipped());
  EXPECT_EQ(Output(ignored), Output(model));
  EXPECT_THAT(ignored.notes, Contains(AllOf(HasSubstr("'head.bias', 'head.weight' left out"),
                                            HasSubstr("features"))));
  Manifest(std::string(kManifest) + "ignore_tensors: [head.bias]\n");
  EXPECT_THAT(Error(Shipped()), HasSubstr("with which the network computes"));
}

TEST_F(CheckpointTest, WhatNoInferenceReadsIsLeftOutAndSaid) {
  Items items = Renamed(Split(Shipped()), kHuggingFace);
  for (const char* name : {"embeddings.mask_token", "pooler.dense.weight", "pooler.dense.bias"})
    items[name] = Tensor(name, {1, kDim}, 1);
  const network::Network model = Load(items);
  EXPECT_EQ(Output(model), ShippedOutput());
  EXPECT_THAT(model.notes, Contains(AllOf(HasSubstr("'embeddings.mask_token' left out"),
                                          HasSubstr("training"))));
  EXPECT_THAT(model.notes,
              Contains(HasSubstr("'pooler.dense.bias', 'pooler.dense.weight' left out")));
  Manifest(std::string(kManifest) + "ignore_tensors: ['*mask_token']\n");
  EXPECT_EQ(Error(items), "");
}

// Every tensor that the network computes with, and every one that it is not known to do without.
TEST_F(CheckpointTest, NothingThatChangesTheFunctionCanBeIgnored) {
  for (const auto& [name, item] : Shipped()) {
    Manifest(std::string(kManifest) + "ignore_tensors: [" + name + "]\n");
    EXPECT_THAT(Error(Shipped()), AllOf(HasSubstr("manifest.yaml:7: key 'ignore_tensors'"),
                                        HasSubstr("'" + name + "'")));
  }
  for (const char* name :
       {"adapter.weight", "blocks.0.mlp.gate.weight", "blocks.1.attn.q_norm.weight",
        "head_dist.weight", "norm_pre.weight", "blocks.0.mlp.w12.weight", "fc_norm.weight",
        "blocks.0.attn.relative_position_bias_table", "blocks.3.ls1.gamma", "dist_token",
        "blocks.2.attn.q.bias", "patch_embed.backbone.conv.weight"}) {
    Items items = Shipped();
    items[name] = Tensor(name, {kDim}, 1);
    Manifest(kManifest);
    EXPECT_THAT(Error(items), AllOf(Not(""), Not(HasSubstr("ignore_tensors")))) << name;
    Manifest(std::string(kManifest) + "ignore_tensors: ['" + name + "']\n");
    EXPECT_NE(Error(items), "") << name;
  }
  Manifest(std::string(kManifest) + "ignore_tensors: [spare]\n");
  EXPECT_THAT(Error(Shipped()), HasSubstr("'spare' matches no tensor of"));
}

TEST_F(CheckpointTest, MessagesUseTheFilesOwnNamesAndStayShort) {
  Items items = Renamed(Renamed(Split(Shipped()), kHuggingFace), {{"^", "model."}});
  const std::string name = "model.encoder.layer.2.norm1.weight";
  items.erase(name);
  EXPECT_THAT(Error(items), HasSubstr("no tensor '" + name + "'"));
  std::erase_if(items, [](const auto& item) { return item.first.find("layer.2.") < 99; });
  EXPECT_THAT(Error(items), HasSubstr("no tensor 'model.encoder.layer.2.*'"));
  items = Shipped();
  for (int n = 0; n < 60; ++n) {
    const std::string extra = "decoder.layers." + std::to_string(n) + ".self_attention.weight";
    items[extra] = Tensor(extra, {1}, 1);
  }
  EXPECT_THAT(Error(items), AllOf(HasSubstr("'decoder.layers.0.self"), HasSubstr(" more")));
  EXPECT_THAT(Error({{"layer1.conv.weight", Tensor("layer1.conv.weight", {1}, 1)}}),
              HasSubstr("holds no vision transformer"));
}

TEST_F(CheckpointTest, WhatIsAssumedIsSaid) {
  Manifest(
      "model: model.safetensors\nheads: 2\nmean: 0.3\nstd: 0.4\n"
      "calibration: {images: calib_images.npy}\n");
  EXPECT_THAT(Load(Shipped()).notes, ::testing::ElementsAre(HasSubstr("eps: 1e-06 is assumed"),
                                                            HasSubstr("gelu is assumed")));
  Manifest(
      "model: model.safetensors\nmean: 0.3\nstd: 0.4\n"
      "calibration: {images: calib_images.npy}\n");
  EXPECT_THAT(Error(Shipped()), HasSubstr("heads is missing"));
}

TEST_F(CheckpointTest, FilesBesideTheWeightsSayWhatAManifestWould) {
  fs::remove(dir_.path() / "manifest.yaml");
  const auto write = [&](const char* file, const std::string& text) {
    WriteBytes(dir_.path() / file, text);
  };
  const std::string config =
      R"({"model_type": "dinov2", "hidden_size": 64, "num_hidden_layers": 4,
          "num_attention_heads": 2, "mlp_ratio": 4, "hidden_act": "gelu", "layer_norm_eps": 1e-6,
          "image_size": [8, 8], "patch_size": 2, "num_channels": 1, "use_swiglu_ffn": false})";
  write("config.json", config);
  write("preprocessor_config.json",
        R"({"do_rescale": true, "rescale_factor": 0.00392156862745098, "image_mean": [0.3053],
            "image_std": [0.376], "size": {"height": 8, "width": 8}})");
  const Items items = Renamed(Split(Shipped()), kHuggingFace);
  const network::Network model = Load(items);
  EXPECT_EQ(Output(model), ShippedOutput());
  EXPECT_THAT(model.notes, ::testing::ElementsAre(HasSubstr("Hugging Face")));
  const inputs::Manifest manifest = inputs::Manifest::Load(dir_.path());
  EXPECT_EQ(manifest.Calibration().mean, (std::vector<double>{0.3053}));
  EXPECT_EQ(manifest.Calibration().stddev, (std::vector<double>{0.376}));
  EXPECT_EQ(LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation).labels.size(), 500u);
  EXPECT_EQ(manifest.resize.edge, 1);
  write("preprocessor_config.json",
        R"({"image_mean": [0.3053], "image_std": [0.376], "size": {"shortest_edge": 10},
            "crop_size": {"height": 8, "width": 8}, "do_center_crop": true, "resample": 2})");
  const inputs::Manifest cropped = inputs::Manifest::Load(dir_.path());
  EXPECT_EQ(cropped.resize.edge, 1.25);
  EXPECT_EQ(cropped.resize.filter, ResizeFilter::kBilinear);
  EXPECT_EQ(cropped.Origin("resize"), (dir_.path() / "preprocessor_config.json").string());
  EXPECT_EQ(cropped.geometry.image, 8);
  // A manifest may say more, but nothing else.
  Manifest("model: model.safetensors\nheads: 4\ncalibration: {images: calib_images.npy}\n");
  EXPECT_THAT(Error(items), AllOf(HasSubstr("manifest.yaml: heads is 4"), HasSubstr("config.json"),
                                  HasSubstr("says 2")));
  fs::remove(dir_.path() / "manifest.yaml");
  const auto with = [&](const std::string& from, const std::string& to) {
    write("config.json", std::regex_replace(config, std::regex(from), to));
    return Error(items);
  };
  EXPECT_THAT(with("\"gelu\"", "\"selu\""),
              AllOf(HasSubstr("config.json: activation 'selu'"), HasSubstr("quick_gelu")));
  EXPECT_THAT(with("\"dinov2\"", "\"swin\""), HasSubstr("model_type 'swin' is not supported"));
  EXPECT_THAT(with("\"use_swiglu_ffn\": false", "\"use_swiglu_ffn\": true"), HasSubstr("SwiGLU"));
  EXPECT_THAT(with("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 3"),
              AllOf(HasSubstr("config.json says depth 3"), HasSubstr("encoder.layer.3")));
  EXPECT_THAT(with("\\{", "["), HasSubstr("config.json: is not a JSON object"));
  EXPECT_THAT(with("\"hidden_size\": 64", "\"hidden_size\": \"64\""), HasSubstr("'hidden_size'"));
  // Another activation is another network.
  for (const char* name : {"gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu"}) {
    EXPECT_EQ(with("\"gelu\"", std::string("\"") + name + "\""), "");
    EXPECT_NE(Output(network::LoadVit(inputs::Manifest::Load(dir_.path()))), ShippedOutput());
  }
}

TEST_F(CheckpointTest, TimmsConfigurationIsRead) {
  fs::remove(dir_.path() / "manifest.yaml");
  const std::string config =
      R"({"architecture": "vit_tiny_patch2_8", "num_classes": 10, "global_pool": "token",
          "pretrained_cfg": {"input_size": [1, 8, 8], "mean": [0.3053], "std": [0.376],
                             "crop_pct": 0.8, "interpolation": "bicubic"}})";
  WriteBytes(dir_.path() / "config.json", config);
  EXPECT_THAT(Error(Shipped()), HasSubstr("config.json: heads: 3 does not divide dim 64"));
  WriteBytes(dir_.path() / "config.json",
             std::regex_replace(config, std::regex("vit_tiny"), "vit_nano"));
  EXPECT_THAT(Error(Shipped()), HasSubstr("heads is missing"));
  Manifest("model: model.safetensors\nheads: 2\ncalibration: {images: calib_images.npy}\n");
  ExpectTheShippedModel(Shipped());
  EXPECT_EQ(inputs::Manifest::Load(dir_.path()).resize.edge, 1.25);
  EXPECT_EQ(inputs::Manifest::Load(dir_.path()).resize.filter, ResizeFilter::kBicubic);
  WriteBytes(dir_.path() / "config.json",
             std::regex_replace(config, std::regex("vit_tiny(.*)\"token\""), "vit_nano$1\"avg\""));
  EXPECT_EQ(Load(Shipped()).nodes().back().inputs, std::vector<std::string>{"norm_pool"});
  WriteBytes(dir_.path() / "config.json",
             std::regex_replace(config, std::regex("vit_tiny(.*)\"token\""), "vit_nano$1\"map\""));
  EXPECT_THAT(Error(Shipped()), HasSubstr("config.json: pooling 'map' before the head"));
}

TEST(Activations, AreTheFunctionsOfTheirNames) {
  for (double x = -8; x < 8; x += 0.37) {
    EXPECT_NEAR(network::TanhGelu(x),
                0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))), 1e-12);
    EXPECT_NEAR(network::QuickGelu(x), x / (1 + std::exp(-1.702 * x)), 1e-12);
  }
  EXPECT_EQ(network::Relu(-1), 0);
  EXPECT_EQ(network::Relu(2), 2);
}

// data/make_positions.py made them with PyTorch.
TEST(Positions, OfAnotherGridAreThoseOfPyTorch) {
  std::ifstream file(fs::path(QSIM_SOURCE_DIR) / "tests/network/data/positions.txt");
  int cases = 0;
  network::GridResampling how;
  std::int64_t side = 0, to = 0, channels = 0;
  while (file >> how.antialias >> how.align_corners >> side >> to >> channels) {
    FloatTensor grid{{side * side, channels}, {}};
    grid.data.resize(static_cast<std::size_t>(ElementCount(grid.shape)));
    for (float& value : grid.data) file >> value;
    const FloatTensor made = network::ResampleGrid(grid, side, to, how);
    ASSERT_EQ(made.shape, (Shape{to * to, channels}));
    for (const float value : made.data) {
      float expected = 0;
      file >> expected;
      EXPECT_NEAR(value, expected, 2e-6) << side << " to " << to;
    }
    ++cases;
  }
  EXPECT_EQ(cases, 9);
}

TEST_F(CheckpointTest, PositionsAreMadeForTheImagesSize) {
  Manifest(std::string(kManifest) + "image: 12\n");
  network::Network model = Load(Shipped());
  EXPECT_EQ(model.At("embed").shape, (Shape{37, kDim}));
  EXPECT_EQ(model.At("image").shape, (Shape{1, 12, 12}));
  EXPECT_THAT(model.notes, ::testing::ElementsAre(AllOf(HasSubstr("4x4 patches"),
                                                        HasSubstr("to 6x6, images of 12"),
                                                        HasSubstr("as timm does"))));
  model = Load(Renamed(Split(Shipped()), kHuggingFace));
  EXPECT_THAT(model.notes, Contains(HasSubstr("(bicubic, as transformers does)")));
  Manifest(std::string(kManifest) + "image: 9\n");
  EXPECT_THAT(Error(Shipped()),
              AllOf(HasSubstr("patch (2) must divide image (9)"), HasSubstr("8")));
}

}  // namespace
}  // namespace qsim::testing
