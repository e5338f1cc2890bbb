#include "tests/conform/derived_outputs.h"

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "derivation/exact.h"
#include "derivation/gelu_rows.h"
#include "derivation/layernorm_rows.h"
#include "derivation/observers.h"
#include "derivation/requantize_values.h"
#include "derivation/softmax_rows.h"

namespace qsim::testing {

using derivation::Big;
using derivation::Clamp;
using derivation::Power2;
using derivation::Small;

Integers ReadIntegers(const ConformCase& c, const std::string& name) {
  Integers integers{c.Input(name).shape(), {}};
  for (const std::int64_t value : c.InputValues(name)) integers.values.push_back(Big(value));
  return integers;
}

IntTensor ToTensor(const Integers& integers) {
  std::vector<std::int64_t> values;
  for (const mpz_class& value : integers.values) values.push_back(Small(value));
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const bool wide = !values.empty() && (*least < INT32_MIN || *most > INT32_MAX);
  const DType dtype =
      wide || values.empty()
          ? DType::kInt64
          : StorageFor({static_cast<std::int32_t>(*least), static_cast<std::int32_t>(*most)});
  IntTensor tensor(dtype, integers.shape);
  std::visit(
      [&](auto& stored) {
        using T = typename std::decay_t<decltype(stored)>::value_type;
        std::transform(values.begin(), values.end(), stored.begin(),
                       [](std::int64_t v) { return static_cast<T>(v); });
      },
      tensor.storage());
  return tensor;
}

namespace {

using Values = std::vector<std::int64_t>;

IntTensor ToTensor(const Shape& shape, const Values& values) {
  Integers integers{shape, {}};
  for (const std::int64_t value : values) integers.values.push_back(Big(value));
  return testing::ToTensor(integers);
}

std::int64_t Param(const ConformCase& c, const char* key) {
  return c.Param(key, INT64_MIN, INT64_MAX);
}
int SmallParam(const ConformCase& c, const char* key) { return static_cast<int>(Param(c, key)); }
std::int64_t ParamOr(const ConformCase& c, const char* key, std::int64_t fallback) {
  return c.ParamOr(key, fallback, INT64_MIN, INT64_MAX);
}

// ---- requantizers ----

enum class Along : std::uint8_t { kElements, kFirstAxis, kLastAxis };

// A parameter of element i of `shape`: there is one, or one for each element or channel.
const mpz_class& Of(const Integers& parameter, std::size_t i, const Shape& shape, Along along) {
  const std::size_t entries = parameter.values.size();
  const auto elements = static_cast<std::size_t>(ElementCount(shape));
  if (entries == 1) return parameter.values[0];
  if (along == Along::kFirstAxis) return parameter.values[i / (elements / entries)];
  return parameter.values[along == Along::kElements ? i : i % entries];
}

int ShiftOf(const mpz_class& shift) { return static_cast<int>(shift.get_si()); }

// y of every element of input `v`, from v, its multiplier and its shift.
template <typename Equation>
CaseTensors ByElement(const ConformCase& c, const Equation& equation) {
  const Integers v = ReadIntegers(c, "v"), m = ReadIntegers(c, "multiplier"),
                 shift = ReadIntegers(c, "shift");
  Integers y{v.shape, {}};
  for (std::size_t i = 0; i < v.values.size(); ++i) {
    y.values.push_back(equation(v.values[i], Of(m, i, v.shape, Along::kElements),
                                ShiftOf(Of(shift, i, v.shape, Along::kElements))));
  }
  return {{"y", ToTensor(y)}};
}

// The source counts shifts to the left from kBase.
template <auto kEquation, int kBase>
CaseTensors LeftShifted(const ConformCase& c) {
  return ByElement(
      c, [](const mpz_class& v, const mpz_class& m, int s) { return kEquation(v, m, kBase - s); });
}

CaseTensors TosaScale32(const ConformCase& c) {
  const bool twice = c.Flag("double_round", false);
  return ByElement(c, twice ? derivation::DeriveTosaScale32Double : derivation::DeriveHalfUp);
}

CaseTensors TosaScale16(const ConformCase& c) { return ByElement(c, derivation::DeriveHalfUp); }

template <auto kEquation, Along kAlong>
CaseTensors ItaRequantized(const ConformCase& c) {
  const Integers v = ReadIntegers(c, "v"), m = ReadIntegers(c, "mult"),
                 shift = ReadIntegers(c, "shift"), add = ReadIntegers(c, "add");
  Integers y{v.shape, {}};
  for (std::size_t i = 0; i < v.values.size(); ++i) {
    const auto of = [&](const Integers& parameter) { return Of(parameter, i, v.shape, kAlong); };
    y.values.push_back(
        Clamp(kEquation(v.values[i], of(m), ShiftOf(of(shift))) + of(add), -128, 127));
  }
  return {{"y", ToTensor(y)}};
}

CaseTensors RequantShift(const ConformCase& c) {
  const Integers v = ReadIntegers(c, "v"), m = ReadIntegers(c, "mul"), add = ReadIntegers(c, "add");
  Integers y{v.shape, {}};
  for (std::size_t i = 0; i < v.values.size(); ++i) {
    const auto of = [&](const Integers& p) { return Of(p, i, v.shape, Along::kLastAxis); };
    const mpz_class shifted =
        derivation::DeriveRequantShift(v.values[i] + Big(ParamOr(c, "input_offset", 0)), of(m),
                                       of(add), SmallParam(c, "log2D"), c.Flag("rounding", false));
    y.values.push_back(Clamp(shifted + Big(ParamOr(c, "output_offset", 0)),
                             Big(Param(c, "output_min")), Big(Param(c, "output_max"))));
  }
  return {{"y", ToTensor(y)}};
}

Integers Dyadic(const ConformCase& c, const std::string& name, const std::string& prefix) {
  Integers v = ReadIntegers(c, name);
  const Integers m = ReadIntegers(c, prefix + "m"), e = ReadIntegers(c, prefix + "e");
  for (std::size_t i = 0; i < v.values.size(); ++i) {
    const auto of = [&](const Integers& p) { return Of(p, i, v.shape, Along::kLastAxis); };
    v.values[i] = derivation::DeriveIbertDyadic(v.values[i], of(m), ShiftOf(of(e)));
  }
  return v;
}

CaseTensors IbertDyadic(const ConformCase& c) {
  Integers y = Dyadic(c, "z", "");
  const mpz_class half = Power2(Param(c, "bits") - 1);
  const Integers identity =
      c.HasInput("identity") ? Dyadic(c, "identity", "identity_") : Integers{y.shape, {}};
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    if (!identity.values.empty()) y.values[i] += identity.values[i];
    y.values[i] = Clamp(y.values[i], -half, half - 1);
  }
  return {{"y", ToTensor(y)}};
}

// ---- products with a requantizer ----

CaseTensors Requantized(const ConformCase& c, Integers acc) {
  const auto read = [&](const char* name) {
    if (c.HasInput(name)) return ReadIntegers(c, name);
    return Integers{{1}, {Big(Param(c, name))}};
  };
  const Integers m = read("multiplier"), shift = read("shift");
  for (std::size_t i = 0; i < acc.values.size(); ++i) {
    const auto of = [&](const Integers& p) { return Of(p, i, acc.shape, Along::kLastAxis); };
    const mpz_class y =
        derivation::DeriveTfliteDouble(acc.values[i], of(m), 31 - ShiftOf(of(shift)));
    acc.values[i] = Clamp(y + Big(ParamOr(c, "output_offset", 0)), Big(Param(c, "activation_min")),
                          Big(Param(c, "activation_max")));
  }
  return {{"y", ToTensor(acc)}};
}

// Appends sum_k (lhs[m][k] + input_offset) (rhs_t[n][k] + filter_offset) for matrices that start at
// `left` and `right`.
void AppendProduct(const ConformCase& c, const Integers& lhs, std::size_t left, const Integers& rhs,
                   std::size_t right, std::size_t rows, const Integers* bias, Integers& acc) {
  const auto depth = static_cast<std::size_t>(lhs.shape.back());
  const auto columns = static_cast<std::size_t>(rhs.shape[rhs.shape.size() - 2]);
  const mpz_class input_offset = Big(ParamOr(c, "input_offset", 0));
  const mpz_class filter_offset = Big(ParamOr(c, "filter_offset", 0));
  for (std::size_t m = 0; m < rows; ++m) {
    for (std::size_t n = 0; n < columns; ++n) {
      mpz_class sum = bias == nullptr ? mpz_class(0) : bias->values[n];
      for (std::size_t k = 0; k < depth; ++k) {
        sum += (lhs.values[left + m * depth + k] + input_offset) *
               (rhs.values[right + n * depth + k] + filter_offset);
      }
      acc.values.push_back(sum);
    }
  }
}

CaseTensors FullyConnected(const ConformCase& c) {
  const Integers input = ReadIntegers(c, "input"), weights = ReadIntegers(c, "weights");
  Integers bias;
  if (c.HasInput("bias")) bias = ReadIntegers(c, "bias");
  Integers acc{input.shape, {}};
  acc.shape.back() = weights.shape[0];
  const auto rows = static_cast<std::size_t>(ElementCount(input.shape) / input.shape.back());
  AppendProduct(c, input, 0, weights, 0, rows, bias.values.empty() ? nullptr : &bias, acc);
  return Requantized(c, acc);
}

CaseTensors BatchMatmul(const ConformCase& c) {
  const Integers lhs = ReadIntegers(c, "lhs"), rhs = ReadIntegers(c, "rhs_t");
  Integers acc{lhs.shape, {}};
  for (const std::size_t axis : {0U, 1U}) {
    acc.shape[axis] = std::max(lhs.shape[axis], rhs.shape[axis]);
  }
  acc.shape[3] = rhs.shape[2];
  const auto first = [](const Shape& shape, std::int64_t b, std::int64_t h) {
    const std::int64_t matrix = (shape[0] == 1 ? 0 : b) * shape[1] + (shape[1] == 1 ? 0 : h);
    return static_cast<std::size_t>(matrix * shape[2] * shape[3]);
  };
  for (std::int64_t b = 0; b < acc.shape[0]; ++b) {
    for (std::int64_t h = 0; h < acc.shape[1]; ++h) {
      AppendProduct(c, lhs, first(lhs.shape, b, h), rhs, first(rhs.shape, b, h),
                    static_cast<std::size_t>(lhs.shape[2]), nullptr, acc);
    }
  }
  return Requantized(c, acc);
}

// ---- row by row ----

derivation::Scores Row(const std::vector<std::int32_t>& x, std::size_t first, std::size_t width) {
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(first);
  return {begin, begin + static_cast<std::ptrdiff_t>(width)};
}

void Append(const Values& row, Values& all) { all.insert(all.end(), row.begin(), row.end()); }

SoftmaxParams SoftmaxParamsOf(const ConformCase& c) {
  const std::string& algorithm = c.algorithm();
  if (algorithm == "ibert" || algorithm == "fqvit_logint") {
    const IbertExp exp = {.x0 = SmallParam(c, "x0_int"),
                          .b = Param(c, "b_int"),
                          .c = Param(c, "c_int"),
                          .n = SmallParam(c, "n")};
    if (algorithm == "fqvit_logint")
      return LogIntSoftmaxParams{exp, static_cast<int>(ParamOr(c, "bits", 4))};
    return IbertSoftmaxParams{exp, ParamOr(c, "act16_multiplier", 1),
                              static_cast<int>(ParamOr(c, "act16_shift", 0))};
  }
  if (algorithm == "ivit_shiftmax") {
    return ShiftmaxParams{.x0 = SmallParam(c, "x0_int"),
                          .n = SmallParam(c, "n"),
                          .output_bits = SmallParam(c, "output_bits")};
  }
  if (algorithm == "tflite_s8") {
    return TfliteSoftmaxParams{.beta_multiplier = SmallParam(c, "input_beta_multiplier"),
                               .beta_left_shift = SmallParam(c, "input_beta_left_shift"),
                               .diff_min = SmallParam(c, "diff_min"),
                               .output_bits = SmallParam(c, "output_bits")};
  }
  const auto output_offset = static_cast<std::int32_t>(ParamOr(c, "output_offset", 0));
  if (algorithm == "deeploy_isoftmax") {
    return IsoftmaxParams{.coeff_a = SmallParam(c, "coeffA"),
                          .coeff_b = SmallParam(c, "coeffB"),
                          .coeff_c = Param(c, "coeffC"),
                          .log2 = SmallParam(c, "log2"),
                          .levels = SmallParam(c, "levels"),
                          .output_offset = output_offset};
  }
  const int shift_bits = SmallParam(c, "shift_bits");
  const auto levels = static_cast<std::int32_t>(ParamOr(c, "levels", 256));
  if (!c.HasParam("group")) return ItaSoftmaxParams{shift_bits, levels, output_offset};
  return ItaStreamingSoftmaxParams{shift_bits, levels, output_offset, ParamOr(c, "group", 1)};
}

CaseTensors Softmax(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x");
  const Shape& shape = c.Input("x").shape();
  const auto width = static_cast<std::size_t>(shape.back());
  const SoftmaxParams params = SoftmaxParamsOf(c);
  Values y, exp_int, exp16;
  for (std::size_t first = 0; first < x.size(); first += width) {
    const derivation::DerivedRow row = derivation::DeriveSoftmax(Row(x, first, width), params);
    Append(row.y, y);
    Append(row.exp_int, exp_int);
    Append(row.exp16, exp16);
  }
  CaseTensors outputs;
  outputs[KindOf(params) == SoftmaxKind::kLogInt ? "code" : "y"] = ToTensor(shape, y);
  if (!exp_int.empty()) outputs["exp_int"] = ToTensor(shape, exp_int);
  if (!exp16.empty()) outputs["exp16"] = ToTensor(shape, exp16);
  return outputs;
}

CaseTensors SumOfSquaresNorm(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x");
  const Shape& shape = c.Input("x").shape();
  const auto width = static_cast<std::size_t>(shape.back());
  const Values bias = c.InputValues("bias_int");
  const std::int64_t eps = ParamOr(c, "eps", 0);
  LayernormParams params =
      IvitLayernormParams{.bias = bias, .eps = eps, .scale = {{1, 0}}, .zero = {0}};
  if (c.algorithm() == "ibert") {
    params = IbertLayernormParams{.bias = bias,
                                  .std_shift = static_cast<int>(ParamOr(c, "shift", 0)),
                                  .eps = eps,
                                  .scale = {{1, 0}},
                                  .zero = {0}};
  }
  Integers narrow{shape, {}};
  Values y, std_int;
  for (std::size_t first = 0; first < x.size(); first += width) {
    const derivation::DerivedLayernorm row =
        derivation::DeriveLayernorm(Row(x, first, width), params);
    Append(row.y, y);
    std_int.push_back(Small(row.std_int));
  }
  CaseTensors outputs{{"y", ToTensor(shape, y)},
                      {"std_int", ToTensor({shape.begin(), std::prev(shape.end())}, std_int)}};
  if (c.HasInput("m")) {
    const Integers m = ReadIntegers(c, "m"), e = ReadIntegers(c, "e");
    for (std::size_t i = 0; i < y.size(); ++i) {
      narrow.values.push_back(Clamp(derivation::DeriveIbertDyadic(Big(y[i]), m.values[i % width],
                                                                  ShiftOf(e.values[i % width])),
                                    -128, 127));
    }
    outputs["y8"] = ToTensor(narrow);
  }
  return outputs;
}

CaseTensors DeeployNorm(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x"), weight = c.InputValues32("weight");
  const Shape& shape = c.Input("x").shape();
  const auto width = static_cast<std::size_t>(shape.back());
  const Values bias = c.InputValues("bias");
  const DeeployLayernormParams params{.input_zero = -ParamOr(c, "input_offset", 0),
                                      .bias = bias,
                                      .weight = weight,
                                      .log2d = SmallParam(c, "log2D"),
                                      .eps = ParamOr(c, "eps", 0),
                                      .wrap = true};
  // As the kernel, whose results are int8: they wrap.
  Values y;
  for (std::size_t first = 0; first < x.size(); first += width) {
    Append(derivation::DeriveLayernorm(Row(x, first, width), params).q, y);
  }
  return {{"y", ToTensor(shape, y)}};
}

CaseTensors FqvitNorm(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x_q"), mask = c.InputValues32("scale_mask");
  const Shape& shape = c.Input("x_q").shape();
  const auto width = static_cast<std::size_t>(shape.back());
  Values m, n, b, y;
  for (std::size_t first = 0; first < x.size(); first += width) {
    const derivation::Scores row = Row(x, first, width);
    const derivation::DerivedFqvit derived =
        derivation::DeriveFqvitParameters(row, mask, c.RealInput("weight").data,
                                          c.RealInput("bias").data, c.RealInput("out_scale").data);
    Append({derived.m.begin(), derived.m.end()}, m);
    Append({derived.n.begin(), derived.n.end()}, n);
    Append(derived.b, b);
    Append(derivation::DeriveFqvit(row, mask, derived.m, derived.n, derived.b), y);
  }
  return {{"M", ToTensor(shape, m)},
          {"N", ToTensor(shape, n)},
          {"B", ToTensor(shape, b)},
          {"y", ToTensor(shape, y)}};
}

// ---- GELU ----

CaseTensors IbertGelu(const ConformCase& c) {
  const std::vector<std::int32_t> x = c.InputValues32("x");
  const Shape& shape = c.Input("x").shape();
  const auto list = [&](const char* key) { return c.ParamList(key, INT64_MIN, -1); };
  const Values b = list("b_int"), constants = list("c_int"), shift_int = list("shift_int");
  Values erf_int, y;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto of = [&](const Values& values) { return values[i % values.size()]; };
    const derivation::DerivedGelu one = derivation::DeriveGelu(
        {x[i]},
        GeluIbertParams{
            .b = of(b), .c = of(constants), .shift_int = of(shift_int), .n = SmallParam(c, "n")});
    Append(one.inner, erf_int);
    Append(one.y, y);
  }
  return {{"erf_int", ToTensor(shape, erf_int)}, {"y", ToTensor(shape, y)}};
}

