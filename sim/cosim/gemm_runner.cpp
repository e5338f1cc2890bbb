#include "sim/cosim/gemm_runner.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "golden/ops/require.h"
#include "sim/cosim/bit_pack.h"
#include "sim/cosim/qsim_pkg.h"
#include "sim/error.h"
#include "sim/parallel.h"

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

// A product cut into tiles, all of its beats prepared. Tile n is the n-th in row-major order.
class TiledProduct {
 public:
  TiledProduct(const LhsView& lhs, MatrixView<const std::int8_t> rhs, const GemmParams& params,
               MatrixView<std::int32_t> out, ArrayShape shape, int k_tile)
      : params_(params),
        out_(out),
        shape_(shape),
        depth_(rhs.rows),
        k_tile_(k_tile),
        lhs_signed_(std::holds_alternative<MatrixView<const std::int8_t>>(lhs)) {
    for (std::int64_t row = 0; row < out.rows; row += shape.rows) {
      rows_.push_back(
          PackLhs(lhs, row, std::min<std::int64_t>(shape.rows, out.rows - row), shape.rows));
    }
    for (std::int64_t col = 0; col < out.cols; col += shape.cols) {
      columns_.push_back(PackColumns(
          rhs, params, col, std::min<std::int64_t>(shape.cols, out.cols - col), shape.cols));
    }
  }

  std::int64_t tiles() const { return static_cast<std::int64_t>(rows_.size() * columns_.size()); }
  TileIndex Index(std::int64_t tile) const {
    const auto columns = static_cast<std::int64_t>(columns_.size());
    return {tile / columns, tile % columns};
  }
  // How many tiles make a part that is worth a thread, and so long that the cycles in which a part
  // begins and ends do not count.
  std::int64_t TilesOfAPart() const {
    constexpr std::int64_t kPartCycles = 1 << 17;
    return std::max<std::int64_t>(
        1, kPartCycles / std::max<std::int64_t>(depth_, shape_.rows + shape_.cols));
  }
  std::uint64_t Macs(std::int64_t first, std::int64_t count) const {
    std::int64_t outputs = 0;
    for (std::int64_t tile = first; tile < first + count; ++tile) {
      outputs += RowsOf(Index(tile)) * ColsOf(Index(tile));
    }
    return static_cast<std::uint64_t>(outputs * depth_);
  }

  // The rows of these tiles, one after the other, as the array gives them. Throws
  // AccumulatorOverflow under AccPolicy::kError.
  std::vector<std::uint32_t> Run(MacArrayUnit& unit, std::int64_t first, std::int64_t count,
                                 std::uint64_t cycle_limit, TileRunner::Tiles& tiles) const {
    std::vector<MacPass> passes;
    std::int64_t rows = 0;
    for (std::int64_t tile = first; tile < first + count; ++tile) {
      AddPasses(Index(tile), passes);
      rows += RowsOf(Index(tile));
    }
    std::vector<std::uint32_t> words(static_cast<std::size_t>(rows * shape_.cols));
    const std::vector<bool> overflows = unit.Run(
        passes, tiles.stalls, cycle_limit * static_cast<std::uint64_t>(count), words, &tiles.cost);
    const auto overflow = std::find(overflows.begin(), overflows.end(), true);
    if (overflow != overflows.end() && params_.acc.policy == AccPolicy::kError) {
      tiles.cost.tiles = static_cast<std::uint64_t>(overflow - overflows.begin());
      throw AccumulatorOverflow("a partial sum left the " + std::to_string(params_.acc.bits) +
                                "-bit accumulator under policy error");
    }
    return words;
  }

  // Puts what Run returned where it belongs.
  void Store(std::int64_t first, std::int64_t count, std::span<const std::uint32_t> words) const {
    std::size_t word = 0;
    for (std::int64_t tile = first; tile < first + count; ++tile) {
      const TileIndex index = Index(tile);
      for (std::int64_t row = 0; row < RowsOf(index); ++row) {
        for (std::int64_t col = 0; col < ColsOf(index); ++col) {
          out_(index.row * shape_.rows + row, index.col * shape_.cols + col) =
              static_cast<std::int32_t>(words[word + static_cast<std::size_t>(col)]);
        }
        word += static_cast<std::size_t>(shape_.cols);
      }
    }
  }

 private:
  std::int64_t RowsOf(TileIndex index) const {
    return std::min<std::int64_t>(shape_.rows, out_.rows - index.row * shape_.rows);
  }
  std::int64_t ColsOf(TileIndex index) const {
    return std::min<std::int64_t>(shape_.cols, out_.cols - index.col * shape_.cols);
  }

