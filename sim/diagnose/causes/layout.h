// In words: how channels are out of their places.
#pragma once

#include <string>
#include <vector>

namespace qsim::diagnose {

// Channels side by side: one group for each of several stacked layers, heads within a group.
struct ChannelGroups {
  std::size_t width = 1;  // of a group
  std::size_t heads = 1;
  std::string names;  // of the groups, "Q, K and V"
};

// from[c] is the channel that stands in place of c. `what` is "output channel" or "input channel".
std::string DescribeOrder(const std::vector<std::size_t>& from, const ChannelGroups& groups,
                          const std::string& what);
std::size_t Misplaced(const std::vector<std::size_t>& from);

}  // namespace qsim::diagnose
