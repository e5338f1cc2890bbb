// The MAC array against the oracle: operand kinds, zero points, shapes around the tile, K tiles,
// widths and policies, and the worst operands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/cosim/bit_pack.h"
#include "sim/cosim/mac_array_unit.h"
#include "tests/cosim/cosim_test_support.h"

namespace qsim::cosim {
namespace {

using ::testing::ElementsAreArray;

class MacArrayTest : public ::testing::TestWithParam<ArrayShape> {
 protected:
  RtlOptions Options(int k_tile = 256) const {
    RtlOptions options;
    options.array = GetParam();
    options.k_tile = k_tile;
    options.check_every_tile = k_tile != 256;
    return options;
  }
};

TEST_P(MacArrayTest, ShapesAroundTheTileInEveryOperandKind) {
  testing::SeededRandom random;
  RtlBackend backend(Options());
  const std::int64_t rows = GetParam().rows;
  const std::int64_t cols = GetParam().cols;
  int compared = 0;
  for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kUint8, LhsKind::kCode}) {
    for (const std::int64_t m : {std::int64_t{1}, rows - 1, rows, rows + 1, 3 * rows + 1}) {
      for (const std::int64_t n : {std::int64_t{1}, cols - 1, cols, cols + 1, 2 * cols + 3}) {
        if (m == 0 || n == 0) continue;
        const std::int64_t k = random.Between(1, 20);
        oracle::Product p = RandomProduct(random, kind, m, k, n);
        if (random.Between(0, 1) == 1) AddBias(random, p, 1 << 20);
        if (random.Between(0, 2) > 0) AddZeroPoints(random, p, random.Between(0, 1) == 1);
        const oracle::ProductResult expected = oracle::Gemm(p);
        ASSERT_EQ(expected.overflows, 0);
        ASSERT_THAT(RunOn(backend, p), ElementsAreArray(expected.out))
            << "m " << m << " k " << k << " n " << n;
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 3 * 4 * 4);
}

TEST_P(MacArrayTest, ZeroPointsOnEitherSide) {
  testing::SeededRandom random(2);
  RtlBackend backend(Options());
  for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kUint8}) {
    for (const std::int32_t lhs_zero : {0, -128, 127, 255, 3}) {
      for (const std::int32_t rhs_zero : {0, -128, 127, -5}) {
        oracle::Product p = RandomProduct(random, kind, GetParam().rows + 2, 17, GetParam().cols);
        p.lhs_zero = lhs_zero;
        p.rhs_zero = {rhs_zero};
        ASSERT_THAT(RunOn(backend, p), ElementsAreArray(oracle::Gemm(p).out))
            << lhs_zero << " " << rhs_zero;
      }
    }
  }
}

TEST_P(MacArrayTest, EveryShiftCode) {
  RtlBackend backend(Options());
  oracle::Product p;
  p.m = 17;
  p.k = 1;
  p.n = 4;
  p.mode = OperandMode::kShift;
  for (int code = 0; code <= 16; ++code) p.lhs.push_back(code);
  p.rhs = {-128, -1, 1, 127};
  p.rhs_zero = {-128};
  const std::vector<std::int32_t> out = RunOn(backend, p);
  EXPECT_THAT(out, ElementsAreArray(oracle::Gemm(p).out));
  EXPECT_EQ(out[0], 0);             // (-128 + 128) << 15
  EXPECT_EQ(out[3], 255 << 15);     // (127 + 128) << 15
  EXPECT_EQ(out[15 * 4 + 3], 255);  // code 15: 1
  EXPECT_EQ(out[16 * 4 + 3], 0);    // code 16: 0
}

// K tiles: the partial sums go out and come back, the side sums stay, the corrections come once.
TEST_P(MacArrayTest, KTilesDoNotChangeTheResult) {
  testing::SeededRandom random(3);
  for (const AccPolicy policy : {AccPolicy::kWrap, AccPolicy::kSaturate}) {
    for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kCode}) {
      oracle::Product p = RandomProduct(random, kind, GetParam().rows + 1, 37, GetParam().cols + 1);
      AddBias(random, p, 30000);
      AddZeroPoints(random, p, true);
      p.acc = {17, policy};
      const oracle::ProductResult expected = oracle::Gemm(p);
      ASSERT_GT(expected.overflows, 0);
      for (const int k_tile : {1, 2, 12, 36, 37, 38, 65535}) {
        RtlBackend backend(Options(k_tile));
        ASSERT_THAT(RunOn(backend, p), ElementsAreArray(expected.out)) << k_tile;
      }
    }
  }
}

