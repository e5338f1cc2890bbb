// In words: which of a tensor's channels, rows, taps; and in which order they are.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/diagnose/structure.h"

namespace qsim::diagnose {

// What lines of numbers lie along.
struct Places {
  std::string noun = "channel";
  std::vector<StackedPart> parts = {};  // of a stacked layer; empty: it is one
  std::size_t heads = 1;                // of a part
  // Behind so many lines in front, a grid: of a patch {colours, rows, columns}, of positions {rows,
  // columns}; empty: none.
  std::size_t front = 0;
  std::vector<std::size_t> grid = {};
};

// "channel 17 (head 1 of K)", "head 0", "channels 3, 5 and 9", "12 of 64 channels (0, 3, 7, ...)";
// ascending.
std::string PlacesText(const std::vector<std::size_t>& at, std::size_t count, const Places& places);

// from[c] is the line that stands in place of c.
using Order = std::vector<std::size_t>;
std::size_t Misplaced(const Order& from);
// "Q and K are in each other's place", "channels are rotated by 3: ...", ...
std::string OrderText(const Order& from, const Places& places);

// Orders that a flow produces by mistake: rotated, reversed, transposed, parts or heads or rows and
// columns exchanged. What numbers without a face of their own are compared with.
struct NamedOrder {
  Order from;
  std::string text;
};
std::vector<NamedOrder> OrdersOf(std::size_t count, const Places& places);

// "3 and 7", "3, 7 and 9"
std::string Listed(const std::vector<std::string>& items);

}  // namespace qsim::diagnose
