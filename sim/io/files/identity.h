// What something that is kept for later was made of, part by part.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace qsim::io {

// Each part's name ("weights", "--blocks") with the hash of its contents or, where it is short, its
// text. Two results with the same identity are the same bytes.
using Identity = std::vector<std::pair<std::string, std::string>>;

}  // namespace qsim::io
