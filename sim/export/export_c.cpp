// The export table as a C99 and C++ header.
#include <fmt/format.h>

#include <limits>

#include "sim/export/export_formats.h"
#include "sim/export/export_language.h"
#include "sim/io/files/content_hash.h"

namespace qsim::exporting {
namespace {

std::string TypeOf(const ExportInts& ints) {
  return fmt::format("{}int{}_t", ints.is_signed ? "" : "u", ints.bits);
}

std::string Literal(std::int64_t value, const ExportInts& ints) {
  if (ints.bits < 64) return fmt::format("{}{}", value, ints.is_signed ? "" : "u");
  // -9223372036854775808 is a minus applied to a number that no type holds.
  if (value == std::numeric_limits<std::int64_t>::min())
    return "(-INT64_C(9223372036854775807) - 1)";
  return value < 0 ? fmt::format("-INT64_C({})", -value) : fmt::format("INT64_C({})", value);
}

std::string Array(const std::string& type, const std::string& name,
                  const std::vector<std::string>& literals) {
  constexpr std::size_t kColumns = 100;
  std::string out = fmt::format("enum {{ {}_count = {} }};\n", name, literals.size());
  out += fmt::format("static const {} {}[{}] = {{", type, name, literals.size());
  std::size_t column = kColumns;
  for (const std::string& literal : literals) {
    if (column + literal.size() + 2 > kColumns) {
      out += "\n ";
      column = 1;
    }
    out += " " + literal + ",";
    column += literal.size() + 2;
  }
  return out + "\n};\n";
}

struct CLanguage {
  std::string name;
  const ExportParameter& parameter;

  // Tensor names come from files: nothing in them may end the comment.
  static std::string Comment(std::string text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool closes = i != 0 && text[i] == '/' && text[i - 1] == '*';
      const bool opens = i != 0 && text[i] == '*' && text[i - 1] == '/';
      if (closes || opens || static_cast<unsigned char>(text[i]) < ' ') text[i] = ' ';
    }
    return "/* " + text + " */\n";
  }

  std::string operator()(const ExportInts& ints) const {
    if (parameter.scalar())
      return fmt::format("static const {} {} = {};\n", TypeOf(ints), name,
                         Literal(ints.values.front(), ints));
    std::vector<std::string> literals;
    for (const std::int64_t value : ints.values) literals.push_back(Literal(value, ints));
    return Comment("per " + parameter.axis) + Array(TypeOf(ints), name, literals);
  }
  std::string operator()(const std::vector<double>& reals) const {
    std::vector<std::string> literals;
    for (const double value : reals) literals.push_back(RealText(value));
    return Comment("per " + parameter.axis) + Array("double", name, literals);
  }
  std::string operator()(const ExportChoice& choice) const {
    return fmt::format("static const uint8_t {} = QSIM_{}_{};\n", name, Upper(choice.set),
                       Upper(choice.name));
  }
  std::string operator()(const std::string& text) const {
    return Comment(parameter.name + ": " + text);
  }
};

std::string ChoiceEnums(const std::vector<ExportChoice>& choices) {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const ExportChoice& choice = choices[i];
    const bool first = i == 0 || choices[i - 1].set != choice.set;
    const bool last = i + 1 == choices.size() || choices[i + 1].set != choice.set;
    if (first) out += "enum {\n";
    out += fmt::format("  QSIM_{}_{} = {}{}\n", Upper(choice.set), Upper(choice.name), choice.code,
                       last ? "" : ",");
    if (last) out += "};\n";
  }
  return out;
}

}  // namespace

std::string ExportC(const ExportTable& table) {
  std::string out = fmt::format("/* {}: {} */\n", kContentHash, NoHashYet());
  out +=
      "/* Written by qsim export. C99 and C++. */\n"
      "#ifndef QSIM_PARAMS_H\n#define QSIM_PARAMS_H\n\n#include <stdint.h>\n\n";
  out += fmt::format("enum {{ qsim_format_version = {} }};\n", table.format_version);
  out += ChoiceEnums(table.choices);
  out += GroupsText<CLanguage>(table);
  return WithContentHash(out + "\n#endif /* QSIM_PARAMS_H */\n");
}

}  // namespace qsim::exporting
