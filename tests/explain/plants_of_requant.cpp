// Requantizers, sums, and what may happen to any output.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "golden/ops/int128.h"
#include "sim/explain/requant_model.h"
#include "sim/explain/search.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

using Values = std::vector<std::int64_t>;

std::int64_t FloorDivide(Int128 value, int shift) {
  const Int128 step = Int128{1} << shift;
  Int128 quotient = value / step;
  if (value % step != 0 && value < 0) --quotient;
  return static_cast<std::int64_t>(quotient);
}

std::int64_t HalfUp(Int128 value, int shift) {
  return shift == 0 ? static_cast<std::int64_t>(value)
                    : FloorDivide(value + (Int128{1} << (shift - 1)), shift);
}

// A requantizer of a random shape, range and width; a sum if `sum`.
struct RequantBench {
  RequantSpec spec;
  std::int64_t heads = 1, rows = 1, channels = 1;

  RequantBench(SeededRandom& random, bool sum, bool per_channel) {
    heads = random.Between(1, 6);
    rows = random.Between(12, 40);
    channels = random.Between(9, 40);
    spec.shape = {heads, rows, channels};
    spec.axis_names = {"head", "row", "channel"};
    const int bits = static_cast<int>(random.Between(8, 20));
    const std::int64_t low = std::int64_t{1} << (bits - 1);
    const std::int64_t entries = per_channel ? channels : 1;
    const int shift = bits + static_cast<int>(random.Between(3, 9));
    for (std::int64_t i = 0; i < entries; ++i) {
      spec.multiplier.push_back(random.Between(low, 2 * low - 1));
      if (sum) spec.b_multiplier.push_back(random.Between(low, 2 * low - 1));
      spec.shift.push_back(shift);
    }
    const std::int64_t size = heads * rows * channels;
    spec.layout =
        per_channel ? ChannelLayout{heads * rows, channels, 1} : ChannelLayout{1, 1, size};
    const int out_bits = random.Between(0, 3) == 0 ? 16 : 8;
    const bool is_signed = random.Between(0, 2) != 0;
    spec.qmin = is_signed ? -(std::int64_t{1} << (out_bits - 1)) : 0;
    spec.qmax = spec.qmin + (std::int64_t{1} << out_bits) - 1;
    spec.zero = {is_signed ? random.Between(-20, 20) : (spec.qmax + 1) / 2};
    spec.x_zero = random.Between(0, 1) == 0 ? 0 : random.Between(-30, 30);
    spec.b_zero = sum ? random.Between(-30, 30) : 0;
    // About one output in twenty is limited.
    const double step = std::ldexp(1.0, shift) / (1.5 * static_cast<double>(low));
    const auto reach = static_cast<std::int64_t>(step * static_cast<double>(spec.qmax - spec.qmin) *
                                                 (sum ? 0.27 : 0.53));
    for (std::int64_t i = 0; i < size; ++i) {
      spec.x.push_back(random.Between(-reach, reach) + spec.x_zero);
      if (sum) spec.b.push_back(random.Between(-reach, reach) + spec.b_zero);
    }
    spec.is_sum = sum;
    spec.rounding = *RoundSchemeFromName("half_up");
  }

