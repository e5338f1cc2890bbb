// The softmax of golden/ops/softmax.h, fast: equal to it bit for bit. docs/numerics.md section 5.
//
// Every algorithm begins with an exponential of the distance to the row's maximum, of which there
// are as many as codes: each is computed once, by the specification. What the row's sum makes of
// one is computed once for a row and distance too.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "golden/ops/softmax.h"

namespace qsim::golden::kernels {

class SoftmaxRows {
 public:
  virtual ~SoftmaxRows() = default;
  // As golden::Softmax, or SoftmaxExponentials. Scores within the codes that it was made for. Not
  // for several threads at once.
  virtual std::int64_t Row(std::span<const std::int32_t> scores, std::span<std::int32_t> out) = 0;
};

// `distances`: how many different ones there can be, the largest code less the smallest plus 1.
// Throws as golden::Softmax.
std::unique_ptr<SoftmaxRows> MakeSoftmaxRows(const SoftmaxParams& params, SoftmaxDivision division,
                                             std::int64_t distances);

}  // namespace qsim::golden::kernels
