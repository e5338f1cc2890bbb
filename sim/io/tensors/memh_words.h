// The words of a memory file, as IEEE 1800-2017, 21.4, has them: blanks, comments, addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "sim/namespaces.h"

namespace qsim::io {

struct MemhWord {
  std::string_view digits;  // hexadecimal, without underscores; valid during the call
  std::uint64_t place = 0;  // counted from the lowest address
  int line = 0;

  // The `bits` bits from bit `first` on, at most 64; 0 beyond the digits.
  std::uint64_t Bits(std::size_t first, int bits) const;
};

struct MemhWords {
  std::size_t count = 0;
  std::size_t digits = 0;   // of the longest word, underscores not counted
  bool same_digits = true;  // all words have as many
  std::uint64_t lowest_address = 0;
};

// Every word must have its place, once: throws InputError with file:line for a gap, a word written
// twice, an unknown digit, and for what is another format.
MemhWords CountMemhWords(std::string_view text, const std::string& file);

// Calls `take` for each word of a text that has been counted.
void ForEachMemhWord(std::string_view text, const MemhWords& words,
                     const std::function<void(const MemhWord&)>& take);

}  // namespace qsim::io
