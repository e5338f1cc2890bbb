#include "sim/calibrate/observe/observations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim::calibrate {
namespace {

// `groups` of a [tokens, channels] tensor are equal runs of channels; of [heads, tokens, tokens]
// scores, heads.
ChannelLayout LayoutOf(const Shape& shape, std::int64_t groups) {
  if (groups == 1) return {1, 1, ElementCount(shape)};
  if (shape.size() == 3) return {1, groups, shape[1] * shape[2]};
  return {shape[0], groups, shape[1] / groups};
}

std::int64_t GroupsOf(const Section& section, std::int64_t channels, std::int64_t heads) {
  switch (section.calibration_mode) {
    case CalibrationMode::kChannelWise:
      return channels;
    case CalibrationMode::kHeadWise:
      return heads;
    case CalibrationMode::kLayerWise:
      break;
  }
  return 1;
}

}  // namespace

SoftmaxErrors SoftmaxErrorsOf(const FloatTensor& probabilities) {
  SoftmaxErrors errors{};
  for (std::size_t j = 0; j < errors.size(); ++j) {
    const double steps = std::ldexp(1.0, 8 + static_cast<int>(j));
    for (const float p : probabilities.data) {
      const double x = static_cast<double>(p);
      // x is not negative: the cast is a floor.
      const double code = static_cast<double>(static_cast<std::int32_t>(x * steps + 0.5));
      const double d = x - std::min(code, 255.0) / steps;
      errors[j] += d * d;
    }
  }
  return errors;
}

void Observed::Add(const FloatTensor& value) {
  observer->Add(value.data, LayoutOf(value.shape, groups));
}

Observations::Observations(const Plan& plan) {
  for (const NodePlan& node : plan.nodes()) {
    if (!node.observed) continue;
    Observed seen;
    seen.node = node.node;
    seen.section = *node.observed;
    if (!std::holds_alternative<network::Softmax>(node.node->function)) {
      const Shape& shape = node.node->shape;
      const bool planes = shape.size() == 3;
      seen.groups = GroupsOf(seen.section, planes ? shape.front() : shape.back(), node.node->heads);
      seen.observer = Observer::Make(
          seen.section,
          LayoutOf(planes ? Shape{shape.front(), 1, 1} : Shape{1, shape.back()}, seen.groups));
    }
    tensors_.push_back(std::move(seen));
  }
}

const Observed* Observations::Find(const std::string& node) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(),
                                  [&](const Observed& seen) { return seen.node->name == node; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::vector<RealRange> Observations::Ranges(const std::string& node) const {
  const Observed* seen = Find(node);
  return seen == nullptr || seen->observer == nullptr ? std::vector<RealRange>{}
                                                      : seen->observer->Ranges();
}

void Observations::IncludeInputs(std::int64_t count, const RealRange& range) {
  input_range = inputs == 0 ? range
                            : RealRange{std::min(input_range.min, range.min),
                                        std::max(input_range.max, range.max)};
  inputs += count;
}

void Observations::RequireComplete(const std::string& file) const {
  std::vector<std::string> missing;
  for (const Observed& seen : tensors_) {
    if (seen.observer != nullptr && !seen.observer->observed()) missing.push_back(seen.node->name);
  }
  if (!missing.empty()) {
    throw InputError(fmt::format(
        "no statistics for {}: calibration never saw a value of {}, so no scale can be chosen",
        fmt::join(missing, ", "), missing.size() == 1 ? "it" : "them"));
  }
  if (input_range.min == input_range.max) {
    throw InputError(
        fmt::format("{}{}every value of the calibration input is the same ({}); no range can be "
                    "calibrated from it",
                    file, file.empty() ? "" : ": ", input_range.min));
  }
}

}  // namespace qsim::calibrate