TEST_P(MacArrayTest, WidthsUnderWrapAndSaturate) {
  testing::SeededRandom random(4);
  RtlBackend backend(Options());
  for (const AccPolicy policy : {AccPolicy::kWrap, AccPolicy::kSaturate}) {
    for (int bits = 16; bits <= 32; ++bits) {
      // Half of the elements lean to one sign, so that sums grow with K and leave the width.
      oracle::Product p =
          RandomProduct(random, LhsKind::kCode, GetParam().rows, 40, GetParam().cols);
      for (std::size_t i = 0; i < p.rhs.size(); ++i) {
        if (i % 2 == 0) p.rhs[i] = p.rhs[i] > 0 ? 127 : -128;
      }
      for (std::size_t i = 0; i < p.lhs.size(); i += 3) p.lhs[i] = 0;
      // The bias brings every column close to an end of the range, and beyond it in narrow
      // accumulators.
      const std::int64_t end = std::int64_t{1} << (bits - 1);
      for (std::int64_t n = 0; n < p.n; ++n) {
        p.bias.push_back(static_cast<std::int32_t>(n % 2 == 0 ? end - 1 - n : -end + n));
      }
      p.rhs_zero = {-77};
      p.acc = {bits, policy};
      const oracle::ProductResult expected = oracle::Gemm(p);
      ASSERT_GT(expected.overflows, 0) << bits;
      ASSERT_THAT(RunOn(backend, p), ElementsAreArray(expected.out)) << bits;

      // A bias that does not fit by itself.
      p.bias.assign(static_cast<std::size_t>(p.n), bits < 32 ? INT32_MAX : 0);
      p.bias[0] = INT32_MIN;
      ASSERT_THAT(RunOn(backend, p), ElementsAreArray(oracle::Gemm(p).out)) << bits;
    }
  }
}

// The corrections leave the accumulator although the products do not: the policy acts after each.
TEST_P(MacArrayTest, CorrectionsUnderThePolicy) {
  RtlBackend backend(Options());
  for (const AccPolicy policy : {AccPolicy::kWrap, AccPolicy::kSaturate}) {
    oracle::Product p;
    p.m = 2;
    p.k = 8;
    p.n = 3;
    p.lhs.assign(16, 255);
    p.rhs.assign(24, 1);
    p.lhs_zero = 255;
    p.rhs_zero = {127, -128, 1};
    p.acc = {18, policy};
    const oracle::ProductResult expected = oracle::Gemm(p);
    ASSERT_GT(expected.overflows, 0);
    EXPECT_THAT(RunOn(backend, p), ElementsAreArray(expected.out));
  }
}

// docs/numerics.md (3.4): every operand, zero point and sum at its end, at the largest K of a tile.
TEST_P(MacArrayTest, AllExtremeOperandsAtTheLargestDepth) {
  RtlBackend backend(Options(65535));
  for (const bool shift : {false, true}) {
    for (const int rhs : {-128, 127}) {
      for (const int rhs_zero : {-128, 127}) {
        oracle::Product p;
        p.m = 1;
        p.k = 65535;
        p.n = 1;
        p.lhs.assign(65535, shift ? 0 : 255);
        p.rhs.assign(65535, rhs);
        p.lhs_zero = shift ? 0 : -128;
        p.rhs_zero = {rhs_zero};
        p.mode = shift ? OperandMode::kShift : OperandMode::kMultiply;
        p.acc = {32, AccPolicy::kSaturate};
        ASSERT_THAT(RunOn(backend, p), ElementsAreArray(oracle::Gemm(p).out));
        p.acc.policy = AccPolicy::kWrap;
        ASSERT_THAT(RunOn(backend, p), ElementsAreArray(oracle::Gemm(p).out));
      }
    }
  }
}

