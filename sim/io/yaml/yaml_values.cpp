#include "sim/io/yaml/yaml_values.h"

#include <charconv>
#include <cmath>
#include <string_view>
#include <system_error>

namespace qsim::io {
namespace {

bool IsPlain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

// from_chars knows no leading '+'.
std::string_view WithoutPlus(std::string_view text) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

template <typename T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::int64_t> AsInteger(const YamlNode& node) {
  if (!IsPlain(node)) return std::nullopt;
  const std::string_view text = WithoutPlus(node.scalar);
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  return Parse<std::int64_t>(text);
}

std::optional<double> AsReal(const YamlNode& node) {
  if (!IsPlain(node)) return std::nullopt;
  const auto value = Parse<double>(WithoutPlus(node.scalar));
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return value;
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
