#include "sim/network/families/vit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "sim/error.h"
#include "sim/io/tensors/safetensors.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kVectors = fs::path(QSIM_SOURCE_DIR) / "vectors";

// The shipped model with some tensors changed, and the message that loading it gives.
std::string ErrorFor(const std::function<void(std::vector<SafetensorsItem>&)>& change,
                     const std::string& manifest_edit = "") {
  testing::TempDir dir;
  for (const auto& entry : fs::directory_iterator(kVectors)) {
    fs::copy(entry.path(), dir.path() / entry.path().filename());
  }
  const Safetensors original = Safetensors::Open(kVectors / "model.safetensors");
  std::vector<SafetensorsItem> items;
  for (const std::string& name : original.names()) {
    items.push_back({name, WeightDType::kF32, original.Load(name)});
  }
  change(items);
  fs::remove(dir.path() / "model.safetensors");
  WriteSafetensors(dir.path() / "model.safetensors", items);
  if (!manifest_edit.empty()) {
    std::ifstream in(kVectors / "manifest.yaml");
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::size_t colon = manifest_edit.find(':');
    const std::size_t at = text.find(manifest_edit.substr(0, colon + 1));
    EXPECT_NE(at, std::string::npos);
    text.replace(at, text.find('\n', at) - at, manifest_edit);
    std::ofstream(dir.path() / "manifest.yaml") << text;
  }
  try {
    network::LoadVit(Manifest::Load(dir.path()));
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

SafetensorsItem& Item(std::vector<SafetensorsItem>& items, const std::string& name) {
  for (SafetensorsItem& item : items) {
    if (item.name == name) return item;
  }
  throw std::out_of_range(name);
}

TEST(LoadVit, ReadsTheShippedModel) {
  const network::Network model = network::LoadVit(Manifest::Load(kVectors));
  EXPECT_EQ(model.At("embed").shape, (Shape{17, 64}));
  EXPECT_EQ(model.FunctionOf<network::Product>("blocks.0.attn_kv_out")->heads, 2);
  EXPECT_EQ(model.depth(), 4);
  EXPECT_EQ(model.FunctionOf<network::Projection>("blocks.3.attn_qkv")->layer.out_features(), 192);
  EXPECT_EQ(ErrorFor([](auto&) {}), "");
}

TEST(LoadVit, NamesAMissingTensor) {
  EXPECT_THAT(ErrorFor([](auto& items) {
                std::erase_if(items,
                              [](const auto& i) { return i.name == "blocks.2.attn.proj.weight"; });
              }),
              HasSubstr("blocks.2.attn.proj.weight"));
}

TEST(LoadVit, AQkvBiasThatOnlyOneBlockLacksIsMissing) {
  EXPECT_THAT(ErrorFor([](auto& items) {
                std::erase_if(items,
                              [](const auto& i) { return i.name == "blocks.1.attn.qkv.bias"; });
              }),
              HasSubstr("blocks.1.attn.qkv.bias"));
  EXPECT_EQ(ErrorFor([](auto& items) {
              std::erase_if(items, [](const auto& i) { return i.name.ends_with("attn.qkv.bias"); });
            }),
            "");
}

TEST(LoadVit, NamesATensorOfTheWrongShape) {
  EXPECT_THAT(ErrorFor([](auto& items) {
                Item(items, "blocks.0.attn.qkv.weight").tensor.shape = {64, 192};
              }),
              AllOf(HasSubstr("blocks.0.attn.qkv.weight"), HasSubstr("[192, 64]")));
}

TEST(LoadVit, NamesBothSidesWhenManifestAndTensorsDisagree) {
  EXPECT_THAT(ErrorFor([](auto&) {}, "dim: 32"),
              AllOf(HasSubstr("manifest.yaml"), HasSubstr("32"), HasSubstr("64")));
}

TEST(LoadVit, NamesABlockThatTheManifestPromises) {
  EXPECT_THAT(ErrorFor([](auto&) {}, "depth: 5"), HasSubstr("blocks.4."));
}

TEST(LoadVit, HeadsMustDivideDim) {
  EXPECT_THAT(ErrorFor([](auto&) {}, "heads: 3"), AllOf(HasSubstr("heads"), HasSubstr("3")));
}

TEST(LoadVit, NamesBothSidesOfEveryDimension) {
  for (const char* edit : {"depth: 5", "mlp_hidden: 128", "classes: 11"}) {
    const std::string key(edit, std::strchr(edit, ':'));
    EXPECT_THAT(ErrorFor([](auto&) {}, edit),
                AllOf(HasSubstr("manifest.yaml"), HasSubstr(key), HasSubstr("model.safetensors")))
        << edit;
  }
}

TEST(LoadVit, ABlockThatIsMissingInTheMiddleIsNotTheEnd) {
  const auto without_block_1 = [](auto& items) {
    std::erase_if(items, [](const auto& i) { return i.name.starts_with("blocks.1."); });
  };
  EXPECT_THAT(ErrorFor(without_block_1, "depth: 1"),
              AllOf(HasSubstr("holds tensor 'blocks.3."), HasSubstr("depth 1: blocks 0..0")));
  EXPECT_THAT(ErrorFor(without_block_1), HasSubstr("no tensor 'blocks.1.*'"));
}

TEST(LoadVit, NamesEveryMissingTensor) {
  EXPECT_THAT(
      ErrorFor([](auto& items) {
        Item(items, "blocks.0.mlp.fc2.weight").name = "blocks.0.mlp.fc2.weigth";
        std::erase_if(items, [](const auto& i) {
          return i.name.starts_with("blocks.2.") || i.name == "norm.bias" || i.name == "pos_embed";
        });
      }),
      HasSubstr("no tensors 'blocks.0.mlp.fc2.weight', 'blocks.2.*', 'norm.bias', 'pos_embed'; the "
                "nearest to 'blocks.0.mlp.fc2.weight' is 'blocks.0.mlp.fc2.weigth'"));
}

const SafetensorsItem kAdapter = {"adapter.down.weight", WeightDType::kF16, {{2}, {1, 2}}};
const SafetensorsItem kSpare = {"blocks.2.spare.weight", WeightDType::kBf16, {{2}, {1, 2}}};

// A layer that nothing reads would never be calibrated. What can be ignored: checkpoint_test.cpp.
TEST(LoadVit, NamesTensorsThatNothingUses) {
  const auto add = [](auto& items) {
    items.push_back(kAdapter);
    items.push_back(kSpare);
  };
  EXPECT_THAT(ErrorFor(add), AllOf(HasSubstr("model.safetensors: tensors 'adapter.down.weight', "
                                             "'blocks.2.spare.weight': no layer that a vision"),
                                   ::testing::Not(HasSubstr("ignore_tensors"))));
  EXPECT_THAT(ErrorFor(add, "mean: 0.3\nignore_tensors: [adapter.*]"),
              AllOf(HasSubstr("'adapter.*' matches 'adapter.down.weight', which may change what"),
                    HasSubstr("manifest.yaml:")));
  EXPECT_THAT(ErrorFor([](auto&) {}, "mean: 0.3\nignore_tensors: ['blocks.0.*']"),
              HasSubstr("'blocks.0.*' matches 'blocks.0.attn.proj.bias', with which the network"));
}

TEST(LoadVit, NamesTheFirstNanOfAnyTensorUsedOrNot) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(ErrorFor([&](auto& items) {
                Item(items, "blocks.3.mlp.fc1.weight").tensor.data[64 * 7 + 5] = nan;
              }),
              HasSubstr("tensor 'blocks.3.mlp.fc1.weight': NaN at [7, 5]"));
  for (const WeightDType dtype : {WeightDType::kF32, WeightDType::kF16, WeightDType::kBf16}) {
    EXPECT_THAT(ErrorFor([&](auto& items) {
                  items.push_back({"mask_token", dtype, {{2, 2}, {0, 1, 2, -HUGE_VALF}}});
                }),
                HasSubstr("tensor 'mask_token': Inf at [1, 1]"));
  }
}

// What variants add, and what the message must say. None may be left out in silence. Those that are
// built: checkpoint_test.cpp.
TEST(LoadVit, RejectsVariantsThatComputeSomethingElse) {
  const std::pair<const char*, const char*> cases[] = {
      {"blocks.1.attn.q_norm.weight", "normalised queries"},
      {"fc_norm.weight", "a second norm behind the last block"},
      {"attn_pool.q.weight", "attention pooling"},
      {"pre_logits.fc.weight", "between the final norm and the head"},
      {"blocks.0.attn.relative_position_bias_table", "relative position"},
      {"blocks.2.attn.norm.weight", "a norm inside attention"},
      {"blocks.2.mlp.norm.weight", "a norm inside the MLP"},
      {"blocks.2.mlp.fc1_g.weight", "SwiGLU"},
      {"blocks.2.mlp.w12.weight", "SwiGLU"},
      {"blocks.2.attn.qkv.lora_a.weight", "LoRA"},
  };
  for (const auto& [name, what] : cases) {
    EXPECT_THAT(ErrorFor([&](auto& items) {
                  items.push_back({name, WeightDType::kF32, {{64}, std::vector<float>(64, 1)}});
                }),
                AllOf(HasSubstr("model.safetensors"), HasSubstr(name), HasSubstr(what)));
  }
  EXPECT_THAT(ErrorFor([](auto& items) {
                for (const char* name : {"rope.freqs", "fc_norm.weight", "attn_pool.q.weight"})
                  items.push_back({name, WeightDType::kF32, {{1}, {1}}});
              }),
              HasSubstr("tensor 'fc_norm.weight': a second norm behind the last block is not "
                        "supported; nor is what is in 'attn_pool.q.weight', 'rope.freqs'"));
  // 16 positions are those of the patches alone: the class token has none.
  EXPECT_THAT(ErrorFor(
                  [](auto& items) {
                    Item(items, "pos_embed").tensor = {{1, 16, 64}, std::vector<float>(16 * 64, 1)};
                  },
                  "tokens: 16"),
              HasSubstr("tokens is 16"));
}

}  // namespace
}  // namespace qsim::testing
