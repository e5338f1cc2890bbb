// The observers of a network's tensors, and what they have seen.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/calibrate/observe/fixed_sum.h"
#include "sim/calibrate/observe/observer.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/io/tensors/float_tensor.h"

namespace qsim::calibrate {

// Squared error of a softmax's output at each scale 2^-(8+j), j = 0..7, saturating at 255.
using SoftmaxErrors = std::array<double, 8>;
SoftmaxErrors SoftmaxErrorsOf(const FloatTensor& probabilities);

// What is seen of one node: its values, by an observer, or of a softmax the errors of its scales;
// and the mean of each channel where a layer corrects its biases by it.
struct Observed {
  const network::Node* node = nullptr;
  Section section;
  std::int64_t groups = 1;
  std::shared_ptr<Observer> observer;  // null for a softmax
  std::array<FixedSum, 8> softmax_error;
  std::vector<FixedMean> means;  // empty: not wanted

  // The next input's value: [tokens, channels], or planes.
  void Add(const FloatTensor& value);
};

// Everything a calibration, or a part of one, has seen.
class Observations {
 public:
  // The plan's network must outlive this.
  explicit Observations(const Plan& plan);
  Observations() = default;

  // What several plans of the same network need beside this, in the network's order, and any other
  // that asks for the same kinds of observers: extremes by channel, histograms once.
  Observations MissingFor(std::span<const Plan> plans) const;
  // Such observations, of the same inputs.
  void Append(Observations missing);
  // Whether everything that this plan needs has been seen.
  bool Serve(const Plan& plan) const;
  // What a plan that they serve would have seen by itself. Results share observers, so that a range
  // is searched once: nothing may be added to them, and one thread asks.
  Observations Of(const Plan& plan) const;

  // In the network's order, unless some were appended.
  std::vector<Observed>& tensors() {
    given_.clear();
    return tensors_;
  }
  const std::vector<Observed>& tensors() const { return tensors_; }
  // Null for a node that is not observed.
  const Observed* Find(const std::string& node) const;
  // One range for each group of a node's observed granularity; empty for a node without an
  // observer.
  std::vector<RealRange> Ranges(const std::string& node) const;
  // The mean of each channel; empty where it is not wanted.
  std::vector<double> Means(const std::string& node) const;

  // How many inputs there were, and the extremes of their pixels or embeddings.
  std::int64_t inputs = 0;
  RealRange input_range = {0, 0};
  void IncludeInputs(std::int64_t count, const RealRange& range);

  // Throws InputError that names every tensor no value was seen of, or that says that every input
  // has the same value; `file` is where the inputs come from, if from one.
  void RequireComplete(const std::string& file) const;

 private:
  // What serves this, and a node's means, which stand with its first observer; null where nothing
  // does.
  const Observed* Serving(const Observed& wanted) const;
  const std::vector<FixedMean>* MeansOf(const network::Node* node) const;

  std::vector<Observed> tensors_;
  mutable std::vector<Observed> given_;  // by Of, with what was merged for them
};

}  // namespace qsim::calibrate
