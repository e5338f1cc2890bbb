// The model of one operation: its own coordinates, and behind them those of every operation's
// output: its limits, the order of its elements, and what it holds whatever the results are.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "sim/explain/contents.h"
#include "sim/explain/element_order.h"
#include "sim/explain/hypotheses.h"
#include "sim/explain/limits.h"

namespace qsim::explain {

class OperationModel : public Model {
 public:
  const std::vector<Coordinate>& coordinates() const final { return coordinates_; }
  const Shape& shape() const final { return shape_; }
  void Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                std::span<std::int64_t> out) const final;
  // Axes, and whether the golden output is at an end of its range.
  std::vector<Feature> Features() const override;

 protected:
  // `actual`: the outputs to be explained, from which some parameters are solved; it outlives the
  // model and has ElementCount(shape) values.
  OperationModel(Shape shape, std::vector<std::string> axis_names, OutputRange range,
                 std::span<const std::int64_t> actual);

  // The operation's results of these elements; within the output's range only if `limited`.
  virtual void Compute(const Hypothesis& point, std::span<const std::int64_t> elements,
                       std::span<std::int64_t> out, bool limited) const = 0;
  // What no operation outputs: a hypothesis that cannot be computed agrees with nothing.
  static constexpr std::int64_t kNoValue = std::numeric_limits<std::int64_t>::min();

  // A constructor's first step once Compute knows the golden hypothesis: the golden outputs.
  void ComputeGolden();
  // And the last, behind the operation's own coordinates.
  void AddOutputRules();

  const std::vector<std::string>& axis_names() const { return axis_names_; }
  const OutputRange& range() const { return range_; }
  std::span<const std::int64_t> actual() const { return actual_; }
  const std::vector<std::int64_t>& golden() const { return golden_; }
  // Of those that differ, about so many, evenly spread.
  std::vector<std::int64_t> SomeMismatches(std::size_t count) const;
  // A result behind this hypothesis's limits.
  std::int64_t AtLimits(const Hypothesis& point, std::int64_t value) const {
    return Limited(limits_[point[coordinates_.size() - 3]], range_, value);
  }
  // Whether two hypotheses differ in no more than what a result is.
  bool SamePlaces(const Hypothesis& a, const Hypothesis& b) const;

  std::vector<Coordinate> coordinates_;

 private:
  Shape shape_;
  std::vector<std::string> axis_names_;
  OutputRange range_;
  std::span<const std::int64_t> actual_;
  std::vector<std::int64_t> golden_;
  std::vector<LimitRule> limits_;
  std::vector<OrderRule> orders_;
  std::vector<ContentRule> contents_;
};

}  // namespace qsim::explain