  std::size_t ChannelOf(std::size_t e) const {
    return static_cast<std::size_t>(spec.layout.ChannelOf(static_cast<std::int64_t>(e)));
  }
  std::int64_t M(std::size_t channel) const {
    return spec.multiplier[spec.multiplier.size() == 1 ? 0 : channel];
  }
  int Shift() const { return spec.shift[0]; }
  Int128 Product(std::size_t e) const { return Int128{spec.x[e] - spec.x_zero} * M(ChannelOf(e)); }
  Int128 Second(std::size_t e) const {
    if (spec.b.empty()) return 0;
    return Int128{spec.b[e] - spec.b_zero} *
           spec.b_multiplier[spec.b_multiplier.size() == 1 ? 0 : ChannelOf(e)];
  }
  std::int64_t Clamp(std::int64_t y) const { return std::clamp(y, spec.qmin, spec.qmax); }
  std::int64_t Wide(std::size_t e) const {
    return HalfUp(Product(e) + Second(e), Shift()) + spec.zero[0];
  }
  Values Golden() const {
    return Made([this](std::size_t e) { return Clamp(Wide(e)); });
  }
  template <typename F>
  Values Made(F compute) const {
    Values values;
    for (std::size_t e = 0; e < spec.x.size(); ++e) values.push_back(compute(e));
    return values;
  }
  // With a rounding of its own.
  template <typename F>
  Values Rounded(F round) const {
    return Made([&](std::size_t e) {
      return Clamp(round(Product(e) + Second(e), Shift()) + spec.zero[0]);
    });
  }
  std::int64_t Index(std::size_t e, int axis) const {
    const auto at = static_cast<std::int64_t>(e);
    if (axis == 0) return at / (rows * channels);
    return axis == 1 ? at / channels % rows : at % channels;
  }

  Plant Explained(const Values& actual, std::vector<std::string> right) const {
    const RequantModel model(spec, actual);
    return {Explain(model, actual, "y", "golden"),
            std::move(right),
            {},
            false,
            fmt::format("{} x {} x {}, M {}, S {}, {}..{}, zero {}", heads, rows, channels,
                        spec.multiplier[0], spec.shift[0], spec.qmin, spec.qmax, spec.zero[0])};
  }
};

std::int64_t Read(std::int64_t value, std::int64_t lowest, std::int64_t span) {
  return ((value - lowest) % span + span) % span + lowest;
}

Plant Limit(SeededRandom& random,
            const std::function<std::int64_t(const RequantBench&, std::int64_t)>& f,
            const std::function<std::vector<std::string>(const RequantBench&)>& right) {
  const RequantBench bench(random, random.Between(0, 1) == 1, random.Between(0, 1) == 1);
  return bench.Explained(bench.Made([&](std::size_t e) { return f(bench, bench.Wide(e)); }),
                         right(bench));
}

std::int64_t Span(const RequantBench& b) { return b.spec.qmax - b.spec.qmin + 1; }

// A part of the tensor and its name.
struct Part {
  std::function<bool(std::size_t)> contains;
  std::string words;
  std::string or_words = {};  // where the part has another name as well
};

// "the head is odd", if the two indices are all of a residue.
std::string SameResidue(const char* axis, std::int64_t length, std::int64_t a, std::int64_t b) {
  for (std::int64_t m = 2; m <= length / 2; ++m) {
    const std::int64_t of_class = (length - 1 - a % m) / m + 1;
    if (a % m != b % m || of_class != 2) continue;
    return m == 2 ? fmt::format("the {} is {}", axis, a % 2 == 0 ? "even" : "odd")
                  : fmt::format("the {} modulo {} is {}", axis, m, a % m);
  }
  return "";
}

// The rows and channels of the differences: no data tells a part that is larger.
std::string Box(const RequantBench& bench, const Values& actual) {
  const Values golden = bench.Golden();
  std::int64_t first[2] = {bench.rows, bench.channels};
  std::int64_t last[2] = {-1, -1};
  for (std::size_t e = 0; e < golden.size(); ++e) {
    if (golden[e] == actual[e]) continue;
    for (const int axis : {0, 1}) {
      first[axis] = std::min(first[axis], bench.Index(e, axis + 1));
      last[axis] = std::max(last[axis], bench.Index(e, axis + 1));
    }
  }
  return fmt::format("for row {} to {}, and for channel {} to {}", first[0], last[0], first[1],
                     last[1]);
}

// What a sentence says of a rule in a part.
std::vector<std::string> InPart(const std::string& rule, const Part& part) {
  std::vector<std::string> right;
  for (const std::string& words : {part.words, part.or_words}) {
    if (!words.empty()) right.push_back(rule + (words.starts_with("the") ? "where " : "") + words);
  }
  return right;
}

