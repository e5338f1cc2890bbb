// What headers of two languages share.
#pragma once

#include <cctype>
#include <string>
#include <variant>

#include "sim/bundle/parameter_table.h"

namespace qsim::exporting {

inline std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// Every group of the table. A Language{identifier, parameter} writes the value it is called with;
// its Comment() makes a line of any text.
template <typename Language>
std::string GroupsText(const ExportTable& table) {
  std::string out;
  const auto add = [&](const ExportGroup& group) {
    const bool whole = group.kind == group.name;  // hardware, provenance
    out += "\n" + Language::Comment(whole ? group.kind : group.kind + " " + group.name);
    for (const ExportParameter& parameter : group.parameters) {
      const Language language{ExportIdentifier(group.name, parameter.name), parameter};
      out += std::visit(language, parameter.value);
    }
  };
  add(table.provenance);
  add(table.hardware);
  for (const ExportGroup& group : table.operations) add(group);
  for (const ExportGroup& group : table.tensors) add(group);
  return out;
}

}  // namespace qsim::exporting
