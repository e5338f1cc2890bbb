// The float executor: the same graph as the program, with the same tensor names, in float32.
//
// Every sum runs in one fixed order (k ascending), so a value depends on neither the batch, the
// number of threads, the cache sizes of the machine nor the compiler.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

#include "sim/io/tensors/float_tensor.h"
#include "sim/inputs/manifest.h"
#include "sim/network/vit_model.h"

namespace qsim {

// Receives each named tensor of one block, without the `blocks.N.` prefix, as it is computed:
// input, norm1, attn_qkv, attn_q_out, attn_k_out, attn_v_input, attn_kv_out (scores, scaled by
// 1/sqrt(head_dim)), intSoft, attn_v_out, attn_proj, residual1, norm2, mlp_fc1, mlp_gelu, mlp_fc2,
// residual2.
using FloatSink = std::function<void(const std::string& name, const FloatTensor& value)>;

class FloatReference {
 public:
  explicit FloatReference(const VitModel& model) : model_(model) {}

  // The tokens that enter block 0 for one input: [tokens, dim]. Reports patch_embed (images only)
  // and embed.
  FloatTensor Embed(const ModelInputs& inputs, std::int64_t image,
                    const FloatSink& sink = {}) const;

  // One block; returns residual2. `sink` may be empty.
  FloatTensor Block(std::int64_t block, const FloatTensor& x, const FloatSink& sink) const;

  // The final norm and the class token's logits, [1, classes]; reports norm and logits. The model
  // has a head.
  FloatTensor Head(const FloatTensor& x, const FloatSink& sink = {}) const;

 private:
  const VitModel& model_;
};

// The pieces, for references that put them together in other ways.
FloatTensor FloatLinear(const Linear& layer, const FloatTensor& x);
FloatTensor FloatLayerNorm(const Norm& norm, const FloatTensor& x, double eps);
void FloatSoftmaxRow(std::span<const float> scores, std::span<float> out);

// out[M, N] = a[M, K] * b[K, N] + bias[N] (bias may be empty), each element summed with k
// ascending.
void FloatMatmul(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride);

}  // namespace qsim
