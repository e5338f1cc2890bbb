#include "sim/explain/hypotheses.h"

#include <fmt/format.h>

#include "sim/explain/index_set.h"

namespace qsim::explain {

int Model::CostOf(const Hypothesis& point) const {
  int cost = 0;
  for (std::size_t i = 0; i < point.size(); ++i)
    if (point[i] != 0) cost += coordinates()[i].choices[point[i]].cost;
  return cost;
}

std::int64_t Model::FreedomOf(const Hypothesis& point) const {
  std::int64_t freedom = 0;
  for (std::size_t i = 0; i < point.size(); ++i)
    freedom += coordinates()[i].choices[point[i]].freedom;
  return freedom;
}

int Model::Changes(const Hypothesis& point) const {
  int changes = 0;
  for (const std::uint16_t choice : point) changes += choice != 0 ? 1 : 0;
  return changes;
}

std::string Model::PhraseOf(const Hypothesis& point) const {
  std::string phrase;
  for (std::size_t i = 0; i < point.size(); ++i) {
    if (point[i] == 0) continue;
    if (!phrase.empty()) phrase += ", and ";
    phrase += coordinates()[i].choices[point[i]].phrase;
  }
  return phrase.empty() ? "the golden rule" : phrase;
}

std::string Model::IdOf(const Hypothesis& point) const {
  std::string id;
  for (std::size_t i = 0; i < point.size(); ++i) {
    if (point[i] == 0) continue;
    if (!id.empty()) id += ' ';
    id += coordinates()[i].name + '=' + coordinates()[i].choices[point[i]].id;
  }
  return id.empty() ? "golden" : id;
}

std::string Model::PublishedOf(const Hypothesis& point) const {
  std::string text;
  for (std::size_t i = 0; i < point.size(); ++i) {
    const Choice& choice = coordinates()[i].choices[point[i]];
    if (point[i] == 0 || choice.published.empty()) continue;
    text += fmt::format("{}{} is also {}", text.empty() ? "" : "; ", choice.id, choice.published);
  }
  return text;
}

std::vector<Feature> AxisFeatures(const Shape& shape, const std::vector<std::string>& axis_names) {
  std::vector<Feature> features;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t length = shape[axis];
    if (length < 2) continue;
    std::int64_t inner = 1;
    for (std::size_t i = axis + 1; i < shape.size(); ++i) inner *= shape[i];
    features.push_back({Feature::Kind::kIndex,
                        axis_names[axis],
                        {},
                        length,
                        [inner, length](std::int64_t e) { return e / inner % length; },
                        Feature::Of::kAxis});
    for (const std::int64_t modulo : {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 32, 64}) {
      if (2 * modulo > length) break;
      std::vector<std::string> labels;
      for (std::int64_t rest = 0; rest < modulo; ++rest) {
        labels.push_back(ResidueWords(axis_names[axis], modulo, rest));
      }
      features.push_back(
          {Feature::Kind::kCategory, axis_names[axis] + " modulo", labels, modulo,
           [inner, length, modulo](std::int64_t e) { return e / inner % length % modulo; },
           Feature::Of::kResidue});
    }
  }
  return features;
}

std::vector<std::string> DefaultAxisNames(std::size_t axes) {
  std::vector<std::string> names(axes);
  for (std::size_t i = 0; i < axes; ++i) names[i] = fmt::format("axis {}", i);
  if (axes == 1) names[0] = "element";
  if (axes >= 2) {
    names[axes - 1] = "channel";
    names[axes - 2] = "row";
  }
  if (axes >= 3) names[axes - 3] = "head";
  if (axes >= 4) names[axes - 4] = "image";
  return names;
}

std::vector<std::int64_t> EvenlySpread(const std::vector<std::int64_t>& list, std::int64_t count) {
  const std::int64_t size = std::ssize(list);
  if (size <= count) return list;
  std::vector<std::int64_t> some(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i)
    some[static_cast<std::size_t>(i)] = list[static_cast<std::size_t>(i * size / count)];
  return some;
}

std::vector<std::int64_t> IndexOfElement(std::int64_t element, const Shape& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = element % shape[axis];
    element /= shape[axis];
  }
  return index;
}

}  // namespace qsim::explain
