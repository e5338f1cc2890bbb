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

// "tap blocks.0.scores, image 0, head 0, tile (1, 2)"
std::string TileName(const OpId& id, TileIndex tile);

class TileRunner {
 public:
  explicit TileRunner(const RtlOptions& options) : options_(options) {}

  // Tiles on the way through a unit, one after the other.
  struct Tiles {
    StallGenerator stalls;
    RunCost cost;
  };

  // Calls body(tiles), which runs the tiles index_of(0), index_of(1), ... of an operation and
  // counts those that are through in tiles.cost.tiles: the next one is named in its errors.
  template <typename IndexOf, typename Body>
  Tiles Attempt(const OpId& id, IndexOf index_of, Body body) const {
    Tiles tiles{StallGenerator(options_.stalls.probability, StallSeed(id, index_of(0))), {}};
    const auto name = [&] { return TileName(id, index_of(tiles.cost.tiles)) + ": "; };
    try {
      body(tiles);
    } catch (const InternalError& error) {
      throw InternalError(name() + error.what());
    } catch (const AccumulatorOverflow& error) {
      throw AccumulatorOverflow(name() + error.what());
    }
    return tiles;
  }

  // Adds to the statistics of the tap.
  void Count(const OpId& id, std::uint64_t useful_macs, std::uint64_t slots_per_cycle,
             const RunCost& cost) {
    RtlStats& stats = stats_[std::string(id.tap)];
    stats.cycles += cost.cycles;
    stats.stalled_cycles += cost.stalled_cycles;
    stats.macs += useful_macs;
    stats.mac_slots += cost.cycles * slots_per_cycle;
    stats.tiles += cost.tiles;
  }

  // If this is the tile to trace: body(unit, tiles) with make(path), a unit of its own, so that the
  // waveform begins with a reset and holds this tile alone.
  template <typename Make, typename Body>
  void TraceIfAsked(const OpId& id, TileIndex index, Make make, Body body) {
    if (!IsTraced(id, index)) return;
    const std::filesystem::path temporary = TemporaryTrace();
    try {
      const auto unit = make(temporary);
      Attempt(
          id, [&](std::uint64_t) { return index; }, [&](Tiles& tiles) { body(*unit, tiles); });
    } catch (...) {
      FinishTrace(temporary);
      throw;
    }
    FinishTrace(temporary);
  }

  // Whether nothing of this tap has run yet.
  bool IsNew(const OpId& id) const { return !stats_.contains(std::string(id.tap)); }

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