CaseTensors OtherGelu(const ConformCase& c) {
  GeluParams params;
  if (c.algorithm() == "ivit_shiftgelu") {
    params = ShiftGeluParams{.x0 = SmallParam(c, "x0_int"),
                             .n = SmallParam(c, "n"),
                             .output_bits = SmallParam(c, "output_bits")};
  } else if (c.algorithm() == "ita") {
    params =
        GeluItaParams{.q_1 = Param(c, "q_1"),
                      .q_b = Param(c, "q_b"),
                      .q_c = Param(c, "q_c"),
                      .scale = {.m = SmallParam(c, "eps_mul"), .shift = SmallParam(c, "eps_shift")},
                      .zero = SmallParam(c, "eps_add")};
  } else {
    params =
        GeluDeeployParams{.b = Param(c, "b"),
                          .one = Param(c, "one"),
                          .input_zero = static_cast<std::int32_t>(-ParamOr(c, "input_offset", 0)),
                          .scale = {.m = SmallParam(c, "mul"), .shift = SmallParam(c, "shift")},
                          .addend = ParamOr(c, "add", 0),
                          .zero = static_cast<std::int32_t>(ParamOr(c, "output_offset", 0))};
  }
  const Shape& shape = c.Input("x").shape();
  const derivation::DerivedGelu derived =
      derivation::DeriveGelu(c.InputValues32("x"), params, {.row_length = shape.back()});
  CaseTensors outputs{{"y", ToTensor(shape, derived.y)}};
  if (KindOf(params) == GeluKind::kShiftGelu) {
    outputs["sigmoid_int"] = ToTensor(shape, derived.inner);
  } else {
    outputs["y8"] = ToTensor(shape, derived.q);
  }
  return outputs;
}

