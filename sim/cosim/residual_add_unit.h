// Drives one rtl/residual_add.sv. The interface knows nothing of Verilator; residual_add_driver.h
// implements it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "golden/ops/residual_add.h"
#include "sim/cosim/stream.h"

namespace qsim::cosim {

// The width of the residual stream's port: 16 bits, signed or unsigned, in two's complement.
inline constexpr unsigned kResidualWidth = 17;

// One command and its beats.
struct ResidualAddRun {
  std::int32_t a_zero = 0;
  std::int32_t b_zero = 0;  // of kResidualWidth bits, as is every b
  int shift = 0;
  std::int32_t out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  QuantRange range;
  std::span<const std::int32_t> a_multiplier;  // one per lane
  std::span<const std::int32_t> b_multiplier;  // one per lane
  std::span<const std::int32_t> a;             // beats * lanes, at most 65535 beats
  std::span<const std::int32_t> b;             // as long as a
};

class ResidualAddUnit {
 public:
  virtual ~ResidualAddUnit() = default;
  virtual int lanes() const = 0;

  // As RequantizeUnit::Run.
  virtual void Run(const ResidualAddRun& run, StallGenerator& stalls, std::uint64_t cycle_limit,
                   std::span<std::int32_t> y, std::span<std::uint8_t> saturated, RunCost* cost) = 0;
};

// `trace` as in MakeMacArrayUnit.
std::unique_ptr<ResidualAddUnit> MakeResidualAddUnit(
    int lanes, const std::optional<std::filesystem::path>& trace = std::nullopt);

}  // namespace qsim::cosim
