// A model's config.json: JSON as Python's json module writes it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/namespaces.h"

namespace qsim::inputs {

// A JSON object, in which Infinity, -Infinity and NaN may stand as they are (Python's json) or as
// {"__float__": "Infinity"} (transformers since 5): both are read as the number. Throws InputError
// for a file that cannot be read and for JSON that is no object.
nlohmann::json ReadConfiguration(const std::filesystem::path& path);

}  // namespace qsim::inputs
