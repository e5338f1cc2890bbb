// The export table as a JSON tree, printed as JSON or as YAML.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "sim/export/export_formats.h"
#include "sim/io/files/content_hash.h"

namespace qsim::exporting {
namespace {

using Json = nlohmann::ordered_json;

struct ValueJson {
  const ExportParameter& parameter;

  Json operator()(const ExportInts& ints) const {
    return parameter.scalar() ? Json(ints.values.front()) : Json(ints.values);
  }
  Json operator()(const std::vector<double>& reals) const { return reals; }
  Json operator()(const ExportChoice& choice) const { return choice.name; }
  Json operator()(const std::string& text) const { return text; }
};

Json GroupJson(const ExportGroup& group, bool named) {
  Json json = Json::object();
  if (named) {
    json["name"] = group.name;
    json["kind"] = group.kind;
  }
  Json per = Json::object();
  for (const ExportParameter& parameter : group.parameters) {
    json[parameter.name] = std::visit(ValueJson{parameter}, parameter.value);
    if (!parameter.scalar()) per[parameter.name] = parameter.axis;
  }
  if (!per.empty()) json["per"] = std::move(per);
  return json;
}

Json TableJson(const ExportTable& table) {
  Json json = {{"format", "qsim-export"},
               {"format_version", table.format_version},
               {kContentHash, NoHashYet()}};
  json["provenance"] = GroupJson(table.provenance, false);
  json["hardware"] = GroupJson(table.hardware, false);
  json["operations"] = Json::array();
  for (const ExportGroup& group : table.operations)
    json["operations"].push_back(GroupJson(group, true));
  json["tensors"] = Json::array();
  for (const ExportGroup& group : table.tensors) json["tensors"].push_back(GroupJson(group, true));
  return json;
}

std::string ScalarText(const Json& json) {
  if (json.is_number_float()) return RealText(json.get<double>());
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// An array of numbers on as few lines as 100 columns allow; valid JSON and valid YAML flow style.
std::string FlowArray(const Json& array, std::size_t indent) {
  constexpr std::size_t kColumns = 100;
  std::string out = "[";
  std::size_t column = indent + 1;
  for (std::size_t i = 0; i < array.size(); ++i) {
    const std::string text = ScalarText(array[i]) + (i + 1 < array.size() ? "," : "");
    if (i != 0 && column + 1 + text.size() > kColumns) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (i != 0) {
      out += ' ';
      ++column;
    }
    out += text;
    column += text.size();
  }
  return out + "]";
}

bool IsFlow(const Json& json) {
  return json.is_array() && (json.empty() || !json.front().is_structured());
}

void PrintJson(const Json& json, std::size_t indent, std::string& out) {
  if (!json.is_structured()) {
    out += ScalarText(json);
    return;
  }
  if (IsFlow(json)) {
    out += FlowArray(json, indent + 2);
    return;
  }
  const bool object = json.is_object();
  out += object ? "{" : "[";
  bool first = true;
  for (const auto& item : json.items()) {
    out += first ? "\n" : ",\n";
    first = false;
    out += std::string(indent + 2, ' ');
    if (object) out += Json(item.key()).dump() + ": ";
    PrintJson(item.value(), indent + 2, out);
  }
  if (!first) out += "\n" + std::string(indent, ' ');
  out += object ? "}" : "]";
}

// Block style. `indent` is the column of keys; the caller has written the indentation of the first.
void PrintYamlMap(const Json& json, std::size_t indent, std::string& out) {
  bool first = true;
  for (const auto& item : json.items()) {
    if (!first) out += std::string(indent, ' ');
    first = false;
    // YAML 1.1 reads a bare n, y, on or off as a boolean, and `n` is a softmax constant.
    const std::string key = item.key() == "n" ? "\"n\"" : item.key();
    const Json& value = item.value();
    if (IsFlow(value)) {
      out += key + ": " + FlowArray(value, indent + 2) + "\n";
    } else if (value.is_array()) {
      out += key + ":\n";
      for (const Json& entry : value) {
        out += std::string(indent, ' ') + "- ";
        PrintYamlMap(entry, indent + 2, out);
      }
    } else if (value.is_object() && !value.empty()) {
      out += key + ":\n" + std::string(indent + 2, ' ');
      PrintYamlMap(value, indent + 2, out);
    } else {
      out += key + ": " + (value.is_object() ? "{}" : ScalarText(value)) + "\n";
    }
  }
}

}  // namespace

std::string ExportJson(const ExportTable& table) {
  std::string out;
  PrintJson(TableJson(table), 0, out);
  return WithContentHash(out + "\n");
}

std::string ExportYaml(const ExportTable& table) {
  std::string out;
  PrintYamlMap(TableJson(table), 0, out);
  return WithContentHash(out);
}

}  // namespace qsim::exporting
