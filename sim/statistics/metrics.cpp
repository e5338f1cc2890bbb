#include "sim/statistics/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/error.h"
#include "sim/namespaces.h"

namespace qsim::statistics {
namespace {

// std::max would drop a NaN; a reference that holds one must not look accurate.
double LargerOrNan(double a, double b) { return std::isnan(b) || b > a ? b : a; }

}  // namespace

void TensorMetrics::Add(std::span<const float> reference, std::span<const double> value) {
  if (reference.size() != value.size())
    throw InternalError("TensorMetrics: reference and value differ in length");
  for (std::size_t i = 0; i < value.size(); ++i) {
    const double x = static_cast<double>(reference[i]);
    const double y = value[i];
    const double error = x - y;
    signal_ += x * x;
    value_ += y * y;
    product_ += x * y;
    noise_ += error * error;
    max_abs_error_ = LargerOrNan(max_abs_error_, std::abs(error));
  }
  elements_ += static_cast<std::int64_t>(value.size());
}

void TensorMetrics::Merge(const TensorMetrics& later) {
  elements_ += later.elements_;
  signal_ += later.signal_;
  value_ += later.value_;
  product_ += later.product_;
  noise_ += later.noise_;
  max_abs_error_ = LargerOrNan(max_abs_error_, later.max_abs_error_);
}

double TensorMetrics::QsnrDb() const {
  if (noise_ == 0) return std::numeric_limits<double>::infinity();
  if (signal_ == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal_ / noise_);
}

double TensorMetrics::MeanSquaredError() const {
  return elements_ == 0 ? 0 : noise_ / static_cast<double>(elements_);
}

double TensorMetrics::Cosine() const {
  if (signal_ == 0 && value_ == 0) return 1;
  if (signal_ == 0 || value_ == 0) return 0;
  // Two roots rather than one of the product, which could overflow or vanish.
  return std::clamp(product_ / (std::sqrt(signal_) * std::sqrt(value_)), -1.0, 1.0);
}

}  // namespace qsim::statistics