  void AddPasses(TileIndex index, std::vector<MacPass>& passes) const {
    const BeatBuffer& lhs = rows_[static_cast<std::size_t>(index.row)];
    const ColumnPanel& panel = columns_[static_cast<std::size_t>(index.col)];
    std::int64_t k = 0;
    do {
      MacPass& pass = passes.emplace_back();
      pass.first = k == 0;
      pass.k = std::min<std::int64_t>(k_tile_, depth_ - k);
      pass.last = k + pass.k == depth_;
      pass.rows = RowsOf(index);
      pass.cols = ColsOf(index);
      pass.mode = params_.mode;
      pass.lhs_signed = lhs_signed_;
      pass.lhs_zero = params_.lhs_zero;
      pass.acc = params_.acc;
      pass.rhs_zero = panel.rhs_zero.Beats(0, 1);
      pass.init = panel.bias.Beats(0, 1);
      pass.lhs = lhs.Beats(static_cast<std::size_t>(k), static_cast<std::size_t>(pass.k));
      pass.rhs = panel.rhs.Beats(static_cast<std::size_t>(k), static_cast<std::size_t>(pass.k));
      k += pass.k;
    } while (k < depth_);
  }

  const GemmParams& params_;
  MatrixView<std::int32_t> out_;
  ArrayShape shape_;
  std::int64_t depth_, k_tile_;
  bool lhs_signed_;
  std::vector<BeatBuffer> rows_;      // one for each row of tiles
  std::vector<ColumnPanel> columns_;  // one for each column of tiles
};

}  // namespace

void RunGemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
             const GemmParams& params, MatrixView<std::int32_t> out, const RtlOptions& options,
             const MacArrays& arrays, TileRunner& runner) {
  CheckArguments(lhs, rhs, params, out);
  const ArrayShape shape = options.array;
  const TiledProduct product(lhs, rhs, params, out, shape, options.k_tile);
  const auto from = [&](std::int64_t first) {
    return [&product, first](std::uint64_t tile) {
      return product.Index(first + static_cast<std::int64_t>(tile));
    };
  };

  // The first tiles of a tap once more with assertions: two, so that one leaves while the next is
  // fed.
  const std::int64_t checked = runner.IsNew(id) ? std::min<std::int64_t>(2, product.tiles()) : 0;
  std::vector<std::uint32_t> checked_words;
  if (checked != 0) {
    runner.Attempt(id, from(0), [&](TileRunner::Tiles& tiles) {
      checked_words = product.Run(*arrays.checked, 0, checked, options.cycle_limit, tiles);
    });
  }
  for (std::int64_t tile = 0; options.trace && tile < product.tiles(); ++tile) {
    runner.TraceIfAsked(
        id, product.Index(tile),
        [&](const std::filesystem::path& fst) { return MakeMacArrayUnit(shape, Checks::kOn, fst); },
        [&](MacArrayUnit& unit, TileRunner::Tiles& tiles) {
          product.Run(unit, tile, 1, options.cycle_limit, tiles);
        });
  }

  // The parts are the same for any number of threads, and with them the cycles.
  const std::int64_t length = product.TilesOfAPart();
  const std::int64_t parts = CeilDivide(product.tiles(), length);
  std::vector<TileRunner::Tiles> ran(static_cast<std::size_t>(parts));
  ParallelFor(parts, static_cast<int>(arrays.fast.size()), [&](std::int64_t part, int worker) {
    const std::int64_t first = part * length;
    const std::int64_t count = std::min(length, product.tiles() - first);
    MacArrayUnit& unit =
        options.check_every_tile ? *arrays.checked : *arrays.fast[static_cast<std::size_t>(worker)];
    ran[static_cast<std::size_t>(part)] =
        runner.Attempt(id, from(first), [&](TileRunner::Tiles& tiles) {
          const std::vector<std::uint32_t> words =
              product.Run(unit, first, count, options.cycle_limit, tiles);
          if (part == 0 && !std::equal(checked_words.begin(), checked_words.end(), words.begin())) {
            throw InternalError("the array with assertions computes something else");
          }
          product.Store(first, count, words);
        });
  });
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t first = part * length;
    runner.Count(id, product.Macs(first, std::min(length, product.tiles() - first)),
                 static_cast<std::uint64_t>(shape.rows * shape.cols),
                 ran[static_cast<std::size_t>(part)].cost);
  }
}

}  // namespace qsim::cosim
