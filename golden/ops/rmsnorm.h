// Integer RMS normalization over one row, with or without a gate behind it. docs/numerics.md
// section 6.9.
//
//   x'  = (x - x_zero) << input_shift[c]
//   rms = max(floor(sqrt(sum((x' >> k)^2) + E)) << k, 1)
//   y   = (x' * floor(2^31 / rms)) >> 1
//   q   = clamp(z[c] + round_shift(y * (g - g_zero) * M[c], S[c]), qmin, qmax)
//
// Without a gate g - g_zero is 1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "golden/ops/layernorm/eps.h"
#include "golden/ops/requantize.h"

namespace qsim::golden {

struct RmsnormParams {
  std::int32_t input_zero = 0;
  std::vector<std::int32_t> input_shift = {};  // empty (0) or one per channel, 0..8
  int rms_shift = 0;                           // k, 0..31
  std::int64_t eps = 0;                        // E, 0..2^62
  std::int32_t gate_zero = 0;
  std::vector<Multiplier> scale = {};   // one, or one per channel; a negative gamma has m < 0
  std::vector<std::int32_t> zero = {};  // one, or one per channel
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const RmsnormParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"input_zero", Role::kInputZero}, self.input_zero);
    v(Field{"input_shift", Role::kCoefficient, 8, false, Axis::kChannel, true}, self.input_shift);
    v(Field{"rms_shift", Role::kCoefficient, 8, false}, self.rms_shift);
    v(kEpsField, self.eps);
    v(Field{"gate_zero", Role::kInputZero, 32, true, Axis::kTensor, true}, self.gate_zero);
    v(Field{"multiplier", Role::kMultiplier, 32, true, Axis::kChannel}, self.scale);
    v(Field{"zero", Role::kOutputZero, 32, true, Axis::kChannel}, self.zero);
    v(Field{"rounding", Role::kChoice}, self.rounding);
  }
};

// Optional intermediates. y is empty or as long as the row; rms_int null or one value.
struct RmsnormTrace {
  std::span<std::int64_t> y = {};
  std::int64_t* rms_int = nullptr;
};

// One row of any int32 x, C = x.size() in 1..65536. `gate` is empty or as long as the row. Returns
// how many elements the clamp changed. Throws std::invalid_argument where a size or a range is
// broken.
std::int64_t Rmsnorm(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                     const RmsnormParams& params, QuantRange range, std::span<std::int32_t> out,
                     const RmsnormTrace& trace = {});

}  // namespace qsim::golden
