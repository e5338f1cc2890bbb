// The RTL executor: every matrix product, requantize and residual add of a program goes through the
// Verilated modules of rtl/, tile by tile; softmax and layernorm are the golden arithmetic.
// docs/rtl.md has the tile schedule. This header needs no Verilator: in a build with -DQSIM_RTL=OFF
// no array exists and the constructor of RtlBackend says so.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "golden/program/backend.h"
#include "sim/namespaces.h"

namespace qsim::cosim {

// The size of a MAC array. The requantizer beside it has `cols` lanes.
struct ArrayShape {
  int rows = 16;
  int cols = 16;
  auto operator<=>(const ArrayShape&) const = default;
};

std::string ToString(ArrayShape shape);  // "8x16"

// Whether this build contains the RTL at all, and the array sizes it contains, sorted.
bool BuiltWithRtl();
std::vector<ArrayShape> BuiltArrays();

// An operation's output, seen as a matrix (the last axis is the column), is cut into tiles of the
// array's size, from the top left: an element (row, column) is in tile (row / rows, column / cols).
// A matrix product has one such matrix per head; an element-wise operation one per image, whose
// rows are all the rows of the tensor.
struct TileIndex {
  std::int64_t row = 0;
  std::int64_t col = 0;
  bool operator==(const TileIndex&) const = default;
};
TileIndex TileOf(ArrayShape shape, std::int64_t row, std::int64_t col);

// Random bubbles on every input stream and back-pressure on every output stream: in each cycle a
// stream rests with this probability, 0 to 0.95. The draws begin anew for every part of a product
// and every tile of an element-wise operation, from the seed and the place of the first tile (tap,
// image, head, tile row and column) alone, so that cycle counts do not depend on the threads.
struct StallOptions {
  double probability = 0;
  std::uint64_t seed = 1;
};

// Write the waveform (FST) of one tile.
struct TraceRequest {
  std::string tap;
  std::int64_t image = 0;
  std::int64_t head = 0;
  std::int64_t tile_row = 0;
  std::int64_t tile_col = 0;
  std::filesystem::path fst;
};

struct RtlStats {
  std::uint64_t cycles = 0;  // from a first command to the last output, summed over parts and tiles
  std::uint64_t macs = 0;  // useful: M * K * N of a product; elements of an element-wise operation
  std::uint64_t mac_slots =
      0;  // what those cycles could have held: rows * cols, or cols, per cycle
  std::uint64_t tiles = 0;
  std::uint64_t stalled_cycles = 0;  // cycles in which StallOptions held some stream back

  double Utilisation() const {
    return mac_slots == 0 ? 0 : static_cast<double>(macs) / static_cast<double>(mac_slots);
  }
  RtlStats& operator+=(const RtlStats& other);
  bool operator==(const RtlStats&) const = default;
};

// By output tensor name, summed over images and heads.
using StatsByTap = std::map<std::string, RtlStats>;
void Merge(const StatsByTap& from, StatsByTap& into);

struct RtlOptions {
  ArrayShape array;
  StallOptions stalls;
  int k_tile = 256;                        // steps of k in one pass of the array, 1..65535
  std::uint64_t cycle_limit = 50'000'000;  // per tile; tiles that take longer are an error
  int threads = 1;                         // arrays that share the tiles of a product, at least 1
  std::optional<TraceRequest> trace;
  bool check_every_tile = false;  // products: assertions in every tile, not in a tap's first alone
};

// Owns its Verilated models; one for each image that runs at a time. Results depend on none of the
// options.
class RtlBackend final : public Backend {
 public:
  // Throws InputError for an array size that was not built (naming those that were), a probability
  // or a k_tile out of range.
  explicit RtlBackend(RtlOptions options);
  ~RtlBackend() override;

  // All three throw InternalError, naming tap and tile, when the RTL hangs or one of its assertions
  // fires; Gemm throws AccumulatorOverflow, naming tap and tile, when a partial sum leaves the
  // accumulator under AccPolicy::kError. `seen` is left alone. Arguments out of the documented
  // ranges: std::invalid_argument, as in golden/ops.
  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override;
  std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                           std::span<const std::int32_t> b, std::int64_t row_length,
                           const ResidualAddParams& params, std::span<std::int32_t> out) override;

  const StatsByTap& stats() const;
  // Whether the requested waveform has been written.
  bool trace_written() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace qsim::cosim
