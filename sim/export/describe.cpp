#include "sim/export/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <type_traits>
#include <vector>

#include "golden/program/accumulator_proof.h"
#include "sim/error.h"
#include "sim/text/nearest_word.h"
#include "sim/text/text_util.h"

namespace qsim::exporting {
namespace {

// "7", or "-3..12 (64 values)".
std::string Values(const std::vector<std::int64_t>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (*least == *most) return fmt::format("{}", *least);
  return fmt::format("{}..{} ({} values)", *least, *most, values.size());
}

std::string Range(QuantRange range) { return fmt::format("{}..{}", range.qmin, range.qmax); }

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// One operation's formula with its parameters' symbols, and the lines that give their values. A
// visitor of its fields.
class Equations {
 public:
  Equations(const Program& program, const Op& op) : program_(program), op_(op) {}

  template <typename T>
  void operator()(const Field& field, const T& member) {
    const std::string name(field.name);
    if constexpr (std::is_same_v<T, Multiplier>) {
      AddMultiplier(name, member);
    } else if constexpr (std::is_same_v<T, std::vector<Multiplier>>) {
      for (const Multiplier& scale : member) AddMultiplier(name, scale);
    } else if constexpr (std::is_same_v<T, std::string>) {
      const std::vector<std::string> constants = ConstantsOf(op_);
      if (std::find(constants.begin(), constants.end(), member) != constants.end())
        Of(name, name).value =
            fmt::format("{} {}", member, Name(program_.Constant(member).dtype()));
    } else if constexpr (std::is_enum_v<T>) {
      if constexpr (Named<T>) words_[name] = Name(member);
    } else if constexpr (std::is_arithmetic_v<T>) {
      Of(name, SymbolOf(field), field.role).values.push_back(static_cast<std::int64_t>(member));
    } else if constexpr (kIsVector<T>) {
      // Tables are exported, not printed.
      const Role role = field.axis == Axis::kCode ? Role::kTable : field.role;
      std::vector<std::int64_t>& values = Of(name, SymbolOf(field), role).values;
      values.insert(values.end(), member.begin(), member.end());
      if (role == Role::kTable) words_[name + "_entries"] = fmt::format("{}", member.size());
    }
  }

  // Equations, then the values of what they name, in the order of the fields.
  std::vector<std::string> Lines() {
    std::string formula = FormulaOf(program_, op_);
    const QuantRange range = program_.Tensor(OutputOf(op_)).range;
    words_["qmin"] = fmt::format("{}", range.qmin);
    words_["qmax"] = fmt::format("{}", range.qmax);
    words_["input_qmin"] = fmt::format("{}", program_.Tensor(InputsOf(op_).front()).range.qmin);
    for (const Parameter& parameter : parameters_) Simplify(parameter, formula);
    std::vector<std::string> lines = {""};
    for (std::size_t at = 0; at < formula.size();) {
      std::size_t end = at;
      while (end < formula.size() && IsWord(formula[end])) ++end;
      if (end == at) {
        if (formula[at] == '\n') {
          lines.emplace_back();
        } else {
          lines.back() += formula[at];
        }
        ++at;
        continue;
      }
      lines.back() += Replaced(formula.substr(at, end - at));
      at = end;
    }
    AddValues(lines);
    return lines;
  }

 private:
  struct Parameter {
    std::string name, symbol;
    Role role;
    std::vector<std::int64_t> values = {};  // of every channel, head, ...
    std::string value = {};                 // what is no number
    bool named = false;                     // by an equation
  };

  Parameter& Of(const std::string& name, std::string symbol, Role role = Role::kConstant) {
    for (Parameter& parameter : parameters_)
      if (parameter.name == name) return parameter;
    return parameters_.emplace_back(Parameter{name, std::move(symbol), role});
  }

  void AddMultiplier(const std::string& name, const Multiplier& scale) {
    // update_multiplier: M_update and S_update
    const std::size_t of = name.find("_multiplier");
    const std::string suffix = of == std::string::npos ? "" : "_" + name.substr(0, of);
    Of(name, "M" + suffix, Role::kMultiplier).values.push_back(scale.m);
    Of(ShiftsOf(name), "S" + suffix, Role::kShift).values.push_back(scale.shift);
  }

  // The conventional letters; the others keep their names.
  static std::string SymbolOf(const Field& field) {
    const std::string name(field.name);
    if (field.role == Role::kShift) return "S";
    if (field.role == Role::kOutputZero) return "z";
    // a_multiplier
    if (field.role == Role::kMultiplier) return "M_" + name.substr(0, name.find('_'));
    return name;
  }

