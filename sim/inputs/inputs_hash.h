// The contents of inputs, for what is kept of a run and is bound to them.
#pragma once

#include "sim/inputs/manifest.h"
#include "sim/io/files/hash.h"

namespace qsim::inputs {

// Pixels, embeddings or ids, and what turns pixels into real numbers; not their names, and not
// their labels. The same inputs in other pieces are another hash.
void AddTo(Sha256& hash, const ModelInputs& inputs);

}  // namespace qsim::inputs
