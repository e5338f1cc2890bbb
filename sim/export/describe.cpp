#include "sim/export/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
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

struct Entry {
  std::string section;             // of docs/numerics.md
  std::vector<std::string> lines;  // equations and parameters
};

class Describer {
 public:
  explicit Describer(const Program& program) : program_(program) {}

  Entry operator()(const GemmOp& op) const {
    const IntTensor& weight = program_.Constant(op.weight);
    Entry entry{"3", {}};
    entry.lines.push_back(fmt::format("y[t][n] = bias[n] + sum_k x[t][k] {}, n < {}, k < {}",
                                      Minus("w[n][k]", op.weight_zero), weight.shape()[0],
                                      weight.shape()[1]));
    if (op.rows != 0) entry.lines.push_back(fmt::format("t < {}: the first rows only", op.rows));
    entry.lines.push_back(fmt::format("w = {} int8, bias = {} int32", op.weight, op.bias));
    AddAccumulator(entry, op.acc, ProveAccumulator(program_, op));
    return entry;
  }

  Entry operator()(const MatmulOp& op) const {
    const std::string a = Minus("a[h][i][k]", op.lhs_zero);
    Entry entry{"3", {}};
    if (op.mode == OperandMode::kShift) {
      entry.lines.emplace_back("y[h][i][j] = sum_k b[h][k][j] << (15 - a[h][i][k]); a = 16 adds 0");
      entry.section = "3.4";
    } else {
      const std::string b = Minus(op.transpose_rhs ? "b[h][j][k]" : "b[h][k][j]", op.rhs_zero);
      entry.lines.push_back(fmt::format("y[h][i][j] = sum_k {} {}", a, b));
    }
    entry.lines.push_back(fmt::format(
        "{} of {} columns each; z_a = {}, z_b = {}", Count(op.heads, "head", "heads"),
        program_.Tensor(op.rhs).shape.back() / op.heads, Values(op.lhs_zero), Values(op.rhs_zero)));
    AddAccumulator(entry, op.acc, ProveAccumulator(program_, op));
    return entry;
  }

  Entry operator()(const RequantizeOp& op) const {
    Entry entry{"4", {}};
    const QuantRange range = program_.Tensor(op.output).range;
    if (op.first_column != 0 ||
        program_.Tensor(op.input).shape.back() != program_.Tensor(op.output).shape.back()) {
      entry.lines.push_back(
          fmt::format("x = columns {}..{} of the input", op.first_column,
                      op.first_column + program_.Tensor(op.output).shape.back() - 1));
    }
    entry.lines.push_back("y = " + Clamped(RequantBody(op), range));
    entry.lines.push_back(fmt::format("{}, z = {}", Multipliers(op.scale), Values(op.zero)));
    if (!op.addend.empty()) entry.lines.push_back("add = " + Values(op.addend));
    return entry;
  }

