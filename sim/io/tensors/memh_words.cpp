#include "sim/io/tensors/memh_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Words and addresses between blanks and comments.
class Scanner {
 public:
  Scanner(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  int line() const { return line_; }

  // The next token, empty at the end.
  std::string_view Next() {
    while (true) {
      const std::size_t blanks = std::min(rest_.find_first_not_of(kBlanks), rest_.size());
      line_ += static_cast<int>(std::count(rest_.begin(), rest_.begin() + AsOffset(blanks), '\n'));
      rest_.remove_prefix(blanks);
      if (!SkipComment()) break;
    }
    std::string_view token = rest_.substr(0, rest_.find_first_of(kBlanks));
    token = token.substr(0, std::min(token.find("//"), token.find("/*")));
    rest_.remove_prefix(token.size());
    return token;
  }

  [[noreturn]] void Fail(std::string_view token, const std::string& what) const {
    throw InputError(
        fmt::format("{}:{}: '{}': {}", file_, line_, Printable(token.substr(0, 40)), what));
  }

 private:
  static std::ptrdiff_t AsOffset(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

  bool SkipComment() {
    if (rest_.starts_with("//")) {
      rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size()));
      return true;
    }
    if (!rest_.starts_with("/*")) return false;
    const std::size_t end = rest_.find("*/", 2);
    if (end == std::string_view::npos) Fail("/*", "a comment without its end");
    line_ += static_cast<int>(std::count(rest_.begin(), rest_.begin() + AsOffset(end), '\n'));
    rest_.remove_prefix(end + 2);
    return true;
  }

  std::string_view rest_;
  const std::string& file_;
  int line_ = 1;
};

// What somebody who wrote this may have meant.
std::string Advice(std::string_view token) {
  const auto is = [&](std::string_view characters) {
    return token.find_first_of(characters) != std::string_view::npos;
  };
  if (token.starts_with("\xef\xbb\xbf"))
    return "a byte order mark, at which $readmemh stops; save the file as UTF-8 without BOM";
  if (token.starts_with("0x") || token.starts_with("0X"))
    return "$readmemh takes this x for an unknown digit; write the digits alone";
  if (token.starts_with('#')) return "'#' begins no comment in a memory file; '//' does";
  if (token.starts_with(':')) return "an Intel HEX record; convert the file to $readmemh's words";
  if (token.size() > 7 && (token[0] == 'S' || token[0] == 's') && token[1] >= '0' &&
      token[1] <= '9')
    return "a Motorola S-record; convert the file to $readmemh's words";
  if (token.starts_with('_')) return "a number cannot begin with '_'";
  if (is("xX"))
    return "digit x: a value that the simulator did not know (never written, or undriven)";
  if (is("zZ?")) return "digit z: high impedance; nothing drove this value";
  if (token.starts_with('-')) return "a sign; negative numbers are written in two's complement";
  if (is(",;")) return "words are separated by blanks, not by ',' or ';'";
  if (is("'")) return "a based number; a memory file holds the digits alone";
  if (is(".")) return "a decimal number; a memory file holds hexadecimal integers";
  return "expected a hexadecimal number";
}

// Absent for anything that is not a number; `digits` counts them.
bool IsNumber(std::string_view token, std::size_t& digits) {
  digits = 0;
  for (const char c : token) {
    if (HexDigit(c) >= 0) {
      ++digits;
    } else if (c != '_' || digits == 0) {
      return false;
    }
  }
  return digits > 0;
}

std::uint64_t Address(const Scanner& scanner, std::string_view token) {
  std::size_t digits = 0;
  const std::string_view number = token.substr(1);
  if (!IsNumber(number, digits) || digits > 15)
    scanner.Fail(token, "expected an address of at most 15 hexadecimal digits behind '@'");
  std::string plain(number);
  std::erase(plain, '_');
  return MemhWord{plain, 0, 0}.Bits(0, 60);
}

struct Run {
  std::uint64_t address = 0;
  std::uint64_t words = 0;
  int line = 0;
};

// Sorts the runs; returns the lowest address.
std::uint64_t CheckPlaces(std::vector<Run> runs, const std::string& file) {
  std::erase_if(runs, [](const Run& run) { return run.words == 0; });
  if (runs.empty()) return 0;
  std::stable_sort(runs.begin(), runs.end(),
                   [](const Run& a, const Run& b) { return a.address < b.address; });
  std::uint64_t next = runs[0].address;
  for (const Run& run : runs) {
    if (run.address < next)
      throw InputError(
          fmt::format("{}:{}: address @{:x} is written twice", file, run.line, run.address));
    if (run.address > next)
      throw InputError(
          fmt::format("{}:{}: nothing is written at address @{:x}{}", file, run.line, next,
                      run.address - next == 1 ? "" : fmt::format(" to @{:x}", run.address - 1)));
    next += run.words;
  }
  return runs[0].address;
}

}  // namespace

std::uint64_t MemhWord::Bits(std::size_t first, int bits) const {
  std::uint64_t value = 0;
  const std::size_t end = first + static_cast<std::size_t>(bits);
  for (std::size_t i = first / 4; 4 * i < end && i < digits.size(); ++i) {
    const auto digit = static_cast<std::uint64_t>(HexDigit(digits[digits.size() - 1 - i]));
    value |= 4 * i >= first ? digit << (4 * i - first) : digit >> (first - 4 * i);
  }
  return bits == 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

MemhWords CountMemhWords(std::string_view text, const std::string& file) {
  Scanner scanner(text, file);
  MemhWords words;
  std::vector<Run> runs{Run{}};
  for (std::string_view token = scanner.Next(); !token.empty(); token = scanner.Next()) {
    if (token.starts_with('@')) {
      runs.push_back({Address(scanner, token), 0, scanner.line()});
      continue;
    }
    std::size_t digits = 0;
    if (!IsNumber(token, digits)) scanner.Fail(token, Advice(token));
    if (runs.back().words == 0) runs.back().line = scanner.line();
    ++runs.back().words;
    words.same_digits = words.count == 0 || (words.same_digits && digits == words.digits);
    words.digits = std::max(words.digits, digits);
    ++words.count;
  }
  words.lowest_address = CheckPlaces(std::move(runs), file);
  return words;
}

void ForEachMemhWord(std::string_view text, const MemhWords& words,
                     const std::function<void(const MemhWord&)>& take) {
  const std::string no_file;
  Scanner scanner(text, no_file);
  std::uint64_t address = 0;
  std::string plain;
  for (std::string_view token = scanner.Next(); !token.empty(); token = scanner.Next()) {
    if (token.starts_with('@')) {
      address = Address(scanner, token);
      continue;
    }
    if (token.find('_') != std::string_view::npos) {
      plain = token;
      std::erase(plain, '_');
      token = plain;
    }
    take({token, address++ - words.lowest_address, scanner.line()});
  }
}

}  // namespace qsim::io
