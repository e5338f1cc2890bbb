#include "sim/explain/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qsim::explain {
namespace {

// The low `bits` of a value, the least of what they may stand for being `lowest`.
std::int64_t ReadBack(std::int64_t value, std::int64_t lowest, int bits) {
  const std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  const std::uint64_t rest =
      (static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(lowest)) & mask;
  return static_cast<std::int64_t>(rest) + lowest;
}

}  // namespace

int OutputRange::Bits() const {
  int bits = 1;
  while (bits < 32 && (std::int64_t{1} << bits) <= qmax - qmin) ++bits;
  return bits;
}

std::int64_t Limited(const LimitRule& rule, const OutputRange& range, std::int64_t value) {
  using Kind = LimitRule::Kind;
  const int bits = range.Bits();
  const std::int64_t lowest = range.IsSigned() ? -(std::int64_t{1} << (bits - 1)) : 0;
  switch (rule.kind) {
    case Kind::kSaturate:
      return std::clamp(value, rule.low, rule.high);
    case Kind::kSaturateStored:
      return ReadBack(std::clamp(value, rule.low, rule.high), lowest, bits);
    case Kind::kWrap:
      return ReadBack(value, lowest, bits);
    case Kind::kStoredUnsigned:
      return ReadBack(std::clamp(value, range.qmin, range.qmax), 0, bits);
    case Kind::kWrapFirst:
      return std::clamp(ReadBack(value, -(std::int64_t{1} << (rule.bits - 1)), rule.bits),
                        range.qmin, range.qmax);
    case Kind::kInverted:
      return range.qmin + range.qmax - std::clamp(value, range.qmin, range.qmax);
    case Kind::kNone:
      break;
  }
  return value;
}

void AddLimitRules(const OutputRange& range, std::span<const std::int64_t> actual,
                   Coordinate& coordinate, std::vector<LimitRule>& rules) {
  using Kind = LimitRule::Kind;
  const auto add = [&](LimitRule rule, std::string id, std::string phrase, int cost = 2,
                       std::int64_t freedom = 0) {
    rules.push_back(rule);
    coordinate.choices.push_back(
        {std::move(id), std::move(phrase), cost, freedom == 0, {}, freedom});
  };
  const auto [qmin, qmax] = std::pair(range.qmin, range.qmax);
  const int bits = range.Bits();
  const std::int64_t half = std::int64_t{1} << (bits - 1);
  add({Kind::kSaturate, qmin, qmax}, "saturate", "the output saturates");
  add({Kind::kWrap}, "wrap", "the output wraps instead of saturating");
  if (range.IsSigned() && qmin != -qmax)
    add({Kind::kSaturate, -qmax, qmax}, "symmetric",
        fmt::format("the output saturates at {} instead of {}", -qmax, qmin));
  if (bits < 32) {
    const std::int64_t low = range.IsSigned() ? 0 : -half;
    const std::int64_t high = range.IsSigned() ? 2 * half - 1 : half - 1;
    const std::string words =
        fmt::format("the output saturates as {} number, at {} and {} instead of {} and {}",
                    range.IsSigned() ? "an unsigned" : "a signed", low, high, qmin, qmax);
    add({Kind::kSaturate, low, high}, "other_sign", words);
    add({Kind::kSaturateStored, low, high}, "other_sign_stored",
        words + fmt::format(" (its {} bits are read as {} here)", bits,
                            range.IsSigned() ? "signed" : "unsigned"));
    add({Kind::kSaturateStored, qmin, qmax + 1}, "upper_limit_wraps",
        fmt::format("the upper limit {}, one too large: it then wraps to {}", qmax + 1,
                    ReadBack(qmax + 1, range.IsSigned() ? -half : 0, bits)));
    if (range.IsSigned())
      add({Kind::kSaturateStored, qmin - 1, qmax}, "lower_limit_wraps",
          fmt::format("the lower limit {}, one too small: it then wraps to {}", qmin - 1,
                      ReadBack(qmin - 1, -half, bits)));
    add({Kind::kNone}, "none", "the output is not clamped");
    if (qmax - qmin + 1 == 2 * half)
      add({Kind::kInverted}, "inverted", "every bit of the output inverted", 3);
  }
  if (range.IsSigned())
    add({Kind::kStoredUnsigned}, "stored_unsigned", "the output's bits read as unsigned");
  for (const int width : {16, 32}) {
    if (width > bits)
      add({Kind::kWrapFirst, 0, 0, width}, fmt::format("wrap_{}_then_saturate", width),
          fmt::format("the result wraps to {} bits before it is saturated", width), 3);
  }
  const auto [least, most] = std::minmax_element(actual.begin(), actual.end());
  if (actual.empty() || *least == *most) return;
  const auto known = [&](std::int64_t low, std::int64_t high) {
    return std::any_of(rules.begin(), rules.end(), [&](const LimitRule& rule) {
      return rule.kind == Kind::kSaturate && rule.low == low && rule.high == high;
    });
  };
  const auto solved = [&](std::int64_t low, std::int64_t high, std::string phrase,
                          std::int64_t freedom) {
    if (!known(low, high))
      add({Kind::kSaturate, low, high}, fmt::format("limits_{}_{}", low, high), std::move(phrase),
          3, freedom);
  };
  solved(qmin, *most, fmt::format("the upper limit {} instead of {}", *most, qmax), 1);
  solved(*least, qmax, fmt::format("the lower limit {} instead of {}", *least, qmin), 1);
  solved(*least, *most,
         fmt::format("the limits {} and {} instead of {} and {}", *least, *most, qmin, qmax), 2);
}

}  // namespace qsim::explain
