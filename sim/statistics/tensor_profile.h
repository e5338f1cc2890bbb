// The statistics of one tensor: its real values, the integers that stand for them, and how they
// differ. One pass over the data, constant memory.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "golden/program/tensor.h"
#include "sim/statistics/code_use.h"
#include "sim/statistics/divergence.h"
#include "sim/statistics/doubling_histogram.h"
#include "sim/statistics/moments.h"

namespace qsim::statistics {

// What does not depend on the order of the data: one for each thread, merged at the end.
class TensorCounts {
 public:
  // Bins on either side of 0: fine enough for the outlier share, 16 KiB for a tensor at most.
  static constexpr std::int32_t kHalfBins = 1024;

  // `range`: of the tensor's codes.
  explicit TensorCounts(QuantRange range) : codes_(range) {}

  // One piece: its codes, what they stand for, and the exact values; `exact` is empty where there
  // is no reference. All finite.
  void Add(const IntTensor& codes, std::span<const double> quantized, std::span<const float> exact);
  void Merge(const TensorCounts& other);

  const CodeUse& codes() const { return codes_; }
  const DoublingHistogram& exact() const { return exact_; }
  const DoublingHistogram& quantized() const { return quantized_; }

 private:
  CodeUse codes_;
  DoublingHistogram exact_{kHalfBins};
  DoublingHistogram quantized_{kHalfBins};
};

// What does, in the last bits: one for each image, merged in image order.
struct TensorMoments {
  Moments exact, quantized;
  void Add(std::span<const double> quantized_values, std::span<const float> exact_values);
  void Merge(const TensorMoments& later);
};

// One of the two tensors.
struct ValueSummary {
  std::int64_t count = 0;
  double min = 0, max = 0, mean = 0;
  double stddev = 0;  // of the population
  // The share of values with |x - mean| > 3 stddev. Mean and deviation are known only at the end,
  // so it is counted in bins; the values of the at most two bins that a limit cuts are taken to be
  // spread evenly. outlier_error bounds the distance from the exact share: no more than the share
  // of the values in those bins. 0 means exact.
  double outlier_share = 0;
  double outlier_error = 0;
};

ValueSummary Summarise(const Moments& moments, const DoublingHistogram& histogram);

// How far the integers are from the values they stand for, natural logarithms.
struct ErrorSummary {
  double mse = 0;
  double cosine = 1;
  double qsnr_db = 0;
  double max_abs = 0;
  double kl = 0;
  double js = 0;
};

struct CodeSummary {
  QuantRange range;
  std::int64_t min = 0, max = 0;               // seen
  double range_share = 0;                      // 0..1
  std::optional<std::int64_t> distinct;        // types of at most 16 bits
  std::optional<double> entropy_bits;          // the same
  std::optional<std::int64_t> saturated = {};  // elements that a clamp changed
};

struct TensorProfile {
  std::string name;
  Shape shape;  // image axis in front for taps
  std::string dtype;
  // Asked for by name or by --profile: printed, and in report.json. report.html has every one.
  bool requested = false;
  std::optional<ValueSummary> exact;  // absent where there is no float reference
  ValueSummary quantized;
  std::optional<ErrorSummary> error;
  CodeSummary codes;
  PairedHistogram histogram;
};

// All but names, `error` and `codes.saturated`; with a reference, `error` has the divergences.
TensorProfile MakeProfile(const TensorCounts& counts, const TensorMoments& moments);

}  // namespace qsim::statistics
