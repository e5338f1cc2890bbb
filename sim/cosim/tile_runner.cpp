#include "sim/cosim/tile_runner.h"

#include <system_error>

namespace qsim::cosim {
namespace {

// The finaliser of SplitMix64: spreads every input bit over the whole word.
std::uint64_t Mix(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

}  // namespace

std::string TileName(const OpId& id, TileIndex tile) {
  return "tap " + std::string(id.tap) + ", image " + std::to_string(id.image) + ", head " +
         std::to_string(id.head) + ", tile (" + std::to_string(tile.row) + ", " +
         std::to_string(tile.col) + ")";
}

std::uint64_t TileRunner::StallSeed(const OpId& id, TileIndex index) const {
  std::uint64_t seed = Mix(options_.stalls.seed);
  for (const char c : id.tap) seed = Mix(seed ^ static_cast<unsigned char>(c));
  for (const std::int64_t part : {id.image, id.head, index.row, index.col}) {
    seed = Mix(seed ^ static_cast<std::uint64_t>(part));
  }
  return seed;
}

bool TileRunner::IsTraced(const OpId& id, TileIndex index) const {
  if (!options_.trace) return false;
  const TraceRequest& trace = *options_.trace;
  return trace.tap == id.tap && trace.image == id.image && trace.head == id.head &&
         trace.tile_row == index.row && trace.tile_col == index.col;
}

std::filesystem::path TileRunner::TemporaryTrace() const {
  std::filesystem::path path = options_.trace->fst;
  path += ".part";
  return path;
}

void TileRunner::FinishTrace(const std::filesystem::path& temporary) {
  std::error_code error;
  std::filesystem::rename(temporary, options_.trace->fst, error);
  if (error) {
    throw InputError(options_.trace->fst.string() +
                     ": cannot write the waveform: " + error.message());
  }
  trace_written_ = true;
}

}  // namespace qsim::cosim
