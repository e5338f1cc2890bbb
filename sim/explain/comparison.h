// A model's golden outputs beside the actual ones, and hypotheses tried on all of it or on a
// sample.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/explain/hypotheses.h"

namespace qsim::explain {

// Sums over elements; of a sample, weighted, an estimate of the whole.
struct Tally {
  double explained = 0;
  double broken = 0;
  double net() const { return explained - broken; }
};

class Comparison {
 public:
  // `actual` has the model's size. `threads`: for trying hypotheses; no result depends on them.
  Comparison(const Model& model, std::span<const std::int64_t> actual, int threads = 1);

  const Model& model() const { return model_; }
  std::span<const std::int64_t> actual() const { return actual_; }
  const std::vector<std::int64_t>& expected() const { return expected_; }
  const std::vector<std::int64_t>& mismatches() const { return mismatches_; }
  int threads() const { return threads_; }
  bool Mismatch(std::int64_t element) const {
    const auto at = static_cast<std::size_t>(element);
    return actual_[at] != expected_[at];
  }

  // The hypothesis's outputs of the whole tensor.
  std::vector<std::int64_t> Outputs(const Hypothesis& point) const;

 private:
  const Model& model_;
  std::span<const std::int64_t> actual_;
  std::vector<std::int64_t> expected_;
  std::vector<std::int64_t> mismatches_;
  int threads_;
};

// Mismatches and matches, the latter in two strata: those that decide most, and every so manyth of
// the others. Each stratum of more than its share is thinned evenly, and its elements weigh
// accordingly.
class Sample {
 public:
  Sample(const Comparison& comparison, std::int64_t mismatches, std::int64_t interesting,
         std::int64_t others);

  const std::vector<std::int64_t>& elements() const { return elements_; }
  const std::vector<double>& weights() const { return weights_; }
  // Whether the sample is the whole tensor.
  bool complete() const { return complete_; }

  std::vector<std::int64_t> Outputs(const Hypothesis& point) const;
  // 1 where the hypothesis gives the actual value.
  std::vector<std::uint8_t> Agreement(const Hypothesis& point) const {
    return AgreementOf(Outputs(point));
  }
  std::vector<std::uint8_t> AgreementOf(std::span<const std::int64_t> outputs) const;
  Tally TallyOf(std::span<const std::uint8_t> agreement) const;

 private:
  const Comparison& comparison_;
  std::vector<std::int64_t> elements_;
  std::vector<double> weights_;
  bool complete_ = false;
};

}  // namespace qsim::explain
