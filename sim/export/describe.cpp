#include "sim/export/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

#include "golden/program/accumulator_proof.h"
#include "sim/error.h"
#include "sim/text/nearest_word.h"
#include "sim/text/text_util.h"

namespace qsim {
namespace {

// "7", or "-3..12 (64 values)".
template <typename T>
std::string Values(const std::vector<T>& values) {
  if (values.empty()) return "0";
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*least == *most) return fmt::format("{}", *least);
  return fmt::format("{}..{} ({} values)", *least, *most, values.size());
}

std::string Multipliers(const std::vector<Multiplier>& scales) {
  std::vector<std::int32_t> m;
  std::vector<int> shift;
  for (const Multiplier& s : scales) {
    m.push_back(s.m);
    shift.push_back(s.shift);
  }
  return fmt::format("M = {}, S = {}", Values(m), Values(shift));
}

std::string Range(QuantRange range) { return fmt::format("{}..{}", range.qmin, range.qmax); }

// round(x / 2^S) as the named rounding writes it.
std::string Shifted(Rounding rounding, const std::string& x, const std::string& shift) {
  return fmt::format("{}(({}) / 2^{})", Name(rounding), x, shift);
}

std::string Clamped(const std::string& value, QuantRange range) {
  return fmt::format("clamp({}, {}, {})", value, range.qmin, range.qmax);
}

// "x", or "(x - 3)"; several zero points are a vector z_x.
std::string Minus(const std::string& x, const std::vector<std::int32_t>& zeros) {
  const bool none = std::all_of(zeros.begin(), zeros.end(), [](std::int32_t z) { return z == 0; });
  if (none) return x;
  if (zeros.size() == 1) return fmt::format("({} - ({}))", x, zeros[0]);
  return fmt::format("({} - z_{})", x, x.substr(0, 1));
}

using Lines = std::vector<std::string>;  // equations and parameters

// The values of one of a softmax's parameters over its heads, by name.
using HeadLists = std::map<std::string_view, std::string>;
HeadLists ListsOf(const SoftmaxOp& op) {
  HeadLists lists;
  for (const Column& column : ColumnsOf(op.params))
    lists.emplace(column.field.name, Values(column.values));
  return lists;
}

void ExpLines(Lines& lines, const IbertExp& exp) {
  lines.push_back(
      fmt::format("d = max(x - rowmax, {} x0); q = floor(d / x0); r = d - q x0", exp.n));
  lines.push_back(fmt::format("e = max(0, (r (r + b) + c) << ({} - q))", exp.n));
}

void ExpConstants(Lines& lines, const HeadLists& lists) {
  lines.push_back(
      fmt::format("x0 = {}, b = {}, c = {}", lists.at("x0"), lists.at("b"), lists.at("c")));
}

void IbertLines(Lines& lines, const IbertExp& exp, const char* rounding, int extra_bits,
                const HeadLists& lists) {
  ExpLines(lines, exp);
  lines.emplace_back("e16 = clamp(half_even(e M / 2^S), -32768, 32767)");
  lines.push_back(fmt::format("y = {}(e16 floor(2^32 / sum(e16)) / 2^{}), at most 255", rounding,
                              24 - extra_bits));
  lines.push_back(
      fmt::format("M = {}, S = {}", lists.at("act16_multiplier"), lists.at("act16_shift")));
  ExpConstants(lines, lists);
}

void SoftmaxLines(Lines& lines, const IbertSoftmaxParams& p, const HeadLists& lists) {
  IbertLines(lines, p.exp, "floor", 0, lists);
}

void SoftmaxLines(Lines& lines, const IbertRnSoftmaxParams& p, const HeadLists& lists) {
  IbertLines(lines, p.exp, "half_up", p.extra_bits, lists);
}

void SoftmaxLines(Lines& lines, const LogIntSoftmaxParams& p, const HeadLists& lists) {
  ExpLines(lines, p.exp);
  lines.emplace_back("R = half_even(sum(e) / e); L = floor(log2 R), up at 1.5");
  lines.push_back(fmt::format("y = min(L, {0}): 2^-y, and {0} is 0", 1 << p.code_bits));
  ExpConstants(lines, lists);
}

void SoftmaxLines(Lines& lines, const ShiftmaxParams& p, const HeadLists& lists) {
  lines.emplace_back("d = x - rowmax; d = d + (d >> 1) - (d >> 4)");
  lines.push_back(fmt::format("d = max(d, {} x0); q = floor(d / x0); r = d - q x0", p.n));
  lines.push_back(fmt::format("e = max(0, ((r - 2 x0) << ({} - q)) >> 1)", p.n));
  lines.push_back(
      fmt::format("y = (e floor((2^31 - 1) / min(sum(e), 2^31 - 1))) >> {}", 32 - p.output_bits));
  lines.push_back("x0 = " + lists.at("x0"));
}

void ItaLines(Lines& lines, std::int64_t group, std::int32_t levels, std::int32_t offset,
              const HeadLists& lists) {
  lines.emplace_back("s = half_up((rowmax - x) / 2^t); E = floor(sum(256 / 2^s))");
  if (group != 0) {
    lines.push_back(
        fmt::format("in groups of {}: E is shifted down when the maximum grows", group));
  }
  lines.push_back(fmt::format("y = (floor({} * 256 / E) >> s) + {}", levels - 1, offset));
  lines.push_back("t = " + lists.at("shift_bits"));
}

void SoftmaxLines(Lines& lines, const ItaSoftmaxParams& p, const HeadLists& lists) {
  ItaLines(lines, 0, p.levels, p.output_offset, lists);
}

void SoftmaxLines(Lines& lines, const ItaStreamingSoftmaxParams& p, const HeadLists& lists) {
  ItaLines(lines, p.group, p.levels, p.output_offset, lists);
}

void SoftmaxLines(Lines& lines, const TfliteSoftmaxParams& p, const HeadLists& lists) {
  lines.emplace_back("e = EXP(H((x - rowmax) << l, m)) where x - rowmax >= diff_min, else 0");
  lines.push_back(
      fmt::format("S = sum(P(e, 12)); h = leading zeros; y = clamp(P(H(RECIP(S), e), {} - h) {})",
                  43 - p.output_bits, TfliteSoftmaxRange(p).qmin));
  lines.push_back(fmt::format("m = {}, l = {}, diff_min = {}", lists.at("beta_multiplier"),
                              lists.at("beta_left_shift"), lists.at("diff_min")));
}

void SoftmaxLines(Lines& lines, const IsoftmaxParams& p, const HeadLists& lists) {
  lines.emplace_back("d = x - rowmax; z = clamp(trunc(-d / log2), 0, 31); p = d + z log2");
  lines.emplace_back("e = (a (p + b)^2 + c) >> z");
  lines.push_back(fmt::format("y = floor(e * {} / sum(e)) + {}", p.levels - 1, p.output_offset));
  lines.push_back(fmt::format("a = {}, b = {}, c = {}, log2 = {}", lists.at("coeff_a"),
                              lists.at("coeff_b"), lists.at("coeff_c"), lists.at("log2")));
}

void LayernormLines(Lines& lines, const DeeployLayernormParams& p, QuantRange range) {
  lines.push_back(fmt::format("a = {}; mu = trunc(sum(a) / C); d = a - mu",
                              Minus("x", {static_cast<std::int32_t>(p.input_zero)})));
  lines.emplace_back("std = floor(sqrt(floor(sum(d^2) / C) + 1))");
  const std::string value = fmt::format("(trunc(d w / std) + b) >> {}", p.log2d);
  lines.push_back("y = " +
                  (p.wrap ? fmt::format("int8({}), modulo 256", value) : Clamped(value, range)));
  lines.push_back(fmt::format("w = {}, b = {}", Values(p.weight), Values(p.bias)));
}

template <typename Params>
void RootOfSumLines(Lines& lines, const Params& p, const std::string& std_line,
                    const char* numerator, QuantRange range) {
  lines.push_back(fmt::format("x' = {}{}; mu = half_even(sum(x') / C); d = x' - mu",
                              Minus("x", {p.input_zero}), p.input_shift.empty() ? "" : " << s"));
  lines.push_back(std_line);
  lines.push_back(fmt::format("n = ((d floor({} / std)) >> 1) + b", numerator));
  lines.push_back("y = " + Clamped("z + " + Shifted(p.rounding, "n M", "S"), range));
  lines.push_back(fmt::format("{}, z = {}", Multipliers(p.scale), Values(p.zero)));
  lines.push_back("b = " + Values(p.bias));
  if (!p.input_shift.empty()) lines.push_back("s = " + Values(p.input_shift));
}

void LayernormLines(Lines& lines, const IbertLayernormParams& p, QuantRange range) {
  RootOfSumLines(lines, p,
                 fmt::format("std = max(floor(sqrt(sum((d >> {0})^2))) << {0}, 1)", p.std_shift),
                 "2^31", range);
}

void LayernormLines(Lines& lines, const IvitLayernormParams& p, QuantRange range) {
  RootOfSumLines(lines, p, "std = ten Newton steps for sqrt(sum(d^2)), from 2^16", "(2^31 - 1)",
                 range);
}

// y of what the algorithm leaves in g.
template <typename Params>
void LastStep(Lines& lines, const Params& p, const std::string& body, QuantRange range) {
  lines.push_back("y = " + Clamped(fmt::format("{} + {}", p.zero, body), range));
  lines.push_back(Multipliers({p.scale}));
}

void GeluLines(Lines&, const GeluTableParams&, QuantRange) {}

void GeluLines(Lines& lines, const GeluIbertParams& p, QuantRange range) {
  lines.push_back("a = " + Minus("x", {p.input_zero}));
  lines.push_back(
      fmt::format("erf = (sign(a) ((min(|a|, {0}) - {0})^2 + ({1}))) >> {2}", -p.b, p.c, p.n));
  lines.push_back(fmt::format("g = a (erf + ({}))", p.shift_int));
  LastStep(lines, p, Shifted(p.rounding, "g M", "S"), range);
}

void GeluLines(Lines& lines, const ShiftGeluParams& p, QuantRange range) {
  lines.push_back("a = " + Minus("x", {p.input_zero}));
  lines.emplace_back("mx = rowmax; e = EXP(a - mx); s = min(e + EXP(-mx), 2^31 - 1)");
  lines.push_back(
      fmt::format("g = a ((e floor((2^31 - 1) / s)) >> {}); EXP of shiftmax, x0 = {}, n = {}",
                  32 - p.output_bits, p.x0, p.n));
  LastStep(lines, p, Shifted(p.rounding, "g M", "S"), range);
}

void GeluLines(Lines& lines, const GeluItaParams& p, QuantRange range) {
  lines.emplace_back("a = x");
  lines.push_back(
      fmt::format("g = a (sign(a) ((min(|a|, {0}) - {0})^2 + ({1})) + ({2})), a at least -127",
                  -p.q_b, p.q_c, p.q_1));
  LastStep(lines, p, "floor(g M / 2^S + 1/2 + 2^-23)", range);
}

void GeluLines(Lines& lines, const GeluDeeployParams& p, QuantRange range) {
  lines.push_back("a = " + Minus("x", {p.input_zero}));
  lines.push_back(fmt::format("d = min(|a|, {0}) - {0}", -p.b));
  lines.push_back(fmt::format("g = a (({0} + sign(a) ({0} - d^2)) >> 1)", p.one));
  const std::string product = p.addend == 0 ? "g M" : fmt::format("g M + {}", p.addend);
  LastStep(lines, p, Shifted(p.rounding, product, "S"), range);
}

// Section 3 has one of its own for products of log2 codes.
std::string SectionOf(const Op& op) {
  const auto* matmul = std::get_if<MatmulOp>(&op);
  if (matmul != nullptr && matmul->mode == OperandMode::kShift) return "3.4";
  return std::string(Describe(op).section);
}

class Describer {
 public:
  explicit Describer(const Program& program) : program_(program) {}

