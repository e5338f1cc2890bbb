#include "sim/explain/index_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qsim::explain {
namespace {

constexpr std::size_t kRanges = 4;    // that a sentence names
constexpr std::int64_t kModuli = 64;  // residues that are tried
constexpr double kEvidence = 5;       // in nats, beyond what naming a set takes

// How much more likely it is that so much of the whole is inside than by chance, in nats.
double Evidence(double inside, double all, double expected_share) {
  const double share = inside / all;
  if (share <= expected_share || expected_share <= 0) return 0;
  double nats = share * std::log(share / expected_share);
  if (share < 1 && expected_share < 1)
    nats += (1 - share) * std::log((1 - share) / (1 - expected_share));
  return all * nats;
}

}  // namespace

bool IndexSet::Contains(std::int64_t index) const {
  if (modulus != 0) return index % modulus == rest;
  return std::any_of(ranges.begin(), ranges.end(), [index](const auto& range) {
    return index >= range.first && index <= range.second;
  });
}

bool IndexSet::IsAll(std::int64_t length) const {
  return modulus == 0 && ranges.size() == 1 && ranges[0].first == 0 &&
         ranges[0].second == length - 1;
}

std::string ResidueWords(const std::string& axis, std::int64_t modulus, std::int64_t rest) {
  if (modulus == 2) return fmt::format("the {} is {}", axis, rest == 0 ? "even" : "odd");
  return fmt::format("the {} modulo {} is {}", axis, modulus, rest);
}

std::string IndexSet::Words(const std::string& axis, std::int64_t length) const {
  if (modulus != 0) return "where " + ResidueWords(axis, modulus, rest);
  if (ranges.size() == 1) {
    const auto [first, last] = ranges[0];
    if (first == last) return fmt::format("at {} {}", axis, first);
    if (first != 0 && last == length - 1) return fmt::format("for {} {} and up", axis, first);
    return fmt::format("for {} {} to {}", axis, first, last);
  }
  std::string list;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0) list += i + 1 == ranges.size() ? " and " : ", ";
    const auto [first, last] = ranges[i];
    list += first == last ? fmt::format("{}", first) : fmt::format("{} to {}", first, last);
  }
  return fmt::format("for {} {}", axis, list);
}

std::string IndexSet::OutsideWords(const std::string& axis, std::int64_t length) const {
  if (modulus == 2) return "where " + ResidueWords(axis, 2, 1 - rest);
  if (modulus == 0 && ranges.size() == 1) {
    const auto [first, last] = ranges[0];
    if (first == 0 && last > 0)
      return last + 2 == length ? fmt::format("at {} {}", axis, last + 1)
                                : fmt::format("for {} {} and up", axis, last + 1);
    if (first > 0 && first < last && last == length - 1)
      return first == 1 ? fmt::format("at {} 0", axis)
                        : fmt::format("for {} 0 to {}", axis, first - 1);
  }
  return "elsewhere";
}

Gain BestRanges(std::span<const double> sums, double price) {
  Gain best;
  // What it brings to change sides: a range of those taken may be given back, or cross an end.
  std::vector<double> left(sums.begin(), sums.end());
  std::vector<bool> taken(sums.size());
  const auto size = static_cast<std::int64_t>(left.size());
  for (std::size_t ranges = 0; ranges < kRanges; ++ranges) {
    // Kadane's.
    std::pair<std::int64_t, std::int64_t> range = {0, -1};
    double most = 0;
    double sum = 0;
    std::int64_t begin = 0;
    for (std::int64_t i = 0; i < size; ++i) {
      if (sum <= 0) {
        sum = 0;
        begin = i;
      }
      sum += left[static_cast<std::size_t>(i)];
      if (sum <= most) continue;
      most = sum;
      range = {begin, i};
    }
    if (range.second < 0 || (ranges != 0 && most <= price)) break;
    best.gain += most;
    for (std::int64_t i = range.first; i <= range.second; ++i) {
      const auto at = static_cast<std::size_t>(i);
      taken[at] = !taken[at];
      left[at] = -left[at];
    }
  }
  for (std::int64_t i = 0; i < size; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (!taken[at]) continue;
    if (i > 0 && taken[at - 1])
      best.set.ranges.back().second = i;
    else
      best.set.ranges.emplace_back(i, i);
  }
  if (best.set.ranges.empty()) {
    best.set.ranges = {{0, -1}};
    return best;
  }
  const auto all_zero = [&](std::int64_t from, std::int64_t to) {
    return std::all_of(sums.begin() + from, sums.begin() + to, [](double s) { return s == 0; });
  };
  if (all_zero(0, best.set.ranges.front().first)) best.set.ranges.front().first = 0;
  if (all_zero(best.set.ranges.back().second + 1, size)) best.set.ranges.back().second = size - 1;
  return best;
}

