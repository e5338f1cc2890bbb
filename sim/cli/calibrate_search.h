// qsim calibrate --search SECONDS: a better configuration instead of a bundle.
#pragma once

#include <cstdint>
#include <filesystem>

#include "sim/cli/model_options.h"

namespace qsim::cli {

// Writes the configuration to `file` and what each change brought to stdout. Throws InputError.
void WriteSearched(const LoadedModel& loaded, std::int64_t seconds,
                   const std::filesystem::path& file);

}  // namespace qsim::cli
