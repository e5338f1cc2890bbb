// Normalizations with an inner step done otherwise, computed here in arbitrary precision from the
// formulas of docs/numerics.md section 6.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/explain/oracle.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

using Row = std::vector<std::int64_t>;

mpz_class RootOf(const mpz_class& squares, const Fault& fault) {
  mpz_class root;
  mpz_sqrt(root.get_mpz_t(), squares.get_mpz_t());
  const std::string rule = fault.Rule("root", "floor");
  if (rule == "ceil" && root * root < squares) ++root;
  if (rule == "half_up" && 4 * squares > (2 * root + 1) * (2 * root + 1)) ++root;
  return root;
}

std::vector<mpz_class> Centred(const std::vector<mpz_class>& x, bool golden, const char* rule,
                               const Fault& fault) {
  mpz_class sum = 0;
  for (const mpz_class& one : x) sum += one;
  const mpz_class mean =
      Rounded(sum, Big(fault.Number("mean_count", std::ssize(x))), fault.Rule("mean", rule));
  if (golden == (fault.at == "mean_subtracted")) return x;
  std::vector<mpz_class> d;
  for (const mpz_class& one : x) d.push_back(one - mean);
  return d;
}

mpz_class SumOfSquares(const std::vector<mpz_class>& d, int shift, std::int64_t eps,
                       const Fault& fault) {
  mpz_class squares = Big(eps);
  for (const mpz_class& one : d) {
    const mpz_class scaled =
        shift == 0 ? one : Rounded(one, PowerOfTwo(shift), fault.Rule("squares", "floor"));
    squares += scaled * scaled;
  }
  return squares;
}

// d 2^31 / root / 2
mpz_class Normalized(const mpz_class& d, const mpz_class& root, const mpz_class& numerator,
                     const Fault& fault) {
  if (fault.at == "division") return Rounded(d * numerator, 2 * root, fault.rule);
  const auto bits = static_cast<int>(fault.Number("factor_bits", 31));
  const mpz_class factor =
      Rounded(bits == 31 ? numerator : PowerOfTwo(bits), root, fault.Rule("factor", "floor"));
  if (bits <= 30) return d * factor * PowerOfTwo(30 - bits);
  return Rounded(d * factor, PowerOfTwo(fault.at == "halved" ? 0 : bits - 30), "floor");
}

struct Setup {
  std::int64_t rows, width, groups = 1;
  int bits = 8;  // of the input
  std::vector<std::int32_t> input_shift;
  int root_shift = 0;
  std::int64_t input_zero = 0, eps = 0, gate_zero = 0;
  bool gated = false;
  std::vector<Multiplier> scale;
  std::vector<std::int64_t> bias;
  std::int64_t multiplier_on = 0, bias_on = 0;  // the entries of channels so far on
  std::vector<std::int32_t> weight;
  std::vector<std::int64_t> x, gate;
  int log2d = 0;

  std::int64_t Columns() const { return width * groups; }

  // `wide`: so large that little is left of the root's reciprocal.
  Setup(SeededRandom& random, bool wide, bool groups_of_columns = false, bool with_gate = false) {
    rows = random.Between(20, 50);
    width = random.Between(18, 70);
    if (groups_of_columns) groups = random.Between(2, 4);
    bits = wide ? 16 : 8;
    input_zero = random.Between(-9, 9);
    eps = random.Between(0, 1) == 0 ? 0 : random.Between(1, 400);
    gated = with_gate;
    if (gated) gate_zero = random.Between(-5, 5);
    const std::int64_t most = wide ? 32000 : 127;
    for (std::int64_t i = 0; i < rows * Columns(); ++i) {
      x.push_back(random.Between(-most, most));
      if (gated) gate.push_back(random.Between(-127, 127));
    }
    // Outputs of about 40.
    const double step =
        40 * std::sqrt(static_cast<double>(width)) / std::ldexp(gated ? 70.0 : 1.0, 30);
    for (std::int64_t c = 0; c < Columns(); ++c) {
      input_shift.push_back(wide ? static_cast<std::int32_t>(random.Between(6, 8)) : 0);
      scale.push_back(
          {static_cast<std::int32_t>(std::ldexp(step, 44) *
                                     (0.7 + 0.01 * static_cast<double>(random.Between(0, 60)))),
           44});
      bias.push_back(random.Between(-10000000, 10000000));
    }
    log2d = static_cast<int>(random.Between(4, 9));
    for (std::int64_t c = 0; c < Columns(); ++c)
      weight.push_back(static_cast<std::int32_t>(random.Between(20 << log2d, 50 << log2d)));
  }

