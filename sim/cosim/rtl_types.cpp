// The parts of rtl_backend.h that exist with and without RTL.
#include "sim/cosim/rtl_backend.h"

namespace qsim::cosim {

std::string ToString(ArrayShape shape) {
  return std::to_string(shape.rows) + "x" + std::to_string(shape.cols);
}

TileIndex TileOf(ArrayShape shape, std::int64_t row, std::int64_t col) {
  return {row / shape.rows, col / shape.cols};
}

RtlStats& RtlStats::operator+=(const RtlStats& other) {
  cycles += other.cycles;
  macs += other.macs;
  mac_slots += other.mac_slots;
  tiles += other.tiles;
  stalled_cycles += other.stalled_cycles;
  return *this;
}

void Merge(const StatsByTap& from, StatsByTap& into) {
  for (const auto& [tap, stats] : from) into[tap] += stats;
}

}  // namespace qsim::cosim
