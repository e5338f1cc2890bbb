#include "sim/explain/comparison.h"

#include <algorithm>
#include <numeric>

namespace qsim::explain {
Comparison::Comparison(const Model& model, std::span<const std::int64_t> actual, int threads)
    : model_(model), actual_(actual), threads_(threads) {
  expected_ = Outputs(model.Golden());
  for (std::int64_t e = 0; e < model.size(); ++e)
    if (Mismatch(e)) mismatches_.push_back(e);
}

std::vector<std::int64_t> Comparison::Outputs(const Hypothesis& point) const {
  const auto size = static_cast<std::size_t>(model_.size());
  std::vector<std::int64_t> out(size);
  constexpr std::size_t kChunk = std::size_t{1} << 16;
  std::vector<std::int64_t> elements;
  for (std::size_t begin = 0; begin < size; begin += kChunk) {
    elements.resize(std::min(kChunk, size - begin));
    std::iota(elements.begin(), elements.end(), static_cast<std::int64_t>(begin));
    model_.Evaluate(point, elements, std::span(out).subspan(begin, elements.size()));
  }
  return out;
}

Sample::Sample(const Comparison& comparison, std::int64_t mismatches, std::int64_t interesting,
               std::int64_t others)
    : comparison_(comparison) {
  std::vector<std::int64_t> matches;
  for (std::int64_t e = 0; e < comparison.model().size(); ++e)
    if (!comparison.Mismatch(e)) matches.push_back(e);
  std::vector<std::int64_t> chosen;
  if (static_cast<std::int64_t>(matches.size()) > interesting + others) {
    std::vector<std::pair<double, std::int64_t>> ranked;
    ranked.reserve(matches.size());
    for (const std::int64_t e : matches) ranked.emplace_back(-comparison.model().Interest(e), e);
    std::nth_element(ranked.begin(), ranked.begin() + interesting, ranked.end());
    for (std::int64_t i = 0; i < interesting; ++i)
      chosen.push_back(ranked[static_cast<std::size_t>(i)].second);
    std::sort(chosen.begin(), chosen.end());
    std::vector<std::int64_t> rest;
    std::set_difference(matches.begin(), matches.end(), chosen.begin(), chosen.end(),
                        std::back_inserter(rest));
    matches = std::move(rest);
  }
  const auto add = [this](const std::vector<std::int64_t>& stratum, std::int64_t count) {
    const std::vector<std::int64_t> thin = EvenlySpread(stratum, count);
    const double weight =
        thin.empty() ? 0 : static_cast<double>(stratum.size()) / static_cast<double>(thin.size());
    elements_.insert(elements_.end(), thin.begin(), thin.end());
    weights_.insert(weights_.end(), thin.size(), weight);
  };
  add(comparison.mismatches(), mismatches);
  add(chosen, interesting);
  add(matches, chosen.empty() ? interesting + others : others);
  complete_ = static_cast<std::int64_t>(elements_.size()) == comparison.model().size();
}

std::vector<std::int64_t> Sample::Outputs(const Hypothesis& point) const {
  std::vector<std::int64_t> out(elements_.size());
  comparison_.model().Evaluate(point, elements_, out);
  return out;
}

std::vector<std::uint8_t> Sample::AgreementOf(std::span<const std::int64_t> outputs) const {
  std::vector<std::uint8_t> agreement(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i)
    agreement[i] =
        outputs[i] == comparison_.actual()[static_cast<std::size_t>(elements_[i])] ? 1 : 0;
  return agreement;
}

Tally Sample::TallyOf(std::span<const std::uint8_t> agreement) const {
  Tally tally;
  for (std::size_t i = 0; i < elements_.size(); ++i) {
    const bool mismatch = comparison_.Mismatch(elements_[i]);
    if (mismatch && agreement[i] != 0) tally.explained += weights_[i];
    if (!mismatch && agreement[i] == 0) tally.broken += weights_[i];
  }
  return tally;
}

}  // namespace qsim::explain