// ---- observers ----

template <derivation::RangeEstimator kKind>
CaseTensors Observer(const ConformCase& c) {
  derivation::EstimatorParams params{
      .kind = kKind,
      .layer_wise = c.params().value("calibration_mode", "") != "channel_wise" &&
                    kKind != derivation::RangeEstimator::kPtf,
      .is_signed = c.Flag("signed", true),
      .qmin = Param(c, "qmin"),
      .qmax = Param(c, "qmax"),
      .sigma = c.params().value("sigma", 0.1),
      .alpha = c.params().value("alpha", 1.0)};
  std::vector<derivation::Batch> batches;
  Shape shape;
  for (std::int64_t b = 0; b < Param(c, "batches"); ++b) {
    const DoubleTensor& x = c.RealInput("x" + std::to_string(b));
    shape = x.shape;
    batches.emplace_back(x.data.begin(), x.data.end());
  }
  const auto channels = static_cast<std::size_t>(shape.back());
  const derivation::DerivedGrid grid = derivation::DeriveGrid(batches, channels, params);
  // Codes are those of the scale that is published, a float64.
  DoubleTensor scale{{static_cast<std::int64_t>(grid.scale.size())}, {}};
  for (const mpq_class& exact : grid.scale) scale.data.push_back(derivation::Nearest(exact));
  Integers q{shape, {}};
  for (std::size_t i = 0; i < batches.back().size(); ++i) {
    const auto of = [&](const auto& list) { return list[list.size() == 1 ? 0 : i % channels]; };
    q.values.push_back(
        derivation::DeriveCode(batches.back()[i], of(scale.data), of(grid.zero), params));
  }
  const Integers zero{{static_cast<std::int64_t>(grid.zero.size())}, grid.zero};
  return {{"scale", scale}, {"zero_point", ToTensor(zero)}, {"q", ToTensor(q)}};
}

