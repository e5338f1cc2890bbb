#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace qsim::testing {
namespace {

constexpr std::size_t kLongest = 1 << 18;

constexpr auto kNumbers = std::to_array<std::string_view>({
    "0",
    "-1",
    "1",
    "2",
    "7",
    "255",
    "256",
    "65535",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "1e30",
    "1e308",
    "1e999",
    "-0.0",
    "1e-300",
    "nan",
    "NaN",
    "inf",
    "-Infinity",
    "0x10",
    "010",
    "1_0",
    "1.5",
    "+3",
    "",
    " 5",
});
constexpr auto kWords = std::to_array<std::string_view>({
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    ", ",
    "\n",
    "\n\n",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "<<: *a",
    "!!",
    "|",
    ">",
    "---\n",
    "null",
    "true",
    "false",
    "~",
    "\\",
    "\t",
    "\r\n",
    "@",
    "//",
    "/*",
    "..",
    "\xEF\xBB\xBF",
    "\xC2\xA0",
    "\x1B[31m",
    "x",
    "z",
    "\\u0000",
    "\xFF\xFE",
});

// Where a random run of digits lies: begin and length; nothing where there are none.
std::pair<std::size_t, std::size_t> Number(const std::string& input, Engine& engine) {
  const std::size_t start = Below(engine, input.size());
  const std::size_t at = input.find_first_of("0123456789", start);
  if (at == std::string::npos) return {0, 0};
  const std::size_t end = input.find_first_not_of("0123456789.e", at);
  return {at, (end == std::string::npos ? input.size() : end) - at};
}

template <typename List>
std::string OneOf(const List& list, Engine& engine) {
  return std::string(list[Below(engine, list.size())]);
}

// A line of a text, or 1 to 64 bytes.
std::string PartOf(const std::string& from, Engine& engine) {
  const std::size_t at = Below(engine, from.size());
  if (Below(engine, 2) == 0) return from.substr(at, 1 + Below(engine, 64));
  const std::size_t begin = from.rfind('\n', at), end = from.find('\n', at);
  const std::size_t first = begin == std::string::npos ? 0 : begin + 1;
  return from.substr(first, end == std::string::npos ? end : end + 1 - first);
}

void MutateOnce(std::string& input, const std::string& other, Engine& engine) {
  const std::size_t at = Below(engine, input.size() + 1);
  const auto insert = [&](const std::string& what) { input.insert(at, what); };
  switch (Below(engine, 12)) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << Below(engine, 8)));
      return;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(engine());
      return;
    case 2:
      input.erase(at, 1 + Below(engine, Below(engine, 2) == 0 ? 4 : 200));
      return;
    case 3:
      input.resize(at);
      return;
    case 4:
      return insert(OneOf(kWords, engine));
    case 5:
    case 6: {
      const auto [first, length] = Number(input, engine);
      if (length > 0) input.replace(first, length, OneOf(kNumbers, engine));
      return;
    }
    case 7:
      return insert(PartOf(other, engine));
    case 8:
      return insert(PartOf(input, engine));
    case 9: {  // one part in the place of another
      const std::string part = PartOf(input, engine);
      if (at < input.size()) input.replace(at, part.size(), part);
      return;
    }
    case 10: {  // a part, many times
      const std::string part = PartOf(input, engine);
      std::string many;
      for (std::uint64_t i = 1 + Below(engine, Below(engine, 50) == 0 ? 5000 : 20);
           i > 0 && many.size() < kLongest; --i)
        many += part;
      return insert(many);
    }
    default: {  // a little-endian number of 1, 2, 4 or 8 bytes, near a power of two
      std::uint64_t value = (std::uint64_t{1} << Below(engine, 64)) + Below(engine, 3) - 1;
      if (Below(engine, 2) == 0) value = ~value;
      for (std::size_t i = 0, width = std::size_t{1} << Below(engine, 4); i < width; ++i) {
        if (at + i < input.size()) input[at + i] = static_cast<char>(value >> 8 * i);
      }
    }
  }
}

}  // namespace

std::string Mutated(std::string input, const std::string& other, Engine& engine) {
  for (std::uint64_t i = 1 + Below(engine, Below(engine, 4) == 0 ? 12 : 3); i > 0; --i)
    MutateOnce(input, other, engine);
  if (input.size() > kLongest) input.resize(kLongest);
  return input;
}

}  // namespace qsim::testing
