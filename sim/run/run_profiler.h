// Collects the profile of a run while its images pass by.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/run/run_profile.h"
#include "sim/semantics/mixed.h"
#include "sim/statistics/metrics.h"

namespace qsim::run {

// Which tensors a profile prints, and whether it measures time and memory.
struct ProfileRequest {
  bool costs = false;
  std::function<bool(const std::string& name)> requested;  // of a tap or a weight
  // The range of a weight's codes; the range of its storage type where it says nothing.
  std::function<std::optional<QuantRange>(const std::string& weight)> weight_range;
};

class RunProfiler {
 public:
  // The sums of one image whose order counts.
  struct Image {
    std::map<std::string, TensorMoments> moments;
    std::vector<double> seconds;  // by operation
  };

  // `mixed` null where there is no float reference. Bundle and executor must outlive this.
  RunProfiler(const Bundle& bundle, const MixedExecutor* mixed, ProfileRequest request,
              int workers);

  // One tensor of one image, from the thread `worker`; `exact` is empty where it has no reference.
  // Throws InputError naming tensor, image and element where the reference is not finite.
  void Take(int worker, std::int64_t index, Image& image, const std::string& name,
            const IntTensor& codes, std::span<const double> quantized,
            std::span<const float> exact);
  bool costs() const { return request_.costs; }
  // Adds to the time of one operation.
  void TakeTime(Image& image, std::size_t op, double seconds) const;

  // To be called in image order.
  void Merge(const Image& image);

  // After the last image. `metrics` and `saturated` by tap, of all images; `images` is the axis in
  // front of a tap's shape, `length` that of the longest input.
  RunProfile Finish(const std::function<const TensorMetrics*(const std::string&)>& metrics,
                    const std::map<std::string, std::int64_t>& saturated, std::int64_t images,
                    std::int64_t length);

 private:
  TensorProfile ProfileWeight(const Op& op) const;

  const Bundle& bundle_;
  const MixedExecutor* mixed_;
  ProfileRequest request_;
  std::vector<std::map<std::string, TensorCounts>> counts_;  // by worker
  std::map<std::string, TensorMoments> moments_;
  std::vector<double> seconds_;
};

}  // namespace qsim::run
