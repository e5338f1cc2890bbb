// How inputs are changed where no libFuzzer does it, and one of the ways where it does: numbers and
// words of a text, which it does not know.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "tests/namespaces.h"

namespace qsim::testing {

using Engine = std::mt19937_64;

inline std::uint64_t Below(Engine& engine, std::uint64_t count) {
  return count == 0 ? 0 : engine() % count;
}

// A few changes; `other` is what parts are taken from.
std::string Mutated(std::string input, const std::string& other, Engine& engine);

}  // namespace qsim::testing
