// What may be done otherwise at each inner step that a computation asks for, and what that is
// called.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "sim/explain/inner_steps.h"

namespace qsim::explain {
namespace {

using How = InnerStep::How;

struct SiteName {
  Site site;
  const char* id;
  const char* words;  // kRounding: what is rounded; kNumber: behind the two numbers
};

// What is rounded.
constexpr std::array kRounded = std::to_array<SiteName>({
    {Site::kShifts, "shifts", "the score's shifts by 1 and by 4"},
    {Site::kPower, "power", "the power of two"},
    {Site::kExponential, "exponential", "the exponential"},
    {Site::kTerm, "terms", "each term of the sum"},
    {Site::kSumShift, "sum_shift", "the sum, where the maximum grows,"},
    {Site::kReciprocal, "reciprocal", "the reciprocal of the sum"},
    {Site::kProduct, "product", "the product with the reciprocal"},
    {Site::kRatio, "ratio", "the ratio of sum and exponential"},
    {Site::kLast, "last", "the last step"},
    {Site::kMean, "mean", "the mean"},
    {Site::kSquares, "squares", "what is squared"},
    {Site::kVariance, "variance", "the mean of the squares"},
    {Site::kRoot, "root", "the root"},
    {Site::kFactor, "factor", "the reciprocal of the root"},
    {Site::kHalving, "halving", "the halving behind the reciprocal"},
    {Site::kQuotient, "quotient", "the division by the root"},
    {Site::kDecayed, "decayed", "the decayed state"},
    {Site::kUpdate, "update", "the update of the state"},
    {Site::kNarrowed, "narrowed", "the state, narrowed for the readout,"},
});

// What is done or not, by what the golden operation does: said of the other one.
struct Otherwise {
  Site site;
  const char* id;
  const char* left_out;  // where the golden operation does it
  const char* added;     // where it does not
};
constexpr std::array kOtherwise = std::to_array<Otherwise>({
    {Site::kMaskedFirst, "masked_last",
     "masked positions counted in the row's maximum and sum, and zeroed only afterwards", ""},
    {Site::kTermsFloored, "terms_floored", "the terms of the sum not floored one by one",
     "each term of the sum floored by itself"},
    {Site::kSumShifted, "sum_not_shifted", "the sum not shifted down where the maximum grows", ""},
    {Site::kMeanSubtracted, "mean_omitted", "the mean not subtracted",
     "the mean subtracted, as by a layer norm"},
    {Site::kPlusOne, "plus_one_omitted", "the 1 under the root left out", ""},
    {Site::kExactRoot, "exact", "", "an exact result in place of Newton's method"},
    {Site::kHalved, "halving_omitted", "the halving behind the reciprocal left out", ""},
    {Site::kGate, "gate_omitted", "the gate left out", ""},
    {Site::kDecay, "no_decay", "the decay not applied", ""},
    {Site::kSharedHeads, "heads_by_remainder",
     "the head by the remainder, not the neighbour, where heads share operands", ""},
    {Site::kStateSaturates, "state_wraps", "a state that wraps where it should saturate", ""},
    {Site::kRoundedApart, "state_rounded_once",
     "the decayed state and its update rounded once, as a sum", ""},
    {Site::kReadBehind, "read_before", "the state read before its update", ""},
    {Site::kInitial, "initial_missing", "the initial state not loaded", ""},
    {Site::kClearedBetween, "carried",
     "the state not cleared, but carried from one sequence to the next", ""},
    {Site::kChunkCarried, "chunk_not_carried",
     "the state not carried from chunk to chunk: each begins with the initial one", ""},
});

class Catalogue {
 public:
  explicit Catalogue(std::int64_t width) : width_(width) {}

  void Add(const AskedStep& asked) {
    switch (asked.how) {
      case How::kRounding:
        Roundings(asked);
        break;
      case How::kNumber:
        Numbers(asked);
        break;
      case How::kOther:
        for (const Otherwise& other : kOtherwise) {
          if (other.site != asked.site) continue;
          const std::string words = asked.number != 0 ? other.left_out : other.added;
          const char* id = asked.site == Site::kMeanSubtracted && asked.number == 0
                               ? "mean_subtracted"
                               : other.id;
          Push(asked, 0, id, words);
        }
        break;
      case How::kFirst:
        for (const std::int64_t n : Parts()) {
          if (asked.site == Site::kMaximum)
            Push(asked, n, fmt::format("maximum_of_first_{}", n),
                 fmt::format("the maximum taken over the first {} of a row only", n));
          if (asked.site == Site::kSum)
            Push(asked, n, fmt::format("sum_of_first_{}", n),
                 fmt::format("the sum taken over the first {} of a row only", n));
        }
        break;
      case How::kTiles:
        for (const std::int64_t n : Parts())
          Push(asked, n, fmt::format("maximum_of_tiles_of_{}", n),
               fmt::format("a maximum of its own for each tile of {} in a row", n));
        break;
      case How::kBits:
        Reciprocals(asked);
        break;
      case How::kDivision:
        break;
    }
  }

