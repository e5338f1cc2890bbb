// What numbers are of those that should be in their place: the same in another order, times a
// factor, with the other sign, those of somebody else.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/diagnose/causes/places.h"

namespace qsim::diagnose {

// Lines of numbers, one for each channel, row or tap.
struct Lines {
  std::vector<double> values;  // line after line
  std::size_t width = 1;       // numbers in a line
  std::size_t count() const { return values.size() / width; }
  double At(std::size_t line, std::size_t k) const { return values[line * width + k]; }
  double Energy(std::size_t line) const;
};

struct Kinship {
  enum class Kind : std::uint8_t {
    kSame,
    kZero,     // nothing but zeros at `at`
    kNegated,  // the other sign there
    kScaled,   // `factor` times there
    kGroups,   // a factor of its own for each part or head
    kShifted,  // off by one number there
    kOrder,    // those of other lines
    kForeign,  // those of another list
    kOther,    // none of these
  };
  Kind kind = Kind::kSame;
  std::vector<std::size_t> at;  // the lines that are not what they should be
  double factor = 1;
  double shift = 0;
  Order from;         // of kOrder, where it is known
  std::string where;  // " at channel 17"; empty where it is all of them
  std::string text;   // "0", "0.031 times", ...; of kOrder a sentence
  // "X at channel 17 are 0", "X are 0.031 times what Y", "X are in another order: ..."
  std::string Sentence(const std::string& what, const std::string& asked) const;
};

// What else a list may be: its name, and its lines.
using Foreign = std::pair<std::string, Lines>;

// `tolerance`: how far a number may be from where it should, one for each line or for all of them:
// beside the line's root mean square (relative), and in itself.
struct Tolerance {
  double relative = 0.005;
  double absolute = 0;
  std::vector<double> of_line = {};  // in itself, in place of `absolute`
};

Kinship KinshipOf(const Lines& is, const Lines& should, const Places& places,
                  const Tolerance& tolerance, const std::vector<Foreign>& others = {});

// Of `should`, the line that agrees best with one of `is`, by correlation; -1..1.
struct LineMatch {
  std::size_t line = 0;
  double correlation = 0;
};
LineMatch BestLine(const Lines& is, std::size_t line, const Lines& should);

// A factor in as many digits as tell it from 1: "0.25", "1.003", "-1".
std::string FactorText(double factor);

}  // namespace qsim::diagnose
