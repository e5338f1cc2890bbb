#include "sim/cosim/elementwise_runner.h"

#include <algorithm>
#include <vector>

#include "golden/ops/require.h"
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
    lanes.push_back(entries[entries.size() == 1 ? 0 : channel]);
  }
  return lanes;
}

// The blocks of a tensor, in row-major order of their tiles.
template <typename Body>
void ForEachTile(ArrayShape shape, std::size_t elements, std::int64_t row_length, Body body) {
  const std::int64_t rows = static_cast<std::int64_t>(elements) / row_length;
  for (std::int64_t row0 = 0; row0 < rows; row0 += shape.rows) {
    for (std::int64_t col0 = 0; col0 < row_length; col0 += shape.cols) {
      body(TileOf(shape, row0, col0),
           Block{row0, col0, std::min<std::int64_t>(shape.rows, rows - row0),
                 std::min<std::int64_t>(shape.cols, row_length - col0), shape.cols, row_length});
    }
  }
}

void CheckShape(const ChannelLayout& layout, std::size_t in, std::size_t out,
                std::int64_t row_length) {
  Require(Matches(layout, in) && in == out, "the tensors must have the layout's size");
  Require(row_length >= 1 && in % static_cast<std::size_t>(row_length) == 0,
          "the row length must divide the tensor's size");
}

void CheckScale(std::int32_t m, int shift) {
  Require(m != INT32_MIN, "a multiplier's magnitude must be below 2^31");
  Require(shift >= 0 && shift <= 62, "a shift must be in 0..62");
}

}  // namespace

std::int64_t RunRequantize(const OpId& id, std::span<const std::int32_t> in,
                           std::int64_t row_length, const RequantizeParams& params,
                           std::span<std::int32_t> out, const RtlOptions& options,
                           RequantizeUnit& unit, TileRunner& runner) {
  CheckShape(params.layout, in.size(), out.size(), row_length);
  const RequantizePorts ports = PortsOf(params);
  const bool per_channel = ports.scale.size() > 1;

  std::int64_t saturated_count = 0;
  ForEachTile(options.array, in.size(), row_length, [&](TileIndex index, const Block& block) {
    const auto run_tile = [&](RequantizeUnit& rtl, TileRunner::Tile& tile) {
      ForEachCommand(block, params.layout, per_channel,
                     [&](const Block& rows, const std::vector<std::size_t>& channels) {
                       const auto x = Gather(rows, in);
                       const auto scale = PerLane<Multiplier>(ports.scale, channels);
                       const auto zero = PerLane<std::int32_t>(ports.zero, channels);
                       const auto addend = PerLane<std::int64_t>(ports.addend, channels);
                       std::vector<std::int64_t> addends(x.size());
                       for (std::size_t i = 0; i < x.size(); ++i) {
                         addends[i] = addend[i % addend.size()];
                       }
                       std::vector<std::int32_t> y(x.size());
                       std::vector<std::uint8_t> saturated(x.size());
                       const RequantizeRun run{.x_zero = params.input_zero,
                                               .rounding = ports.rounding,
                                               .range = params.range,
                                               .scale = scale,
                                               .zero = zero,
                                               .x = x,
                                               .addend = addends,
                                               .double_rounding = ports.double_rounding};
                       rtl.Run(run, tile.stalls, options.cycle_limit, y, saturated, &tile.cost);
                       saturated_count += Scatter(rows, y, saturated, out);
                     });
    };
    runner.Run(
        id, index, static_cast<std::uint64_t>(block.rows * block.cols),
        static_cast<std::uint64_t>(unit.lanes()), unit,
        [&](const std::filesystem::path& trace) { return MakeRequantizeUnit(unit.lanes(), trace); },
        run_tile);
  });
  return saturated_count;
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
  for (const std::int32_t m : params.a_multiplier) CheckScale(m, params.shift);
  for (const std::int32_t m : params.b_multiplier) CheckScale(m, params.shift);
  constexpr std::int32_t kMax = (1 << (kResidualWidth - 1)) - 1;
  const auto fits = [](std::int32_t value) { return value >= -kMax - 1 && value <= kMax; };
  Require(fits(params.b_zero) && std::all_of(b.begin(), b.end(), fits),
          "ResidualAdd: b and b_zero must have at most 16 bits");
  const bool per_channel = params.a_multiplier.size() > 1 || params.b_multiplier.size() > 1;

  std::int64_t saturated_count = 0;
  ForEachTile(options.array, a.size(), row_length, [&](TileIndex index, const Block& block) {
    const auto run_tile = [&](ResidualAddUnit& rtl, TileRunner::Tile& tile) {
      ForEachCommand(block, params.layout, per_channel,
                     [&](const Block& rows, const std::vector<std::size_t>& channels) {
                       const auto a_beats = Gather(rows, a);
                       const auto b_beats = Gather(rows, b);
                       const auto a_multiplier = PerLane(params.a_multiplier, channels);
                       const auto b_multiplier = PerLane(params.b_multiplier, channels);
                       std::vector<std::int32_t> y(a_beats.size());
                       std::vector<std::uint8_t> saturated(a_beats.size());
                       const ResidualAddRun run{.a_zero = params.a_zero,
                                                .b_zero = params.b_zero,
                                                .shift = params.shift,
                                                .out_zero = params.out_zero,
                                                .rounding = params.rounding,
                                                .range = params.range,
                                                .a_multiplier = a_multiplier,
                                                .b_multiplier = b_multiplier,
                                                .a = a_beats,
                                                .b = b_beats};
                       rtl.Run(run, tile.stalls, options.cycle_limit, y, saturated, &tile.cost);
                       saturated_count += Scatter(rows, y, saturated, out);
                     });
    };
    runner.Run(
        id, index, static_cast<std::uint64_t>(block.rows * block.cols),
        static_cast<std::uint64_t>(unit.lanes()), unit,
        [&](const std::filesystem::path& trace) {
          return MakeResidualAddUnit(unit.lanes(), trace);
        },
        run_tile);
  });
  return saturated_count;
}

}  // namespace qsim::cosim
