// A trained vision transformer: geometry and float weights, read from safetensors with timm's
// names.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/io/tensors/float_tensor.h"
#include "sim/inputs/manifest.h"
#include "sim/io/tensors/safetensors.h"

namespace qsim {

// y = x W^T + b.
struct Linear {
  FloatTensor weight;  // [out, in], as stored
  std::vector<float> bias;
  std::int64_t out_features() const { return weight.shape[0]; }
  std::int64_t in_features() const { return weight.shape[1]; }
};

struct Norm {
  std::vector<float> gamma;
  std::vector<float> beta;
};

struct BlockWeights {
  Norm norm1, norm2;
  Linear qkv;  // [3C, C]: rows of Q, then K, then V
  Linear proj, fc1, fc2;
};

struct VitGeometry {
  std::int64_t image_size = 0;  // 0 when the inputs are token embeddings
  std::int64_t image_channels = 0;
  std::int64_t patch = 0;
  std::int64_t tokens = 0;  // class token included
  std::int64_t dim = 0;
  std::int64_t heads = 0;
  std::int64_t depth = 0;
  std::int64_t classes = 0;  // 0 when the file has no head
  double eps = 1e-6;
  std::int64_t head_dim() const { return dim / heads; }
};

struct VitModel {
  VitGeometry geometry;
  Linear patch_embed;  // [C, channels * patch * patch]; empty when the inputs are token embeddings
  std::vector<float> cls_token;
  FloatTensor pos_embed;  // [tokens, C]
  std::vector<BlockWeights> blocks;
  Norm norm;                 // the final one; empty when the file has no head
  Linear head;               // [classes, C]; empty when the file has no head
  std::string weights_hash;  // SHA-256 of the file
};

// Reads every tensor that the attention datapath and the float reference need. Throws InputError
// naming the tensor when one is missing, has another shape than the manifest's geometry says, or
// holds a NaN or Inf.
VitModel LoadVit(const Manifest& manifest);

}  // namespace qsim
