// What is realised: each section of the configuration after the rules of docs/architecture.md,
// "What a granularity means in integers". A request that integer hardware cannot honour is an
// error, or, under
// `--realise nearest`, a listed substitution.
#pragma once

#include <vector>

#include "sim/calibrate/bundle.h"
#include "sim/config/config.h"
#include "sim/model/vit_model.h"

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

// Throws InputError with the section's origin for a request that cannot be realised.
AttentionPlan PlanAttention(const Config& config, int block, Realise realise,
                            std::vector<LoweringNote>& notes);

}  // namespace qsim
