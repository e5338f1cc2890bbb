#include "sim/calibrate/observe/observations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <tuple>

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

bool IsSoftmax(const network::Node& node) {
  return std::holds_alternative<network::Softmax>(node.function);
}

// What has to be seen of a node, without the observer.
Observed Wanted(const NodePlan& plan, const Section& section) {
  Observed wanted;
  wanted.node = plan.node;
  wanted.section = section;
  const Shape& shape = plan.node->shape;
  if (plan.mean_wanted) wanted.means.resize(static_cast<std::size_t>(shape.back()));
  if (!IsSoftmax(*plan.node)) {
    const bool planes = shape.size() == 3;
    wanted.groups = GroupsOf(section, planes ? shape.front() : shape.back(), plan.node->heads);
  }
  return wanted;
}

Observed Unseen(Observed wanted) {
  if (IsSoftmax(*wanted.node)) return wanted;
  const Shape& shape = wanted.node->shape;
  wanted.observer = Observer::Make(
      wanted.section,
      LayoutOf(shape.size() == 3 ? Shape{shape.front(), 1, 1} : Shape{1, shape.back()},
               wanted.groups));
  return wanted;
}

bool CountsValues(ObserverKind kind) {
  return kind != ObserverKind::kMinmax && Observer::IsMergeable(kind);
}

// Whether both ask for one and the same observer, and so for the same ranges.
bool SameObserver(const Section& a, const Section& b) {
  const auto of = [](const Section& s) {
    return std::tie(s.observer, s.calibration_mode, s.bits, s.is_signed, s.has_zero_point, s.method,
                    s.percentile_alpha, s.percentile_sigma, s.kl_bins);
  };
  return of(a) == of(b);
}

// Whether what one has seen of the same node is all that the other needs to have seen.
bool Serves(const Observed& seen, const Observed& wanted) {
  if (IsSoftmax(*wanted.node)) return true;
  const Section& a = seen.section;
  const Section& b = wanted.section;
  // Extremes of channels are those of any union of them.
  if (b.observer == ObserverKind::kMinmax)
    return a.observer == b.observer && seen.groups % wanted.groups == 0;
  if (seen.groups != wanted.groups) return false;
  // A histogram serves any use of it; kl_bins is its size.
  const bool sized = a.observer == ObserverKind::kHistogramKl;
  if (CountsValues(a.observer) && CountsValues(b.observer))
    return sized == (b.observer == ObserverKind::kHistogramKl) &&
           (!sized || a.kl_bins == b.kl_bins);
  return a.observer == b.observer && a.bits == b.bits && a.is_signed == b.is_signed &&
         a.has_zero_point == b.has_zero_point && a.percentile_alpha == b.percentile_alpha &&
         a.percentile_sigma == b.percentile_sigma && a.kl_bins == b.kl_bins;
}

// Extremes of so many equal runs of groups.
ObserverState United(ObserverState state, std::int64_t groups) {
  const auto count = static_cast<std::size_t>(groups);
  if (state.extremes.size() <= count) return state;
  std::vector<RealRange> united(count, {HUGE_VAL, -HUGE_VAL});
  for (std::size_t i = 0; i < state.extremes.size(); ++i) {
    RealRange& group = united[i * count / state.extremes.size()];
    group.min = std::min(group.min, state.extremes[i].min);
    group.max = std::max(group.max, state.extremes[i].max);
  }
  state.extremes = std::move(united);
  return state;
}

}  // namespace

SoftmaxErrors SoftmaxErrorsOf(const FloatTensor& probabilities) {
  SoftmaxErrors errors{}, steps{}, inverse{};
  for (std::size_t j = 0; j < errors.size(); ++j) {
    steps[j] = std::ldexp(1.0, 8 + static_cast<int>(j));
    inverse[j] = 1 / steps[j];
  }
  // Each scale's sum is a chain of additions: all of them run side by side.
  for (const float p : probabilities.data) {
    const double x = static_cast<double>(p);
#pragma GCC unroll 8
    for (std::size_t j = 0; j < errors.size(); ++j) {
      // x is not negative: the cast is a floor.
      const double code = static_cast<double>(static_cast<std::int32_t>(x * steps[j] + 0.5));
      const double d = x - std::min(code, 255.0) * inverse[j];
      errors[j] += d * d;
    }
  }
  return errors;
}

