#include "sim/explain/contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qsim::explain {
namespace {

// The commonest of the values and how often it occurs.
std::pair<std::int64_t, std::int64_t> Mode(std::vector<std::int64_t>& values) {
  std::sort(values.begin(), values.end());
  std::pair<std::int64_t, std::int64_t> best = {0, 0};
  for (auto from = values.begin(); from != values.end();) {
    const auto to = std::upper_bound(from, values.end(), *from);
    if (to - from > best.second) best = {*from, to - from};
    from = to;
  }
  return best;
}

// Numbers by index; of the first ones that count, in words.
std::string ListedNumbers(const std::vector<std::int64_t>& numbers, const std::vector<bool>& counts,
                          const std::string& axis) {
  constexpr int kListed = 3;
  std::string text;
  int listed = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (!counts[i]) continue;
    if (listed++ == kListed) return text + ", ...";
    text += text.empty() ? fmt::format("{} for {} {}", numbers[i], axis, i)
                         : fmt::format(", {} for {}", numbers[i], i);
  }
  return text;
}

}  // namespace

void AddContentRules(const Shape& shape, const std::vector<std::string>& axis_names,
                     std::span<const std::int64_t> golden, std::span<const std::int64_t> actual,
                     Coordinate& coordinate, std::vector<ContentRule>& rules) {
  using Kind = ContentRule::Kind;
  rules.push_back({});
  coordinate.choices.push_back({"golden", "the results themselves", 0});
  std::vector<std::int64_t> mismatches;
  for (std::size_t e = 0; e < golden.size(); ++e)
    if (golden[e] != actual[e]) mismatches.push_back(static_cast<std::int64_t>(e));
  if (mismatches.empty()) return;
  const auto value = [&](Kind kind, std::int64_t element) {
    const auto e = static_cast<std::size_t>(element);
    return kind == Kind::kConstant ? actual[e] : actual[e] - golden[e];
  };
  const auto add = [&](ContentRule rule, std::string id, std::string phrase, int cost,
                       std::int64_t freedom) {
    rules.push_back(std::move(rule));
    coordinate.choices.push_back({std::move(id), std::move(phrase), cost, false, {}, freedom});
  };
  for (const Kind kind : {Kind::kConstant, Kind::kOffset}) {
    std::vector<std::int64_t> values;
    values.reserve(mismatches.size());
    for (const std::int64_t e : mismatches) values.push_back(value(kind, e));
    const auto [mode, count] = Mode(values);
    if (count >= 2 && count * 20 >= static_cast<std::int64_t>(values.size())) {
      if (kind == Kind::kConstant) {
        add({kind, {mode}, 1}, fmt::format("constant_{}", mode),
            fmt::format("the constant {}", mode), 2, 1);
      } else {
        add({kind, {mode}, 1}, fmt::format("offset_{}", mode),
            fmt::format("{:+} at every output", mode), 3, 1);
      }
    }
    std::int64_t inner = ElementCount(shape);
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      const std::int64_t length = shape[axis];
      inner /= length;
      const auto whole = static_cast<std::int64_t>(golden.size());
      if (length < 2 || length == whole) continue;
      std::vector<std::vector<std::int64_t>> by_index(static_cast<std::size_t>(length));
      for (const std::int64_t e : mismatches)
        by_index[static_cast<std::size_t>(e / inner % length)].push_back(value(kind, e));
      ContentRule rule = {kind, {}, inner};
      std::vector<bool> counts;
      std::int64_t agreeing = 0;
      std::int64_t freedom = 0;
      for (std::vector<std::int64_t>& list : by_index) {
        const auto [number, agree] = Mode(list);
        rule.numbers.push_back(number);
        counts.push_back(agree >= 2);
        agreeing += agree >= 2 ? agree : 0;
        freedom += agree >= 1 ? 1 : 0;
      }
      const bool several = std::adjacent_find(rule.numbers.begin(), rule.numbers.end(),
                                              std::not_equal_to<>()) != rule.numbers.end();
      if (!several || agreeing * 4 < static_cast<std::int64_t>(mismatches.size())) continue;
      const std::string& name = axis_names[axis];
      const std::string list = ListedNumbers(rule.numbers, counts, name);
      if (kind == Kind::kConstant) {
        add(std::move(rule), "constant_for_each_" + name,
            fmt::format("one constant for each {} ({})", name, list), 4, freedom);
      } else {
        add(std::move(rule), "offset_for_each_" + name,
            fmt::format("one number for each {} added to its outputs ({})", name, list), 4,
            freedom);
      }
    }
  }
}

}  // namespace qsim::explain
