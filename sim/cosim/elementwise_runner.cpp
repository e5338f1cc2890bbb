#include "sim/cosim/elementwise_runner.h"

#include <algorithm>
#include <vector>

#include "golden/ops/one_or_each.h"
#include "golden/ops/require.h"
#include "sim/cosim/qsim_pkg.h"
#include "sim/cosim/requantize_ports.h"

namespace qsim::cosim {
namespace {

// A block of the matrix: rows [row0, row0 + rows), columns [col0, col0 + cols), on `lanes` lanes.
struct Block {
  std::int64_t row0 = 0;
  std::int64_t col0 = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t lanes = 0;
  std::int64_t row_length = 0;

  std::size_t Element(std::int64_t row, std::int64_t col) const {
    return static_cast<std::size_t>((row0 + row) * row_length + col0 + col);
  }
  std::size_t LaneCount(std::int64_t row_count) const {
    return static_cast<std::size_t>(row_count * lanes);
  }
  Block Rows(std::int64_t first, std::int64_t count) const {
    Block part = *this;
    part.row0 += first;
    part.rows = count;
    return part;
  }
};

std::vector<std::int32_t> Gather(const Block& block, std::span<const std::int32_t> tensor) {
  std::vector<std::int32_t> beats(block.LaneCount(block.rows));
  for (std::int64_t r = 0; r < block.rows; ++r) {
    std::copy_n(tensor.data() + block.Element(r, 0), block.cols, beats.data() + r * block.lanes);
  }
  return beats;
}

// Returns the number of saturated elements.
std::int64_t Scatter(const Block& block, std::span<const std::int32_t> beats,
                     std::span<const std::uint8_t> saturated, std::span<std::int32_t> tensor) {
  std::int64_t count = 0;
  for (std::int64_t r = 0; r < block.rows; ++r) {
    for (std::int64_t c = 0; c < block.cols; ++c) {
      const auto lane = static_cast<std::size_t>(r * block.lanes + c);
      tensor[block.Element(r, c)] = beats[lane];
      count += saturated[lane];
    }
  }
  return count;
}

// The channel of every lane of one row of the block; lanes beyond the block repeat its last one.
std::vector<std::size_t> LaneChannels(const Block& block, std::int64_t row,
                                      const ChannelLayout& layout, bool per_channel) {
  std::vector<std::size_t> channels(static_cast<std::size_t>(block.lanes), 0);
  if (!per_channel) return channels;
  for (std::int64_t lane = 0; lane < block.lanes; ++lane) {
    const std::size_t element = block.Element(row, std::min(lane, block.cols - 1));
    channels[static_cast<std::size_t>(lane)] =
        static_cast<std::size_t>(layout.ChannelOf(static_cast<std::int64_t>(element)));
  }
  return channels;
}

// Splits the block into runs of rows whose lanes belong to the same channels: one command each.
template <typename Body>
void ForEachCommand(const Block& block, const ChannelLayout& layout, bool per_channel, Body body) {
  std::int64_t first = 0;
  while (first < block.rows) {
    const std::vector<std::size_t> channels = LaneChannels(block, first, layout, per_channel);
    std::int64_t end = first + 1;
    while (end < block.rows && LaneChannels(block, end, layout, per_channel) == channels) ++end;
    body(block.Rows(first, end - first), channels);
    first = end;
  }
}

template <typename T>
std::vector<T> PerLane(std::span<const T> entries, const std::vector<std::size_t>& channels) {
  std::vector<T> lanes;
  lanes.reserve(channels.size());
  for (const std::size_t channel : channels) {
    lanes.push_back(EntryFor(entries, channel));
  }
  return lanes;
}

void CheckShape(const ChannelLayout& layout, std::size_t in, std::size_t out,
                std::int64_t row_length) {
  Require(Matches(layout, in) && in == out, "the tensors must have the layout's size");
  Require(row_length >= 1 && in % static_cast<std::size_t>(row_length) == 0,
          "the row length must divide the tensor's size");
}

// What the blocks' assertions ask of a command, of every lane and of every x.
void CheckCommand(const LanesRun& run) {
  constexpr std::int64_t kMaxZero = std::int64_t{1} << qsim_pkg::kZeroBits;
  constexpr std::int64_t kMaxDifference = std::int64_t{1} << 31;
  for (const Multiplier& scale : run.scale) {
    Require(scale.m != INT32_MIN, "a multiplier's magnitude must be below 2^31");
    Require(scale.shift >= 0 && scale.shift <= qsim_pkg::kMaxShift, "a shift must be in 0..62");
  }
  for (const std::int64_t zero : run.zero) {
    Require(zero >= -kMaxZero && zero <= kMaxZero, "a zero point's magnitude must be at most 2^17");
  }
  for (const std::int64_t x : run.x) {
    Require(x - run.x_zero >= -kMaxDifference && x - run.x_zero <= kMaxDifference,
            "the magnitude of x - x_zero must be at most 2^31");
  }
  Require(run.range.qmin <= run.range.qmax, "qmin must be at most qmax");
}

// Runs a tensor tile after tile, in row-major order, each in commands of rows whose lanes belong to
// the same channels. fill(rows, channels, run) makes the command of such rows and calls run with
// it. Returns the number of saturated elements.
template <typename Command, typename Make, typename Fill>
std::int64_t RunTiles(const OpId& id, std::int64_t row_length, const ChannelLayout& layout,
                      bool per_channel, std::span<std::int32_t> out, const RtlOptions& options,
                      LanesUnit<Command>& unit, Make make, TileRunner& runner, Fill fill) {
  std::int64_t saturated_count = 0;
  const ArrayShape shape = options.array;
  const std::int64_t row_count = static_cast<std::int64_t>(out.size()) / row_length;
  for (std::int64_t row0 = 0; row0 < row_count; row0 += shape.rows) {
    for (std::int64_t col0 = 0; col0 < row_length; col0 += shape.cols) {
      const Block block{row0,
                        col0,
                        std::min<std::int64_t>(shape.rows, row_count - row0),
                        std::min<std::int64_t>(shape.cols, row_length - col0),
                        shape.cols,
                        row_length};
      const TileIndex index = TileOf(shape, row0, col0);
      std::int64_t saturated_here = 0;
      const auto run_tile = [&](LanesUnit<Command>& rtl, TileRunner::Tiles& tile) {
        saturated_here = 0;
        ForEachCommand(block, layout, per_channel,
                       [&](const Block& rows, const std::vector<std::size_t>& channels) {
                         fill(rows, channels, [&](const Command& command) {
                           CheckCommand(command);
                           std::vector<std::int32_t> y(command.x.size());
                           std::vector<std::uint8_t> saturated(command.x.size());
                           rtl.Run(command, tile.stalls, options.cycle_limit, y, saturated,
                                   &tile.cost);
                           saturated_here += Scatter(rows, y, saturated, out);
                         });
                       });
      };
      runner.TraceIfAsked(
          id, index, [&](const std::filesystem::path& fst) { return make(unit.lanes(), fst); },
          run_tile);
      TileRunner::Tiles ran = runner.Attempt(
          id, [&](std::uint64_t) { return index; },
          [&](TileRunner::Tiles& tiles) { run_tile(unit, tiles); });
      ran.cost.tiles = 1;
      runner.Count(id, static_cast<std::uint64_t>(block.rows * block.cols),
                   static_cast<std::uint64_t>(unit.lanes()), ran.cost);
      saturated_count += saturated_here;
    }
  }
  return saturated_count;
}

}  // namespace

std::int64_t RunRequantize(const OpId& id, std::span<const std::int32_t> in,
                           std::int64_t row_length, const RequantizeParams& params,
                           std::span<std::int32_t> out, const RtlOptions& options,
                           RequantizeUnit& unit, TileRunner& runner) {
  CheckShape(params.layout, in.size(), out.size(), row_length);
  const RequantizePorts ports = PortsOf(params);
  return RunTiles(
      id, row_length, params.layout, ports.scale.size() > 1, out, options, unit, MakeRequantizeUnit,
      runner, [&](const Block& rows, const std::vector<std::size_t>& channels, const auto& run) {
        const auto x = Gather(rows, in);
        const auto scale = PerLane<Multiplier>(ports.scale, channels);
        const auto zero = PerLane<std::int32_t>(ports.zero, channels);
        const auto addend = PerLane<std::int64_t>(ports.addend, channels);
        std::vector<std::int64_t> addends(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) addends[i] = addend[i % addend.size()];
        const RequantizeRun command{
            {params.input_zero, ports.rounding, params.range, scale, zero, x},
            addends,
            ports.double_rounding};
        run(command);
      });
}

std::int64_t RunResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                            std::span<const std::int32_t> b, std::int64_t row_length,
                            const ResidualAddParams& params, std::span<std::int32_t> out,
                            const RtlOptions& options, ResidualAddUnit& unit, TileRunner& runner) {
  CheckShape(params.layout, a.size(), out.size(), row_length);
  Require(a.size() == b.size(), "ResidualAdd: a and b must have the same size");
  Require(OneOrPerChannel(params.layout, params.a_multiplier.size()) &&
              OneOrPerChannel(params.layout, params.b_multiplier.size()),
          "ResidualAdd: the multipliers need one entry or one per channel");
  Require(std::find(params.b_multiplier.begin(), params.b_multiplier.end(), INT32_MIN) ==
              params.b_multiplier.end(),
          "a multiplier's magnitude must be below 2^31");
  constexpr std::int32_t kMax = (1 << (qsim_pkg::kResidualWidth - 1)) - 1;
  // A zero point of 2^16 is one more than its port holds: then b and it are both one less.
  const std::int32_t beyond = params.b_zero == kMax + 1 ? 1 : 0;
  const auto fits = [&](std::int32_t value) {
    return value - beyond >= -kMax - 1 && value - beyond <= kMax;
  };
  Require(fits(params.b_zero) && std::all_of(b.begin(), b.end(), fits),
          "ResidualAdd: b and b_zero must have at most 16 bits");
  const bool per_channel = params.a_multiplier.size() > 1 || params.b_multiplier.size() > 1;
  return RunTiles(
      id, row_length, params.layout, per_channel, out, options, unit, MakeResidualAddUnit, runner,
      [&](const Block& rows, const std::vector<std::size_t>& channels, const auto& run) {
        const auto a_beats = Gather(rows, a);
        auto b_beats = Gather(rows, b);
        for (std::int32_t& beat : b_beats) beat -= beyond;
        const auto b_multiplier = PerLane(params.b_multiplier, channels);
        std::vector<Multiplier> scale;
        for (const std::int32_t m : PerLane(params.a_multiplier, channels)) {
          scale.push_back({m, params.shift});
        }
        const std::vector<std::int32_t> zero(channels.size(), params.out_zero);
        const ResidualAddRun command{
            {params.a_zero, params.rounding, params.range, scale, zero, a_beats},
            params.b_zero - beyond,
            b_multiplier,
            b_beats};
        run(command);
      });
}

}  // namespace qsim::cosim
