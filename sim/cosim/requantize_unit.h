// Drives one rtl/requantize.sv. The interface knows nothing of Verilator; requantize_driver.h
// implements it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "golden/ops/requantize.h"
#include "sim/cosim/stream.h"

namespace qsim::cosim {

// One command and its beats.
struct RequantizeRun {
  std::int32_t x_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range;
  std::span<const Multiplier> scale;     // one per lane
  std::span<const std::int32_t> zero;    // one per lane
  std::span<const std::int32_t> x;       // beats * lanes, at most 65535 beats
  std::span<const std::int64_t> addend;  // empty (0), or as long as x
  bool double_rounding = false;          // half_up twice, in place of `rounding`
};

class RequantizeUnit {
 public:
  virtual ~RequantizeUnit() = default;
  virtual int lanes() const = 0;

  // y gets x.size() values and saturated as many flags. Adds to *cost. Throws InternalError when
  // cost->cycles reaches cycle_limit, or when an assertion in the RTL fires.
  virtual void Run(const RequantizeRun& run, StallGenerator& stalls, std::uint64_t cycle_limit,
                   std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) = 0;
};

// `trace` as in MakeMacArrayUnit.
std::unique_ptr<RequantizeUnit> MakeRequantizeUnit(
    int lanes, const std::optional<std::filesystem::path>& trace = std::nullopt);

}  // namespace qsim::cosim
