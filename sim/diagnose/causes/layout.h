// In words: how channels are out of their places.
#pragma once

#include <string>
#include <vector>

#include "sim/network/network.h"

namespace qsim {

// from[c] is the channel that stands in place of c. `what` is "output channel" or "input channel".
std::string DescribeOrder(const std::vector<std::size_t>& from, const network::Network& model,
                          const std::string& what);
std::size_t Misplaced(const std::vector<std::size_t>& from);

}  // namespace qsim
