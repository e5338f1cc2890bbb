#include "sim/explain/contents.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
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

// The low bits of a number, as they are stored.
std::int64_t AsStored(std::uint64_t value, int bits, bool is_signed) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const auto low = static_cast<std::int64_t>(value & mask);
  return is_signed && (low >> (bits - 1)) != 0 ? low - (std::int64_t{1} << bits) : low;
}

// "bit 3 of the output 1", "the output's lowest 2 bits 0".
std::string BitsText(std::int64_t bits, int value) {
  if ((bits & (bits + 1)) == 0 && bits != 1)
    return fmt::format("the output's lowest {} bits always {}",
                       std::popcount(static_cast<std::uint64_t>(bits)), value);
  std::string list;
  for (int b = 0; b < 63; ++b)
    if ((bits >> b & 1) != 0) list += fmt::format("{}{}", list.empty() ? "" : ", ", b);
  return fmt::format("the output's bit {} always {}", list, value);
}

// Of outputs as they are stored: bits that never change, parts of a word exchanged, the sign.
class StoredRules {
 public:
  StoredRules(const OutputRange& range, std::span<const std::int64_t> golden,
              std::span<const std::int64_t> actual, const std::vector<std::int64_t>& mismatches,
              Coordinate& coordinate, std::vector<ContentRule>& rules)
      : golden_(golden),
        actual_(actual),
        mismatches_(mismatches),
        coordinate_(coordinate),
        rules_(rules) {
    plain_.numbers = {0};
    plain_.bits = range.Bits();
    plain_.is_signed = range.IsSigned();
  }

  void Add() {
    AddBits();
    for (const int part : {4, 8, 16}) {
      if (plain_.bits % (2 * part) != 0) continue;
      ContentRule rule = plain_;
      rule.kind = ContentRule::Kind::kParts;
      rule.part = part;
      AddIfAny(rule, fmt::format("parts_of_{}_reversed", part),
               part == 4   ? "the output's halves of 4 bits in reverse order"
               : part == 8 ? "the output's bytes in reverse order"
                           : "the output's halves of 16 bits exchanged",
               2, 0);
    }
    ContentRule rule = plain_;
    rule.kind = ContentRule::Kind::kNegated;
    AddIfAny(rule, "negated", "the output with the other sign", 2, 0);
    rule.kind = ContentRule::Kind::kMagnitude;
    AddIfAny(rule, "magnitude", "the output without its sign", 2, 0);
  }

 private:
  void AddBits() {
    // By bit: how many mismatches have it 1 or 0 where it should not be.
    std::array<std::int64_t, 64> ones = {}, zeros = {};
    for (const std::int64_t e : mismatches_) {
      const auto at = static_cast<std::size_t>(e);
      const std::int64_t wrong = golden_[at] ^ actual_[at];
      for (int b = 0; b < plain_.bits; ++b)
        if ((wrong >> b & 1) != 0)
          ++((actual_[at] >> b & 1) != 0 ? ones : zeros)[static_cast<std::size_t>(b)];
    }
    std::int64_t set = 0, cleared = 0, number = 0;
    for (int b = 0; b < plain_.bits; ++b) {
      const auto at = static_cast<std::size_t>(b);
      const std::int64_t bit = std::int64_t{1} << b;
      const std::int64_t both = ones[at] + zeros[at];
      const bool up = ones[at] >= zeros[at];
      if (both * 10 < std::ssize(mismatches_) || std::max(ones[at], zeros[at]) * 10 < both * 9)
        continue;
      (up ? set : cleared) |= bit;
      ++number;
      AddMasks(up ? bit : 0, up ? 0 : bit, 1);
    }
    if (number > 1 && number <= 8) AddMasks(set, cleared, number);
  }

  void AddMasks(std::int64_t set, std::int64_t cleared, std::int64_t freedom) {
    ContentRule rule = plain_;
    rule.kind = ContentRule::Kind::kBits;
    rule.set = set;
    rule.cleared = cleared;
    std::string phrase = set != 0 ? BitsText(set, 1) : "";
    if (cleared != 0) phrase += (phrase.empty() ? "" : ", and ") + BitsText(cleared, 0);
    AddIfAny(rule, fmt::format("bits_set_{:x}_cleared_{:x}", set, cleared), phrase, 2, freedom);
  }

  // What explains next to nothing is not added.
  void AddIfAny(const ContentRule& rule, std::string id, std::string phrase, int cost,
                std::int64_t freedom) {
    std::int64_t explained = 0;
    for (const std::int64_t e : mismatches_) {
      const auto at = static_cast<std::size_t>(e);
      explained += rule.Stored(e, golden_[at]) == actual_[at] ? 1 : 0;
    }
    if (explained * 20 < std::ssize(mismatches_) || explained < 2) return;
    rules_.push_back(rule);
    coordinate_.choices.push_back({std::move(id), std::move(phrase), cost, false, {}, freedom});
  }

  std::span<const std::int64_t> golden_, actual_;
  const std::vector<std::int64_t>& mismatches_;
  Coordinate& coordinate_;
  std::vector<ContentRule>& rules_;
  ContentRule plain_;
};

}  // namespace

std::int64_t ContentRule::Stored(std::int64_t element, std::int64_t result) const {
  const auto word = static_cast<std::uint64_t>(result);
  switch (kind) {
    case Kind::kConstant:
      return At(element);
    case Kind::kBits:
      return AsStored(
          (word | static_cast<std::uint64_t>(set)) & ~static_cast<std::uint64_t>(cleared), bits,
          is_signed);
    case Kind::kParts: {
      std::uint64_t reversed = 0;
      for (int at = 0; at < bits; at += part)
        reversed |= (word >> at & ((std::uint64_t{1} << part) - 1)) << (bits - part - at);
      return AsStored(reversed, bits, is_signed);
    }
    case Kind::kNegated:
      return -result;
    case Kind::kMagnitude:
      return std::min(std::abs(result), (std::int64_t{1} << (is_signed ? bits - 1 : bits)) - 1);
    case Kind::kGolden:
    case Kind::kOffset:
      break;
  }
  return result;
}

void AddContentRules(const Shape& shape, const std::vector<std::string>& axis_names,
                     const OutputRange& range, std::span<const std::int64_t> golden,
                     std::span<const std::int64_t> actual, Coordinate& coordinate,
                     std::vector<ContentRule>& rules) {
  using Kind = ContentRule::Kind;
  rules.push_back({});
  coordinate.choices.push_back({"golden", "the results themselves", 0});
  std::vector<std::int64_t> mismatches;
  for (std::size_t e = 0; e < golden.size(); ++e)
    if (golden[e] != actual[e]) mismatches.push_back(static_cast<std::int64_t>(e));
  if (mismatches.empty()) return;
  StoredRules(range, golden, actual, mismatches, coordinate, rules).Add();
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
