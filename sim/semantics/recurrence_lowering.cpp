#include "sim/semantics/recurrence_lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "golden/ops/chunked_recurrence.h"
#include "sim/error.h"
#include "sim/semantics/multiplier.h"

namespace qsim::semantics {
namespace {

constexpr int kUpdateBits = 16;
constexpr int kReadBits = 16;  // of a state that is read: its products with a multiplier have room
constexpr int kRoom = 62;      // the most that a shift can be, and bits that a product can have

// How far a state is narrowed before it is read.
int StateShift(const Activation& state) {
  return std::max(0, BitsFor({state.range.qmin, state.range.qmax}) - kReadBits);
}

std::int64_t WidestOf(const Activation& grid) { return Widest(grid.range, grid.zero[0]); }

GatedUpdateParams DeriveUpdate(const auto& function, const Numerics& numerics,
                               const Hardware& hardware, const GatedGrids& grids) {
  GatedUpdateParams update;
  update.key_width = static_cast<int>(function.key_width);
  update.value_width = static_cast<int>(function.value_width);
  update.value_first = function.value_first;
  update.key_zero = grids.key.zero[0];
  update.value_zero = grids.value.zero[0];
  update.decay_zero = grids.decay.zero[0];
  // F of a grid of steps 2^-F.
  update.decay_shift = static_cast<int>(std::lround(-std::log2(grids.decay.scale[0])));
  update.rounding = numerics.recurrence;
  update.chunk = numerics.recurrence_chunk;
  // A chunk's products are shifted by what their guard bits and the readout need as well.
  const int most = update.chunk == 0 ? kRoom : kRoom - 2 * kChunkGuard - StateShift(grids.state);
  for (std::size_t h = 0; h < grids.state.scale.size(); ++h) {
    update.update.push_back(
        MultiplierFor(grids.key.scale[0] * grids.value.scale[0] / grids.state.scale[h],
                      std::min(hardware.multiplier_bits, kUpdateBits),
                      fmt::format("{}, head {}", grids.state.name, h), most));
  }
  update.update = Compressed(std::move(update.update));
  return update;
}

// Narrow enough scores that their products have room, and not narrower.
int ScoreShift(const RecurrenceOp& op, const ChunkBounds& bounds) {
  int shift = 0, room = kRoom;
  for (const Multiplier& scale : op.update.update) {
    shift = std::max(shift, LeastScoreShift(bounds, scale.m));
    room = std::min(room, WithinShift(scale, op.state_shift, 0));
  }
  if (shift > room) {
    throw InputError(fmt::format(
        "key 'numerics.recurrence_chunk': {}: the products of {} rows have no room for the state's "
        "steps; give fewer rows, or queries, keys and values fewer bits",
        op.output, op.update.chunk));
  }
  return shift;
}

// Of a readout's multiplier, with which its sums stay within 62 bits.
int ReadoutBits(const RecurrenceOp& op, const Activation& query, const Activation& state,
                int bits) {
  const std::int64_t narrow = (-std::int64_t{state.range.qmin} >> op.state_shift) + 1;
  const Int128 sum = Int128{op.update.key_width} * WidestOf(query) * narrow;
  while (bits > 2 && sum * MaxMultiplier(bits) > Int128{1} << kRoom) --bits;
  return bits;
}

}  // namespace

RecurrenceStateOp DeriveFinalState(const network::FinalState& final, const Numerics& numerics,
                                   const Hardware& hardware, const GatedGrids& grids,
                                   const std::string& past) {
  return {.output = grids.state.name,
          .key = grids.key.name,
          .value = grids.value.name,
          .decay = grids.decay.name,
          .past = past,
          .update = DeriveUpdate(final, numerics, hardware, grids)};
}

RecurrenceOp DeriveRecurrence(const network::Recurrence& recurrence, const Numerics& numerics,
                              const Hardware& hardware, const Activation& query,
                              const GatedGrids& grids, const Activation& out) {
  RecurrenceOp op;
  op.output = out.name;
  op.query = query.name;
  op.key = grids.key.name;
  op.value = grids.value.name;
  op.decay = grids.decay.name;
  op.past = grids.state.name;
  op.update = DeriveUpdate(recurrence, numerics, hardware, grids);
  op.query_zero = query.zero[0];
  op.state_shift = StateShift(grids.state);
  op.zero = out.zero[0];
  op.rounding = numerics.recurrence;
  const ChunkBounds bounds = {.rows = op.update.chunk,
                              .keys = op.update.key_width,
                              .query = WidestOf(query),
                              .key = WidestOf(grids.key),
                              .value = WidestOf(grids.value)};
  if (op.update.chunk != 0) op.score_shift = ScoreShift(op, bounds);
  const int bits = ReadoutBits(op, query, grids.state, hardware.multiplier_bits);
  const auto heads = static_cast<std::int64_t>(out.scale.size()) / recurrence.value_width;
  const auto states = static_cast<std::int64_t>(grids.state.scale.size());
  for (std::int64_t h = 0; h < heads; ++h) {
    const double s = grids.state.scale[static_cast<std::size_t>(ShareOf(h, heads, states))];
    const double ratio =
        query.scale[0] * std::ldexp(s, op.state_shift) / recurrence.divisor / out.scale[0];
    op.readout.push_back(MultiplierFor(ratio, bits, fmt::format("{}, head {}", op.output, h)));
  }
  op.readout = Compressed(std::move(op.readout));
  return op;
}

}  // namespace qsim::semantics
