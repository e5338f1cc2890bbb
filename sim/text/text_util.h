// Small pieces of text that tables, diffs and pages share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "golden/program/tensor.h"
#include "sim/namespaces.h"

namespace qsim::text {

inline constexpr std::size_t kTextColumns = 80;

std::string ShapeText(const Shape& shape);                      // "8x17x192"; "scalar" when empty
std::string IndexText(const std::vector<std::int64_t>& index);  // "[0, 3, 17]"

// Two's complement at `bits` (1..64), zero padded: HexText(-5, 8) is "0xfb".
std::string HexText(std::int64_t value, int bits);

// "1 tap", "2 taps", "0 mismatches".
std::string Count(std::int64_t count, std::string_view singular, std::string_view plural);

// "1 image", "8 images"; of tokens: "8 sequences".
inline std::string CountInputs(std::int64_t count, bool tokens) {
  return tokens ? Count(count, "sequence", "sequences") : Count(count, "image", "images");
}

// "'a', 'b' and 9 more": as many names as fit a line of an error, at least one.
std::string FirstOf(const std::vector<std::string>& names);

// A part of a whole that is not 0, in percent.
inline double Percent(std::int64_t part, std::int64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// Breaks a text at spaces into lines of at most kTextColumns, each ended by a newline; the first
// starts with `first`, the others are indented by four spaces. A word that is too long for any line
// stays whole: a path that is cut cannot be copied.
std::string WrapText(std::string_view first, std::string_view text);

// At most `width` characters, the middle of a longer text replaced by "...". width >= 5.
std::string Shorten(const std::string& text, std::size_t width);

}  // namespace qsim::text