Part RandomPart(SeededRandom& random, const RequantBench& bench) {
  static const char* const kNames[] = {"head", "row", "channel"};
  const std::int64_t lengths[] = {bench.heads, bench.rows, bench.channels};
  switch (random.Between(0, 3)) {
    case 0: {  // two indices far apart
      const int axis = bench.heads >= 4 ? 0 : 2;
      const std::int64_t a = random.Between(0, lengths[axis] / 2 - 1);
      const std::int64_t b = random.Between(a + 2, lengths[axis] - 1);
      return {[=, &bench](std::size_t e) {
                const std::int64_t i = bench.Index(e, axis);
                return i == a || i == b;
              },
              fmt::format("for {} {} and {}", kNames[axis], a, b),
              SameResidue(kNames[axis], lengths[axis], a, b)};
    }
    case 1: {  // a residue
      const int axis = static_cast<int>(random.Between(1, 2));
      const std::int64_t modulus = random.Between(2, 4);
      const std::int64_t rest = random.Between(0, modulus - 1);
      return {[=, &bench](std::size_t e) { return bench.Index(e, axis) % modulus == rest; },
              modulus == 2 ? fmt::format("the {} is {}", kNames[axis], rest == 0 ? "even" : "odd")
                           : fmt::format("the {} modulo {} is {}", kNames[axis], modulus, rest)};
    }
    case 2: {  // a range up to the end
      const int axis = static_cast<int>(random.Between(1, 2));
      const std::int64_t first = random.Between(lengths[axis] / 3, lengths[axis] - 2);
      return {[=, &bench](std::size_t e) { return bench.Index(e, axis) >= first; },
              fmt::format("for {} {} and up", kNames[axis], first)};
    }
    default: {  // a tile of rows and channels
      const std::int64_t row = random.Between(1, bench.rows / 2 - 1);
      const std::int64_t last_row = row + random.Between(3, bench.rows / 2 - 1);
      const std::int64_t column = random.Between(1, bench.channels / 2 - 1);
      const std::int64_t last_column = column + random.Between(2, bench.channels / 2 - 1);
      return {[=, &bench](std::size_t e) {
                const std::int64_t i = bench.Index(e, 1);
                const std::int64_t j = bench.Index(e, 2);
                return i >= row && i <= last_row && j >= column && j <= last_column;
              },
              fmt::format("for row {} to {}, and for channel {} to {}", row, last_row, column,
                          last_column)};
    }
  }
}

}  // namespace