  Entry operator()(const SoftmaxOp& op) const {
    Entry entry{"5", {fmt::format("algorithm {}, over the last axis", Name(op.params[0].kind))}};
    const auto list = [&](auto field) {
      std::vector<std::int64_t> values;
      for (const SoftmaxParams& p : op.params) values.push_back(field(p));
      return Values(values);
    };
    using P = SoftmaxParams;
    const P& first = op.params.front();
    std::vector<std::string>& lines = entry.lines;
    switch (first.kind) {
      case SoftmaxKind::kIbert:
      case SoftmaxKind::kIbertRn:
      case SoftmaxKind::kLogInt:
        lines.push_back(fmt::format("d = max(x - rowmax, {} x0); q = floor(d / x0); r = d - q x0",
                                    first.exp.n));
        lines.push_back(fmt::format("e = max(0, (r (r + b) + c) << ({} - q))", first.exp.n));
        if (first.kind == SoftmaxKind::kLogInt) {
          lines.push_back("R = half_even(sum(e) / e); L = floor(log2 R), up at 1.5");
          lines.push_back(fmt::format("y = min(L, {}): 2^-y, and {} is 0", 1 << first.code_bits,
                                      1 << first.code_bits));
        } else {
          lines.emplace_back("e16 = clamp(half_even(e M / 2^S), -32768, 32767)");
          lines.push_back(fmt::format("y = {}(e16 floor(2^32 / sum(e16)) / 2^{}), at most 255",
                                      first.kind == SoftmaxKind::kIbert ? "floor" : "half_up",
                                      24 - first.extra_bits));
          lines.push_back(fmt::format("M = {}, S = {}",
                                      list([](const P& p) { return p.act16_multiplier; }),
                                      list([](const P& p) { return p.act16_shift; })));
        }
        lines.push_back(fmt::format(
            "x0 = {}, b = {}, c = {}", list([](const P& p) { return p.exp.x0; }),
            list([](const P& p) { return p.exp.b; }), list([](const P& p) { return p.exp.c; })));
        break;
      case SoftmaxKind::kShiftmax:
        lines.emplace_back("d = x - rowmax; d = d + (d >> 1) - (d >> 4)");
        lines.push_back(
            fmt::format("d = max(d, {} x0); q = floor(d / x0); r = d - q x0", first.shiftmax.n));
        lines.push_back(fmt::format("e = max(0, ((r - 2 x0) << ({} - q)) >> 1)", first.shiftmax.n));
        lines.push_back(fmt::format("y = (e floor((2^31 - 1) / min(sum(e), 2^31 - 1))) >> {}",
                                    32 - first.shiftmax.output_bits));
        lines.push_back("x0 = " + list([](const P& p) { return p.shiftmax.x0; }));
        break;
      case SoftmaxKind::kIta:
      case SoftmaxKind::kItaStreaming:
        lines.emplace_back("s = half_up((rowmax - x) / 2^t); E = floor(sum(256 / 2^s))");
        if (first.kind == SoftmaxKind::kItaStreaming) {
          lines.push_back(fmt::format("in groups of {}: E is shifted down when the maximum grows",
                                      first.ita.group));
        }
        lines.push_back(fmt::format("y = (floor({} * 256 / E) >> s) + {}", first.ita.levels - 1,
                                    first.ita.output_offset));
        lines.push_back("t = " + list([](const P& p) { return p.ita.shift_bits; }));
        break;
      case SoftmaxKind::kTflite:
        lines.emplace_back("e = EXP(H((x - rowmax) << l, m)) where x - rowmax >= diff_min, else 0");
        lines.push_back(fmt::format(
            "S = sum(P(e, 12)); h = leading zeros; y = clamp(P(H(RECIP(S), e), {} - h) {})",
            43 - first.tflite.output_bits, SoftmaxOutputRange(first).qmin));
        lines.push_back(fmt::format("m = {}, l = {}, diff_min = {}",
                                    list([](const P& p) { return p.tflite.beta_multiplier; }),
                                    list([](const P& p) { return p.tflite.beta_left_shift; }),
                                    list([](const P& p) { return p.tflite.diff_min; })));
        break;
      case SoftmaxKind::kDeeploy:
        lines.emplace_back("d = x - rowmax; z = clamp(trunc(-d / log2), 0, 31); p = d + z log2");
        lines.push_back("e = (a (p + b)^2 + c) >> z");
        lines.push_back(fmt::format("y = floor(e * {} / sum(e)) + {}", first.isoftmax.levels - 1,
                                    first.isoftmax.output_offset));
        lines.push_back(fmt::format("a = {}, b = {}, c = {}, log2 = {}",
                                    list([](const P& p) { return p.isoftmax.coeff_a; }),
                                    list([](const P& p) { return p.isoftmax.coeff_b; }),
                                    list([](const P& p) { return p.isoftmax.coeff_c; }),
                                    list([](const P& p) { return p.isoftmax.log2; })));
        break;
    }
    return entry;
  }