  std::vector<mpz_class> Shifted(std::int64_t row, std::int64_t group) const {
    std::vector<mpz_class> d;
    for (std::int64_t c = group * width; c < (group + 1) * width; ++c)
      d.push_back(Big(x[static_cast<std::size_t>(row * Columns() + c)] - input_zero) *
                  PowerOfTwo(input_shift[static_cast<std::size_t>(c)]));
    return d;
  }
  std::int64_t Requantized(const mpz_class& value, std::int64_t column) const {
    const Multiplier m = scale[static_cast<std::size_t>((column + multiplier_on) % Columns())];
    return Clamped(Rounded(value * Big(m.m), PowerOfTwo(m.shift), "half_up") + 3, -128, 127);
  }
  template <typename Params>
  Params ParamsOf() const {
    Params params;
    params.input_zero = static_cast<std::int32_t>(input_zero);
    params.input_shift = input_shift;
    params.eps = eps;
    params.scale = scale;
    params.zero = {3};
    if constexpr (requires { params.bias; }) params.bias = bias;
    return params;
  }
  Plant Explained(const Op& op, const std::vector<std::int64_t>& actual,
                  std::vector<std::string> right, const std::string& scheme,
                  const Fault& fault) const {
    const Shape shape = {rows, Columns()};
    const std::int32_t half = 1 << (bits - 1);
    Program program;
    program.tensors = {{"x", shape, DType::kInt16, {-half, half - 1}},
                       {"y", shape, DType::kInt8, {-128, 127}}};
    program.inputs = {"x"};
    TensorMap inputs;
    inputs.emplace("x", IntTensor(shape, std::vector<std::int16_t>(x.begin(), x.end())));
    if (gated) {
      program.tensors.push_back({"g", shape, DType::kInt8, {-128, 127}});
      program.inputs.emplace_back("g");
      inputs.emplace("g", IntTensor(shape, std::vector<std::int8_t>(gate.begin(), gate.end())));
    }
    program.ops = {op};
    Validate(program);
    return ExplainOutputs(program, {inputs}, actual, std::move(right),
                          fmt::format("{}, {} x {}, {} bits; {} {} {}", scheme, rows, Columns(),
                                      bits, fault.at, fault.rule, fault.number));
  }
};

struct Drawn {
  Fault fault;
  std::vector<std::string> right;
};
using Draw = std::function<Drawn(SeededRandom&, const Setup&)>;

LayernormOp Layer(LayernormParams params) {
  LayernormOp op;
  op.output = "y";
  op.input = "x";
  op.params = std::move(params);
  return op;
}

Plant Ibert(SeededRandom& random, bool wide, const Draw& draw) {
  Setup setup(random, wide);
  setup.root_shift = wide ? static_cast<int>(random.Between(12, 15)) : 0;
  const auto [fault, right] = draw(random, setup);
  setup.multiplier_on = fault.Number("multiplier_list", 0);
  setup.bias_on = fault.Number("bias_list", 0);
  std::vector<std::int64_t> actual;
  for (std::int64_t row = 0; row < setup.rows; ++row) {
    const auto d = Centred(setup.Shifted(row, 0), true, "half_even", fault);
    mpz_class root = RootOf(SumOfSquares(d, setup.root_shift, setup.eps, fault), fault) *
                     PowerOfTwo(setup.root_shift);
    if (root < 1) root = 1;
    for (std::int64_t c = 0; c < setup.width; ++c)
      actual.push_back(setup.Requantized(
          Normalized(d[static_cast<std::size_t>(c)], root, PowerOfTwo(31), fault) +
              Big(setup.bias[static_cast<std::size_t>((c + setup.bias_on) % setup.width)]),
          c));
  }
  auto params = setup.ParamsOf<IbertLayernormParams>();
  params.std_shift = setup.root_shift;
  return setup.Explained(Layer(params), actual, right, "ibert", fault);
}

Plant Ivit(SeededRandom& random, bool wide, const Draw& draw) {
  const Setup setup(random, wide);
  const auto [fault, right] = draw(random, setup);
  std::vector<std::int64_t> actual;
  for (std::int64_t row = 0; row < setup.rows; ++row) {
    const auto d = Centred(setup.Shifted(row, 0), true, "half_even", fault);
    const mpz_class squares = SumOfSquares(d, 0, setup.eps, fault);
    mpz_class root = PowerOfTwo(16);
    for (std::int64_t i = 0; i < fault.Number("newton", 10); ++i)
      root = (root + squares / root) / 2;
    if (fault.at == "exact") root = RootOf(squares, {});
    for (std::int64_t c = 0; c < setup.width; ++c)
      actual.push_back(setup.Requantized(
          Normalized(d[static_cast<std::size_t>(c)], root, PowerOfTwo(31) - 1, fault) +
              Big(setup.bias[static_cast<std::size_t>(c)]),
          c));
  }
  return setup.Explained(Layer(setup.ParamsOf<IvitLayernormParams>()), actual, right, "ivit",
                         fault);
}

