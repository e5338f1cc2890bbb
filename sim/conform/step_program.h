// A quantized network of another project, over integer tensors, imported as a qsim program.
// docs/formats.md, "Conformance cases": attention/icct_block, deeploy_attention.
#pragma once

#include <map>
#include <string>

#include "golden/program/executor.h"
#include "golden/program/program.h"
#include "sim/conform/conform_case.h"

namespace qsim::conform {

// How a case stores what the program holds as one image's tensor.
enum class StepLayout : std::uint8_t {
  kFlat,    // [B, T, C]: the program's [T, C]
  kHeads,   // [B, H, T, C / H]: the program's [T, C], head h in columns h C / H ..
  kScores,  // [B, H, T, T]: the program's [H, T, T]
};

struct StepTensor {
  std::string name;  // in the program
  StepLayout layout = StepLayout::kFlat;
  bool transposed = false;  // kHeads only: the case's last two axes are exchanged, for K^T
  std::int64_t heads = 1;
};

struct ImportedNetwork {
  Program program;
  std::int64_t images = 1;                    // the batch axis of `x`
  bool batched = true;                        // heads and scores have a batch axis in front
  std::map<std::string, StepTensor> tensors;  // by the case's name
};

// Builds the program of params.steps. Accumulators get the width that their proof asks for. Throws
// InputError naming the step and what is wrong: an unknown operation, a missing or ill-shaped
// tensor, parameters out of range; ProgramError where the program cannot be proven sound.
ImportedNetwork ImportSteps(const ConformCase& c);

// ITA's multi-head attention and feed-forward pass. Throws alike.
ImportedNetwork ImportIta(const ConformCase& c);

// Runs the network on the case's inputs and returns every tensor that the case lists as an output,
// in the case's layout.
CaseTensors RunSteps(const ConformCase& c, const ImportedNetwork& network, Backend& backend);

}  // namespace qsim::conform
