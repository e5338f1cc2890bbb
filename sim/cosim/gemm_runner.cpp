#include "sim/cosim/gemm_runner.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "golden/ops/require.h"
#include "sim/cosim/bit_pack.h"
#include "sim/cosim/qsim_pkg.h"

namespace qsim::cosim {
namespace {

std::int64_t CeilDivide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// The rows [first, first + count) of lhs, one beat per k.
BeatBuffer PackLhs(const LhsView& lhs, std::int64_t first, std::int64_t count, int lanes) {
  return std::visit(
      [&](const auto& view) {
        const auto depth = static_cast<std::size_t>(view.cols);
        BeatBuffer beats(depth, static_cast<std::size_t>(lanes), 8);
        for (std::int64_t row = 0; row < count; ++row) {
          for (std::size_t k = 0; k < depth; ++k) {
            const int value = view(first + row, static_cast<std::int64_t>(k));
            beats.Set(k, static_cast<std::size_t>(row), static_cast<std::uint32_t>(value));
          }
        }
        return beats;
      },
      lhs);
}

// What belongs to one column of tiles: the columns [first, first + count) of rhs, one beat per k,
// and their bias and zero points, one beat each.
struct ColumnPanel {
  BeatBuffer rhs;
  BeatBuffer bias;
  BeatBuffer rhs_zero;
};

ColumnPanel PackColumns(MatrixView<const std::int8_t> rhs, const GemmParams& params,
                        std::int64_t first, std::int64_t count, int lanes) {
  const auto depth = static_cast<std::size_t>(rhs.rows);
  const auto width = static_cast<std::size_t>(lanes);
  ColumnPanel panel{BeatBuffer(depth, width, 8), BeatBuffer(1, width, 32), BeatBuffer(1, width, 8)};
  for (std::int64_t col = 0; col < count; ++col) {
    const std::int64_t n = first + col;
    const auto lane = static_cast<std::size_t>(col);
    for (std::size_t k = 0; k < depth; ++k) {
      const int value = rhs(static_cast<std::int64_t>(k), n);
      panel.rhs.Set(k, lane, static_cast<std::uint32_t>(value));
    }
    if (!params.bias.empty()) {
      const std::int32_t bias = params.bias[static_cast<std::size_t>(n)];
      panel.bias.Set(0, lane, static_cast<std::uint32_t>(bias));
    }
    panel.rhs_zero.Set(0, lane, static_cast<std::uint32_t>(params.RhsZero(n)));
  }
  return panel;
}

void CheckArguments(const LhsView& lhs, MatrixView<const std::int8_t> rhs, const GemmParams& params,
                    MatrixView<std::int32_t> out) {
  const auto [m, k] =
      std::visit([](const auto& view) { return std::pair(view.rows, view.cols); }, lhs);
  const auto columns = static_cast<std::size_t>(rhs.cols);
  Require(m >= 0 && rhs.cols >= 0 && k >= 0 && k <= qsim_pkg::kMaxDepth,
          "Gemm: K must be in 0..65535 and no size negative");
  Require(k == rhs.rows && out.rows == m && out.cols == rhs.cols,
          "Gemm: shapes must be M x K, K x N and M x N");
  Require(params.acc.bits >= qsim_pkg::kMinAccBits && params.acc.bits <= qsim_pkg::kMaxAccBits,
          "Gemm: acc.bits must be in 16..32");
  Require(params.bias.empty() || params.bias.size() == columns,
          "Gemm: bias must be empty or have one entry per column");
  Require(params.rhs_zero.size() <= 1 || params.rhs_zero.size() == columns,
          "Gemm: rhs_zero must be empty or have one entry, or one per column");
  Require(std::all_of(params.rhs_zero.begin(), params.rhs_zero.end(),
                      [](std::int32_t zero) { return zero >= -128 && zero <= 127; }),
          "Gemm: rhs_zero must be in -128..127");
  Require(params.lhs_zero >= -128 && params.lhs_zero <= 255, "Gemm: lhs_zero must be in -128..255");
  Require(params.mode == OperandMode::kMultiply ||
              (std::holds_alternative<MatrixView<const std::uint8_t>>(lhs) && params.lhs_zero == 0),
          "Gemm: shift mode needs uint8 codes and lhs_zero 0");
}

}  // namespace

void RunGemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
             const GemmParams& params, MatrixView<std::int32_t> out, const RtlOptions& options,
             const MacArrays& arrays, TileRunner& runner) {
  CheckArguments(lhs, rhs, params, out);
  const ArrayShape shape = arrays.fast->shape();
  const std::int64_t depth = rhs.rows;
  const std::int64_t passes = std::max<std::int64_t>(1, CeilDivide(depth, options.k_tile));

  std::vector<ColumnPanel> panels;
  for (std::int64_t first = 0; first < out.cols; first += shape.cols) {
    const std::int64_t count = std::min<std::int64_t>(shape.cols, out.cols - first);
    panels.push_back(PackColumns(rhs, params, first, count, shape.cols));
  }

  // Rows of accumulators on their way out of the array, and back into it for the next pass.
  std::vector<std::uint32_t> rows(static_cast<std::size_t>(shape.rows * shape.cols));
  for (std::int64_t row0 = 0; row0 < out.rows; row0 += shape.rows) {
    const std::int64_t row_count = std::min<std::int64_t>(shape.rows, out.rows - row0);
    const BeatBuffer lhs_beats = PackLhs(lhs, row0, row_count, shape.rows);
    for (std::int64_t col0 = 0; col0 < out.cols; col0 += shape.cols) {
      const std::int64_t col_count = std::min<std::int64_t>(shape.cols, out.cols - col0);
      const TileIndex index = TileOf(shape, row0, col0);
      const ColumnPanel& panel = panels[static_cast<std::size_t>(index.col)];

      const auto run_tile = [&](MacArrayUnit& unit, TileRunner::Tile& tile) {
        MacPass pass;
        pass.rows = row_count;
        pass.cols = col_count;
        pass.mode = params.mode;
        pass.lhs_signed = std::holds_alternative<MatrixView<const std::int8_t>>(lhs);
        pass.lhs_zero = params.lhs_zero;
        pass.acc = params.acc;
        pass.rhs_zero = panel.rhs_zero.Beats(0, 1);
        bool overflow = false;
        for (std::int64_t p = 0; p < passes; ++p) {
          const std::int64_t k0 = p * options.k_tile;
          pass.first = p == 0;
          pass.last = p == passes - 1;
          pass.k = std::min<std::int64_t>(options.k_tile, depth - k0);
          const auto beat = static_cast<std::size_t>(k0);
          const auto beat_count = static_cast<std::size_t>(pass.k);
          pass.lhs = lhs_beats.Beats(beat, beat_count);
          pass.rhs = panel.rhs.Beats(beat, beat_count);
          const std::vector<std::uint32_t> partial = rows;
          pass.init = pass.first ? panel.bias.Beats(0, 1) : std::span(partial);
          overflow = unit.Run(pass, tile.stalls, options.cycle_limit, rows, &tile.cost);
        }
        if (overflow && params.acc.policy == AccPolicy::kError) {
          throw AccumulatorOverflow("a partial sum left the " + std::to_string(params.acc.bits) +
                                    "-bit accumulator under policy error");
        }
      };
      runner.Run(
          id, index, static_cast<std::uint64_t>(row_count * col_count * depth),
          static_cast<std::uint64_t>(shape.rows * shape.cols),
          runner.ChecksNext(id) ? *arrays.checked : *arrays.fast,
          [&](const std::filesystem::path& trace) {
            return MakeMacArrayUnit(shape, Checks::kOn, trace);
          },
          run_tile);

      for (std::int64_t r = 0; r < row_count; ++r) {
        for (std::int64_t c = 0; c < col_count; ++c) {
          const auto lane = static_cast<std::size_t>(r * shape.cols + c);
          out(row0 + r, col0 + c) = static_cast<std::int32_t>(rows[lane]);
        }
      }
    }
  }
}

}  // namespace qsim::cosim
