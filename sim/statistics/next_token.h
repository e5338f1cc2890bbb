// What a language model's logits are worth.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::statistics {

// The sum of -log2 p over rows of logits, one for each token of `next`: each row's probability of
// the token that came next. Rows beyond them are not read.
double BitsOfNext(std::span<const double> logits, std::int64_t width,
                  std::span<const std::int32_t> next);

}  // namespace qsim::statistics
