// What running one tile shares among the operations: the stalls' seed, the waveform if this is the
// tile to trace, the statistics, and the tile's name in errors.
#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>

#include "golden/ops/gemm.h"
#include "golden/program/backend.h"
#include "sim/cosim/rtl_backend.h"
#include "sim/cosim/stream.h"
#include "sim/error.h"

namespace qsim::cosim {

// "tap blocks.0.attn_qkv, image 0, head 0, tile (1, 2)"
std::string TileName(const OpId& id, TileIndex tile);

class TileRunner {
 public:
  explicit TileRunner(const RtlOptions& options) : options_(options) {}

  // One tile on the way through a unit.
  struct Tile {
    StallGenerator stalls;
    RunCost cost;
  };

  // Calls body(unit, tile) with the shared unit, or, for the tile to trace, with make(path): a
  // fresh unit, so that its waveform begins with a reset and holds this tile alone.
  template <typename Unit, typename Make, typename Body>
  void Run(const OpId& id, TileIndex index, std::uint64_t useful_macs,
           std::uint64_t slots_per_cycle, Unit& shared, Make make, Body body) {
    Tile tile{StallGenerator(options_.stalls.probability, StallSeed(id, index)), {}};
    try {
      if (IsTraced(id, index)) {
        const std::filesystem::path temporary = TemporaryTrace();
        try {
          const auto unit = make(temporary);
          body(*unit, tile);
        } catch (...) {
          FinishTrace(temporary);
          throw;
        }
        FinishTrace(temporary);
      } else {
        body(shared, tile);
      }
    } catch (const InternalError& error) {
      throw InternalError(TileName(id, index) + ": " + error.what());
    } catch (const AccumulatorOverflow& error) {
      throw AccumulatorOverflow(TileName(id, index) + ": " + error.what());
    }
    RtlStats& stats = stats_[std::string(id.tap)];
    stats.cycles += tile.cost.cycles;
    stats.stalled_cycles += tile.cost.stalled_cycles;
    stats.macs += useful_macs;
    stats.mac_slots += tile.cost.cycles * slots_per_cycle;
    ++stats.tiles;
  }

  // Whether the next tile of this tap runs with assertions: the first one does.
  bool ChecksNext(const OpId& id) const {
    return options_.check_every_tile || !stats_.contains(std::string(id.tap));
  }

  const StatsByTap& stats() const { return stats_; }
  bool trace_written() const { return trace_written_; }

 private:
  std::uint64_t StallSeed(const OpId& id, TileIndex index) const;
  bool IsTraced(const OpId& id, TileIndex index) const;
  std::filesystem::path TemporaryTrace() const;
  void FinishTrace(const std::filesystem::path& temporary);

  const RtlOptions& options_;
  StatsByTap stats_;
  bool trace_written_ = false;
};

}  // namespace qsim::cosim
