#include "sim/diagnose/output_power.h"

#include <algorithm>

namespace qsim::diagnose {

void OutputPower::Add(std::size_t part, std::span<const float> reference,
                      std::span<const float> value) {
  powers_[part].Add(reference, value);
  values_ += static_cast<std::int64_t>(value.size());
}

void OutputPower::Merge(const OutputPower& later) {
  for (std::size_t i = 0; i < powers_.size(); ++i) powers_[i].Merge(later.powers_[i]);
  values_ += later.values_;
  labelled_ += later.labelled_;
  right_ += later.right_;
}

void OutputPower::CountClass(bool right) {
  ++labelled_;
  if (right) ++right_;
}

double OutputPower::Ratio() const {
  double sum = 0;
  for (const Power& p : powers_) sum += p.Ratio();
  return sum / static_cast<double>(powers_.size());
}

std::size_t OutputPower::WorstPart() const {
  const auto worst =
      std::max_element(powers_.begin(), powers_.end(),
                       [](const Power& a, const Power& b) { return a.Ratio() < b.Ratio(); });
  return static_cast<std::size_t>(worst - powers_.begin());
}

}  // namespace qsim::diagnose
