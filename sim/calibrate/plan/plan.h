// What is realised: each section of the configuration after the rules of docs/architecture.md,
// "What a granularity means in integers". A request that integer hardware cannot honour is an
// error, or, under
// `--realise nearest`, a listed substitution.
#pragma once

#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/network/vit_model.h"

namespace qsim {

enum class Realise : std::uint8_t { kExact, kNearest };

// The sections of one block's attention datapath, every one of them realisable.
struct AttentionPlan {
  Section input;  // the residual stream that enters the block
  Section norm1;
  Section qkv_weight, qkv_output;
  Section q, k, v;
  Section scores;
  Section softmax;
  Section attention;  // attn_v_out
  Section proj_weight, proj_output;
  Section residual1;
  SoftmaxKind softmax_kind = SoftmaxKind::kIbertRn;
  Hardware hardware;
  Numerics numerics;
};

// The sections of one block's second half, norm2 to residual2.
struct MlpPlan {
  Section norm2;
  Section fc1_weight, fc1_output;  // the output is the GELU's input: always quantized
  Section gelu;
  Section fc2_weight, fc2_output;
  Section residual2;
  Hardware hardware;
  Numerics numerics;
};

// What lies outside the blocks: patch embedding, final norm and head.
struct EndsPlan {
  Section patch_weight;
  Section embed;
  Section norm;
  Section head_weight;
  Hardware hardware;
  Numerics numerics;
};

// Logits feed no array, so they keep 16 bits, one scale, and no ties that 8 bits would make.
Section LogitsSection();

// Throws InputError with the section's origin for a request that cannot be realised.
AttentionPlan PlanAttention(const Config& config, int block, Realise realise,
                            std::vector<LoweringNote>& notes);
MlpPlan PlanMlp(const Config& config, int block, Realise realise, std::vector<LoweringNote>& notes);
EndsPlan PlanEnds(const Config& config, Realise realise, std::vector<LoweringNote>& notes);

}  // namespace qsim
