#include "sim/io/yaml/yaml_values.h"

#include "sim/text/number.h"

namespace qsim::io {
namespace {

bool IsPlain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

}  // namespace

std::optional<std::int64_t> AsInteger(const YamlNode& node) {
  return IsPlain(node) ? ParseNumber<std::int64_t>(node.scalar) : std::nullopt;
}

std::optional<double> AsReal(const YamlNode& node) {
  return IsPlain(node) ? ParseNumber<double>(node.scalar) : std::nullopt;
}

std::optional<bool> AsBoolean(const YamlNode& node) {
  if (!IsPlain(node)) return std::nullopt;
  if (node.scalar == "True" || node.scalar == "true") return true;
  if (node.scalar == "False" || node.scalar == "false") return false;
  return std::nullopt;
}

std::optional<std::string> AsText(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::kScalar) return std::nullopt;
  return node.scalar;
}

}  // namespace qsim::io
