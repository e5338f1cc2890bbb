// Section 5.6 in arbitrary precision: ITA's two softmaxes, Deeploy's ITAMax and ITAPartialMax.
#include <algorithm>
#include <string>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"

namespace qsim::derivation {
namespace {

template <typename Params>
std::int64_t PowerOf(const mpz_class& difference, const Params& params) {
  return Small(HalfUp(Scaled(difference, -params.shift_bits)));
}

template <typename Params>
DerivedRow Normalized(const Scores& scores, const mpz_class& top, const mpz_class& sum,
                      const Params& params) {
  const mpz_class inverse = Floor(Ratio(mpz_class((params.levels - 1) * 256), sum));
  DerivedRow row;
  for (const std::int32_t x : scores) {
    const mpz_class y = Floor(Scaled(inverse, -PowerOf(top - x, params)));
    row.y.push_back(Small(y + params.output_offset));
    row.exps.push_back(Floor(Scaled(256, -PowerOf(top - x, params))));
  }
  return row;
}

}  // namespace

DerivedRow Derive(const Scores& scores, const ItaSoftmaxParams& params) {
  const mpz_class top = *std::max_element(scores.begin(), scores.end());
  mpq_class sum = 0;
  for (const std::int32_t x : scores) sum += Scaled(256, -PowerOf(top - x, params));
  return Normalized(scores, top, Floor(sum), params);
}

// The published running maximum starts at -128; wider scores need a lower one, with the same
// result.
DerivedRow Derive(const Scores& scores, const ItaStreamingSoftmaxParams& params) {
  mpz_class top = std::min<std::int64_t>(-128, *std::min_element(scores.begin(), scores.end()));
  mpz_class sum = 0;
  const auto group = static_cast<std::size_t>(params.group);
  for (std::size_t first = 0; first < scores.size(); first += group) {
    const auto begin = scores.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(std::min(group, scores.size() - first));
    const mpz_class part_top = *std::max_element(begin, end);
    if (part_top > top) {
      // Nothing is in the sum before the first group, so how far that one shifts it is no matter.
      if (sum > 0) sum = Floor(Scaled(sum, -PowerOf(part_top - top, params)));
      top = part_top;
    }
    for (auto x = begin; x != end; ++x) sum += Floor(Scaled(256, -PowerOf(top - *x, params)));
  }
  return Normalized(scores, top, sum, params);
}

namespace {

template <typename Params>
void CompareItaSoftmax(Comparison& comparison) {
  constexpr bool streaming = std::is_same_v<Params, ItaStreamingSoftmaxParams>;
  for (int i = 0; i < 300; ++i) {
    const int bits = comparison.Between(0, 2) > 0 ? 8 : static_cast<int>(comparison.Between(2, 32));
    Params own;
    // Powers of two up to 2^-4096 or so.
    own.shift_bits = static_cast<int>(comparison.Corner(std::max(0, bits - 12), 31));
    if (i % 2 == 0) own.shift_bits = std::max(bits - 12, comparison.Between(0, 1) == 0 ? 0 : 5);
    own.levels = static_cast<std::int32_t>(
        comparison.Between(0, 1) == 0 ? 256 : comparison.Corner(2, 65536));
    own.output_offset = static_cast<std::int32_t>(comparison.Corner(-65536, 65536));
    // Drawn for both, so that both see the same rows.
    const std::int64_t group = comparison.Between(0, 1) == 0 ? 16 : comparison.Corner(1, 2000);
    if constexpr (streaming) own.group = group;
    CompareSoftmax(comparison, DrawScores(comparison, bits, i % 16 == 0 ? 1024 : 70), own);
  }
  // Differences of half a power of two, on both sides of the maximum's group.
  Params five{.shift_bits = 5};
  if constexpr (streaming) five.group = 2;
  for (std::int32_t x = 0; x <= 127; ++x) {
    CompareSoftmax(comparison, {x - 127, x - 111, x - 64, x - 63, x - 16, x, x - 15, x - 48}, five);
  }
  // Sums that only reach a whole number with their last and smallest term, at any distance.
  const Params fine{.shift_bits = 0, .levels = 65536};
  for (std::int32_t reach = 9; reach <= 250; ++reach) {
    Scores scores = {127};
    for (std::int32_t power = 9; power <= reach; ++power) scores.push_back(127 - power);
    CompareSoftmax(comparison, scores, fine);
    scores.push_back(127 - reach);
    CompareSoftmax(comparison, scores, fine);
  }
}

}  // namespace

void CompareIta(Comparison& comparison) { CompareItaSoftmax<ItaSoftmaxParams>(comparison); }
void CompareItaStreaming(Comparison& comparison) {
  CompareItaSoftmax<ItaStreamingSoftmaxParams>(comparison);
}

}  // namespace qsim::derivation
