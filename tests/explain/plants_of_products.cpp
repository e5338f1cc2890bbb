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
