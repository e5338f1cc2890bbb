// Drives one rtl/mac_array.sv. The interface knows nothing of Verilator; mac_array_driver.h
// implements it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "golden/ops/gemm.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/cosim/stream.h"

namespace qsim::cosim {

// One command of the array and the beats of its streams, packed as in bit_pack.h.
struct MacPass {
  bool first = true;  // begins a tile; only then `init` counts
  bool last = true;   // ends it; only then rows of accumulators leave
  std::int64_t k = 0;
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  OperandMode mode = OperandMode::kMultiply;
  bool lhs_signed = true;
  std::int32_t lhs_zero = 0;
  Accumulator acc;
  std::span<const std::uint32_t> rhs_zero;  // one beat, 8 bits a column
  std::span<const std::uint32_t> init;      // one beat, the bias; 32 bits a column
  std::span<const std::uint32_t> lhs;       // k beats, 8 bits a row
  std::span<const std::uint32_t> rhs;       // k beats, 8 bits a column
};

class MacArrayUnit {
 public:
  virtual ~MacArrayUnit() = default;
  virtual ArrayShape shape() const = 0;

  // Runs the passes of any number of tiles, one after the other without a gap. out gets the rows of
  // all tiles, beats of `shape().cols` accumulators. Returns for each tile whether some sum left
  // the accumulator, whatever the policy. Adds to *cost, also when it throws: InternalError where
  // RunStreams does, and when an assertion in the RTL fires.
  virtual std::vector<bool> Run(std::span<const MacPass> passes, StallGenerator& stalls,
                                std::uint64_t cycle_limit, std::span<std::uint32_t> out,
                                RunCost* cost) = 0;
};

// Each array is built twice from the same sources: a fast model, and one that runs the assertions
// of rtl/ and can write a waveform.
enum class Checks { kOff, kOn };

// What a product runs on.
struct MacArrays {
  std::vector<std::unique_ptr<MacArrayUnit>> fast;  // one for each thread
  std::unique_ptr<MacArrayUnit> checked;
};

// `trace`: write a waveform of everything the unit does, to the time of its destruction; needs kOn.
std::unique_ptr<MacArrayUnit> MakeMacArrayUnit(
    ArrayShape shape, Checks checks,
    const std::optional<std::filesystem::path>& trace = std::nullopt);

}  // namespace qsim::cosim