  Lines operator()(const GemmOp& op) const {
    const IntTensor& weight = program_.Constant(op.weight);
    Lines lines;
    lines.push_back(fmt::format("y[t][n] = bias[n] + sum_k x[t][k] {}, n < {}, k < {}",
                                Minus("w[n][k]", op.weight_zero), weight.shape()[0],
                                weight.shape()[1]));
    if (op.rows != 0) lines.push_back(fmt::format("t < {}: the first rows only", op.rows));
    lines.push_back(fmt::format("w = {} int8, bias = {} int32", op.weight, op.bias));
    AddAccumulator(lines, op.acc, ProveAccumulator(program_, op));
    return lines;
  }

  Lines operator()(const MatmulOp& op) const {
    const std::string a = Minus("a[h][i][k]", op.lhs_zero);
    Lines lines;
    if (op.mode == OperandMode::kShift) {
      lines.push_back(fmt::format("y[h][i][j] = sum_k {} << (15 - a[h][i][k]); a = 16 adds 0",
                                  Minus("b[h][k][j]", op.rhs_zero)));
    } else {
      const std::string b = Minus(op.transpose_rhs ? "b[h][j][k]" : "b[h][k][j]", op.rhs_zero);
      lines.push_back(fmt::format("y[h][i][j] = sum_k {} {}", a, b));
    }
    lines.push_back(fmt::format(
        "{} of {} columns each; z_a = {}, z_b = {}", Count(op.heads, "head", "heads"),
        program_.Tensor(op.rhs).shape.back() / op.heads, Values(op.lhs_zero), Values(op.rhs_zero)));
    AddAccumulator(lines, op.acc, ProveAccumulator(program_, op));
    return lines;
  }

