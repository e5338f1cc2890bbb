#include "sim/diagnose/causes/layout.h"

#include <fmt/format.h>

#include "sim/namespaces.h"

namespace qsim::diagnose {
namespace {

// Of the misplaced channels, those for which a rule gives what stands there.
template <typename Rule>
bool Follows(const std::vector<std::size_t>& from, Rule rule) {
  std::size_t misplaced = 0;
  std::size_t follows = 0;
  for (std::size_t c = 0; c < from.size(); ++c) {
    if (from[c] == c) continue;
    ++misplaced;
    follows += rule(c);
  }
  return follows * 10 >= misplaced * 9;
}

}  // namespace

std::size_t Misplaced(const std::vector<std::size_t>& from) {
  std::size_t count = 0;
  for (std::size_t c = 0; c < from.size(); ++c) count += from[c] != c;
  return count;
}

std::string DescribeOrder(const std::vector<std::size_t>& from, const ChannelGroups& groups,
                          const std::string& what) {
  const std::size_t dim = groups.width;
  const std::size_t heads = groups.heads;
  const std::size_t head_dim = dim / heads;
  std::vector<std::size_t> misplaced;
  for (std::size_t c = 0; c < from.size(); ++c) {
    if (from[c] != c) misplaced.push_back(c);
  }
  if (misplaced.size() == 2) {
    return fmt::format("{}s {} and {} are in each other's place", what, misplaced[0], misplaced[1]);
  }
  if (misplaced.size() >= head_dim &&
      Follows(from, [&](std::size_t c) { return from[c] % dim == c % dim; })) {
    return groups.names + " are in each other's place";
  }
  if (misplaced.size() >= head_dim && Follows(from, [&](std::size_t c) {
        return from[c] / dim == c / dim && from[c] % head_dim == c % head_dim;
      })) {
    const std::size_t c = misplaced.front();
    return fmt::format("the heads are in another order: head {} stands in the place of head {}",
                       from[c] % dim / head_dim, c % dim / head_dim);
  }
  const auto transposed = [&](std::size_t c) {
    const std::size_t i = c % dim;
    const std::size_t there = i % heads * head_dim + i / heads;
    const std::size_t back = i % head_dim * heads + i / head_dim;
    return from[c] % dim == there || from[c] % dim == back;
  };
  if (misplaced.size() >= head_dim && Follows(from, transposed)) {
    return "the channels are transposed: [head_dim, heads] in place of [heads, head_dim]";
  }
  return fmt::format("{} of {} {}s are in other places", misplaced.size(), from.size(), what);
}

}  // namespace qsim::diagnose