Plant Deeploy(SeededRandom& random, bool wide, const Draw& draw) {
  Setup setup(random, wide);
  std::fill(setup.input_shift.begin(), setup.input_shift.end(), 0);
  const auto [fault, right] = draw(random, setup);
  std::vector<std::int64_t> actual;
  DeeployLayernormParams params;
  params.input_zero = setup.input_zero;
  params.eps = setup.eps;
  params.weight = setup.weight;
  params.log2d = setup.log2d;
  for (const std::int64_t bias : setup.bias) params.bias.push_back(bias >> 12);
  for (std::int64_t row = 0; row < setup.rows; ++row) {
    const auto d = Centred(setup.Shifted(row, 0), true, "toward_zero", fault);
    const mpz_class variance =
        Rounded(SumOfSquares(d, 0, setup.eps, fault),
                Big(fault.Number("variance_count", setup.width)), fault.Rule("variance", "floor"));
    mpz_class root = RootOf(variance + (fault.at == "plus_one" ? 0 : 1), fault);
    if (root < 1) root = 1;
    for (std::size_t c = 0; c < d.size(); ++c) {
      const mpz_class scaled =
          Rounded(d[c] * Big(setup.weight[c]), root, fault.Rule("quotient", "toward_zero"));
      actual.push_back(Clamped(Rounded(scaled + Big(params.bias[c]), PowerOfTwo(setup.log2d),
                                       fault.Rule("last", "floor")),
                               -128, 127));
    }
  }
  return setup.Explained(Layer(params), actual, right, "rq_layernorm", fault);
}

Plant Rms(SeededRandom& random, bool wide, bool gated, const Draw& draw) {
  Setup setup(random, wide, random.Between(0, 1) == 0, gated);
  setup.root_shift = wide ? static_cast<int>(random.Between(12, 15)) : 0;
  const auto [fault, right] = draw(random, setup);
  const std::int64_t groups = fault.at == "groups" ? 1 : setup.groups;
  std::vector<std::int64_t> actual(setup.x.size());
  for (std::int64_t row = 0; row < setup.rows; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      std::vector<mpz_class> x;
      for (std::int64_t g = group; g < (fault.at == "groups" ? setup.groups : group + 1); ++g)
        for (const mpz_class& one : setup.Shifted(row, g)) x.push_back(one);
      const auto d = Centred(x, false, "half_even", fault);
      mpz_class root = RootOf(SumOfSquares(d, setup.root_shift, setup.eps, fault), fault) *
                       PowerOfTwo(setup.root_shift);
      if (root < 1) root = 1;
      for (std::size_t c = 0; c < d.size(); ++c) {
        const std::int64_t column = group * setup.width + static_cast<std::int64_t>(c);
        const auto at = static_cast<std::size_t>(row * setup.Columns() + column);
        mpz_class y = Normalized(d[c], root, PowerOfTwo(31), fault);
        if (gated && fault.at != "gate") y *= Big(setup.gate[at] - setup.gate_zero);
        actual[at] = setup.Requantized(y, column);
      }
    }
  }
  RmsnormOp op;
  op.output = "y";
  op.input = "x";
  if (gated) op.gate = "g";
  op.params = setup.ParamsOf<RmsnormParams>();
  op.params.rms_shift = setup.root_shift;
  op.params.gate_zero = static_cast<std::int32_t>(setup.gate_zero);
  op.groups = setup.groups == 1 ? 0 : setup.groups;
  return setup.Explained(op, actual, right, gated ? "gated rmsnorm" : "rmsnorm", fault);
}

Draw RoundedAt(const char* at, const char* golden, const char* words,
               std::vector<std::string> rules) {
  return [=](SeededRandom& random, const Setup&) -> Drawn {
    const std::string rule = AnotherRule(random, golden, rules);
    return {{at, rule}, {fmt::format("{} rounded {} instead of {}", words, rule, golden)}};
  };
}
Draw OtherAt(const char* at, const char* words) {
  return [=](SeededRandom&, const Setup&) -> Drawn { return {{at, "", 0}, {words}}; };
}
// What a row is padded to.
Draw Padded(const char* at, const char* words) {
  return [=](SeededRandom& random, const Setup& setup) -> Drawn {
    const std::int64_t tile = std::int64_t{1} << random.Between(3, 6);
    const std::int64_t padded = (setup.width / tile + 1) * tile;
    return {{at, "", padded}, {fmt::format(fmt::runtime(words), padded)}};
  };
}