  Entry operator()(const ResidualAddOp& op) const {
    Entry entry{"8", {}};
    const std::string sum =
        fmt::format("{} M_a + {} M_b", Minus("a", {op.a_zero}), Minus("b", {op.b_zero}));
    entry.lines.push_back("y = " +
                          Clamped(fmt::format("{} + {}", op.out_zero,
                                              Shifted(op.rounding, sum, std::to_string(op.shift))),
                                  program_.Tensor(op.output).range));
    entry.lines.push_back(
        fmt::format("M_a = {}, M_b = {}", Values(op.a_multiplier), Values(op.b_multiplier)));
    return entry;
  }

  Entry operator()(const PatchifyOp& op) const {
    return {"9.1", {fmt::format("{0}x{0} patches, row by row: data movement only", op.patch)}};
  }

  Entry operator()(const EmbedOp& op) const {
    Entry entry{"9.3", {}};
    const std::string sum = fmt::format("a[t-1] M_a + p[t] ({})", op.b_multiplier);
    entry.lines.push_back("y[t] = " +
                          Clamped(fmt::format("{} + {}", op.out_zero,
                                              Shifted(op.rounding, sum, std::to_string(op.shift))),
                                  program_.Tensor(op.output).range) +
                          ", t >= 1");
    entry.lines.push_back(fmt::format("y[0] = p[0]; p = {} int32", op.position));
    entry.lines.push_back("M_a = " + Values(op.a_multiplier));
    return entry;
  }

  Entry operator()(const AddOp& op) const {
    return {"8", {op.bias.empty() ? "y = a + b" : fmt::format("y = a + bias; bias = {}", op.bias)}};
  }

  Entry operator()(const LayernormOp& op) const {
    const QuantRange range = program_.Tensor(op.output).range;
    const std::string x = Minus("x", {op.input_zero});
    Entry entry{"6", {fmt::format("algorithm {}, over the last axis", Name(op.kind))}};
    std::vector<std::string>& lines = entry.lines;
    if (op.kind == LayernormKind::kDeeploy) {
      lines.push_back(fmt::format("a = {}; mu = trunc(sum(a) / C); d = a - mu", x));
      lines.emplace_back("std = floor(sqrt(floor(sum(d^2) / C) + 1))");
      lines.push_back("y = " +
                      Final(fmt::format("(trunc(d w / std) + b) >> {}", op.log2d), op.wrap, range));
      lines.push_back(fmt::format("w = {}, b = {}", Values(op.weight), Values(op.bias)));
      return entry;
    }
    const bool ivit = op.kind == LayernormKind::kIvit;
    lines.push_back(fmt::format("x' = {}{}; mu = half_even(sum(x') / C); d = x' - mu", x,
                                op.input_shift.empty() ? "" : " << s"));
    lines.push_back(
        ivit ? "std = ten Newton steps for sqrt(sum(d^2)), from 2^16"
             : fmt::format("std = max(floor(sqrt(sum((d >> {0})^2))) << {0}, 1)", op.std_shift));
    lines.push_back(
        fmt::format("n = ((d floor({} / std)) >> 1) + b", ivit ? "(2^31 - 1)" : "2^31"));
    lines.push_back("y = " + Clamped("z + " + Shifted(op.rounding, "n M", "S"), range));
    lines.push_back(fmt::format("{}, z = {}", Multipliers(op.scale), Values(op.zero)));
    lines.push_back("b = " + Values(op.bias));
    if (!op.input_shift.empty()) lines.push_back("s = " + Values(op.input_shift));
    return entry;
  }