// ---- quantize ----

template <typename Integer>
CaseTensors Boundary(const ConformCase& c, Integer integer) {
  const DoubleTensor& x = c.RealInput("x");
  const DoubleTensor& scale = c.RealInput("scale");
  const Integers zero = ReadIntegers(c, "zero_point");
  const auto channels = static_cast<std::size_t>(x.shape.back());
  Integers q{x.shape, {}};
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const auto of = [&](const auto& list) { return list[list.size() == 1 ? 0 : i % channels]; };
    const mpq_class steps = mpq_class(x.data[i]) / mpq_class(of(scale.data));
    q.values.push_back(Clamp(integer(steps, of(zero.values)), Param(c, "qmin"), Param(c, "qmax")));
  }
  return {{"q", ToTensor(q)}};
}

CaseTensors ZeroThenHalfEven(const ConformCase& c) {
  return Boundary(c, [](const mpq_class& x, const mpz_class& z) {
    return derivation::HalfEven(x + mpq_class(z));
  });
}
CaseTensors HalfEvenThenZero(const ConformCase& c) {
  return Boundary(c, [](const mpq_class& x, const mpz_class& z) -> mpz_class {
    return derivation::HalfEven(x) + z;
  });
}
CaseTensors HalfAwayThenZero(const ConformCase& c) {
  return Boundary(c, [](const mpq_class& x, const mpz_class& z) -> mpz_class {
    return derivation::HalfAway(x) + z;
  });
}

