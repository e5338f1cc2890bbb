#include "sim/text/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "sim/namespaces.h"

namespace qsim::text {
namespace {

constexpr std::size_t kLongestShown = 80;

// Ends of lines and changes of the direction of writing, marks of no width: with them, one name
// looks like another (Unicode 15, UAX 9 and 14).
constexpr auto kUnseen = std::to_array<std::string_view>(
    {"\u061c", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a",
     "\u202b", "\u202c", "\u202d", "\u202e", "\u2060", "\u2066", "\u2067", "\u2068", "\u2069",
     "\ufeff"});

// The length of the UTF-8 sequence at the front of `text`, or 0 when there is none. Overlong forms
// and surrogates are let through: this decides what to print, not what is valid.
std::size_t Utf8Length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  std::size_t length = 0;
  if (byte(0) >= 0xc2 && byte(0) <= 0xdf) length = 2;
  if (byte(0) >= 0xe0 && byte(0) <= 0xef) length = 3;
  if (byte(0) >= 0xf0 && byte(0) <= 0xf4) length = 4;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // C1 controls, which a terminal may obey.
  if (length == 2 && byte(0) == 0xc2 && byte(1) < 0xa0) return 0;
  return std::find(kUnseen.begin(), kUnseen.end(), text.substr(0, length)) == kUnseen.end() ? length
                                                                                            : 0;
}

// Moves the first character.
void AppendEscaped(std::string_view& text, std::string& out) {
  const auto c = static_cast<unsigned char>(text.front());
  std::size_t length = 1;
  if (c >= 0x20 && c < 0x7f) {
    out += text.front();
  } else if ((length = Utf8Length(text)) != 0) {
    out += text.substr(0, length);
  } else {
    length = 1;
    out += fmt::format("\\x{:02x}", c);
  }
  text.remove_prefix(length);
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= kLongestShown) return out + "...";
    AppendEscaped(text, out);
  }
  return out;
}

std::string Escaped(std::string_view text) {
  std::string out;
  while (!text.empty()) AppendEscaped(text, out);
  return out;
}

std::string NoteLine(std::string_view text) { return fmt::format("note: {}\n", Escaped(text)); }

}  // namespace qsim::text