  Lines operator()(const RequantizeOp& op) const {
    Lines lines;
    const QuantRange range = program_.Tensor(op.output).range;
    if (op.first_column != 0 ||
        program_.Tensor(op.input).shape.back() != program_.Tensor(op.output).shape.back()) {
      lines.push_back(fmt::format("x = columns {}..{} of the input", op.first_column,
                                  op.first_column + program_.Tensor(op.output).shape.back() - 1));
    }
    lines.push_back("y = " + Clamped(RequantBody(op), range));
    lines.push_back(fmt::format("{}, z = {}", Multipliers(op.scale), Values(op.zero)));
    if (!op.addend.empty()) lines.push_back("add = " + Values(op.addend));
    return lines;
  }

  Lines operator()(const SoftmaxOp& op) const {
    Lines lines = {
        fmt::format("algorithm {}, over the last axis", NameOfAlgorithm(op.params.front()))};
    std::visit([&](const auto& first) { SoftmaxLines(lines, first, ListsOf(op)); },
               op.params.front());
    return lines;
  }

  Lines operator()(const ResidualAddOp& op) const {
    Lines lines;
    const std::string sum =
        fmt::format("{} M_a + {} M_b", Minus("a", {op.a_zero}), Minus("b", {op.b_zero}));
    lines.push_back("y = " +
                    Clamped(fmt::format("{} + {}", op.out_zero,
                                        Shifted(op.rounding, sum, std::to_string(op.shift))),
                            program_.Tensor(op.output).range));
    lines.push_back(
        fmt::format("M_a = {}, M_b = {}", Values(op.a_multiplier), Values(op.b_multiplier)));
    return lines;
  }

