// Sets of indices along an axis that a sentence can name: ranges, a few of them, a residue.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/namespaces.h"

namespace qsim::explain {

struct IndexSet {
  std::vector<std::pair<std::int64_t, std::int64_t>> ranges;  // first and last, ascending
  std::int64_t modulus = 0, rest = 0;  // instead of ranges, if modulus is not 0

  bool Contains(std::int64_t index) const;
  std::int64_t Pieces() const {
    return modulus != 0 ? 1 : static_cast<std::int64_t>(ranges.size());
  }
  bool IsAll(std::int64_t length) const;
  // "for channel 24 and up", "at head 1 and 5", "where the row is odd".
  std::string Words(const std::string& axis, std::int64_t length) const;
  // What is left: "for channel 0 to 23"; "elsewhere" where that has no short name.
  std::string OutsideWords(const std::string& axis, std::int64_t length) const;
};

// "the row modulo 3 is 1", "the row is odd".
std::string ResidueWords(const std::string& axis, std::int64_t modulus, std::int64_t rest);

// The ranges with the largest sum, the first the best; one more only if it brings more than
// `price`. An end is extended to the axis's own where that costs nothing.
struct Gain {
  IndexSet set;
  double gain = 0;
};
Gain BestRanges(std::span<const double> sums, double price);

// Which rule each index of an axis follows, by what each rule gains there, so that the sum is
// largest after a rule's price for every range that it gets.
std::vector<std::size_t> BestDivision(const std::vector<std::vector<double>>& gains,
                                      std::span<const double> prices);

// Where along an axis these counts are concentrated, `sizes` being how many there could be at each
// index: everything, unless a set tells far more than it takes to name it.
IndexSet Concentration(std::span<const std::int64_t> counts, std::span<const std::int64_t> sizes);

}  // namespace qsim::explain