TEST_P(MacArrayTest, ErrorPolicyNamesTapAndTile) {
  RtlBackend backend(Options());
  const std::int64_t rows = GetParam().rows;
  const std::int64_t cols = GetParam().cols;
  oracle::Product p;
  p.m = 2 * rows;
  p.k = 3;
  p.n = 2 * cols;
  p.lhs.assign(static_cast<std::size_t>(p.m * p.k), 1);
  p.rhs.assign(static_cast<std::size_t>(p.k * p.n), 1);
  p.acc = {16, AccPolicy::kError};
  EXPECT_THAT(RunOn(backend, p), ::testing::Each(3));

  p.bias.assign(static_cast<std::size_t>(p.n), 32764);  // 32764 + 3 is the largest value
  EXPECT_THAT(RunOn(backend, p), ::testing::Each(32767));
  p.lhs[static_cast<std::size_t>((rows + rows / 2) * p.k)] = 2;  // one row of tile row 1
  p.bias.assign(static_cast<std::size_t>(p.n), 32763);
  EXPECT_NO_THROW(RunOn(backend, p));
  p.bias[static_cast<std::size_t>(p.n - 1)] = 32764;  // one column of tile column 1
  try {
    RunOn(backend, p, {"blocks.2.attn_qkv", 5, 3});
    FAIL() << "no overflow was reported";
  } catch (const AccumulatorOverflow& error) {
    EXPECT_THAT(error.what(),
                ::testing::HasSubstr("tap blocks.2.attn_qkv, image 5, head 3, tile (1, 1)"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("16-bit"));
  }
  // The flag belongs to a tile: the next product is clean.
  p.bias.clear();
  EXPECT_NO_THROW(RunOn(backend, p));
}

// Rows and columns that a partial tile does not use may carry anything, here numbers that overflow.
TEST_P(MacArrayTest, UnusedLanesFlagNoOverflow) {
  const auto rows = static_cast<std::size_t>(GetParam().rows);
  const auto cols = static_cast<std::size_t>(GetParam().cols);
  if (rows == 1 && cols == 1) GTEST_SKIP() << "a 1x1 array has no unused lane";
  const auto unit = MakeMacArrayUnit(GetParam(), Checks::kOff);
  constexpr std::size_t kDepth = 20;
  const auto overflows = [&](std::int64_t used_rows, std::int64_t used_cols) {
    BeatBuffer lhs(kDepth, rows, 8), rhs(kDepth, cols, 8), init(1, cols, 32), rhs_zero(1, cols, 8);
    for (std::size_t k = 0; k < kDepth; ++k) {
      for (std::size_t row = 0; row < rows; ++row) lhs.Set(k, row, row == 0 ? 1U : 255U);
      for (std::size_t col = 0; col < cols; ++col) rhs.Set(k, col, col == 0 ? 1U : 127U);
    }
    for (std::size_t col = 1; col < cols; ++col) {
      init.Set(0, col, 0x7FFFFFFFU);
      rhs_zero.Set(0, col, 0x80U);
    }
    MacPass pass;
    pass.k = kDepth;
    pass.rows = used_rows;
    pass.cols = used_cols;
    pass.lhs_signed = false;
    pass.lhs_zero = 255;
    pass.acc = {16, AccPolicy::kError};
    pass.rhs_zero = rhs_zero.Beats(0, 1);
    pass.init = init.Beats(0, 1);
    pass.lhs = lhs.Beats(0, kDepth);
    pass.rhs = rhs.Beats(0, kDepth);
    std::vector<std::uint32_t> out(rows * cols);
    StallGenerator stalls;
    RunCost cost;
    const std::vector<bool> overflow =
        unit->Run(std::span(&pass, 1), stalls, 1'000'000, out, &cost);
    EXPECT_EQ(overflow.size(), 1U);
    EXPECT_EQ(static_cast<std::int32_t>(out[0]), 20 - 255 * 20);
    return overflow.at(0);
  };
  EXPECT_FALSE(overflows(1, 1));
  if (cols > 1) {
    EXPECT_TRUE(overflows(1, 2));
  }
  EXPECT_FALSE(overflows(1, 1)) << "the flag outlived its tile";
}

// The third derivation agrees: what the golden backend computes, the RTL computes.
TEST_P(MacArrayTest, EqualsTheGoldenModel) {
  testing::SeededRandom random(8);
  RtlBackend backend(Options(7));
  for (const AccPolicy policy : {AccPolicy::kWrap, AccPolicy::kSaturate}) {
    for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kCode}) {
      oracle::Product p = RandomProduct(random, kind, GetParam().rows + 3, 25, GetParam().cols + 3);
      AddBias(random, p, 1 << 18);
      AddZeroPoints(random, p, true);
      p.acc = {19, policy};
      GoldenBackend golden;
      EXPECT_EQ(RunOn(backend, p), RunOn(golden, p));
    }
  }
}

