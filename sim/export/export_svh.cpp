// The export table as SystemVerilog localparams. Only constructs that Verilator 5.006 and yosys
// 0.23 both read: no array literals, no unpacked arrays, no real parameters.
#include <fmt/format.h>

#include <bit>

#include "sim/export/export_formats.h"
#include "sim/export/export_language.h"
#include "sim/io/files/content_hash.h"
#include "sim/text/text_util.h"

namespace qsim::exporting {
namespace {

// A comment ends at the end of its line, and at nothing before.
std::string LineComment(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return "// " + text + "\n";
}

// Hexadecimal at the exact width: a decimal literal of the most negative value would not fit.
std::string Literal(std::int64_t value, int bits, bool is_signed) {
  return fmt::format("{}'{}h{}", bits, is_signed ? "s" : "", HexText(value, bits).substr(2));
}

struct Element {
  std::int64_t word = 0;
  std::string meaning;
};

// `name`_count elements of `name`_width bits; element i is name[i*width +: width].
std::string PackedVector(const std::string& name, int bits, bool is_signed,
                         const std::vector<Element>& elements) {
  std::string out;
  out += fmt::format("localparam int unsigned {}_count = {};\n", name, elements.size());
  out += fmt::format("localparam int unsigned {}_width = {};\n", name, bits);
  out += fmt::format("localparam logic [{}:0] {} = {{\n",
                     elements.size() * static_cast<std::size_t>(bits) - 1, name);
  for (std::size_t i = elements.size(); i-- > 0;) {
    out += fmt::format("  {}{} {}", Literal(elements[i].word, bits, is_signed), i == 0 ? "" : ",",
                       LineComment(fmt::format("[{}] {}", i, elements[i].meaning)));
  }
  return out + "};\n";
}

struct SvLanguage {
  std::string name;
  const ExportParameter& parameter;

  static std::string Comment(std::string text) { return LineComment(std::move(text)); }

  std::string operator()(const ExportInts& ints) const {
    if (parameter.scalar()) {
      const std::int64_t value = ints.values.front();
      return fmt::format("localparam logic {}[{}:0] {} = {};  {}", ints.is_signed ? "signed " : "",
                         ints.bits - 1, name, Literal(value, ints.bits, ints.is_signed),
                         Comment(fmt::format("{}", value)));
    }
    std::vector<Element> elements;
    for (const std::int64_t value : ints.values)
      elements.push_back({value, fmt::format("{}", value)});
    return Comment(parameter.name + " per " + parameter.axis) +
           PackedVector(name, ints.bits, ints.is_signed, elements);
  }
  // Synthesis has no reals, so they travel as the bits of the double: $bitstoreal gives them back.
  std::string operator()(const std::vector<double>& reals) const {
    std::vector<Element> elements;
    for (const double value : reals)
      elements.push_back({std::bit_cast<std::int64_t>(value), RealText(value)});
    return Comment(parameter.name + " per " + parameter.axis + ", IEEE 754 binary64") +
           PackedVector(name + "_f64", 64, false, elements);
  }
  std::string operator()(const ExportChoice& choice) const {
    return fmt::format("localparam logic [7:0] {} = {};  {}", name, Literal(choice.code, 8, false),
                       Comment(choice.name));
  }
  std::string operator()(const std::string& text) const {
    return Comment(parameter.name + ": " + text);
  }
};

}  // namespace

std::string ExportSvh(const ExportTable& table) {
  std::string out = fmt::format("// {}: {}\n", kContentHash, NoHashYet());
  out +=
      "// Written by qsim export. Include inside a module or a package:\n"
      "//   package qsim_params; `include \"qsim_params.svh\" endpackage\n"
      "// To include it in a second module of one compilation, `undef QSIM_PARAMS_SVH in between.\n"
      "`ifndef QSIM_PARAMS_SVH\n`define QSIM_PARAMS_SVH\n"
      "/* verilator lint_off UNUSEDPARAM */\n\n";
  out += fmt::format("localparam int unsigned qsim_format_version = {};\n", table.format_version);
  for (const ExportChoice& choice : table.choices) {
    out += fmt::format("localparam logic [7:0] QSIM_{}_{} = {};\n", Upper(choice.set),
                       Upper(choice.name), Literal(choice.code, 8, false));
  }
  out += GroupsText<SvLanguage>(table);
  return WithContentHash(out +
                         "\n/* verilator lint_on UNUSEDPARAM */\n`endif  // QSIM_PARAMS_SVH\n");
}

}  // namespace qsim::exporting
