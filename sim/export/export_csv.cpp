#include <fmt/format.h>

#include "sim/export/export_formats.h"
#include "sim/io/files/content_hash.h"

namespace qsim::exporting {
namespace {

// RFC 4180.
std::string Field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

struct ValueRows {
  const ExportParameter& parameter;
  std::string prefix;

  std::string Row(const std::string& channel, const std::string& value) const {
    return prefix + channel + "," + value + "\n";
  }
  std::string operator()(const ExportInts& ints) const {
    if (parameter.scalar()) return Row("", fmt::format("{}", ints.values.front()));
    std::string out;
    for (std::size_t i = 0; i < ints.values.size(); ++i)
      out += Row(fmt::format("{}", i), fmt::format("{}", ints.values[i]));
    return out;
  }
  std::string operator()(const std::vector<double>& reals) const {
    std::string out;
    for (std::size_t i = 0; i < reals.size(); ++i)
      out += Row(fmt::format("{}", i), RealText(reals[i]));
    return out;
  }
  std::string operator()(const ExportChoice& choice) const { return Row("", choice.name); }
  std::string operator()(const std::string& text) const { return Row("", Field(text)); }
};

std::string GroupRows(const ExportGroup& group) {
  std::string out;
  for (const ExportParameter& parameter : group.parameters) {
    const std::string prefix =
        fmt::format("{},{},{},{},", Field(group.name), group.kind, parameter.name, parameter.axis);
    out += std::visit(ValueRows{parameter, prefix}, parameter.value);
  }
  return out;
}

}  // namespace

std::string ExportCsv(const ExportTable& table) {
  std::string out = "operation,kind,parameter,per,channel,value\n";
  out += fmt::format("qsim-export,format,format_version,,,{}\n", table.format_version);
  out += fmt::format("qsim-export,format,{},,,{}\n", kContentHash, NoHashYet());
  out += GroupRows(table.provenance) + GroupRows(table.hardware);
  for (const ExportGroup& group : table.operations) out += GroupRows(group);
  for (const ExportGroup& group : table.tensors) out += GroupRows(group);
  return WithContentHash(out);
}

}  // namespace qsim::exporting
