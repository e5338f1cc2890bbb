// qsim eval of a language model: bits per token over its evaluation files.
#pragma once

#include "sim/cli/eval_command.h"

namespace qsim::cli {

// Returns 0, or 2 where some files could not be read: a token outside the vocabulary, nothing to
// predict. Throws InputError: none could, a state file of another run.
int RunTokenEval(const EvalOptions& options, const LoadedModel& loaded);

}  // namespace qsim::cli
