// A conformance case's requantization on the RTL's requantizer, where its operands fit the ports.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "golden/program/backend.h"
#include "sim/conform/conform_case.h"

namespace qsim::conform {

struct RequantRtlRun {
  Shape shape;
  std::vector<std::int64_t> v;  // input offset applied
  ChannelLayout layout;
  RequantScheme scheme = RequantScheme::kRoundShift;
  Rounding rounding = Rounding::kHalfUp;
  std::vector<std::pair<std::int64_t, std::int64_t>> multipliers = {};  // m and S, one per channel
  std::vector<std::int64_t> addend = {};  // none, one or one per channel
  std::int64_t zero = 0;
  QuantRange range = {INT32_MIN, INT32_MAX};
};

// Output "y"; nullopt where an operand is wider than its port or outside the scheme's limits.
std::optional<CaseTensors> RunRequantRtl(const RequantRtlRun& run, Backend& rtl);

}  // namespace qsim::conform
