#include "sim/explain/operation_model.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace qsim::explain {

OperationModel::OperationModel(Shape shape, std::vector<std::string> axis_names, OutputRange range,
                               std::span<const std::int64_t> actual)
    : shape_(std::move(shape)),
      axis_names_(std::move(axis_names)),
      range_(range),
      actual_(actual) {}

void OperationModel::ComputeGolden() {
  const auto size = static_cast<std::size_t>(this->size());
  std::vector<std::int64_t> all(size);
  std::iota(all.begin(), all.end(), std::int64_t{0});
  golden_.resize(size);
  Compute(Golden(), all, golden_, true);
}

void OperationModel::AddOutputRules() {
  coordinates_.push_back({"overflow", {}});
  AddLimitRules(range_, actual_, coordinates_.back(), limits_);
  coordinates_.push_back({"order", {}});
  AddOrderRules(shape_, axis_names_, golden_, actual_, coordinates_.back(), orders_);
  coordinates_.push_back({"output", {}});
  AddContentRules(shape_, axis_names_, range_, golden_, actual_, coordinates_.back(), contents_);
}

void OperationModel::Evaluate(const Hypothesis& point, std::span<const std::int64_t> elements,
                              std::span<std::int64_t> out) const {
  const std::size_t first = coordinates_.size() - 3;
  const LimitRule& limit = limits_[point[first]];
  const OrderRule& order = orders_[point[first + 1]];
  const ContentRule& content = contents_[point[first + 2]];
  const auto own = point.begin() + static_cast<std::ptrdiff_t>(first);
  const bool golden_results =
      std::all_of(point.begin(), own, [](std::uint16_t choice) { return choice == 0; });
  const bool wide = point[first] != 0 || content.kind == ContentRule::Kind::kOffset;
  std::vector<std::int64_t> sources(elements.begin(), elements.end());
  if (order.source) {
    for (std::int64_t& e : sources) e = order.source(e);
  }
  if (golden_results && !wide) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = sources[i] < 0 ? 0 : golden_[static_cast<std::size_t>(sources[i])];
  } else {
    std::vector<std::int64_t> places = sources;
    for (std::int64_t& e : places) e = std::max<std::int64_t>(e, 0);
    Compute(point, places, out, !wide);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == kNoValue) continue;
    if (content.kind == ContentRule::Kind::kOffset) out[i] += content.At(elements[i]);
    if (wide) out[i] = Limited(limit, range_, out[i]);
    if (sources[i] < 0) out[i] = 0;
    out[i] = content.Stored(elements[i], out[i]);
  }
}

bool OperationModel::SamePlaces(const Hypothesis& a, const Hypothesis& b) const {
  return std::equal(a.end() - 2, a.end(), b.end() - 2);
}

std::vector<Feature> OperationModel::Features() const {
  std::vector<Feature> features = AxisFeatures(shape_, axis_names_);
  features.push_back(
      {Feature::Kind::kCategory,
       "limit",
       {"the expected output is within the limits", "the expected output is at the upper limit",
        "the expected output is at the lower limit"},
       3,
       [this](std::int64_t e) -> std::int64_t {
         const std::int64_t value = golden_[static_cast<std::size_t>(e)];
         if (value == range_.qmax) return 1;
         return value == range_.qmin ? 2 : 0;
       }});
  // From an element on.
  if (size() > *std::max_element(shape_.begin(), shape_.end()))
    features.push_back(
        {Feature::Kind::kIndex, "element", {}, size(), [](std::int64_t e) { return e; }});
  return features;
}

std::vector<std::int64_t> OperationModel::SomeMismatches(std::size_t count) const {
  std::vector<std::int64_t> all;
  for (std::size_t e = 0; e < golden_.size(); ++e)
    if (golden_[e] != actual_[e]) all.push_back(static_cast<std::int64_t>(e));
  return EvenlySpread(all, static_cast<std::int64_t>(count));
}

}  // namespace qsim::explain