  Lines operator()(const PatchifyOp& op) const {
    return {fmt::format("{0}x{0} patches, row by row: data movement only", op.patch)};
  }

  Lines operator()(const EmbedOp& op) const {
    Lines lines;
    const std::string sum = fmt::format("a[t-1] M_a + p[t] ({})", op.b_multiplier);
    lines.push_back("y[t] = " +
                    Clamped(fmt::format("{} + {}", op.out_zero,
                                        Shifted(op.rounding, sum, std::to_string(op.shift))),
                            program_.Tensor(op.output).range) +
                    ", t >= 1");
    lines.push_back(fmt::format("y[0] = p[0]; p = {} int32", op.position));
    lines.push_back("M_a = " + Values(op.a_multiplier));
    return lines;
  }

  Lines operator()(const AddOp& op) const {
    return {op.bias.empty() ? "y = a + b" : fmt::format("y = a + bias; bias = {}", op.bias)};
  }

  Lines operator()(const LayernormOp& op) const {
    const QuantRange range = program_.Tensor(op.output).range;
    Lines lines = {fmt::format("algorithm {}, over the last axis", NameOfAlgorithm(op.params))};
    std::visit([&](const auto& params) { LayernormLines(lines, params, range); }, op.params);
    return lines;
  }

  Lines operator()(const GeluOp& op) const {
    Lines lines = {fmt::format("algorithm {}", NameOfAlgorithm(op.params))};
    const QuantRange range = program_.Tensor(op.output).range;
    if (const auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
      lines.push_back(fmt::format("y = table[x - ({})], {} entries",
                                  program_.Tensor(op.input).range.qmin, lookup->table.size()));
    } else {
      std::visit([&](const auto& params) { GeluLines(lines, params, range); }, op.params);
    }
    return lines;
  }