  Entry operator()(const GeluOp& op) const {
    const QuantRange range = program_.Tensor(op.output).range;
    Entry entry{"7", {fmt::format("algorithm {}", Name(op.kind))}};
    std::vector<std::string>& lines = entry.lines;
    if (op.kind == GeluKind::kTable) {
      lines.push_back(fmt::format("y = table[x - ({})], {} entries",
                                  program_.Tensor(op.input).range.qmin, op.table.size()));
      return entry;
    }
    lines.push_back("a = " + Minus("x", {op.input_zero}));
    switch (op.kind) {
      case GeluKind::kTable:
        break;
      case GeluKind::kIbert:
        lines.push_back(fmt::format("erf = (sign(a) ((min(|a|, {}) - {})^2 + ({}))) >> {}",
                                    -op.ibert.b, -op.ibert.b, op.ibert.c, op.ibert.n));
        lines.push_back(fmt::format("g = a (erf + ({}))", op.ibert.shift_int));
        break;
      case GeluKind::kShiftGelu:
        lines.emplace_back("mx = rowmax; e = EXP(a - mx); s = min(e + EXP(-mx), 2^31 - 1)");
        lines.push_back(
            fmt::format("g = a ((e floor((2^31 - 1) / s)) >> {}); EXP of shiftmax, "
                        "x0 = {}, n = {}",
                        32 - op.shiftgelu.output_bits, op.shiftgelu.x0, op.shiftgelu.n));
        break;
      case GeluKind::kIta:
        lines.push_back(fmt::format(
            "g = a (sign(a) ((min(|a|, {0}) - {0})^2 + ({1})) + ({2})), a at least -127",
            -op.ita.q_b, op.ita.q_c, op.ita.q_1));
        break;
      case GeluKind::kDeeploy:
        lines.push_back(fmt::format("d = min(|a|, {0}) - {0}", -op.deeploy.b));
        lines.push_back(fmt::format("g = a (({0} + sign(a) ({0} - d^2)) >> 1)", op.deeploy.one));
        break;
    }
    const std::string product = op.addend == 0 ? "g M" : fmt::format("g M + {}", op.addend);
    const std::string body = op.kind == GeluKind::kIta ? "floor(g M / 2^S + 1/2 + 2^-23)"
                                                       : Shifted(op.rounding, product, "S");
    lines.push_back("y = " + Clamped(fmt::format("{} + {}", op.zero, body), range));
    lines.push_back(Multipliers({op.scale}));
    return entry;
  }

 private:
  // Clamped, or reduced modulo 256 where the operation wraps.
  static std::string Final(const std::string& value, bool wrap, QuantRange range) {
    return wrap ? fmt::format("int8({}), modulo 256", value) : Clamped(value, range);
  }

  static void AddAccumulator(Entry& entry, const Accumulator& acc, const AccumulatorProof& proof) {
    entry.lines.push_back(fmt::format("accumulator {} bits, {}: the worst case needs {} ({}..{})",
                                      acc.bits, Name(acc.policy), proof.bits_needed,
                                      proof.range.min, proof.range.max));
  }

  static std::string RequantBody(const RequantizeOp& op) {
    const std::string x = Minus("x", {op.input_zero});
    switch (op.scheme) {
      case RequantScheme::kRoundShift:
        return "z + " + Shifted(op.rounding, x + " M", "S");
      case RequantScheme::kTfliteDouble:
        return fmt::format("z + half_away(half_up({} 2^l M / 2^31) / 2^r)", x);
      case RequantScheme::kTfliteSingle:
      case RequantScheme::kTosaScale32:
      case RequantScheme::kTosaScale16:
      case RequantScheme::kCmsisnnS64:
        return fmt::format("z + half_up({} M / 2^S)", x);
      case RequantScheme::kTosaScale32Double:
        return fmt::format("z + (({} M + 2^(S-1) +- 2^30 where S > 31) >> S)", x);
      case RequantScheme::kIta:
        return fmt::format("floor({} M / 2^S + z + 1/2 + 2^-23)", x);
      case RequantScheme::kItaRtl:
        return fmt::format("z + half_up({} M / 2^S)", x);
      case RequantScheme::kRequantShift:
        return fmt::format("z + (({} M{} + 2^(S-1)) >> S)", x, op.addend.empty() ? "" : " + add");
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
    const Entry entry = std::visit(describe, op);
    text += fmt::format("\n{} = {}({})  [numerics.md {}]\n\n", name, KindName(op),
                        fmt::join(InputsOf(op), ", "), entry.section);
    for (const std::string& line : entry.lines) text += WrapText("    ", line);
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
