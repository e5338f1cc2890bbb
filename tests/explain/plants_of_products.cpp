// Matrix products, of one or several heads.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/gemm_model.h"
#include "sim/explain/search.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

using Values = std::vector<std::int64_t>;

struct ProductBench {
  GemmSpec spec;
  std::int64_t heads, rows, depth, cols;

  ProductBench(SeededRandom& random, bool zeros, bool several_heads = false) {
    heads = several_heads ? random.Between(3, 6) : 1;
    rows = random.Between(8, 24);
    depth = random.Between(24, 90);
    cols = random.Between(9, 26);
    spec.shape = {heads, rows, cols};
    spec.axis_names = {"head", "row", "column"};
    spec.products = spec.group = heads;
    spec.rows = rows;
    spec.depth = depth;
    spec.cols = cols;
    spec.lhs_signed = random.Between(0, 1) == 0;
    const std::int64_t low = spec.lhs_signed ? -128 : 0;
    for (std::int64_t i = 0; i < heads * rows * depth; ++i)
      spec.lhs.push_back(static_cast<std::int32_t>(random.Between(low, low + 255)));
    for (std::int64_t i = 0; i < heads * depth * cols; ++i)
      spec.rhs.push_back(static_cast<std::int32_t>(random.Between(-128, 127)));
    for (std::int64_t n = 0; n < cols; ++n) spec.bias.push_back(random.Between(-9000, 9000));
    for (std::int64_t h = 0; h < heads; ++h) {
      spec.lhs_start.push_back(h * rows * depth);
      spec.rhs_start.push_back(h * depth * cols);
    }
    spec.lhs_row = depth;
    spec.rhs_row = cols;
    const auto zero = [&] { return (random.Between(0, 1) == 0 ? 1 : -1) * random.Between(2, 60); };
    spec.lhs_zero.assign(static_cast<std::size_t>(heads), zeros ? zero() : 0);
    spec.rhs_zero.assign(static_cast<std::size_t>(heads * cols), zeros ? zero() : 0);
    spec.acc = {32, AccPolicy::kWrap};
  }

  std::int64_t L(std::int64_t h, std::int64_t m, std::int64_t k) const {
    return spec.lhs[static_cast<std::size_t>((h * rows + m) * depth + k)];
  }
  std::int64_t R(std::int64_t h, std::int64_t k, std::int64_t n) const {
    return spec.rhs[static_cast<std::size_t>((h * depth + k) * cols + n)];
  }
  std::int64_t Bias(std::int64_t n) const { return spec.bias[static_cast<std::size_t>(n)]; }
  std::int64_t Left() const { return spec.lhs_zero[0]; }
  std::int64_t Right() const { return spec.rhs_zero[0]; }

  // f(h, m, n) for every output.
  template <typename F>
  Values Made(F f) const {
    Values values;
    for (std::int64_t h = 0; h < heads; ++h)
      for (std::int64_t m = 0; m < rows; ++m)
        for (std::int64_t n = 0; n < cols; ++n) values.push_back(f(h, m, n));
    return values;
  }
  // bias + sum of term(h, m, k, n)
  template <typename F>
  Values Sums(F term) const {
    return Made([&](std::int64_t h, std::int64_t m, std::int64_t n) {
      std::int64_t sum = Bias(n);
      for (std::int64_t k = 0; k < depth; ++k) sum += term(h, m, k, n);
      return sum;
    });
  }
  std::int64_t Term(std::int64_t h, std::int64_t m, std::int64_t k, std::int64_t n) const {
    return (L(h, m, k) - Left()) * (R(h, k, n) - Right());
  }
  Values Golden() const {
    return Sums([this](auto h, auto m, auto k, auto n) { return Term(h, m, k, n); });
  }
  Plant Explained(const Values& actual, std::vector<std::string> right) const {
    const GemmModel model(spec, actual);
    return {Explain(model, actual, "acc", "golden"),
            std::move(right),
            {},
            false,
            fmt::format("{} x {} x {} x {}, zeros {} and {}", heads, rows, depth, cols, Left(),
                        Right())};
  }
};

