#include "sim/explain/inner_steps.h"

#include <algorithm>
#include <array>
#include <bit>

#include "golden/ops/integer_sqrt.h"

namespace qsim::explain {
namespace {

using How = InnerStep::How;

// denominator > 0.
Int128 DivideBy(Int128 numerator, Int128 denominator, RoundRule rule) {
  Int128 low = numerator / denominator;
  Int128 rest = numerator % denominator;
  if (rest < 0) {
    rest += denominator;
    --low;
  }
  if (rest == 0) return low;
  // The rules look at the sign, at the parity and at how the fraction compares to one half: a
  // number of two fractional bits has all of these.
  const Int128 twice = 2 * rest;
  const int fraction = twice < denominator ? 1 : twice == denominator ? 2 : 3;
  return RoundBy(low * 4 + fraction, 2, rule);
}

int BitsOfNumerator(Int128 numerator) {
  // 2^31 - 1 stands for 2^31.
  int bits = 0;
  while ((Int128{1} << (bits + 1)) <= numerator + 1) ++bits;
  return bits;
}

}  // namespace

RoundRule RuleOf(Rounding rounding) { return *FromName<RoundRule>(Name(rounding)); }

void Inner::Note(AskedStep asked) {
  if (asked_ == nullptr) return;
  const auto known = std::find_if(asked_->begin(), asked_->end(), [&](const AskedStep& other) {
    return other.site == asked.site && other.how == asked.how;
  });
  if (known == asked_->end()) {
    asked_->push_back(asked);
  } else {
    known->negative = known->negative || asked.negative;
  }
}

Int128 Inner::Shift(Site site, Int128 value, int shift, RoundRule golden) {
  NoteShifts(site, shift, golden, value < 0);
  return RoundBy(value, shift, RuleAt(site, golden));
}

void Inner::NoteShifts(Site site, int shift, RoundRule golden, bool negative) {
  if (shift != 0 && asked_ != nullptr)
    Note({.site = site, .how = How::kRounding, .rule = golden, .negative = negative});
}

Int128 Inner::Divide(Site site, Int128 numerator, Int128 denominator, RoundRule golden) {
  if (asked_ != nullptr)
    Note({.site = site, .how = How::kRounding, .rule = golden, .negative = numerator < 0});
  return DivideBy(numerator, denominator, RuleAt(site, golden));
}

std::int64_t Inner::Root(UInt128 value) {
  Note({.site = Site::kRoot, .how = How::kRounding, .rule = RoundRule::kFloor});
  const UInt128 low = IntegerSqrt(value);
  const UInt128 rest = value - low * low;
  // The fraction is above one half where the rest is more than the root itself, and never one half.
  const int fraction = rest == 0 ? 0 : rest > low ? 3 : 1;
  return static_cast<std::int64_t>(
      RoundBy(static_cast<Int128>(low) * 4 + fraction, 2, RuleAt(Site::kRoot, RoundRule::kFloor)));
}

std::int64_t Inner::Number(Site site, std::int64_t golden, std::int64_t most) {
  Note({.site = site, .how = How::kNumber, .number = golden, .most = most});
  const InnerStep* step = At(site, How::kNumber);
  return step != nullptr ? step->number : golden;
}

bool Inner::Does(Site site, bool golden) {
  Note({.site = site, .how = How::kOther, .number = golden ? 1 : 0});
  return golden != (At(site, How::kOther) != nullptr);
}

Int128 Inner::ByReciprocal(Site reciprocal, Site last, Int128 e, Int128 denominator,
                           Int128 numerator, int shift, RoundRule golden) {
  const int bits = BitsOfNumerator(numerator);
  Note({.site = reciprocal, .how = How::kBits, .number = bits, .most = shift});
  if (const InnerStep* step = At(reciprocal, How::kDivision))
    return DivideBy(e * numerator, denominator << shift, step->rule);
  if (const InnerStep* step = At(reciprocal, How::kBits)) {
    numerator = Int128{1} << step->number;
    shift += static_cast<int>(step->number) - bits;
  }
  const Int128 product = e * Divide(reciprocal, numerator, denominator, RoundRule::kFloor);
  return shift < 0 ? product << -shift : Shift(last, product, shift, golden);
}

std::vector<std::int32_t> Inner::Maxima(std::span<const std::int32_t> x) {
  Note({.site = Site::kMaximum, .how = How::kFirst});
  Note({.site = Site::kMaximum, .how = How::kTiles});
  std::size_t tile = x.size();
  if (const InnerStep* step = At(Site::kMaximum, How::kTiles))
    tile = std::min(tile, static_cast<std::size_t>(step->number));
  const std::size_t counted = First(Site::kMaximum, x.size());
  std::vector<std::int32_t> maxima;
  maxima.reserve(x.size());
  for (std::size_t first = 0; first < x.size(); first += tile) {
    const std::size_t end = std::min(first + tile, x.size());
    const auto from = x.begin() + static_cast<std::ptrdiff_t>(first);
    const auto to = x.begin() + static_cast<std::ptrdiff_t>(tile == x.size() ? counted : end);
    maxima.resize(end, *std::max_element(from, to));
  }
  return maxima;
}

std::size_t Inner::First(Site site, std::size_t size) {
  Note({.site = site, .how = How::kFirst});
  const InnerStep* step = At(site, How::kFirst);
  return step != nullptr ? std::min(size, static_cast<std::size_t>(step->number)) : size;
}

}  // namespace qsim::explain
