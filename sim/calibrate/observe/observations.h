// The observers of a network's tensors, and what they have seen.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/calibrate/observe/fixed_sum.h"
#include "sim/calibrate/plan/network_plan.h"
#include "sim/calibrate/observe/observed_ranges.h"
#include "sim/calibrate/observe/observer.h"
#include "sim/io/tensors/float_tensor.h"
#include "sim/network/vit_model.h"

namespace qsim {

// Squared error of one input's softmax output at each scale 2^-(8+j), saturating at 255.
std::array<double, 8> SoftmaxErrors(const FloatTensor& probabilities);

// The observers of one block, or of the head, by tensor name without the block's prefix.
class TensorObservers {
 public:
  // `channels` of the tensor; `heads` for head_wise groups (1 where there are none).
  void Observe(const std::string& name, const Section& section, std::int64_t channels,
               std::int64_t heads);
  // [heads, tokens, tokens]
  void ObserveScores(const Section& section, std::int64_t heads);

  bool Wants(const std::string& name) const { return tensors_.contains(name); }
  // The next input's value of a tensor that is wanted: [tokens, channels], or scores.
  void Add(const std::string& name, const FloatTensor& value);
  void EndBatch();
  void EndBatch(const std::string& name) { tensors_.at(name).observer->EndBatch(); }

  // Empty for a tensor without an observer.
  std::vector<RealRange> Ranges(const std::string& name) const;
  std::vector<std::string> names() const;
  Observer& observer(const std::string& name) const { return *tensors_.at(name).observer; }
  const Section& section(const std::string& name) const { return tensors_.at(name).section; }

 private:
  struct Tensor {
    Section section;
    std::int64_t groups = 1;
    std::unique_ptr<Observer> observer;
  };
  std::map<std::string, Tensor> tensors_;
};

struct BlockObservations {
  TensorObservers tensors;
  std::array<FixedSum, 8> softmax_error;
};

// Everything a calibration, or a part of one, has seen.
class Observations {
 public:
  Observations(const VitModel& model, const NetworkPlan& plan);

  // By block number.
  std::map<std::int64_t, BlockObservations>& blocks() { return blocks_; }
  const std::map<std::int64_t, BlockObservations>& blocks() const { return blocks_; }
  // Only in scope model.
  std::optional<TensorObservers>& head() { return head_; }
  const std::optional<TensorObservers>& head() const { return head_; }

  // How many inputs there were, and the extremes of their pixels or embeddings.
  std::int64_t inputs = 0;
  RealRange input_range = {0, 0};
  void IncludeInputs(std::int64_t count, const RealRange& range);

  // f(full tensor name, observers, name there), for every observed tensor in the order of the
  // network's blocks, the head last.
  void ForEachTensor(const std::function<void(const std::string&, const TensorObservers&,
                                              const std::string&)>& f) const;

  // Throws InputError that names every tensor no value was seen of, or that says that every input
  // has the same value; `file` is where the inputs come from, if from one.
  void RequireComplete(const std::string& file) const;

  AttentionRanges Attention(const BlockPlans& plan) const;
  MlpRanges Mlp(const BlockPlans& plan) const;
  HeadRanges Head() const;

 private:
  const VitGeometry& geometry_;
  std::map<std::int64_t, BlockObservations> blocks_;
  std::optional<TensorObservers> head_;
};

}  // namespace qsim