const std::vector<Kind>& RequantKinds() {
  static const std::vector<Kind> kinds = {
      {"HalfThenTowardZero",
       [](SeededRandom& random) {
         const RequantBench bench(random, random.Between(0, 1) == 1, true);
         return bench.Explained(bench.Rounded([](Int128 v, int s) {
           return static_cast<std::int64_t>((v + (Int128{1} << (s - 1))) / (Int128{1} << s));
         }),
                                {"half added, then divided toward zero"});
       }},
      {"Floor",
       [](SeededRandom& random) {
         const RequantBench bench(random, random.Between(0, 1) == 1, true);
         return bench.Explained(bench.Rounded(FloorDivide), {"floor instead of half_up"});
       }},
      {"Wraps",
       [](SeededRandom& random) {
         return Limit(
             random,
             [](const RequantBench& b, std::int64_t y) { return Read(y, b.spec.qmin, Span(b)); },
             [](const RequantBench&) { return std::vector<std::string>{"the output wraps"}; });
       }},
      {"UpperLimitOneTooLarge",
       [](SeededRandom& random) {
         return Limit(
             random,
             [](const RequantBench& b, std::int64_t y) {
               return std::clamp(y, b.spec.qmin, b.spec.qmax + 1);
             },
             [](const RequantBench& b) {
               return std::vector<std::string>{
                   fmt::format("the upper limit {} instead of {}", b.spec.qmax + 1, b.spec.qmax)};
             });
       }},
      {"UpperLimitWraps",
       [](SeededRandom& random) {
         return Limit(
             random,
             [](const RequantBench& b, std::int64_t y) {
               return Read(std::clamp(y, b.spec.qmin, b.spec.qmax + 1), b.spec.qmin, Span(b));
             },
             [](const RequantBench& b) {
               return std::vector<std::string>{
                   fmt::format("the upper limit {}, one too large: it then wraps to {}",
                               b.spec.qmax + 1, b.spec.qmin)};
             });
       }},
      {"OtherSign",
       [](SeededRandom& random) {
         const bool stored = random.Between(0, 1) == 1;
         return Limit(
             random,
             [stored](const RequantBench& b, std::int64_t y) {
               const std::int64_t low = b.spec.qmin < 0 ? 0 : -Span(b) / 2;
               y = std::clamp(y, low, low + Span(b) - 1);
               return stored ? Read(y, b.spec.qmin, Span(b)) : y;
             },
             [](const RequantBench& b) {
               return std::vector<std::string>{b.spec.qmin < 0 ? "saturates as an unsigned number"
                                                               : "saturates as a signed number"};
             });
       }},
      {"OtherLimits",
       [](SeededRandom& random) {
         const std::int64_t off = random.Between(2, 40);
         return Limit(
             random,
             [off](const RequantBench& b, std::int64_t y) {
               return std::clamp(y, b.spec.qmin, b.spec.qmax - off);
             },
             [off](const RequantBench& b) {
               return std::vector<std::string>{
                   fmt::format("the upper limit {} instead of {}", b.spec.qmax - off, b.spec.qmax)};
             });
       }},
      {"GuardBits",
       [](SeededRandom& random) {
         const RequantBench bench(random, true, false);
         const auto guard = static_cast<int>(random.Between(1, 6));
         const int s = bench.Shift();
         return bench.Explained(
             bench.Made([&](std::size_t e) {
               const std::int64_t sum =
                   HalfUp(bench.Product(e), s - guard) + HalfUp(bench.Second(e), s - guard);
               return bench.Clamp(HalfUp(sum, guard) + bench.spec.zero[0]);
             }),
             {fmt::format("each product rounded by itself to {} guard bit", guard)});
       }},
      {"Ratio",
       [](SeededRandom& random) {
         const bool sum = random.Between(0, 1) == 1;
         RequantBench bench(random, sum, false);
         const double off = 1 + (random.Between(0, 1) == 0 ? 1 : -1) *
                                    static_cast<double>(random.Between(200, 3000)) * 1e-6;
         return bench.Explained(bench.Made([&](std::size_t e) {
           const auto m = static_cast<Int128>(
               std::llround(std::ldexp(static_cast<double>(bench.M(0)) * off, 20)));
           Int128 product = Int128{bench.spec.x[e] - bench.spec.x_zero} * m;
           if (sum) product += bench.Second(e) << 20;
           return bench.Clamp(HalfUp(product, bench.Shift() + 20) + bench.spec.zero[0]);
         }),
                                {"a ratio of ", "ratios of "});
       }},
      {"ConstantBeforeShift",
       [](SeededRandom& random) {
         const RequantBench bench(random, false, random.Between(0, 1) == 1);
         const std::int64_t step = std::int64_t{1} << bench.Shift();
         const std::int64_t constant =
             (random.Between(0, 1) == 0 ? 1 : -1) * random.Between(step / 20, step / 3);
         return bench.Explained(bench.Made([&](std::size_t e) {
           return bench.Clamp(HalfUp(bench.Product(e) + constant, bench.Shift()) +
                              bench.spec.zero[0]);
         }),
                                {"added before the shift", " at every accumulator"});
       }},
      {"ZeroPoint",
       [](SeededRandom& random) {
         const RequantBench bench(random, random.Between(0, 1) == 1, true);
         const std::int64_t off = (random.Between(0, 1) == 0 ? 1 : -1) * random.Between(1, 9);
         return bench.Explained(
             bench.Made([&](std::size_t e) { return bench.Clamp(bench.Wide(e) + off); }),
             {fmt::format("{:+} at every output", off), "zero point omitted",
              "zero point subtracted"});
       }},
      {"LateFromAnElementOn",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Values golden = bench.Golden();
         const std::int64_t n = random.Between(1, 3 * bench.channels);
         const auto from = static_cast<std::size_t>(
             random.Between(0, 1) == 0
                 ? 0
                 : random.Between(n, static_cast<std::int64_t>(golden.size()) / 2));
         Values actual = golden;
         for (std::size_t e = std::max(from, static_cast<std::size_t>(n)); e < golden.size(); ++e)
           actual[e] = golden[e - static_cast<std::size_t>(n)];
         std::vector<std::string> right = {n == 1 ? "one element late"
                                                  : fmt::format("{} elements late", n)};
         if (n % bench.channels == 0)
           right.push_back(n == bench.channels ? "one row late"
                                               : fmt::format("{} rows late", n / bench.channels));
         if (n % bench.channels == 0) right.emplace_back("hold what rows");
         if (n == 1) right.emplace_back("one channel late");
         if (n < bench.channels) right.push_back(fmt::format("{} channels late", n));
         return bench.Explained(actual, right);
       }},
      {"ReversedAlongAnAxis",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Values golden = bench.Golden();
         const bool rows = random.Between(0, 1) == 0;
         Values actual = golden;
         for (std::size_t e = 0; e < golden.size(); ++e) {
           const std::int64_t i = bench.Index(e, rows ? 1 : 2);
           const std::int64_t other = (rows ? bench.rows : bench.channels) - 1 - i;
           actual[e] = golden[static_cast<std::size_t>(static_cast<std::int64_t>(e) +
                                                       (other - i) * (rows ? bench.channels : 1))];
         }
         return bench.Explained(actual,
                                {rows ? "rows in reverse order" : "channels in reverse order"});
       }},
      {"WordsInReverseOrder",
       [](SeededRandom& random) {
         RequantBench bench(random, random.Between(0, 1) == 1, true);
         const Values golden = bench.Golden();
         const std::int64_t word = std::int64_t{2} << random.Between(0, 2);
         Values actual = golden;
         for (std::size_t e = 0; e < golden.size(); ++e) {
           const auto at = static_cast<std::int64_t>(e);
           const std::int64_t from = at - at % word + word - 1 - at % word;
           if (from < std::ssize(golden)) actual[e] = golden[static_cast<std::size_t>(from)];
         }
         return bench.Explained(
             actual,
             {word == 2 ? "neighbouring elements exchanged"
                        : fmt::format("elements in reverse order within each tile of {}", word),
              word == 2 ? "neighbouring channels exchanged"
                        : fmt::format("channels in reverse order within each tile of {}", word)});
       }},
      {"AnOperandLate",
       [](SeededRandom& random) {
         const RequantBench bench(random, true, random.Between(0, 1) == 1);
         const bool first = random.Between(0, 1) == 0;
         const bool by_row = random.Between(0, 1) == 0;
         const std::int64_t n = by_row ? 1 : random.Between(2, bench.channels - 1);
         const std::int64_t late = by_row ? bench.channels : n;
         const std::string what = by_row   ? "one row"
                                  : n == 1 ? "one channel"
                                           : fmt::format("{} channels", n);
         return bench.Explained(
             bench.Made([&](std::size_t e) {
               const std::size_t from =
                   e < static_cast<std::size_t>(late) ? e : e - static_cast<std::size_t>(late);
               const Int128 x = (Int128{bench.spec.x[first ? from : e]} - bench.spec.x_zero) *
                                bench.M(bench.ChannelOf(e));
               const std::size_t c =
                   bench.spec.b_multiplier.size() == 1 ? std::size_t{0} : bench.ChannelOf(e);
               const Int128 b = (Int128{bench.spec.b[first ? e : from]} - bench.spec.b_zero) *
                                bench.spec.b_multiplier[c];
               return bench.Clamp(HalfUp(x + b, bench.Shift()) + bench.spec.zero[0]);
             }),
             {fmt::format("the {} operand {} late", first ? "first" : "second", what)});
       }},
      {"RowsOfOneHeadInAnotherOrder",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Values golden = bench.Golden();
         const std::int64_t head = random.Between(0, bench.heads - 1);
         const bool rotated = random.Between(0, 1) == 0;
         const std::int64_t by = random.Between(1, bench.rows - 1);
         Values actual = golden;
         for (std::size_t e = 0; e < golden.size(); ++e) {
           const std::int64_t row = bench.Index(e, 1);
           const std::int64_t from =
               rotated ? (row + bench.rows - by) % bench.rows : bench.rows - 1 - row;
           if (bench.Index(e, 0) == head)
             actual[e] = golden[static_cast<std::size_t>(static_cast<std::int64_t>(e) +
                                                         (from - row) * bench.channels)];
         }
         std::vector<std::string> right = {rotated ? fmt::format("rows rotated by {}", by)
                                                   : "rows in reverse order"};
         if (rotated && by == 1) right.emplace_back("one row late");
         if (rotated) right.push_back(fmt::format("{} rows late, rotated", by));
         if (rotated && by == bench.rows - 1) right.emplace_back("one row early");
         if (rotated) right.push_back(fmt::format("{} rows early, rotated", bench.rows - by));
         Plant plant = bench.Explained(actual, right);
         if (bench.heads > 1) plant.besides = {fmt::format("at head {}", head)};
         return plant;
       }},
      {"ChannelsOfARangeInAnotherOrder",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Values golden = bench.Golden();
         const std::int64_t length = random.Between(4, bench.channels / 2);
         const std::int64_t first = random.Between(1, bench.channels - length - 1);
         const bool rotated = random.Between(0, 1) == 0;
         const std::int64_t by = random.Between(1, length - 1);
         Values actual = golden;
         for (std::size_t e = 0; e < golden.size(); ++e) {
           const std::int64_t i = bench.Index(e, 2) - first;
           if (i < 0 || i >= length) continue;
           const std::int64_t from = rotated ? (i + length - by) % length : length - 1 - i;
           actual[e] = golden[static_cast<std::size_t>(static_cast<std::int64_t>(e) + from - i)];
         }
         return bench.Explained(
             actual,
             {fmt::format("channels {} to {} {}", first, first + length - 1,
                          rotated ? fmt::format("rotated by {}", by) : "in reverse order")});
       }},
      {"ChannelsInAnotherOrderWithinTiles",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Values golden = bench.Golden();
         const std::int64_t tile = random.Between(3, bench.channels / 3);
         const std::int64_t by = random.Between(1, tile - 1);
         Values actual = golden;
         for (std::size_t e = 0; e < golden.size(); ++e) {
           const std::int64_t i = bench.Index(e, 2);
           if (i / tile >= bench.channels / tile) continue;
           const std::int64_t from = i - i % tile + (i % tile + tile - by) % tile;
           actual[e] = golden[static_cast<std::size_t>(static_cast<std::int64_t>(e) + from - i)];
         }
         return bench.Explained(
             actual,
             {fmt::format(" rotated by {} within each tile of {}", by, tile),
              2 * by == tile ? fmt::format(" in tiles of {} that neighbours exchange", by)
                             : fmt::format(" rotated by {} within each tile of {}", by, tile)});
       }},
      {"PartHoldsAConstant",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Part part = RandomPart(random, bench);
         const std::int64_t constant = random.Between(0, 1) == 0
                                           ? bench.Clamp(0)
                                           : random.Between(bench.spec.qmin, bench.spec.qmax);
         Values actual = bench.Golden();
         for (std::size_t e = 0; e < actual.size(); ++e)
           if (part.contains(e)) actual[e] = constant;
         return bench.Explained(actual, InPart(fmt::format("the constant {} ", constant), part));
       }},
      {"FloorInAPart",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Part part = RandomPart(random, bench);
         Values actual = bench.Golden();
         const Values floor = bench.Rounded(FloorDivide);
         for (std::size_t e = 0; e < actual.size(); ++e)
           if (part.contains(e)) actual[e] = floor[e];
         return bench.Explained(
             actual,
             InPart("floor instead of half_up ",
                    {part.contains, part.words,
                     part.words.starts_with("for row") && part.or_words.empty() ? Box(bench, actual)
                                                                                : part.or_words}));
       }},
      {"NoiseInAPart",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const Part part = RandomPart(random, bench);
         Values actual = bench.Golden();
         for (std::size_t e = 0; e < actual.size(); ++e)
           if (part.contains(e)) actual[e] = bench.Clamp(actual[e] + random.Between(-60, 60));
         Plant planted = bench.Explained(actual, InPart("", part));
         planted.unexplained_is_right = true;
         return planted;
       }},
      {"Stochastic",
       [](SeededRandom& random) {
         RequantBench bench(random, random.Between(0, 1) == 1, true);
         return bench.Explained(bench.Rounded([&](Int128 v, int s) {
           const std::int64_t noise = random.Between(0, (std::int64_t{1} << s) - 1);
           return FloorDivide(v + noise, s);
         }),
                                {"no rule: each output of y is floor or ceil"});
       }},
      {"ParametersOfAnotherChannel",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         const std::int64_t n = random.Between(2, bench.channels - 2);
         const std::int64_t before = bench.channels - n;
         return bench.Explained(bench.Made([&](std::size_t e) {
           const auto c = static_cast<std::size_t>(
               (static_cast<std::int64_t>(bench.ChannelOf(e)) + n) % bench.channels);
           return bench.Clamp(
               HalfUp(Int128{bench.spec.x[e] - bench.spec.x_zero} * bench.M(c), bench.Shift()) +
               bench.spec.zero[0]);
         }),
                                {fmt::format("the channel {} further on", n),
                                 fmt::format("the channel {} before", before)});
       }},
      {"StuckBit",
       [](SeededRandom& random) {
         RequantBench bench(random, random.Between(0, 1) == 1, true);
         const std::int64_t b = random.Between(1, 5);
         const bool one = random.Between(0, 1) == 1;
         Values actual = bench.Golden();
         for (std::int64_t& y : actual) {
           const std::int64_t low = (y >> b) % 2;
           if (one && low == 0) y += std::int64_t{1} << b;
           if (!one && low != 0) y -= std::int64_t{1} << b;
         }
         return bench.Explained(actual,
                                {fmt::format("the output's bit {} always {}", b, one ? 1 : 0)});
       }},
      {"LowBitsLost",
       [](SeededRandom& random) {
         RequantBench bench(random, random.Between(0, 1) == 1, true);
         const std::int64_t b = random.Between(2, 4);
         Values actual = bench.Golden();
         for (std::int64_t& y : actual) y = y >> b << b;
         return bench.Explained(actual, {fmt::format("the output's lowest {} bits always 0", b)});
       }},
      {"Magnitude",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         Values actual = bench.Golden();
         for (std::int64_t& y : actual) y = std::min<std::int64_t>(std::abs(y), bench.spec.qmax);
         // Without a zero point it is the same.
         std::vector<std::string> right = {"the output without its sign"};
         if (bench.spec.zero[0] == 0) right.emplace_back("the accumulator's sign ignored");
         return bench.Explained(actual, right);
       }},
      {"PowerOfTwo",
       [](SeededRandom& random) {
         RequantBench bench(random, false, true);
         return bench.Explained(bench.Made([&](std::size_t e) {
           const auto m = static_cast<double>(bench.M(bench.ChannelOf(e)));
           const auto power = std::int64_t{1} << std::llround(std::log2(m));
           return bench.Clamp(
               HalfUp(Int128{bench.spec.x[e] - bench.spec.x_zero} * power, bench.Shift()) +
               bench.spec.zero[0]);
         }),
                                {"nearest power of two"});
       }},
  };
  return kinds;
}

}  // namespace qsim::testing
