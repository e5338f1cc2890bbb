// Softmax with an inner step done otherwise, computed here in arbitrary precision from the formulas
// of docs/numerics.md section 5.
#include <fmt/format.h>

#include <algorithm>

#include "tests/explain/oracle.h"
#include "tests/explain/plants.h"
#include "tests/explain/softmax_parameters.h"

namespace qsim::testing {
namespace {

using Row = std::vector<std::int64_t>;
using Rule = std::string;

mpz_class Power(std::int64_t exponent) { return PowerOfTwo(static_cast<int>(exponent)); }
mpz_class Shifted(const mpz_class& value, std::int64_t shift, const Rule& rule) {
  return shift == 0 ? value : Rounded(value, Power(shift), rule);
}

// P and H of section 5.8.
mpz_class HighProduct(const mpz_class& a, const mpz_class& b, const Rule& rule = "half_up") {
  return Rounded(a * b, Power(31), rule);
}

// ---- e(distance) of each scheme, in units of its own.

mpz_class Polynomial(const IbertExp& p, std::int64_t distance) {
  const std::int64_t d = std::max<std::int64_t>(-distance, std::int64_t{p.n} * p.x0);
  const std::int64_t q = d / p.x0;
  const mpz_class r = Big(d - q * p.x0);
  const mpz_class e = r * (r + Big(p.b)) + Big(p.c);
  return e < 0 ? mpz_class(0) : mpz_class(e * Power(p.n - q));
}
template <typename Params>
mpz_class Exp16(const Params& p, std::int64_t distance, const Fault& fault) {
  const mpz_class e = Shifted(Polynomial(p.exp, distance) * Big(p.act16_multiplier), p.act16_shift,
                              fault.Rule("exponential", "half_even"));
  return e > 32767 ? mpz_class(32767) : e;
}
mpz_class E(const IbertSoftmaxParams& p, std::int64_t d, const Fault& f) { return Exp16(p, d, f); }
mpz_class E(const IbertRnSoftmaxParams& p, std::int64_t d, const Fault& f) {
  return Exp16(p, d, f);
}
mpz_class E(const LogIntSoftmaxParams& p, std::int64_t d, const Fault&) {
  return Polynomial(p.exp, d);
}
mpz_class E(const ShiftmaxParams& p, std::int64_t distance, const Fault& f) {
  const Rule rule = f.Rule("shifts", "floor");
  mpz_class d =
      Big(-distance) + Rounded(Big(-distance), 2, rule) - Rounded(Big(-distance), 16, rule);
  const mpz_class least = Big(std::int64_t{p.n} * p.x0);
  if (d < least) d = least;
  const mpz_class x0 = Big(p.x0);
  const mpz_class q = d / x0;
  return Rounded((d - q * x0 - 2 * x0) * Power(p.n - q.get_si()), 2, "floor");
}
mpz_class Exponent(int shift_bits, std::int64_t d, const Fault& f) {
  return Shifted(Big(d), shift_bits, f.Rule("power", "half_up"));
}
mpz_class Ita(int shift_bits, std::int64_t d, const Fault& f) {
  return Rounded(256, Power(Exponent(shift_bits, d, f).get_si()), "floor");
}
mpz_class E(const ItaSoftmaxParams& p, std::int64_t d, const Fault& f) {
  return Ita(p.shift_bits, d, f);
}
mpz_class E(const ItaStreamingSoftmaxParams& p, std::int64_t d, const Fault& f) {
  return Ita(p.shift_bits, d, f);
}
mpz_class E(const TfliteSoftmaxParams& p, std::int64_t d, const Fault&) {
  return Big(TfliteSoftmaxExp(p, d));
}
mpz_class E(const IsoftmaxParams& p, std::int64_t d, const Fault&) {
  const std::int64_t z = std::min<std::int64_t>(d / p.log2, 31);
  const mpz_class base = Big(z * p.log2 - d + p.coeff_b);
  return Rounded(Big(p.coeff_a) * base * base + Big(p.coeff_c), Power(z), "floor");
}
mpz_class E(const TableSoftmaxParams& p, std::int64_t d, const Fault& f) {
  const auto at = static_cast<std::size_t>(d);
  if (p.exp_high.empty()) return Big(p.exp[std::min<std::size_t>(at, 255)]);
  return Rounded(Big(p.exp_high[at / 256]) * Big(p.exp[at % 256]), Power(15),
                 f.Rule("exponential", "half_up"));
}

// ---- What follows.

std::size_t Counted(const Row& x, const Fault& fault) {
  return std::min(x.size(), static_cast<std::size_t>(fault.Number("sum_first", std::ssize(x))));
}

// e floor(2^n / sum) / 2^(n - out), or one division.
std::int64_t Scaled(const mpz_class& e, const mpz_class& sum, const mpz_class& numerator, int bits,
                    int out, const char* last, const Fault& fault) {
  if (fault.at == "division")
    return Rounded(e * numerator, sum * Power(bits - out), fault.rule).get_si();
  const std::int64_t n = fault.Number("reciprocal_bits", bits);
  const mpz_class factor =
      Rounded(n == bits ? numerator : Power(n), sum, fault.Rule("reciprocal", "floor"));
  return Shifted(e * factor, n - out, fault.Rule("last", last)).get_si();
}

template <typename Params>
mpz_class Sum(const Params& p, const Row& distances, const Fault& fault) {
  mpz_class sum = 0;
  for (std::size_t i = 0; i < Counted(distances, fault); ++i) sum += E(p, distances[i], fault);
  return sum == 0 ? mpz_class(1) : sum;
}

// The quotients of `bits` in 8 bits and some more, of codes up to 255.
template <typename Params>
Row Quotients(const Params& p, const Row& d, const Fault& f, int bits, int extra_bits,
              const char* last) {
  Row out;
  const mpz_class sum = Sum(p, d, f);
  for (const std::int64_t one : d)
    out.push_back(std::min<std::int64_t>(
        Scaled(E(p, one, f), sum, Power(bits), bits, 8 + extra_bits, last, f), 255));
  return out;
}
Row Result(const IbertSoftmaxParams& p, const Row& d, const Fault& f) {
  return Quotients(p, d, f, 32, 0, "floor");
}
Row Result(const IbertRnSoftmaxParams& p, const Row& d, const Fault& f) {
  return Quotients(p, d, f, 32, p.extra_bits, "half_up");
}
Row Result(const TableSoftmaxParams& p, const Row& d, const Fault& f) {
  return Quotients(p, d, f, 48, p.extra_bits, "half_up");
}
Row Result(const ShiftmaxParams& p, const Row& d, const Fault& f) {
  Row out;
  const mpz_class most = Power(31) - 1;
  mpz_class sum = Sum(p, d, f);
  if (sum > most) sum = most;
  for (const std::int64_t one : d)
    out.push_back(Scaled(E(p, one, f), sum, most, 31, p.output_bits - 1, "floor", f));
  return out;
}
Row Result(const IsoftmaxParams& p, const Row& d, const Fault& f) {
  Row out;
  const mpz_class sum = Sum(p, d, f);
  for (const std::int64_t one : d)
    out.push_back(Rounded(E(p, one, f) * Big(f.at == "levels" ? p.levels : p.levels - 1), sum,
                          f.Rule("last", "floor"))
                      .get_si() +
                  p.output_offset);
  return out;
}
template <typename Params>
Row ItaResult(const Params& p, const Row& d, const mpz_class& sum, const Fault& f) {
  Row out;
  const mpz_class inverse = Rounded(Big(f.at == "levels" ? p.levels : p.levels - 1) * 256,
                                    sum == 0 ? mpz_class(1) : sum, f.Rule("reciprocal", "floor"));
  for (const std::int64_t one : d)
    out.push_back(Shifted(inverse, Exponent(p.shift_bits, one, f).get_si(), f.Rule("last", "floor"))
                      .get_si() +
                  p.output_offset);
  return out;
}
Row Result(const ItaSoftmaxParams& p, const Row& d, const Fault& f) {
  if (f.at == "terms") return ItaResult(p, d, Sum(p, d, f), f);
  mpq_class sum = 0;
  for (std::size_t i = 0; i < Counted(d, f); ++i)
    sum += mpq_class(256, Power(Exponent(p.shift_bits, d[i], f).get_si()));
  sum.canonicalize();
  return ItaResult(p, d, Rounded(sum.get_num(), sum.get_den(), "floor"), f);
}
// In groups; from the distances, of which the largest score's is 0.
Row Result(const ItaStreamingSoftmaxParams& p, const Row& d, const Fault& f) {
  const std::int64_t group = f.Number("group", p.group);
  mpz_class sum = 0;
  std::int64_t least = d.front();
  for (std::int64_t first = 0; first < std::ssize(d); first += group) {
    const auto from = d.begin() + first;
    const auto to = d.begin() + std::min<std::int64_t>(first + group, std::ssize(d));
    const std::int64_t of_part = *std::min_element(from, to);
    if (of_part < least) {
      if (f.at != "sum_shifted")
        sum = Shifted(sum, Exponent(p.shift_bits, least - of_part, f).get_si(),
                      f.Rule("sum_shift", "floor"));
      least = of_part;
    }
    for (auto at = from; at != to; ++at) sum += Ita(p.shift_bits, *at - least, f);
  }
  return ItaResult(p, d, sum, f);
}
Row Result(const LogIntSoftmaxParams& p, const Row& d, const mpz_class& sum, const Fault& f) {
  Row out;
  for (const std::int64_t one : d) {
    const mpz_class e = E(p, one, f);
    const std::int64_t zero = 1 << p.code_bits;
    if (e == 0) {
      out.push_back(zero);
      continue;
    }
    const mpz_class ratio = Rounded(sum, e, f.Rule("ratio", "half_even"));
    const auto log = static_cast<std::int64_t>(mpz_sizeinbase(ratio.get_mpz_t(), 2)) - 1;
    bool up = 2 * ratio >= 3 * Power(log);
    if (f.at == "logarithm" && f.rule == "floor") up = false;
    if (f.at == "logarithm" && f.rule == "nearest") up = ratio * ratio > Power(2 * log + 1);
    if (f.at == "logarithm" && f.rule == "ceil") up = ratio > Power(log);
    out.push_back(std::min(log + (up ? 1 : 0), zero));
  }
  return out;
}
Row Result(const LogIntSoftmaxParams& p, const Row& d, const Fault& f) {
  return Result(p, d, Sum(p, d, f), f);
}
Row Result(const TfliteSoftmaxParams& p, const Row& d, const Fault& f) {
  mpz_class sum = 0;
  for (std::size_t i = 0; i < Counted(d, f); ++i)
    sum += Rounded(E(p, d[i], f), Power(12), f.Rule("terms", "half_up"));
  if (sum == 0) sum = 1;
  const auto headroom = 32 - static_cast<std::int64_t>(mpz_sizeinbase(sum.get_mpz_t(), 2));
  const mpz_class a = sum * Power(headroom) - Power(31);
  mpz_class inverse;
  if (f.at == "newton") {
    const mpz_class half = (a + Power(31)) / 2;
    mpz_class x = 1515870810 + HighProduct(half, -1010580540);
    for (std::int64_t i = 0; i < f.number; ++i)
      x += HighProduct(x, Power(29) - HighProduct(half, x)) * 4;
    inverse = 2 * x;
  } else if (f.at == "exact") {
    inverse = Power(62) / (Power(31) + a);
  } else {
    inverse = Big(TfliteReciprocal(a.get_si()));
  }
  if (inverse > Power(31) - 1) inverse = Power(31) - 1;
  Row out;
  const std::int64_t lowest = -(std::int64_t{1} << (p.output_bits - 1));
  for (const std::int64_t one : d) {
    const mpz_class product = HighProduct(inverse, E(p, one, f), f.Rule("product", "half_up"));
    const mpz_class y =
        Rounded(product, Power(43 - headroom - p.output_bits), f.Rule("last", "half_up"));
    out.push_back(std::min<std::int64_t>(y.get_si() + lowest, -lowest - 1));
  }
  return out;
}

// Section 5.11.
template <typename Params>
Row Undivided(const Params& p, const Row& d, const Fault& f) {
  const mpz_class largest = E(p, 0, {});
  if constexpr (std::is_same_v<Params, LogIntSoftmaxParams>) {
    return Result(p, d, largest, f);
  } else {
    Row out;
    for (const std::int64_t one : d)
      out.push_back(std::min<std::int64_t>(Rounded(E(p, one, f) * Big(f.at == "levels" ? 256 : 255),
                                                   largest, f.Rule("last", "half_up"))
                                               .get_si(),
                                           255));
    return out;
  }
}

struct Drawn {
  Fault fault;
  std::vector<std::string> right;
};
using Draw = std::function<Drawn(SeededRandom&, std::int64_t width)>;

template <typename Params>
Plant Planted(SeededRandom& random, SoftmaxDivision division, const Draw& draw) {
  const std::int64_t heads = random.Between(1, 3), rows = random.Between(12, 40),
                     width = random.Between(14, 60);
  SoftmaxOp op;
  op.output = "y";
  op.input = "x";
  op.division = division;
  op.causal = random.Between(0, 2) == 0 && rows <= width;
  const auto [fault, right] = draw(random, width);
  const bool masked_last = fault.at == "masked_last";
  if (masked_last && rows > width) return {};
  op.causal = op.causal || masked_last;
  Params params;
  const double s = 0.02 + 0.0004 * static_cast<double>(random.Between(0, 100));
  std::int64_t most = 127;
  Fill(params, random, s);
  if constexpr (std::is_same_v<Params, TableSoftmaxParams>) {
    // Of a product of two entries alone, which outputs of few bits hide.
    while (fault.at == "exponential" && (params.exp_high.empty() || params.extra_bits < 5)) {
      params = {};
      Fill(params, random, s);
    }
    if (!params.exp_high.empty()) most = 500;
  }
  op.params = {params};
  const QuantRange range = SoftmaxOutputRange(op.params[0], division);
  Program program;
  const Shape shape = {heads, rows, width};
  program.tensors = {{"x",
                      shape,
                      DType::kInt16,
                      {static_cast<std::int32_t>(-most - 1), static_cast<std::int32_t>(most)}},
                     {"y", shape, range.qmin < 0 ? DType::kInt8 : DType::kUint8, range}};
  program.inputs = {"x"};
  program.ops = {op};
  Validate(program);
  std::vector<std::int16_t> x;
  for (std::int64_t i = 0; i < heads * rows * width; ++i)
    x.push_back(static_cast<std::int16_t>(random.Between(-most - 1, most)));
  Row actual(x.size(), SoftmaxZero(op.params[0], division));
  for (std::int64_t row = 0; row < heads * rows; ++row) {
    Row seen;
    const std::int64_t visible = op.causal ? row % rows + width - rows + 1 : width;
    for (std::int64_t i = 0; i < width; ++i)
      if (i < visible || masked_last) seen.push_back(x[static_cast<std::size_t>(row * width + i)]);
    Row distances;
    const std::int64_t tile = fault.Number("tiles", std::ssize(seen));
    const std::int64_t first = fault.Number("first", std::ssize(seen));
    for (std::int64_t i = 0; i < std::ssize(seen); ++i) {
      const std::int64_t from = i / tile * tile;
      const std::int64_t to = std::min({from + tile, std::ssize(seen), std::max(first, from + 1)});
      const std::int64_t largest = *std::max_element(seen.begin() + from, seen.begin() + to);
      distances.push_back(std::max<std::int64_t>(largest - seen[static_cast<std::size_t>(i)], 0));
    }
    const Row y = division == SoftmaxDivision::kAfter ? Undivided(params, distances, fault)
                                                      : Result(params, distances, fault);
    for (std::int64_t i = 0; i < visible; ++i)
      actual[static_cast<std::size_t>(row * width + i)] =
          std::clamp<std::int64_t>(y[static_cast<std::size_t>(i)], range.qmin, range.qmax);
  }
  // Outputs that are nearly all one say nothing.
  Row sorted = actual;
  std::sort(sorted.begin(), sorted.end());
  const auto most_outputs = std::count(sorted.begin(), sorted.end(), sorted[sorted.size() / 2]);
  if (most_outputs * 20 > std::ssize(actual) * 19) return {};
  return ExplainOutputs(
      program, {{{"x", IntTensor(shape, x)}}}, actual, right,
      fmt::format("{}, {} x {} x {}{}, {} {} {}", Params::kName, heads, rows, width,
                  op.causal ? ", causal" : "", fault.at, fault.rule, fault.number));
}

Draw RoundedAt(const char* at, const char* golden, const char* words,
               std::vector<std::string> rules = {"floor", "ceil", "half_up", "half_even",
                                                 "half_down"}) {
  return [=](SeededRandom& random, std::int64_t) -> Drawn {
    const std::string rule = AnotherRule(random, golden, rules);
    return {{at, rule}, {fmt::format("{} rounded {} instead of", words, rule)}};
  };
}
Draw NumberAt(const char* at, std::int64_t low, std::int64_t high, const char* words) {
  return [=](SeededRandom& random, std::int64_t width) -> Drawn {
    const std::int64_t n = random.Between(low, high == 0 ? width - 2 : high);
    return {{at, "", n}, {fmt::format(fmt::runtime(words), n)}};
  };
}
Draw OtherAt(const char* at, const char* rule, const char* words) {
  return [=](SeededRandom&, std::int64_t) -> Drawn { return {{at, rule, 1}, {words}}; };
}

template <typename Params>
void AddKinds(std::vector<Kind>& kinds, const char* scheme, SoftmaxDivision division,
              const std::vector<std::pair<const char*, Draw>>& draws) {
  for (const auto& [name, draw] : draws)
    kinds.push_back(
        {fmt::format("{}{}", scheme, name), [division, draw = draw](SeededRandom& random) {
           return Planted<Params>(random, division, draw);
         }});
}

}  // namespace

std::vector<Kind> SoftmaxKinds() {
  std::vector<Kind> kinds;
  using Draws = std::vector<std::pair<const char*, Draw>>;
  constexpr auto kBefore = SoftmaxDivision::kBefore;
  constexpr auto kAfter = SoftmaxDivision::kAfter;
  const std::pair<const char*, Draw> first = {
      "MaximumOfFirst", NumberAt("first", 2, 0, "over the first {} of a row")};
  const std::pair<const char*, Draw> tiles = {
      "MaximumOfTiles", NumberAt("tiles", 2, 0, "for each tile of {} in a row")};
  const std::pair<const char*, Draw> sum = {
      "SumOfFirst", NumberAt("sum_first", 2, 0, "the sum taken over the first {} of a row")};
  const std::pair<const char*, Draw> masked = {
      "MaskedLast", OtherAt("masked_last", "", "counted in the row's maximum and sum")};
  const std::pair<const char*, Draw> reciprocal = {
      "Reciprocal",
      RoundedAt("reciprocal", "floor", "the reciprocal of the sum", {"floor", "half_up", "ceil"})};
  const std::pair<const char*, Draw> bits = {"ReciprocalBits",
                                             NumberAt("reciprocal_bits", 22, 26, "taken of 2^{} ")};
  const std::pair<const char*, Draw> division = {
      "Division", [](SeededRandom& random, std::int64_t) -> Drawn {
        const std::string rule = random.Between(0, 1) == 0 ? "floor" : "half_up";
        return {{"division", rule}, {fmt::format("one division by the sum, {},", rule)}};
      }};
  const std::pair<const char*, Draw> levels = {"Levels",
                                               OtherAt("levels", "", "for the largest output")};
  const auto last = [](const char* golden) {
    return std::pair<const char*, Draw>{"Last", RoundedAt("last", golden, "the last step")};
  };
  const std::pair<const char*, Draw> exponential = {
      "Exponential",
      RoundedAt("exponential", "half_even", "the exponential", {"floor", "ceil", "half_even"})};
  AddKinds<IbertSoftmaxParams>(kinds, "Ibert", kBefore,
                               Draws{first, tiles, sum, masked, bits, division, last("floor")});
  AddKinds<IbertRnSoftmaxParams>(
      kinds, "IbertRn", kBefore,
      Draws{first, tiles, sum, masked, reciprocal, bits, division, last("half_up"), exponential});
  AddKinds<TableSoftmaxParams>(
      kinds, "Table", kBefore,
      Draws{first,
            tiles,
            sum,
            bits,
            division,
            last("half_up"),
            {"Exponential", RoundedAt("exponential", "half_up", "the exponential",
                                      {"floor", "ceil", "half_up"})}});
  AddKinds<ShiftmaxParams>(
      kinds, "Shiftmax", kBefore,
      Draws{first,
            tiles,
            sum,
            masked,
            reciprocal,
            bits,
            division,
            last("floor"),
            {"Shifts", RoundedAt("shifts", "floor", "the score's shifts by 1 and by 4",
                                 {"floor", "toward_zero", "half_up", "ceil"})}});
  const Draws of_ita = {
      masked,
      reciprocal,
      last("floor"),
      {"Power", RoundedAt("power", "half_up", "the power of two", {"floor", "half_up", "ceil"})},
      levels};
  Draws whole = of_ita;
  whole.insert(
      whole.end(),
      {first, tiles, sum, {"Terms", OtherAt("terms", "", "each term of the sum floored by")}});
  Draws streaming = of_ita;
  streaming.insert(
      streaming.end(),
      {{"Group", NumberAt("group", 2, 13, "groups of {} instead of")},
       {"SumShifted", OtherAt("sum_shifted", "", "the sum not shifted down where")},
       {"SumShift", RoundedAt("sum_shift", "floor", "the sum, where the maximum grows,",
                              {"floor", "half_up", "ceil"})}});
  AddKinds<ItaSoftmaxParams>(kinds, "Ita", kBefore, whole);
  AddKinds<ItaStreamingSoftmaxParams>(kinds, "ItaStreaming", kBefore, streaming);
  AddKinds<TfliteSoftmaxParams>(
      kinds, "Tflite", kBefore,
      Draws{first,
            tiles,
            sum,
            {"Last", RoundedAt("last", "half_up", "the last step", {"floor", "ceil", "half_up"})},
            {"Newton", NumberAt("newton", 1, 1, "{} of Newton's steps instead of 3")}});
  AddKinds<IsoftmaxParams>(kinds, "Isoftmax", kBefore,
                           Draws{first, tiles, sum, last("floor"), levels});
  const Draws of_codes = {
      first,
      tiles,
      {"Ratio", RoundedAt("ratio", "half_even", "the ratio of sum and exponential",
                          {"floor", "ceil", "half_even"})},
      {"LogarithmFloor", OtherAt("logarithm", "floor", "the logarithm floored")},
      {"LogarithmNearest", OtherAt("logarithm", "nearest", "the logarithm rounded up from 1.414")},
      {"LogarithmCeil", OtherAt("logarithm", "ceil", "the logarithm always rounded up")}};
  AddKinds<LogIntSoftmaxParams>(kinds, "LogInt", kBefore, of_codes);
  AddKinds<LogIntSoftmaxParams>(kinds, "LogIntAfter", kAfter, of_codes);
  const Draws undivided = {first, tiles, last("half_up"), levels};
  AddKinds<IbertRnSoftmaxParams>(kinds, "IbertRnAfter", kAfter, undivided);
  AddKinds<TableSoftmaxParams>(kinds, "TableAfter", kAfter, undivided);
  AddKinds<ShiftmaxParams>(kinds, "ShiftmaxAfter", kAfter, undivided);
  AddKinds<TfliteSoftmaxParams>(kinds, "TfliteAfter", kAfter, undivided);
  AddKinds<IsoftmaxParams>(kinds, "IsoftmaxAfter", kAfter, undivided);
  return kinds;
}

}  // namespace qsim::testing
