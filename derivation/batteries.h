// All batteries, in a fixed order, and one digest of what they computed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "derivation/comparison.h"

namespace qsim::derivation {

std::vector<Battery> AllBatteries();

inline constexpr std::uint64_t kSelftestSeed = 20261121;

struct BatteryResult {
  Battery battery;
  std::int64_t compared = 0;
  std::int64_t mismatches = 0;
  std::string first_mismatch;
  std::string digest;
};
// Every battery with a generator of its own, seeded alike.
std::vector<BatteryResult> RunBatteries(std::uint64_t seed);

// SHA-256 of all results. For one version of qsim and one seed it is the same on every machine.
std::string DigestOf(const std::vector<BatteryResult>& results);

}  // namespace qsim::derivation
