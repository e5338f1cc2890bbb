// The layer norms' equations.
#pragma once

#include <gmpxx.h>

#include <cstdint>
#include <span>
#include <vector>

#include "derivation/softmax_rows.h"
#include "golden/ops/layernorm.h"

namespace qsim::derivation {

struct DerivedLayernorm {
  mpz_class std_int;
  Integers y, q;
};

// Sections 6.1 to 6.7: ibert, ivit and rq_layernorm, one row.
DerivedLayernorm DeriveLayernorm(const Scores& row, const LayernormParams& params,
                                 QuantRange range = {});

// An eps of any size, a corner or beside the squares of small rows.
std::int64_t DrawEps(Comparison& comparison);

// Equations 6.10 to 6.12: M, N and B of a row, from reals. out_scale has one entry or one for each
// channel.
struct DerivedFqvit {
  std::vector<std::int32_t> m, n;
  Integers b;
};
DerivedFqvit DeriveFqvitParameters(std::span<const std::int32_t> x,
                                   std::span<const std::int32_t> mask,
                                   std::span<const double> weight, std::span<const double> bias,
                                   std::span<const double> out_scale);

// Equation 6.13. M, N and B are inputs of the operation.
Integers DeriveFqvit(std::span<const std::int32_t> row, std::span<const std::int32_t> mask,
                     std::span<const std::int32_t> m, std::span<const std::int32_t> n,
                     std::span<const std::int64_t> b);

}  // namespace qsim::derivation