 private:
  static void AddAccumulator(Lines& lines, const Accumulator& acc, const AccumulatorProof& proof) {
    lines.push_back(fmt::format("accumulator {} bits, {}: the worst case needs {} ({}..{})",
                                acc.bits, Name(acc.policy), proof.bits_needed, proof.range.min,
                                proof.range.max));
  }

  static std::string RequantBody(const RequantizeOp& op) {
    const std::string x = Minus("x", {op.input_zero});
    const char* add = op.addend.empty() ? "" : " + add";
    switch (op.scheme) {
      case RequantScheme::kRoundShift:
      case RequantScheme::kRequantShift:
        return "z + " + Shifted(op.rounding, x + " M" + add, "S");
      case RequantScheme::kTfliteDouble:
      case RequantScheme::kTosaScale32Double:
        return fmt::format("z + half_away(half_up({} M / 2^min(S, 31)) / 2^max(S - 31, 0))", x);
      case RequantScheme::kTfliteSingle:
      case RequantScheme::kTosaScale32:
      case RequantScheme::kTosaScale16:
      case RequantScheme::kCmsisnnS64:
        return fmt::format("z + half_up({} M / 2^S)", x);
      case RequantScheme::kIta:
        return fmt::format("z{} + floor({} M / 2^S + 1/2 + 2^-23)", add, x);
      case RequantScheme::kItaRtl:
        return fmt::format("z{} + half_up({} M / 2^S)", add, x);
      case RequantScheme::kIbertDyadic:
        return fmt::format("z + half_even({} M / 2^S)", x);
    }
    throw InternalError("requantize of an unknown scheme");
  }

  const Program& program_;
};

std::string TensorText(const TensorInfo& info) {
  return fmt::format("{}: {} {}, {}", info.name, Name(info.dtype), ShapeText(info.shape),
                     Range(info.range));
}

bool Selected(const std::string& name, const std::string& only) {
  return only.empty() || name == only || name.starts_with(only + ".");
}

}  // namespace

std::string DescribeProgram(const Bundle& bundle, const std::string& only) {
  const Program& program = bundle.program;
  const Describer describe(program);
  std::string text;
  std::vector<std::string> names;
  for (const Op& op : program.ops) {
    const std::string& name = OutputOf(op);
    names.push_back(name);
    if (!Selected(name, only)) continue;
    const Lines lines = std::visit(describe, op);
    text += fmt::format("\n{} = {}({})  [numerics.md {}]\n\n", name, KindName(op),
                        fmt::join(InputsOf(op), ", "), SectionOf(op));
    for (const std::string& line : lines) text += WrapText("    ", line);
    for (const std::string& input : InputsOf(op)) {
      text += WrapText("    in  ", TensorText(program.Tensor(input)));
    }
    text += WrapText("    out ", TensorText(program.Tensor(name)));
  }
  if (text.empty()) {
    throw InputError(fmt::format("--tap '{}': no operation of the program computes it; {}", only,
                                 SuggestWord(only, names)));
  }
  return text;
}

}  // namespace qsim