Plant Corrected(SeededRandom& random, std::int64_t a, std::int64_t b, std::int64_t c,
                const char* right) {
  const ProductBench bench(random, true);
  const std::int64_t l = bench.Left();
  const std::int64_t r = bench.Right();
  return bench.Explained(bench.Sums([&](auto h, auto m, auto k, auto n) {
    return bench.L(h, m, k) * bench.R(h, k, n) - a * r * bench.L(h, m, k) -
           b * l * bench.R(h, k, n) + c * l * r;
  }),
                         {right});
}

std::int64_t Cleared(std::int64_t value, int bits, bool round) {
  const std::int64_t unit = std::int64_t{1} << bits;
  if (round) value += unit / 2;
  std::int64_t quotient = value / unit;
  if (value % unit < 0) --quotient;
  return quotient * unit;
}

Plant Tiled(SeededRandom& random, int kind, bool round) {
  const ProductBench bench(random, false);
  const std::int64_t tile = random.Between(3, 20);
  const int bits = static_cast<int>(random.Between(2, 6));
  const Values actual = bench.Made([&](auto h, auto m, auto n) {
    std::int64_t sum = bench.Bias(n);
    for (std::int64_t first = 0; first < bench.depth; first += tile) {
      std::int64_t part = 0;
      for (std::int64_t k = first; k < std::min(first + tile, bench.depth); ++k)
        part += bench.Term(h, m, k, n);
      if (kind == 0) sum = Cleared(sum, bits, round) + part;
      if (kind == 1) sum = Cleared(sum + part, bits, round);
      if (kind == 2) sum += Cleared(part, bits, round);
    }
    return sum;
  });
  static const char* const kWhere[] = {"before each K tile of ", "after each K tile of ",
                                       "of the sum of each K tile of "};
  return bench.Explained(actual, {fmt::format("{}{}", kWhere[kind], tile)});
}

}  // namespace

