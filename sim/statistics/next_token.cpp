#include "sim/statistics/next_token.h"

#include <algorithm>

#include "sim/statistics/elementary.h"

namespace qsim::statistics {

double BitsOfNext(std::span<const double> logits, std::int64_t width,
                  std::span<const std::int32_t> next) {
  constexpr double kLn2 = 0.693147180559945309417;
  const auto columns = static_cast<std::size_t>(width);
  double bits = 0;
  for (std::size_t t = 0; t < next.size(); ++t) {
    const std::span<const double> row = logits.subspan(t * columns, columns);
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const double x : row) sum += Exp(x - most);
    bits += (most + Log(sum) - row[static_cast<std::size_t>(next[t])]) / kLn2;
  }
  return bits;
}

}  // namespace qsim::statistics
