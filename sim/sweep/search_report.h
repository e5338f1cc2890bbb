// A search's result as text, and as the configuration that it found.
#pragma once

#include <cstdint>
#include <string>

#include "sim/sweep/search.h"

namespace qsim::sweep {

// What each change brought, at most 80 columns. `images`: on which they were judged.
std::string FormatSearch(const SearchResult& result, std::int64_t images);

// The configuration, complete; what each change brought stands above it.
std::string SearchYaml(const SearchResult& result, std::int64_t images, int depth);

}  // namespace qsim::sweep
