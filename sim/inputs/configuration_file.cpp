#include "sim/inputs/configuration_file.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/json_text.h"
#include "sim/text/printable.h"

namespace qsim::inputs {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kLongest = 16 << 20;
constexpr const char* kFloat = "__float__";

constexpr std::array<std::pair<std::string_view, double>, 3> kNumbers = {
    {{"Infinity", std::numeric_limits<double>::infinity()},
     {"-Infinity", -std::numeric_limits<double>::infinity()},
     {"NaN", std::numeric_limits<double>::quiet_NaN()}}};

// The numbers that JSON lacks, outside strings, as transformers spells them.
std::string WithoutBareNumbers(std::string_view text) {
  std::string result;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\' && i + 1 < text.size()) result += text[i++];
    bool replaced = false;
    for (const auto& [word, value] : kNumbers) {
      if (quoted || !text.substr(i).starts_with(word)) continue;
      result += fmt::format(R"({{"{}": "{}"}})", kFloat, word);
      i += word.size() - 1;
      replaced = true;
      break;
    }
    if (!replaced) result += text[i];
  }
  return result;
}

void TakeNumbers(Json& json) {
  if (json.is_object() && json.size() == 1 && json.contains(kFloat)) {
    for (const auto& [word, value] : kNumbers) {
      if (json[kFloat] == Json(word)) {
        json = value;
        return;
      }
    }
  }
  if (json.is_structured()) {
    for (Json& inner : json) TakeNumbers(inner);
  }
}

}  // namespace

Json ReadConfiguration(const std::filesystem::path& path) {
  Json json =
      ParseJson(WithoutBareNumbers(ReadTextFile(path, kLongest, "a configuration")), path.string());
  if (!json.is_object())
    throw InputError(fmt::format("{}: is not a JSON object", Printable(path.string())));
  TakeNumbers(json);
  return json;
}

}  // namespace qsim::inputs