  // "x" for "(x - input_zero)" where that is 0, "(x - (3))" where it is one number; nothing for
  // what is added, or shifted by, where there is none.
  static void Simplify(const Parameter& p, std::string& formula) {
    const bool zero =
        std::all_of(p.values.begin(), p.values.end(), [](std::int64_t v) { return v == 0; });
    const auto replace = [&](const std::string& from, const std::string& to) {
      for (std::size_t at; (at = formula.find(from)) != std::string::npos;)
        formula.replace(at, from.size(), to);
    };
    if (p.role == Role::kInputZero && (zero || p.values.size() == 1)) {
      const std::string minus = " - " + p.name + ")";
      for (std::size_t at; (at = formula.find(minus)) != std::string::npos;) {
        const std::size_t open = formula.rfind('(', at);
        const std::string of = formula.substr(open + 1, at - open - 1);
        formula.replace(open, at - open + minus.size(),
                        zero ? of : fmt::format("({} - ({}))", of, p.values[0]));
      }
    }
    const bool added = p.role == Role::kAddend || p.role == Role::kEpsilon;
    if ((added && zero) || (p.role != Role::kConstant && p.values.empty())) {
      replace(" + " + p.name, "");
      replace(p.name + " + ", "");
      replace(" << " + p.name, "");
    }
  }

  std::string Replaced(const std::string& word) {
    if (const auto found = words_.find(word); found != words_.end()) return found->second;
    for (Parameter& parameter : parameters_) {
      if (parameter.name != word) continue;
      parameter.named = true;
      return parameter.symbol;
    }
    return word;
  }

  void AddValues(std::vector<std::string>& lines) const {
    bool first = true;
    for (const Parameter& p : parameters_) {
      if (!p.named || p.role == Role::kTable) continue;
      const std::string text = p.symbol + " = " + (p.value.empty() ? Values(p.values) : p.value);
      if (first || lines.back().size() + 2 + text.size() > kTextColumns - 4) {
        lines.push_back(text);
      } else {
        lines.back() += ", " + text;
      }
      first = false;
    }
  }

  const Program& program_;
  const Op& op_;
  std::vector<Parameter> parameters_;
  std::map<std::string, std::string> words_;  // what stands for itself: names of choices, ranges
};

std::vector<std::string> LinesOf(const Program& program, const Op& op) {
  Equations equations(program, op);
  std::visit([&](const auto& o) { ForEachParameter(o, equations); }, op);
  std::vector<std::string> lines = equations.Lines();
  std::visit(
      [&](const auto& o) {
        if constexpr (requires { ProveAccumulator(program, o); }) {
          const AccumulatorProof proof = ProveAccumulator(program, o);
          const std::string of = proof.rows == 0 ? "" : fmt::format(" of {} rows", proof.rows);
          lines.push_back(fmt::format("{} {} bits, {}: the worst case{} needs {} ({}..{})",
                                      proof.what, proof.acc.bits, Name(proof.acc.policy), of,
                                      proof.bits_needed, proof.range.min, proof.range.max));
        }
      },
      op);
  return lines;
}

// An axis of the run's length is T.
std::string TensorText(const TensorInfo& info) {
  std::vector<std::string> axes;
  for (const std::int64_t extent : info.shape) axes.push_back(std::to_string(extent));
  for (const std::int64_t axis : info.length_axes) axes[static_cast<std::size_t>(axis)] = "T";
  return fmt::format("{}: {} {}, {}", info.name, Name(info.dtype), fmt::join(axes, "x"),
                     Range(info.range));
}

// What the equations do not say of a program that runs in pieces.
std::string PiecesText(const Program& program) {
  if (program.MaxLength() == 0) return "";
  std::string text = WrapText(
      "",
      fmt::format("T: the tokens of a run, or of a piece of it; at most {}", program.MaxLength()));
  for (const Carried& carried : program.carried) {
    const IntTensor& initial = program.Constant(carried.initial);
    const auto [least, most] = [&] {
      std::int64_t low = initial.At(0), high = low;
      for (std::int64_t i = 0; i < initial.size(); ++i) {
        low = std::min(low, initial.At(i));
        high = std::max(high, initial.At(i));
      }
      return std::pair(low, high);
    }();
    text += WrapText(
        "", fmt::format("{} = {} of the piece before; in the first, {}", carried.input,
                        carried.output, least == most ? std::to_string(least) : carried.initial));
  }
  return text;
}

bool Selected(const std::string& name, const std::string& only) {
  return only.empty() || name == only || name.starts_with(only + ".");
}

}  // namespace

std::string DescribeProgram(const Bundle& bundle, const std::string& only) {
  const Program& program = bundle.program;
  std::string text;
  std::vector<std::string> names;
  for (const Op& op : program.ops) {
    const std::string& name = OutputOf(op);
    names.push_back(name);
    if (!Selected(name, only)) continue;
    text += fmt::format("\n{} = {}({})  [numerics.md {}]\n\n", name, KindName(op),
                        fmt::join(InputsOf(op), ", "), SectionOf(op));
    for (const std::string& line : LinesOf(program, op)) text += WrapText("    ", line);
    for (const std::string& input : InputsOf(op)) {
      text += WrapText("    in  ", TensorText(program.Tensor(input)));
    }
    text += WrapText("    out ", TensorText(program.Tensor(name)));
  }
  if (only.empty()) text = PiecesText(program) + text;
  if (text.empty()) {
    throw InputError(fmt::format("--tap '{}': no operation of the program computes it; {}", only,
                                 SuggestWord(only, names)));
  }
  return text;
}

}  // namespace qsim::exporting