IndexSet Concentration(std::span<const std::int64_t> counts, std::span<const std::int64_t> sizes) {
  const auto length = static_cast<std::int64_t>(counts.size());
  const double all =
      static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  const double whole =
      static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}));
  IndexSet best = {{{0, length - 1}}};
  double best_worth = 0;
  const auto consider = [&](const IndexSet& set, double price) {
    double inside = 0;
    double room = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      if (!set.Contains(i)) continue;
      inside += static_cast<double>(counts[static_cast<std::size_t>(i)]);
      room += static_cast<double>(sizes[static_cast<std::size_t>(i)]);
    }
    const double worth = Evidence(inside, all, room / whole) - price - kEvidence;
    if (inside < 0.9 * all || worth <= best_worth) return;
    best_worth = worth;
    best = set;
  };
  const double ln_length = std::log(static_cast<double>(length));
  const std::int64_t most = *std::max_element(counts.begin(), counts.end());
  // What is dense, and what is there at all.
  for (const std::int64_t least : {std::max<std::int64_t>(most / 4, 1), std::int64_t{1}}) {
    IndexSet set;
    for (std::int64_t i = 0; i < length; ++i) {
      if (counts[static_cast<std::size_t>(i)] < least) continue;
      if (!set.ranges.empty() && set.ranges.back().second == i - 1) {
        set.ranges.back().second = i;
      } else {
        set.ranges.emplace_back(i, i);
      }
    }
    if (set.ranges.empty()) continue;
    consider({{{set.ranges.front().first, set.ranges.back().second}}}, 2 * ln_length);
    if (set.ranges.size() > 1 && set.ranges.size() <= kRanges)
      consider(set, 2 * ln_length * static_cast<double>(set.ranges.size()));
  }
  for (std::int64_t modulus = 2; modulus <= std::min(kModuli, length / 2); ++modulus) {
    std::vector<std::int64_t> classes(static_cast<std::size_t>(modulus));
    for (std::int64_t i = 0; i < length; ++i)
      classes[static_cast<std::size_t>(i % modulus)] += counts[static_cast<std::size_t>(i)];
    const auto at = std::max_element(classes.begin(), classes.end()) - classes.begin();
    consider({{}, modulus, at}, 2 * std::log(static_cast<double>(modulus)) + 2);
  }
  return best;
}

std::vector<std::size_t> BestDivision(const std::vector<std::vector<double>>& gains,
                                      std::span<const double> prices) {
  const std::size_t rules = gains.size(), length = gains.front().size();
  std::vector<double> score(rules);
  for (std::size_t r = 0; r < rules; ++r) score[r] = gains[r][0] - prices[r];
  std::vector<std::vector<std::size_t>> before(length, std::vector<std::size_t>(rules));
  for (std::size_t i = 1; i < length; ++i) {
    const auto best =
        static_cast<std::size_t>(std::max_element(score.begin(), score.end()) - score.begin());
    const double highest = score[best];
    for (std::size_t r = 0; r < rules; ++r) {
      const bool stays = score[r] >= highest - prices[r];
      before[i][r] = stays ? r : best;
      score[r] = (stays ? score[r] : highest - prices[r]) + gains[r][i];
    }
  }
  std::vector<std::size_t> division(length);
  division.back() =
      static_cast<std::size_t>(std::max_element(score.begin(), score.end()) - score.begin());
  for (std::size_t i = length - 1; i > 0; --i) division[i - 1] = before[i][division[i]];
  return division;
}

}  // namespace qsim::explain