const std::vector<std::string> kRules = {"floor",     "ceil",      "half_up",
                                         "half_even", "half_down", "toward_zero"};

}  // namespace

std::vector<Kind> NormKinds() {
  std::vector<Kind> kinds;
  const auto add = [&](const char* scheme, const char* name, bool wide, const Draw& draw) {
    const std::string of = scheme;
    kinds.push_back({of + name, [of, wide, draw](SeededRandom& random) {
                       if (of == "Ibert") return Ibert(random, wide, draw);
                       if (of == "Ivit") return Ivit(random, wide, draw);
                       if (of == "Deeploy") return Deeploy(random, wide, draw);
                       return Rms(random, wide, of == "Gated", draw);
                     }});
  };
  for (const char* scheme : {"Ibert", "Ivit", "Rms", "Gated"}) {
    const std::string of = scheme;
    add(scheme, "Factor", true,
        RoundedAt("factor", "floor", "the reciprocal of the root", {"floor", "half_up", "ceil"}));
    add(scheme, "HalvingOmitted", false,
        OtherAt("halved", "the halving behind the reciprocal left out"));
    add(scheme, "FactorBits", true, [](SeededRandom& random, const Setup&) -> Drawn {
      const std::int64_t bits =
          random.Between(30, 31) == 31 ? random.Between(24, 30) : random.Between(32, 36);
      return {{"factor_bits", "", bits},
              {fmt::format("the reciprocal of the root taken of 2^{} instead", bits)}};
    });
    add(scheme, "Division", true, [](SeededRandom& random, const Setup&) -> Drawn {
      const std::string rule = random.Between(0, 1) == 0 ? "floor" : "half_up";
      return {{"division", rule}, {fmt::format("one division by the root, {},", rule)}};
    });
    if (of != "Ivit") {
      add(scheme, "Root", false,
          RoundedAt("root", "floor", "the root", {"floor", "half_up", "ceil"}));
      add(scheme, "Squares", true, RoundedAt("squares", "floor", "what is squared", kRules));
    }
    if (of == "Rms" || of == "Gated") {
      add(scheme, "MeanSubtracted", false,
          OtherAt("mean_subtracted", "the mean subtracted, as by"));
      add(scheme, "Groups", false, OtherAt("groups", "all columns as one group instead of"));
    } else {
      add(scheme, "Mean", false, RoundedAt("mean", "half_even", "the mean", kRules));
      add(scheme, "MeanOmitted", false, OtherAt("mean_subtracted", "the mean not subtracted"));
      add(scheme, "MeanPadded", false, Padded("mean_count", "the mean taken by {} instead of"));
    }
  }
  for (const bool of_bias : {false, true}) {
    const std::string list = of_bias ? "bias" : "multiplier";
    add("Ibert", of_bias ? "BiasOfAnotherChannel" : "MultiplierOfAnotherChannel", false,
        [list](SeededRandom& random, const Setup& setup) -> Drawn {
          const std::int64_t n = random.Between(1, setup.width - 1);
          const std::int64_t before = setup.width - n;
          std::vector<std::string> right;
          for (const char* which : {"further on", "before"}) {
            const std::int64_t steps = *which == 'f' ? n : before;
            right.push_back(steps == 1
                                ? fmt::format("the {} of the {} channel", list,
                                              *which == 'f' ? "next" : "previous")
                                : fmt::format("the {} of the channel {} {}", list, steps, which));
          }
          return {{list + "_list", "", n}, right};
        });
  }
  add("Gated", "Omitted", false, OtherAt("gate", "the gate left out"));
  add("Ivit", "Newton", false, [](SeededRandom& random, const Setup&) -> Drawn {
    const std::int64_t steps = random.Between(5, 8);
    return {{"newton", "", steps}, {fmt::format("{} of Newton's steps instead of 10", steps)}};
  });
  add("Deeploy", "Mean", false, RoundedAt("mean", "toward_zero", "the mean", kRules));
  add("Deeploy", "MeanOmitted", false, OtherAt("mean_subtracted", "the mean not subtracted"));
  add("Deeploy", "MeanPadded", false, Padded("mean_count", "the mean taken by {} instead of"));
  add("Deeploy", "VariancePadded", false,
      Padded("variance_count", "the sum of squares divided by {} instead of"));
  add("Deeploy", "PlusOne", false, OtherAt("plus_one", "the 1 under the root left out"));
  add("Deeploy", "Root", false,
      RoundedAt("root", "floor", "the root", {"floor", "half_up", "ceil"}));
  add("Deeploy", "Quotient", false,
      RoundedAt("quotient", "toward_zero", "the division by the root", kRules));
  add("Deeploy", "Last", false, RoundedAt("last", "floor", "the last step", kRules));
  return kinds;
}

}  // namespace qsim::testing
