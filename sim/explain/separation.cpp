#include "sim/explain/separation.h"

#include <algorithm>

namespace qsim::explain {
namespace {

Int128 CeilDivide(Int128 numerator, Int128 denominator) {
  return (numerator + denominator - 1) / denominator;
}

class Collector {
 public:
  explicit Collector(int bits) : limit_((Int128{1} << (bits - 1)) - 1) {}

  void Add(Int128 x) {
    if (x <= limit_ && x >= -limit_ - 1) values_.push_back(static_cast<std::int64_t>(x));
  }
  Int128 limit() const { return limit_; }
  std::vector<std::int64_t> Take() { return std::move(values_); }

 private:
  Int128 limit_;
  std::vector<std::int64_t> values_;
};

// The first inputs at or beyond some starting points whose product has a remainder in the window.
void AddWindow(const NearTies& ties, Int128 low, Int128 high, Collector& inputs) {
  const Int128 step = Int128{1} << ties.shift;
  for (const std::int64_t start : {std::int64_t{0}, std::int64_t{1} << 10, std::int64_t{1} << 20}) {
    for (const int sign : {1, -1}) {
      // sign * (start + n) * M = offset + n * a  (mod 2^shift)
      const Int128 a = (Int128{sign} * ties.multiplier) & (step - 1);
      const Int128 offset = (a * start) & (step - 1);
      const Int128 from = (low - offset) & (step - 1);
      const Int128 to = from + (high - low);
      // A window across the modulus: its part up to the modulus will do, or its start, which is 0.
      const std::optional<Int128> n =
          to < step ? FirstInWindow(a, step, from, to) : FirstInWindow(a, step, 0, to - step);
      if (n) inputs.Add(sign * (start + *n));
      if (to >= step) {
        if (const auto other = FirstInWindow(a, step, from, step - 1))
          inputs.Add(sign * (start + *other));
      }
    }
  }
}

}  // namespace

std::optional<Int128> FirstInWindow(Int128 a, Int128 m, Int128 low, Int128 high) {
  if (low == 0) return Int128{0};
  if (a == 0) return std::nullopt;
  const Int128 n = CeilDivide(low, a);
  if (n * a <= high) return n;
  // No multiple of a lies in the window, so a x passes it only after a turn: with a x = v + m y,
  // (m y) mod a must lie in the mirrored window.
  const std::optional<Int128> turns = FirstInWindow(m % a, a, a - high % a, a - low % a);
  if (!turns) return std::nullopt;
  return CeilDivide(low + m * *turns, a);
}

std::vector<std::int64_t> CandidateInputs(const NearTies& ties) {
  Collector inputs(ties.x_bits);
  if (ties.shift > 0 && ties.multiplier != 0) {
    const Int128 step = Int128{1} << ties.shift;
    const Int128 half = step / 2;
    AddWindow(ties, half, half, inputs);
    AddWindow(ties, 0, 0, inputs);
    for (int k = 0; k < ties.shift - 1; ++k) {
      const Int128 reach = Int128{1} << k;
      // Exactly here an earlier rounding at bit k + 1 has a tie, and makes one of the last.
      AddWindow(ties, half - reach, half - reach, inputs);
      AddWindow(ties, half + reach, half + reach, inputs);
      AddWindow(ties, std::max<Int128>(half - reach, 0), half - 1, inputs);
      AddWindow(ties, half, std::min(half + reach, step - 1), inputs);
      AddWindow(ties, 1, std::min(reach, step - 1), inputs);
      AddWindow(ties, step - reach, step - 1, inputs);
    }
  }
  for (int k = 0; k < ties.x_bits; ++k) {
    for (const int offset : {-1, 0, 1}) {
      inputs.Add((Int128{1} << k) + offset);
      inputs.Add(-(Int128{1} << k) + offset);
    }
  }
  // A linear congruential generator with Knuth's constants: the same inputs every time.
  std::uint64_t state = 1;
  for (int i = 0; i < 256; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    inputs.Add(static_cast<std::int64_t>(state) >> std::min(64 - ties.x_bits + i % 16, 63));
  }
  return inputs.Take();
}

}  // namespace qsim::explain