const std::vector<Kind>& ProductKinds() {
  static const std::vector<Kind> kinds = {
      {"ByteOrder",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         Values actual = bench.Golden();
         for (std::int64_t& y : actual)
           y = static_cast<std::int32_t>(__builtin_bswap32(static_cast<std::uint32_t>(y)));
         return bench.Explained(actual, {"the output's bytes in reverse order"});
       }},
      {"PairsSaturate",
       [](SeededRandom& random) {
         ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t l = bench.Left();
         const std::int64_t r = bench.Right();
         return bench.Explained(
             bench.Made([&](auto h, auto m, auto n) {
               std::int64_t sum = bench.Bias(n);
               for (std::int64_t k = 0; k < bench.depth; k += 2) {
                 std::int64_t pair = bench.L(h, m, k) * bench.R(h, k, n);
                 if (k + 1 < bench.depth) pair += bench.L(h, m, k + 1) * bench.R(h, k + 1, n);
                 sum += std::clamp<std::int64_t>(pair, -32768, 32767);
               }
               for (std::int64_t k = 0; k < bench.depth; ++k)
                 sum += -r * bench.L(h, m, k) - l * bench.R(h, k, n) + l * r;
               return sum;
             }),
             {"the products of two neighbouring k added in 16 bits, saturating"});
       }},
      {"BiasOncePerTile",
       [](SeededRandom& random) {
         ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t tile = random.Between(4, bench.depth / 2);
         const std::int64_t times = (bench.depth + tile - 1) / tile;
         Values actual = bench.Golden();
         std::size_t e = 0;
         for (std::int64_t& value : actual)
           value += (times - 1) * bench.Bias(static_cast<std::int64_t>(e++) % bench.cols);
         return bench.Explained(
             actual,
             {times == 2 ? "the bias added twice" : fmt::format("the bias added {} times", times)});
       }},
      {"Borrow",
       [](SeededRandom& random) {
         const ProductBench bench(random, false);
         const bool upper = random.Between(0, 1) == 0;
         const bool of_sums = random.Between(0, 1) == 0;
         return bench.Explained(bench.Made([&](auto h, auto m, auto n) {
           std::int64_t sum = bench.Bias(n);
           const std::int64_t other = n % 2 == 1 ? n - 1 : n + 1;
           const bool loses = (n % 2 == 1) == upper && other < bench.cols;
           std::int64_t lower = 0;
           for (std::int64_t k = 0; k < bench.depth; ++k) {
             sum += bench.Term(h, m, k, n);
             if (!loses) continue;
             lower += bench.Term(h, m, k, other);
             if (!of_sums && bench.Term(h, m, k, other) < 0) --sum;
           }
           return sum - (of_sums && lower < 0 ? 1 : 0);
         }),
                                {fmt::format("two columns packed into one multiplication, the {}",
                                             upper ? "second" : "first")});
       }},
      {"OtherHeads",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0, true);
         const std::int64_t by = random.Between(1, bench.heads - 1);
         const bool left = random.Between(0, 1) == 0;
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               const std::int64_t other = (h + bench.heads - by) % bench.heads;
               return (bench.L(left ? other : h, m, k) - bench.Left()) *
                      (bench.R(left ? h : other, k, n) - bench.Right());
             }),
             {fmt::format("{} operand's heads rotated by {}", left ? "left" : "right", by)});
       }},
      {"ColumnsReversedUnderTheBias",
       [](SeededRandom& random) {
         const ProductBench bench(random, false);
         return bench.Explained(bench.Sums([&](auto h, auto m, auto k, auto n) {
           return bench.Term(h, m, k, bench.cols - 1 - n);
         }),
                                {"the right operand's columns in reverse order"});
       }},
      {"OneWeightForAColumn",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t at = random.Between(0, 1) == 0 ? 0 : bench.depth - 1;
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               return (bench.L(h, m, k) - bench.Left()) * (bench.R(h, at, n) - bench.Right());
             }),
             {fmt::format("the {} weight of each column used for the whole column",
                          at == 0 ? "first" : "last")});
       }},
      {"LowBitsBeforeEachTile", [](SeededRandom& random) { return Tiled(random, 0, false); }},
      {"LowBitsAfterEachTile", [](SeededRandom& random) { return Tiled(random, 1, false); }},
      {"LowBitsOfEachTile", [](SeededRandom& random) { return Tiled(random, 2, false); }},
      {"RoundedBeforeEachTile", [](SeededRandom& random) { return Tiled(random, 0, true); }},
      {"RoundedPartialSums", [](SeededRandom& random) { return Tiled(random, 2, true); }},
      {"UnknownZeroPoints",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t l = bench.Left() + random.Between(1, 30);
         const std::int64_t r = bench.Right() + random.Between(1, 30);
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               return (bench.L(h, m, k) - l) * (bench.R(h, k, n) - r);
             }),
             {fmt::format("a left zero point of {} instead of {}, and a right "
                          "zero point of {} instead of {}",
                          l, bench.Left(), r, bench.Right()),
              "the right operand's zero point ignored", "the left operand's zero point ignored"});
       }},
      {"RowSumsMissing",
       [](SeededRandom& random) {
         return Corrected(random, 0, 1, 1,
                          "the right zero point by the row sums of the left operand missing");
       }},
      {"RowSumsSign",
       [](SeededRandom& random) {
         return Corrected(random, -1, 1, 1,
                          "by the row sums of the left operand with the wrong sign");
       }},
      {"ColumnSumsMissing",
       [](SeededRandom& random) {
         return Corrected(random, 1, 0, 1, "by the column sums of the right operand missing");
       }},
      {"CrossTermMissing",
       [](SeededRandom& random) {
         return Corrected(random, 1, 1, 0, "the correction K z_l z_r missing");
       }},
      {"CrossTermSign",
       [](SeededRandom& random) {
         return Corrected(random, 1, 1, -1, "the correction K z_l z_r with the wrong sign");
       }},
      {"CrossTermOfPaddedK",
       [](SeededRandom& random) {
         const ProductBench bench(random, true);
         const std::int64_t tile = random.Between(0, 1) == 0 ? 16 : 32;
         const std::int64_t padded = bench.depth + tile - bench.depth % tile;
         Values actual = bench.Golden();
         for (std::int64_t& value : actual)
           value += (padded - bench.depth) * bench.Left() * bench.Right();
         return bench.Explained(actual, {fmt::format("K z_l z_r counted for K = {} instead of {}",
                                                     padded, bench.depth)});
       }},
      {"ZeroPointsExchanged",
       [](SeededRandom& random) {
         const ProductBench bench(random, true);
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               return (bench.L(h, m, k) - bench.Right()) * (bench.R(h, k, n) - bench.Left());
             }),
             {"the two zero points exchanged", "zero point added, not subtracted"});
       }},
      {"TermsMissing",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t count = random.Between(2, bench.depth / 2);
         const std::int64_t from = random.Between(0, 2) * (bench.depth - count) / 2;
         const std::int64_t last = from + count - 1;
         std::string right = fmt::format("terms {} to {} of each sum missing", from, last);
         if (from == 0) right = fmt::format("the first {} terms of each sum missing", count);
         if (last == bench.depth - 1)
           right = fmt::format("the last {} terms of each sum missing", count);
         return bench.Explained(bench.Sums([&](auto h, auto m, auto k, auto n) {
           return k >= from && k <= last ? 0 : bench.Term(h, m, k, n);
         }),
                                {right});
       }},
      {"KTilesReversed",
       [](SeededRandom& random) {
         const ProductBench bench(random, false);
         const std::int64_t tile = random.Between(2, bench.depth / 3);
         const std::int64_t whole = bench.depth / tile * tile;
         const bool within = random.Between(0, 1) == 0;
         return bench.Explained(bench.Sums([&](auto h, auto m, auto k, auto n) {
           std::int64_t from = k;
           if (within && k < whole) from = k - k % tile + tile - 1 - k % tile;
           if (!within && whole == bench.depth)
             from = (bench.depth / tile - 1 - k / tile) * tile + k % tile;
           if (!within && whole != bench.depth) from = bench.depth - 1 - k;
           return bench.L(h, m, from) * bench.R(h, k, n);
         }),
                                {"k of one operand (lhs or rhs)"});
       }},
      {"NotCleared",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         Values actual = bench.Golden();
         const bool rows = random.Between(0, 1) == 0;
         const std::int64_t n = rows ? 1 : random.Between(4, bench.cols / 2);
         const auto step = static_cast<std::size_t>(rows ? bench.cols : n);
         for (std::size_t e = 0; e < actual.size(); ++e) {
           const bool first = rows ? e < step : e % static_cast<std::size_t>(bench.cols) < step;
           if (!first) actual[e] += actual[e - step];
         }
         return bench.Explained(actual,
                                {rows ? "not cleared but carried on from the row before"
                                      : fmt::format("carried on from {} columns before", n)});
       }},
      {"NotClearedBetweenImages",
       [](SeededRandom& random) {
         ProductBench bench(random, random.Between(0, 1) == 0, true);
         bench.spec.axis_names.front() = "image";
         Values actual = bench.Golden();
         const auto image = static_cast<std::size_t>(bench.rows * bench.cols);
         for (std::size_t e = image; e < actual.size(); ++e) actual[e] += actual[e - image];
         return bench.Explained(actual, {"not cleared but carried on from the image before"});
       }},
      {"StaleColumns",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         Values actual = bench.Golden();
         const std::int64_t count = random.Between(2, bench.cols / 3);
         const std::int64_t first = bench.cols - count;
         const std::int64_t from = random.Between(0, first - count);
         for (std::int64_t m = 0; m < bench.rows; ++m)
           for (std::int64_t i = 0; i < count; ++i)
             actual[static_cast<std::size_t>(m * bench.cols + first + i)] =
                 actual[static_cast<std::size_t>(m * bench.cols + from + i)];
         return bench.Explained(
             actual, {fmt::format("columns {} to {} hold what columns {} to {} should", first,
                                  bench.cols - 1, from, from + count - 1)});
       }},
      {"TilesTransposed",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const bool left = random.Between(0, 1) == 0;
         const std::int64_t other = left ? bench.rows : bench.cols;
         const std::int64_t tile = random.Between(2, other / 2);
         // The entry of k and of a row or column.
         const auto source = [&](std::int64_t k, std::int64_t at) {
           const std::int64_t k0 = k - k % tile, at0 = at - at % tile;
           if (k0 + tile > bench.depth || at0 + tile > other) return std::pair(k, at);
           return std::pair(k0 + at - at0, at0 + k - k0);
         };
         return bench.Explained(bench.Sums([&](auto h, auto m, auto k, auto n) {
           const auto [k_of, of] = source(k, left ? m : n);
           return (bench.L(h, left ? of : m, left ? k_of : k) - bench.Left()) *
                  (bench.R(h, left ? k : k_of, left ? n : of) - bench.Right());
         }),
                                {fmt::format("each {} x {} tile of the {} operand transposed", tile,
                                             tile, left ? "left" : "right")});
       }},
      {"TilesOfTheOutputTransposed",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0, random.Between(0, 1) == 0);
         const std::int64_t tile = random.Between(2, std::min(bench.rows, bench.cols) / 2);
         const Values golden = bench.Golden();
         return bench.Explained(
             bench.Made([&](auto h, auto m, auto n) {
               const std::int64_t m0 = m - m % tile, n0 = n - n % tile;
               std::int64_t m_of = m, n_of = n;
               if (m0 + tile <= bench.rows && n0 + tile <= bench.cols) {
                 m_of = m0 + n - n0;
                 n_of = n0 + m - m0;
               }
               return golden[static_cast<std::size_t>((h * bench.rows + m_of) * bench.cols + n_of)];
             }),
             {fmt::format("the output transposed within each tile of {} x {}", tile, tile)});
       }},
      {"OneHeadsColumnsRotated",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0, true);
         const std::int64_t head = random.Between(0, bench.heads - 1);
         const std::int64_t by = random.Between(1, bench.cols - 1);
         const Values golden = bench.Golden();
         return bench.Explained(bench.Made([&](auto h, auto m, auto n) {
           const std::int64_t from = h == head ? (n + bench.cols - by) % bench.cols : n;
           return golden[static_cast<std::size_t>((h * bench.rows + m) * bench.cols + from)];
         }),
                                {fmt::format("columns rotated by {} at head {}", by, head)});
       }},
      {"OneKTileOfAnother",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const bool left = random.Between(0, 1) == 0;
         const std::int64_t tile = random.Between(4, bench.depth / 3);
         const std::int64_t tiles = bench.depth / tile;
         const std::int64_t at = random.Between(0, tiles - 1);
         const std::int64_t from = (at + random.Between(1, tiles - 1)) % tiles;
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               const std::int64_t other = k / tile == at ? k + (from - at) * tile : k;
               return (bench.L(h, m, left ? other : k) - bench.Left()) *
                      (bench.R(h, left ? k : other, n) - bench.Right());
             }),
             {fmt::format("k {} to {} with the {} operand of k {} to {}", at * tile,
                          at * tile + tile - 1, left ? "left" : "right", from * tile,
                          from * tile + tile - 1)});
       }},
      {"EachKTileOfTheOneBefore",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const bool left = random.Between(0, 1) == 0;
         const std::int64_t tile = random.Between(4, bench.depth / 3);
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               const std::int64_t other = k < tile ? k : k - tile;
               return (bench.L(h, m, left ? other : k) - bench.Left()) *
                      (bench.R(h, left ? k : other, n) - bench.Right());
             }),
             {fmt::format("each K tile of {} with the {} operand of the tile before", tile,
                          left ? "left" : "right")});
       }},
      {"AKTileOfTheColumnsBefore",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t tile = random.Between(4, bench.depth / 3);
         const std::int64_t at = random.Between(0, bench.depth / tile - 1);
         const std::int64_t by = random.Between(1, bench.cols / 2);
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               const std::int64_t from = k / tile == at && n >= by ? n - by : n;
               return (bench.L(h, m, k) - bench.Left()) * (bench.R(h, k, from) - bench.Right());
             }),
             {fmt::format("k {} to {} with the right operand of {} before", at * tile,
                          at * tile + tile - 1,
                          by == 1 ? "one column" : fmt::format("{} columns", by))});
       }},
      {"OperandLateInMemory",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t late = (random.Between(0, 1) == 0 ? 1 : -1) * random.Between(1, 6);
         const bool left = random.Between(0, 1) == 0;
         const std::vector<std::int32_t>& list = left ? bench.spec.lhs : bench.spec.rhs;
         const auto at = [&](std::int64_t index) {
           const std::int64_t from = index - late;
           return from < 0 || from >= std::ssize(list)
                      ? std::int64_t{0}
                      : std::int64_t{list[static_cast<std::size_t>(from)]};
         };
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               const std::int64_t l = left ? at(m * bench.depth + k) : bench.L(h, m, k);
               const std::int64_t r = left ? bench.R(h, k, n) : at(k * bench.cols + n);
               return (l - bench.Left()) * (r - bench.Right());
             }),
             {fmt::format(
                 "the {} operand {} {} in memory, where {} runs fastest", left ? "left" : "right",
                 std::abs(late) == 1 ? "one entry" : fmt::format("{} entries", std::abs(late)),
                 late < 0 ? "early" : "late", left ? "k" : "n")});
       }},
      {"BitsOfAnOperand",
       [](SeededRandom& random) {
         const ProductBench bench(random, random.Between(0, 1) == 0);
         const std::int64_t kind = random.Between(0, 2);
         const std::int64_t b = random.Between(3, 6);
         const auto bits = [&](std::int64_t w) {
           if (kind == 0) return w < 0 ? -w : w;
           if (kind == 1) return static_cast<std::int64_t>(static_cast<std::int8_t>(w | 1 << b));
           return w >> (b - 2) << (b - 2);
         };
         return bench.Explained(
             bench.Sums([&](auto h, auto m, auto k, auto n) {
               return (bench.L(h, m, k) - bench.Left()) * (bits(bench.R(h, k, n)) - bench.Right());
             }),
             {kind == 0   ? "the right operand without its sign"
              : kind == 1 ? fmt::format("the right operand's bit {} always 1", b)
              : b == 3    ? "the right operand's lowest bit always 0"
                          : fmt::format("the right operand's lowest {} bits always 0", b - 2)});
       }},
      {"SaturatesWithEachTile",
       [](SeededRandom& random) {
         const ProductBench bench(random, false);
         const auto bits = static_cast<int>(random.Between(15, 17));
         const std::int64_t half = std::int64_t{1} << (bits - 1);
         const std::int64_t tile = random.Between(4, bench.depth / 4);
         return bench.Explained(
             bench.Made([&](auto h, auto m, auto n) {
               std::int64_t sum = bench.Bias(n);
               for (std::int64_t k = 0; k < bench.depth; ++k) {
                 sum += bench.Term(h, m, k, n);
                 if (k % tile == tile - 1 || k == bench.depth - 1)
                   sum = std::clamp(sum, -half, half - 1);
               }
               return sum;
             }),
             {fmt::format("saturates at {} bits after each K tile of {}", bits, tile),
              fmt::format("the final sum saturates at {} bits", bits)});
       }},
      {"AccumulatorSaturates",
       [](SeededRandom& random) {
         const ProductBench bench(random, false);
         const auto bits = static_cast<int>(random.Between(15, 17));
         const std::int64_t half = std::int64_t{1} << (bits - 1);
         return bench.Explained(bench.Made([&](auto h, auto m, auto n) {
           std::int64_t sum = std::clamp(bench.Bias(n), -half, half - 1);
           for (std::int64_t k = 0; k < bench.depth; ++k)
             sum = std::clamp(sum + bench.Term(h, m, k, n), -half, half - 1);
           return sum;
         }),
                                {fmt::format("saturates at {} bits", bits)});
       }},
  };
  return kinds;
}

}  // namespace qsim::testing