TEST_P(MacArrayTest, StallsChangeNothingButTheCycles) {
  testing::SeededRandom random(5);
  RtlOptions options = Options(13);
  RtlBackend smooth(options);
  options.stalls = {0.4, random.seed()};
  RtlBackend stalled(options);
  for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kUint8, LhsKind::kCode}) {
    oracle::Product p =
        RandomProduct(random, kind, 2 * GetParam().rows + 1, 41, 2 * GetParam().cols + 1);
    AddBias(random, p, 30000);
    AddZeroPoints(random, p, true);
    p.acc = {18, AccPolicy::kSaturate};
    const auto expected = oracle::Gemm(p);
    EXPECT_THAT(RunOn(smooth, p), ElementsAreArray(expected.out));
    EXPECT_THAT(RunOn(stalled, p), ElementsAreArray(expected.out));
  }
  const RtlStats& free_run = smooth.stats().at("product");
  const RtlStats& held = stalled.stats().at("product");
  EXPECT_EQ(free_run.stalled_cycles, 0U);
  EXPECT_GT(held.stalled_cycles, held.cycles / 4);
  EXPECT_GT(held.cycles, free_run.cycles * 6 / 5);
  EXPECT_EQ(held.macs, free_run.macs);
  EXPECT_EQ(held.tiles, free_run.tiles);
}

// The fast model and the one with assertions are the same array, cycle by cycle.
TEST_P(MacArrayTest, ChecksChangeNothing) {
  testing::SeededRandom random(9);
  RtlOptions options = Options();
  options.k_tile = 20;
  options.stalls = {0.3, random.seed()};
  options.check_every_tile = false;
  RtlBackend fast(options);
  options.check_every_tile = true;
  RtlBackend checked(options);
  for (const LhsKind kind : {LhsKind::kInt8, LhsKind::kCode}) {
    oracle::Product p = RandomProduct(random, kind, 3 * GetParam().rows, 33, 2 * GetParam().cols);
    AddBias(random, p, 30000);
    AddZeroPoints(random, p, true);
    p.acc = {17, AccPolicy::kWrap};
    EXPECT_EQ(RunOn(fast, p), RunOn(checked, p));
  }
  EXPECT_EQ(fast.stats(), checked.stats());
}

// docs/rtl.md, "What a tile takes", for full tiles without stalls.
TEST_P(MacArrayTest, CycleFormula) {
  testing::SeededRandom random(6);
  const auto rows = static_cast<std::uint64_t>(GetParam().rows);
  const auto cols = static_cast<std::uint64_t>(GetParam().cols);
  const std::uint64_t wave = rows + cols - 1;
  const std::uint64_t leaving = rows + cols + 6;
  for (const std::uint64_t k : {std::uint64_t{1}, wave, leaving - 1, leaving, std::uint64_t{300}}) {
    for (const std::uint64_t tiles : {1U, 2U, 5U}) {
      for (const int k_tile : {7, 256}) {
        RtlBackend backend(Options(k_tile));
        RunOn(backend,
              RandomProduct(random, LhsKind::kInt8, GetParam().rows, static_cast<std::int64_t>(k),
                            static_cast<std::int64_t>(tiles * cols)));
        const std::uint64_t others =
            tiles == 1
                ? 0
                : std::max(k, wave) + (tiles - 2) * std::max(k, leaving) + std::max(k, leaving - 1);
        const RtlStats& stats = backend.stats().at("product");
        EXPECT_EQ(stats.cycles, (tiles == 1 ? std::max(k, wave) : others) + leaving)
            << k << " " << tiles << " " << k_tile;
        EXPECT_EQ(stats.tiles, tiles);
        EXPECT_EQ(stats.macs, rows * cols * tiles * k);
        EXPECT_EQ(stats.mac_slots, rows * cols * stats.cycles);
      }
    }
  }
}

