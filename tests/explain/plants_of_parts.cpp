// Several rules in one tensor, and a rare rule beside noise.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explain/search.h"
#include "tests/explain/oracle.h"
#include "tests/explain/plants.h"

namespace qsim::testing {
namespace {

// Each index below `ends[i]` by rule i, the rest by the last one.
Plant ThreeRules(SeededRandom& random, bool by_channel) {
  const Layer layer = {.rows = random.Between(40, 90),
                       .channels = random.Between(24, 60),
                       .multiplier_bits = static_cast<int>(random.Between(12, 18)),
                       .shift = static_cast<int>(random.Between(22, 25))};
  const RequantSpec spec = MakeSpec(random, layer);
  const std::int64_t length = by_channel ? layer.channels : layer.rows;
  const std::int64_t first = random.Between(length / 5, length / 2 - 2);
  const std::int64_t second = random.Between(length / 2 + 2, length - length / 5);
  std::vector<std::string> rules = {"floor", "ceil", "away_from_zero", "half_up"};
  std::shuffle(rules.begin(), rules.end(), random.engine());
  const auto actual = Implementation(spec, [&](const Element& el) {
    const auto index = static_cast<std::int64_t>(
        by_channel ? el.channel : el.index / static_cast<std::size_t>(layer.channels));
    const std::size_t part = index < first ? 0 : index < second ? 1 : 2;
    return Clamped(Rounded(el.product(), el.step(), rules[part]), -128, 127);
  });
  Plant plant = {
      Explain(RequantModel(spec, actual), actual, "y", "golden"),
      {},
      {},
      false,
      fmt::format("{} x {}, by {} {} and {}: {}, {}, {}", layer.rows, layer.channels,
                  by_channel ? "channel" : "row", first, second, rules[0], rules[1], rules[2])};
  for (std::size_t part = 0; part < 3; ++part)
    if (rules[part] != "half_up") plant.besides.push_back(rules[part] + " instead of half_up ");
  plant.right = {plant.besides.front()};
  return plant;
}

// A rule that decides exact ties only, and one output in a hundred is anything.
Plant RareRule(SeededRandom& random) {
  const Layer layer = {.rows = random.Between(300, 700),
                       .multiplier_bits = 8,
                       .shift = static_cast<int>(random.Between(7, 8))};
  const RequantSpec spec = MakeSpec(random, layer);
  const std::string rule = random.Between(0, 1) == 0 ? "half_even" : "half_away";
  auto actual = Implementation(spec, [&](const Element& el) {
    return Clamped(Rounded(el.product(), el.step(), rule), -128, 127);
  });
  for (std::int64_t& y : actual)
    if (random.Between(0, 99) == 0) y = random.Between(-128, 127);
  return {Explain(RequantModel(spec, actual), actual, "y", "golden"),
          {rule + " instead of half_up"},
          {},
          false,
          fmt::format("{} rows, S {}", layer.rows, layer.shift)};
}

// So many elements late from one element on, more of them from a later one.
Plant LateTwice(SeededRandom& random) {
  const Layer layer = {.rows = random.Between(40, 90),
                       .channels = random.Between(24, 60),
                       .multiplier_bits = static_cast<int>(random.Between(12, 18)),
                       .shift = static_cast<int>(random.Between(22, 25))};
  const RequantSpec spec = MakeSpec(random, layer);
  const auto golden = Implementation(spec, [](const Element& el) {
    return Clamped(Rounded(el.product(), el.step(), "half_up"), -128, 127);
  });
  const std::int64_t size = std::ssize(golden), by = random.Between(1, 4);
  const std::int64_t more = by + random.Between(1, 4);
  const std::int64_t first = random.Between(size / 5, size / 2);
  const std::int64_t second = random.Between(first + size / 5, size - size / 5);
  std::vector<std::int64_t> actual = golden;
  for (std::int64_t e = first; e < size; ++e)
    actual[static_cast<std::size_t>(e)] =
        golden[static_cast<std::size_t>(e < second ? e - by : e - more)];
  const auto late = [](std::int64_t n) {
    return n == 1 ? std::string("element late") : fmt::format("{} elements late", n);
  };
  return {Explain(RequantModel(spec, actual), actual, "y", "golden"),
          {late(by)},
          {late(by), late(more)},
          false,
          fmt::format("{} x {}, {} late from {}, {} from {}", layer.rows, layer.channels, by, first,
                      more, second)};
}

}  // namespace

std::vector<Kind> PartKinds() {
  return {{"ThreeRulesByChannel", [](SeededRandom& random) { return ThreeRules(random, true); }},
          {"ThreeRulesByRow", [](SeededRandom& random) { return ThreeRules(random, false); }},
          {"LateTwice", LateTwice},
          {"RareRuleBesideNoise", RareRule}};
}

}  // namespace qsim::testing
