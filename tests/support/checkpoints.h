// The shipped model's tensors, and checkpoints that are made of them: renamed, split, with more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "sim/io/tensors/safetensors.h"
#include "tests/io/io_test_util.h"
#include "tests/namespaces.h"

namespace qsim::testing {

inline constexpr std::int64_t kDim = 64;

using Items = std::map<std::string, SafetensorsItem>;

inline Items Shipped() {
  Items items;
  const Safetensors file =
      Safetensors::Open(std::filesystem::path(QSIM_SOURCE_DIR) / "vectors" / "model.safetensors");
  for (const std::string& name : file.names())
    items[name] = {name, WeightDType::kF32, file.Load(name)};
  return items;
}

inline SafetensorsItem Tensor(const std::string& name, const Shape& shape, float value) {
  const auto count = static_cast<std::size_t>(ElementCount(shape));
  return {name, WeightDType::kF32, {shape, std::vector<float>(count, value)}};
}

// Names as sed would change them, one expression after the other.
using Renaming = std::vector<std::pair<std::string, std::string>>;
inline Items Renamed(const Items& items, const Renaming& renaming) {
  Items renamed;
  for (const auto& [name, item] : items) {
    std::string other = name;
    for (const auto& [from, to] : renaming) other = std::regex_replace(other, std::regex(from), to);
    renamed[other] = item;
    renamed[other].name = other;
  }
  return renamed;
}

// attn.qkv.* as three tensors each, "part" in the name for q, k and v.
inline Items Split(Items items, const std::string& kind) {
  const std::string from = "attn.qkv." + kind;
  for (auto item = items.begin(); item != items.end();) {
    if (!item->first.ends_with(from)) {
      ++item;
      continue;
    }
    const FloatTensor whole = item->second.tensor;
    const std::string block = item->first.substr(0, item->first.size() - from.size());
    const std::size_t third = whole.data.size() / 3;
    std::size_t n = 0;
    for (const char* part : {"q", "k", "v"}) {
      FloatTensor tensor = whole;
      tensor.shape[0] = kDim;
      tensor.data.assign(whole.data.begin() + static_cast<std::ptrdiff_t>(n * third),
                         whole.data.begin() + static_cast<std::ptrdiff_t>((n + 1) * third));
      const std::string name = block + "attn." + part + "." + kind;
      items[name] = {name, item->second.dtype, tensor};
      ++n;
    }
    item = items.erase(item);
  }
  return items;
}
inline Items Split(Items items) { return Split(Split(std::move(items), "weight"), "bias"); }

inline void WriteCheckpoint(const std::filesystem::path& directory, const Items& items) {
  std::vector<SafetensorsItem> all;
  for (const auto& [name, item] : items) all.push_back(item);
  WriteSafetensors(directory / "model.safetensors", all);
}

// Without a class token, and its position.
inline Items WithoutClassToken(Items items) {
  items.erase("cls_token");
  FloatTensor& positions = items.at("pos_embed").tensor;
  positions.data.erase(positions.data.begin(), positions.data.begin() + kDim);
  --positions.shape[1];
  return items;
}

// With a distillation token behind the class token, and a head that reads it, whose classes are in
// another order.
inline Items Distilled(Items items) {
  items["dist_token"] = items.at("cls_token");
  items["dist_token"].name = "dist_token";
  for (float& x : items["dist_token"].tensor.data) x *= -0.5F;
  FloatTensor& positions = items.at("pos_embed").tensor;
  const std::vector<float> first(positions.data.begin(), positions.data.begin() + kDim);
  positions.data.insert(positions.data.begin() + kDim, first.begin(), first.end());
  ++positions.shape[1];
  for (const std::string kind : {"weight", "bias"}) {
    SafetensorsItem& other = items["head_dist." + kind] = items.at("head." + kind);
    other.name = "head_dist." + kind;
    std::vector<float>& values = other.tensor.data;
    std::rotate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                values.end());
  }
  return items;
}

// With a norm before the blocks, and as timm stores it no bias of the patches.
inline Items WithNormBefore(Items items) {
  for (const std::string kind : {"weight", "bias"}) {
    SafetensorsItem& norm = items["norm_pre." + kind] = items.at("norm." + kind);
    norm.name = "norm_pre." + kind;
  }
  items.erase("patch_embed.proj.bias");
  return items;
}

}  // namespace qsim::testing
