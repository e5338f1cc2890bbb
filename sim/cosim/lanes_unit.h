// Drives one rtl/requantize.sv or rtl/residual_add.sv. The interface knows nothing of Verilator;
// lanes_driver.h implements it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "golden/ops/residual_add.h"
#include "sim/cosim/stream.h"

namespace qsim::cosim {

// What both blocks are told: one command and its beats.
struct LanesRun {
  std::int32_t x_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range = {};
  std::span<const Multiplier> scale = {};   // one per lane
  std::span<const std::int32_t> zero = {};  // one per lane
  std::span<const std::int32_t> x = {};     // beats * lanes, 1 to qsim_pkg::kMaxBeats beats
};

struct RequantizeRun : LanesRun {
  std::span<const std::int64_t> addend = {};  // empty (0), or as long as x
  bool double_rounding = false;               // half_up twice, in place of `rounding`
};

// x is a.
struct ResidualAddRun : LanesRun {
  std::int32_t b_zero = 0;  // of qsim_pkg::kResidualWidth bits, as is every b
  std::span<const std::int32_t> b_multiplier = {};  // one per lane
  std::span<const std::int32_t> b = {};             // as long as x
};

template <typename Command>
class LanesUnit {
 public:
  virtual ~LanesUnit() = default;
  virtual int lanes() const = 0;

  // y gets x.size() values and saturated as many flags. Adds to *cost. Throws InternalError where
  // RunStreams does, and when an assertion in the RTL fires.
  virtual void Run(const Command& run, StallGenerator& stalls, std::uint64_t cycle_limit,
                   std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) = 0;
};

using RequantizeUnit = LanesUnit<RequantizeRun>;
using ResidualAddUnit = LanesUnit<ResidualAddRun>;

// `trace` as in MakeMacArrayUnit.
std::unique_ptr<RequantizeUnit> MakeRequantizeUnit(
    int lanes, const std::optional<std::filesystem::path>& trace = std::nullopt);
std::unique_ptr<ResidualAddUnit> MakeResidualAddUnit(
    int lanes, const std::optional<std::filesystem::path>& trace = std::nullopt);

}  // namespace qsim::cosim
