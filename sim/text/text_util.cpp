#include "sim/text/text_util.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/text/printable.h"

namespace qsim::text {

std::string ShapeText(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
}

std::string IndexText(const std::vector<std::int64_t>& index) {
  return fmt::format("[{}]", fmt::join(index, ", "));
}

std::string HexText(std::int64_t value, int bits) {
  std::uint64_t word = static_cast<std::uint64_t>(value);
  if (bits < 64) word &= (std::uint64_t{1} << bits) - 1;
  return fmt::format("0x{:0{}x}", word, (bits + 3) / 4);
}

std::string Count(std::int64_t count, std::string_view singular, std::string_view plural) {
  return fmt::format("{} {}", count, count == 1 ? singular : plural);
}

std::string FirstOf(const std::vector<std::string>& names) {
  constexpr std::size_t kLongest = 110;
  std::string text;
  std::size_t shown = 0;
  for (const std::string& name : names) {
    const std::string quoted = fmt::format("{}'{}'", shown == 0 ? "" : ", ", Printable(name));
    if (shown > 0 && text.size() + quoted.size() > kLongest) break;
    text += quoted;
    ++shown;
  }
  return shown == names.size() ? text : fmt::format("{} and {} more", text, names.size() - shown);
}

std::string WrapText(std::string_view first, std::string_view text) {
  static constexpr std::string_view kIndent = "    ";
  std::string out;
  std::string line(first);
  bool empty = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n\t"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (!empty && line.size() + 1 + word.size() > kTextColumns) {
      out += line + "\n";
      line = kIndent;
      empty = true;
    }
    if (!empty) line += ' ';
    line += word;
    empty = false;
  }
  return out + line + "\n";
}

std::string Shorten(const std::string& text, std::size_t width) {
  if (text.size() <= width) return text;
  const std::size_t kept = width - 3;
  const std::size_t tail = kept / 2;
  return text.substr(0, kept - tail) + "..." + text.substr(text.size() - tail);
}

}  // namespace qsim::text
