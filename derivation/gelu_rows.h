// The GELUs' equations.
#pragma once

#include <cstdint>
#include <vector>

#include "derivation/exact.h"
#include "derivation/softmax_rows.h"
#include "golden/ops/gelu.h"

namespace qsim::derivation {

struct DerivedGelu {
  Integers inner;  // erf_int or sigmoid_int, where the algorithm has one
  Integers y, q;

  void Add(const mpz_class& product) { y.push_back(Small(product)); }
  void Add(const mpz_class& product, const mpz_class& factor) {
    Add(product);
    inner.push_back(Small(factor));
  }
};

// Section 7, any algorithm but the table.
DerivedGelu DeriveGelu(const Scores& x, const GeluParams& params, const GeluShape& shape = {});

}  // namespace qsim::derivation