using Family = std::map<std::string, CaseTensors (*)(const ConformCase&)>;

const std::map<std::string, Family>& Families() {
  using derivation::RangeEstimator;
  static const std::map<std::string, Family> families = {
      {"requant",
       {{"tflite_double_rounding", LeftShifted<derivation::DeriveTfliteDouble, 31>},
        {"tflite_single_rounding", LeftShifted<derivation::DeriveHalfUp, 31>},
        {"cmsisnn_s64", LeftShifted<derivation::DeriveHalfUp, 15>},
        {"tosa_scale32", TosaScale32},
        {"tosa_scale16", TosaScale16},
        {"ita", ItaRequantized<derivation::DeriveItaRequantize, Along::kFirstAxis>},
        {"ita_rtl", ItaRequantized<derivation::DeriveHalfUp, Along::kElements>},
        {"deeploy_requantshift", RequantShift},
        {"ibert_dyadic", IbertDyadic}}},
      {"matmul_requant",
       {{"cmsisnn_fully_connected_s8", FullyConnected},
        {"cmsisnn_fc_per_ch", FullyConnected},
        {"cmsisnn_batch_matmul_s8", BatchMatmul}}},
      {"softmax",
       {{"ibert", Softmax},
        {"ivit_shiftmax", Softmax},
        {"fqvit_logint", Softmax},
        {"ita", Softmax},
        {"ita_streaming", Softmax},
        {"deeploy_itamax", Softmax},
        {"deeploy_itapartialmax", Softmax},
        {"deeploy_isoftmax", Softmax},
        {"tflite_s8", Softmax}}},
      {"layernorm",
       {{"ibert", SumOfSquaresNorm},
        {"ivit", SumOfSquaresNorm},
        {"fqvit", FqvitNorm},
        {"deeploy", DeeployNorm}}},
      {"gelu",
       {{"ibert", IbertGelu},
        {"ivit_shiftgelu", OtherGelu},
        {"ita", OtherGelu},
        {"deeploy", OtherGelu}}},
      {"attention",
       {{"ita_mha", DerivedAttention},
        {"icct_block", DerivedAttention},
        {"deeploy_attention", DerivedAttention}}},
      {"observer",
       {{"fqvit_minmax", Observer<RangeEstimator::kMinmax>},
        {"fqvit_ema", Observer<RangeEstimator::kEma>},
        {"fqvit_percentile", Observer<RangeEstimator::kPercentile>},
        {"fqvit_omse", Observer<RangeEstimator::kOmse>},
        {"fqvit_ptf", Observer<RangeEstimator::kPtf>}}},
      {"quantize",
       {{"qsim", ZeroThenHalfEven}, {"onnx", HalfEvenThenZero}, {"tflite", HalfAwayThenZero}}}};
  return families;
}

}  // namespace

CaseTensors DerivedOutputs(const ConformCase& c) {
  const auto family = Families().find(c.op());
  if (family == Families().end()) c.Reject("no derivation of this op");
  const auto algorithm = family->second.find(c.algorithm());
  if (algorithm == family->second.end()) c.Reject("no derivation of this algorithm");
  return algorithm->second(c);
}

}  // namespace qsim::testing
