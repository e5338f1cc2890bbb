// Mamba-2 language models, as transformers' and flash-linear-attention's Mamba2ForCausalLM and
// state-spaces' mamba_ssm store them: Dao and Gu, "Transformers are SSMs", ICML 2024.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::network {

// As LoadGla.
Network LoadMamba2(const Manifest& manifest);

}  // namespace qsim::network