// Tiles that follow each other differ in everything that they may, and in what they may not: then
// the second waits. Each flag belongs to its tile.
TEST_P(MacArrayTest, TilesThatOverlapKeepTheirOwnCommands) {
  testing::SeededRandom random(10);
  const ArrayShape shape = GetParam();
  for (const Checks checks : {Checks::kOff, Checks::kOn}) {
    const auto unit = MakeMacArrayUnit(shape, checks);
    for (int round = 0; round < 20; ++round) {
      struct Tile {
        oracle::Product p;
        BeatBuffer lhs, rhs, init, rhs_zero;
      };
      std::vector<Tile> tiles(static_cast<std::size_t>(random.Between(2, 6)));
      std::vector<MacPass> passes;
      std::size_t rows = 0;
      for (Tile& tile : tiles) {
        oracle::Product& p = tile.p;
        const auto kind = static_cast<LhsKind>(random.Between(0, 2));
        p = RandomProduct(random, kind, random.Between(1, shape.rows), random.Between(0, 60),
                          random.Between(1, shape.cols));
        AddBias(random, p, 40000);
        AddZeroPoints(random, p, true);
        p.acc = {random.Between(0, 1) == 0 ? 17 : 19,
                 random.Between(0, 1) == 0 ? AccPolicy::kWrap : AccPolicy::kSaturate};
        const auto depth = static_cast<std::size_t>(p.k);
        const auto lanes = static_cast<std::size_t>(shape.cols);
        tile.lhs = BeatBuffer(depth, static_cast<std::size_t>(shape.rows), 8);
        tile.rhs = BeatBuffer(depth, lanes, 8);
        tile.init = BeatBuffer(1, lanes, 32);
        tile.rhs_zero = BeatBuffer(1, lanes, 8);
        for (std::size_t k = 0; k < depth; ++k) {
          for (std::size_t m = 0; m < static_cast<std::size_t>(p.m); ++m) {
            tile.lhs.Set(k, m, static_cast<std::uint32_t>(p.lhs[m * depth + k]));
          }
          for (std::size_t n = 0; n < static_cast<std::size_t>(p.n); ++n) {
            tile.rhs.Set(k, n,
                         static_cast<std::uint32_t>(p.rhs[k * static_cast<std::size_t>(p.n) + n]));
          }
        }
        for (std::size_t n = 0; n < static_cast<std::size_t>(p.n); ++n) {
          tile.init.Set(0, n, static_cast<std::uint32_t>(p.bias[n]));
          tile.rhs_zero.Set(0, n,
                            static_cast<std::uint32_t>(p.rhs_zero[p.rhs_zero.size() == 1 ? 0 : n]));
        }
        const std::int64_t half = random.Between(0, p.k);
        for (const auto& [first, count] : {std::pair{std::int64_t{0}, half}, {half, p.k - half}}) {
          MacPass& pass = passes.emplace_back();
          pass.first = passes.size() == 1 || passes[passes.size() - 2].last;
          pass.last = first + count == p.k;
          pass.k = count;
          pass.rows = p.m;
          pass.cols = p.n;
          pass.mode = p.mode;
          pass.lhs_signed = kind == LhsKind::kInt8;
          pass.lhs_zero = p.lhs_zero;
          pass.acc = p.acc;
          pass.rhs_zero = tile.rhs_zero.Beats(0, 1);
          pass.init = tile.init.Beats(0, 1);
          pass.lhs =
              tile.lhs.Beats(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
          pass.rhs =
              tile.rhs.Beats(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
          if (pass.last) break;
        }
        rows += static_cast<std::size_t>(p.m);
      }
      std::vector<std::uint32_t> out(rows * static_cast<std::size_t>(shape.cols));
      StallGenerator stalls(round % 2 == 0 ? 0 : 0.3, static_cast<std::uint64_t>(round));
      RunCost cost;
      const std::vector<bool> overflows = unit->Run(passes, stalls, 1'000'000, out, &cost);
      ASSERT_EQ(cost.tiles, tiles.size());
      std::size_t row = 0;
      for (std::size_t i = 0; i < tiles.size(); ++i) {
        const oracle::ProductResult expected = oracle::Gemm(tiles[i].p);
        EXPECT_EQ(overflows.at(i), expected.overflows != 0) << round << " tile " << i;
        for (std::size_t element = 0; element < expected.out.size(); ++element) {
          const auto n = static_cast<std::size_t>(tiles[i].p.n);
          ASSERT_EQ(
              static_cast<std::int32_t>(
                  out[(row + element / n) * static_cast<std::size_t>(shape.cols) + element % n]),
              expected.out[element])
              << round << " tile " << i << " element " << element;
        }
        row += static_cast<std::size_t>(tiles[i].p.m);
      }
    }
  }
}

TEST_P(MacArrayTest, EdgesOfDepth) {
  RtlBackend backend(Options());
  oracle::Product p;
  p.m = 2;
  p.n = 3;
  p.bias = {1, -2, 40000};
  p.acc = {16, AccPolicy::kSaturate};
  EXPECT_THAT(RunOn(backend, p), ElementsAreArray({1, -2, 32767, 1, -2, 32767}));
  p.m = 0;
  EXPECT_THAT(RunOn(backend, p), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Built, MacArrayTest, ::testing::ValuesIn(BuiltArrays()), ShapeName);

}  // namespace
}  // namespace qsim::cosim