void Observed::Add(const FloatTensor& value) {
  if (observer != nullptr) {
    observer->Add(value.data, LayoutOf(value.shape, groups));
  } else {
    const SoftmaxErrors errors = SoftmaxErrorsOf(value);
    for (std::size_t j = 0; j < errors.size(); ++j) softmax_error[j].Add(errors[j]);
  }
  std::vector<double> sums(means.size(), 0);
  if (sums.empty()) return;
  for (std::size_t i = 0; i < value.data.size(); ++i)
    sums[i % sums.size()] += static_cast<double>(value.data[i]);
  for (std::size_t c = 0; c < sums.size(); ++c) means[c].Add(sums[c], value.shape.front());
}

Observations::Observations(const Plan& plan) {
  for (const NodePlan& node : plan.nodes()) {
    if (node.observed) tensors_.push_back(Unseen(Wanted(node, *node.observed)));
  }
}

const Observed* Observations::Serving(const Observed& wanted) const {
  const auto found = std::ranges::find_if(tensors_, [&](const Observed& seen) {
    return seen.node == wanted.node && Serves(seen, wanted);
  });
  return found == tensors_.end() ? nullptr : &*found;
}

const std::vector<FixedMean>* Observations::MeansOf(const network::Node* node) const {
  const auto found = std::ranges::find_if(
      tensors_, [&](const Observed& seen) { return seen.node == node && !seen.means.empty(); });
  return found == tensors_.end() ? nullptr : &found->means;
}

bool Observations::Serve(const Plan& plan) const {
  return std::ranges::all_of(plan.nodes(), [&](const NodePlan& node) {
    return !node.observed || (Serving(Wanted(node, *node.observed)) != nullptr &&
                              (!node.mean_wanted || MeansOf(node.node) != nullptr));
  });
}

Observations Observations::MissingFor(std::span<const Plan> plans) const {
  Observations missing;
  for (const Plan& plan : plans) {
    for (const NodePlan& node : plan.nodes()) {
      if (!node.observed) continue;
      Section section = *node.observed;
      if (section.observer == ObserverKind::kMinmax)
        section.calibration_mode = CalibrationMode::kChannelWise;
      Observed wanted = Wanted(node, section);
      const auto has = [&](const Observations& some) {
        return some.Serving(wanted) != nullptr &&
               (wanted.means.empty() || some.MeansOf(wanted.node) != nullptr);
      };
      if (!has(*this) && !has(missing)) missing.tensors_.push_back(Unseen(std::move(wanted)));
    }
  }
  std::ranges::stable_sort(missing.tensors_, std::less(), &Observed::node);
  return missing;
}

void Observations::Append(Observations missing) {
  if (tensors_.empty()) {
    inputs = missing.inputs;
    input_range = missing.input_range;
  }
  std::ranges::move(missing.tensors_, std::back_inserter(tensors_));
}

Observations Observations::Of(const Plan& plan) const {
  Observations of(plan);
  of.inputs = inputs;
  of.input_range = input_range;
  for (Observed& wanted : of.tensors_) {
    const Observed& found = *Serving(wanted);
    wanted.softmax_error = found.softmax_error;
    if (!wanted.means.empty()) wanted.means = *MeansOf(wanted.node);
    if (wanted.observer == nullptr) continue;
    if (!Observer::IsMergeable(wanted.section.observer)) {
      wanted.observer = found.observer;
      continue;
    }
    const auto given = std::ranges::find_if(given_, [&](const Observed& other) {
      return other.node == wanted.node && SameObserver(other.section, wanted.section);
    });
    if (given != given_.end()) {
      wanted.observer = given->observer;
      continue;
    }
    wanted.observer->Merge(United(found.observer->State(), wanted.groups));
    given_.push_back(wanted);
  }
  return of;
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

std::vector<double> Observations::Means(const std::string& node) const {
  std::vector<double> means;
  if (const Observed* seen = Find(node)) {
    for (const FixedMean& mean : seen->means) means.push_back(mean.ToDouble());
  }
  return means;
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
