#include "sim/io/files/json_text.h"

#include <fmt/format.h>

#include "sim/error.h"

namespace qsim::io {

nlohmann::json ParseJson(std::string_view text, const std::string& file) {
  constexpr int kDeepest = 64;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) {
        throw InputError(fmt::format("{}: byte {} is nested deeper than {}", file, i, kDeepest));
      }
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace qsim::io
