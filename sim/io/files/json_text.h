// JSON of files, nested no deeper than people write it: what is built from it is copied and walked
// by recursion.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "sim/namespaces.h"

namespace qsim::io {

// A discarded value where the text is not JSON. Throws InputError naming `file` where it is nested
// deeper than 64.
nlohmann::json ParseJson(std::string_view text, const std::string& file);

}  // namespace qsim::io
