// How close a run's integers are to the float reference.
#pragma once

#include <cstdint>
#include <span>

namespace qsim::statistics {

// Signal, noise and agreement of a tensor, summed in double in element order. For results that do
// not depend on the number of threads, accumulate each image by itself and merge in image order.
class TensorMetrics {
 public:
  // Both spans hold the same number of elements; throws InternalError otherwise.
  void Add(std::span<const float> reference, std::span<const double> value);
  void Merge(const TensorMetrics& later);

  std::int64_t elements() const { return elements_; }

  // 10 log10(sum x^2 / sum (x - y)^2). +infinity when nothing differs (also for zero signal),
  // -infinity for noise without signal.
  double QsnrDb() const;

  // sum xy / sqrt(sum x^2 * sum y^2), within [-1, 1]. 1 when both are zero everywhere, 0 when one
  // is.
  double Cosine() const;

  // sum (x - y)^2 / elements; 0 for no elements.
  double MeanSquaredError() const;

  double MaxAbsError() const { return max_abs_error_; }

 private:
  std::int64_t elements_ = 0;
  double signal_ = 0;   // sum x^2
  double value_ = 0;    // sum y^2
  double product_ = 0;  // sum xy
  double noise_ = 0;    // sum (x - y)^2
  double max_abs_error_ = 0;
};

}  // namespace qsim::statistics