  std::vector<InnerStep> Take() { return std::move(list_); }

 private:
  void Push(const AskedStep& asked, std::int64_t number, std::string id, std::string phrase) {
    list_.push_back(
        {asked.site, asked.how, RoundRule::kFloor, number, std::move(id), std::move(phrase)});
  }

  // How many elements a part of a row may have: all numbers where there are few.
  std::vector<std::int64_t> Parts() const {
    std::vector<std::int64_t> parts;
    for (std::int64_t n = 1; n < width_; n += n < 256 ? 1 : n < 1024 ? 8 : 64) parts.push_back(n);
    return parts;
  }

  // Rules that differ from the golden one, and from each other, on such values.
  void Roundings(const AskedStep& asked) {
    std::vector<RoundRule> rules = {RoundRule::kFloor, RoundRule::kHalfUp, RoundRule::kHalfEven,
                                    RoundRule::kHalfDown, RoundRule::kCeil};
    const auto kind = [&](RoundRule rule) {
      if (asked.negative) return rule;
      if (rule == RoundRule::kTowardZero) return RoundRule::kFloor;
      return rule == RoundRule::kHalfAway ? RoundRule::kHalfUp : rule;
    };
    if (asked.negative) {
      rules.push_back(RoundRule::kHalfAway);
      rules.push_back(RoundRule::kTowardZero);
    }
    for (const RoundRule rule : rules) {
      if (rule == kind(asked.rule)) continue;
      for (const SiteName& name : kRounded) {
        if (name.site != asked.site) continue;
        list_.push_back(
            {asked.site, How::kRounding, rule, 0, fmt::format("{}_{}", name.id, Name(rule)),
             fmt::format("{} rounded {} instead of {}", name.words, Name(rule), Name(asked.rule))});
      }
    }
  }

  void Reciprocals(const AskedStep& asked) {
    const bool root = asked.site == Site::kFactor;
    const char* const id = root ? "factor" : "reciprocal";
    const char* const of = root ? "root" : "sum";
    constexpr std::int64_t kFewerBits = 16;
    const std::int64_t least =
        std::max<std::int64_t>(asked.number - std::max(asked.most, kFewerBits), 1);
    const auto push = [&](std::int64_t bits, int cost) {
      list_.push_back({asked.site, How::kBits, RoundRule::kFloor, bits,
                       fmt::format("{}_of_2_{}", id, bits),
                       fmt::format("the reciprocal of the {} taken of 2^{} instead of 2^{}", of,
                                   bits, asked.number),
                       cost});
    };
    for (std::int64_t bits = asked.number - 1; bits >= least; --bits) push(bits, 3);
    for (std::int64_t bits = asked.number + 1; bits <= asked.number + 16; ++bits) push(bits, 4);
    for (const RoundRule rule : {RoundRule::kFloor, RoundRule::kHalfUp, RoundRule::kTowardZero})
      list_.push_back(
          {asked.site, How::kDivision, rule, 0,
           fmt::format("{}_{}", root ? "root_division" : "division", Name(rule)),
           fmt::format("one division by the {}, {}, in place of its reciprocal", of, Name(rule))});
  }

