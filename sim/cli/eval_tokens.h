// qsim eval of a language model: bits per token over its evaluation files.
#pragma once

#include "sim/cli/eval_command.h"

namespace qsim::cli {

// Returns 0. Throws InputError: a token outside the vocabulary, nothing to predict, a state file of
// another run.
int RunTokenEval(const EvalOptions& options, const LoadedModel& loaded);

}  // namespace qsim::cli
