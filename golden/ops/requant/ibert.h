// I-BERT's dyadic requantizer, with and without a residual. docs/numerics.md section 4.14.
//
// Source: fixedpoint_mul with batch_frexp (I-BERT, fairseq/quantization/utils/quant_utils.py; Kim
// et al., ICML 2021, arXiv:2101.01321).
#pragma once

#include <cstdint>

#include "golden/ops/int128.h"

namespace qsim::golden {

// A real ratio as m / 2^e with m of 31 bits: |m| in 2^30..2^31 for a ratio that is not 0, 2^31
// where the fraction rounded up.
struct Dyadic {
  std::int64_t m = 0;
  int e = 0;
};

// half_even(z * m / 2^e). |m| <= 2^31, e in -31..1105 (a double's exponents, 31 - e). Throws
// std::invalid_argument beyond.
Int128 DyadicScale(std::int64_t z, Dyadic ratio);

// clamp(DyadicScale(z, ratio)) to signed `bits`, 1..32; and with a second operand, whose product is
// rounded by itself and added before the clamp.
std::int32_t DyadicRequantize(std::int64_t z, Dyadic ratio, int bits);
std::int32_t DyadicResidual(std::int64_t z, Dyadic ratio, std::int64_t identity,
                            Dyadic identity_ratio, int bits);

}  // namespace qsim::golden