  void Numbers(const AskedStep& asked) {
    const std::int64_t golden = asked.number;
    const auto push = [&](std::int64_t n, std::string id, std::string phrase) {
      if (n != golden) Push(asked, n, std::move(id), std::move(phrase));
    };
    switch (asked.site) {
      case Site::kMeanCount:
      case Site::kVarianceCount:
        for (const std::int64_t n : Counts(golden)) {
          if (asked.site == Site::kMeanCount)
            push(n, fmt::format("mean_of_{}", n),
                 fmt::format("the mean taken by {} instead of {}", n, golden));
          else
            push(n, fmt::format("variance_of_{}", n),
                 fmt::format("the sum of squares divided by {} instead of {}", n, golden));
        }
        break;
      case Site::kNewton:
        for (std::int64_t n = 1; n <= golden + 4; ++n)
          push(n, fmt::format("newton_{}", n),
               fmt::format("{} of Newton's steps instead of {}", n, golden));
        break;
      case Site::kLevels:
        push(golden + 1, fmt::format("levels_{}", golden + 1),
             fmt::format("{} instead of {} for the largest output", golden + 1, golden));
        break;
      case Site::kLogarithm:
        Logarithms(asked);
        break;
      case Site::kGroup:
        for (const std::int64_t n : Parts())
          push(n, fmt::format("groups_of_{}", n),
               fmt::format("groups of {} instead of {}", n, golden));
        push(width_, "one_group", fmt::format("the row as one group, not {} at a time", golden));
        break;
      case Site::kDecayHead:
        for (std::int64_t n = 1; n < asked.most; ++n)
          push(n, fmt::format("decay_of_head_{}_on", n),
               n * 2 > asked.most
                   ? fmt::format("the decay of {}", Before(asked.most - n))
                   : fmt::format("the decay of {}",
                                 n == 1 ? "the next head" : fmt::format("the head {} on", n)));
        break;
      case Site::kStateStep:
        for (std::int64_t n = 1; n <= 10; ++n) {
          push(n, fmt::format("state_floored_{}", n),
               fmt::format("a state that loses its {}", LowBits(n)));
          push(-n, fmt::format("state_rounded_{}", n),
               fmt::format("a state rounded half_up in its {}", LowBits(n)));
        }
        break;
      case Site::kStateBits:
        for (std::int64_t n = golden - 1; n >= std::max<std::int64_t>(golden - 24, 4); --n)
          push(n, fmt::format("state_of_{}_bits", n),
               fmt::format("a state of {} bits instead of {}", n, golden));
        break;
      case Site::kChunk:
        for (std::int64_t n = 1; n <= asked.most; ++n)
          push(n, fmt::format("chunks_of_{}", n),
               fmt::format("chunks of {} instead of {}",
                           n == 1 ? "one row" : fmt::format("{} rows", n), golden));
        push(0, "row_by_row", fmt::format("row by row, not by chunks of {}", golden));
        break;
      case Site::kReset:
        for (std::int64_t n = 1; n < asked.most; n += n < 16 ? 1 : n < 128 ? 8 : n)
          push(n, fmt::format("cleared_every_{}", n),
               fmt::format("the state begun again every {} rows", n));
        break;
      default:
        break;
    }
  }

  static std::string Before(std::int64_t n) {
    return n == 1 ? "the previous head" : fmt::format("the head {} before", n);
  }
  static std::string LowBits(std::int64_t n) {
    return n == 1 ? "lowest bit" : fmt::format("lowest {} bits", n);
  }

  // A few more or less, and what a row may be padded to.
  static std::set<std::int64_t> Counts(std::int64_t golden) {
    std::set<std::int64_t> counts;
    for (std::int64_t n = std::max<std::int64_t>(golden - 8, 1); n <= golden + 8; ++n)
      counts.insert(n);
    std::int64_t tile = 8;
    while (golden / tile > 64) tile *= 2;
    for (std::int64_t n = tile; n <= 2 * golden; n += tile) counts.insert(n);
    for (std::int64_t power = 1; power <= 1024; power *= 2)
      counts.insert((golden + power - 1) / power * power);
    return counts;
  }

  // From which mantissa on a logarithm is rounded up, in fractions of 2^20.
  void Logarithms(const AskedStep& asked) {
    constexpr std::int64_t kRootOfTwo = 1482911;
    Push(asked, std::int64_t{1} << 21, "logarithm_floor",
         "the logarithm floored, not rounded up from 1.5 on");
    Push(asked, (std::int64_t{1} << 20) + 1, "logarithm_ceil",
         "the logarithm always rounded up, not from 1.5 on");
    Push(asked, kRootOfTwo, "logarithm_nearest",
         "the logarithm rounded up from 1.414 on, not from 1.5");
  }

  std::int64_t width_;
  std::vector<InnerStep> list_;
};

}  // namespace

std::vector<InnerStep> AlternativesOf(std::span<const AskedStep> asked, std::int64_t width) {
  Catalogue catalogue(width);
  for (const AskedStep& step : asked) catalogue.Add(step);
  return catalogue.Take();
}

}  // namespace qsim::explain
