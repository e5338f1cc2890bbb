#include "sim/calibrate/lower/score_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/error.h"
#include "sim/semantics/quantization.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim::calibrate {

const NodePlan* SoftmaxOf(const Plan& plan, const NodePlan& scores) {
  const auto* product = std::get_if<network::Product>(&scores.node->function);
  if (product == nullptr || !product->transpose_rhs) return nullptr;
  for (const NodePlan* reader : plan.ReadersOf(scores.node->name)) {
    if (std::holds_alternative<network::Softmax>(reader->node->function)) return reader;
  }
  return nullptr;
}

void RequireScores(const Plan& plan, const Observations& observations, const GridsFile* given,
                   bool growing) {
  constexpr std::size_t kNamed = 2;
  const NodePlan* worst = nullptr;
  double needed = 0, most = 0;
  std::vector<std::string> places;
  for (const NodePlan& scores : plan.nodes()) {
    const NodePlan* softmax = SoftmaxOf(plan, scores);
    if (softmax == nullptr) continue;
    const Section& section = *scores.section;
    if (growing && section.observer != ObserverKind::kMinmax) continue;
    const std::string& name = scores.node->name;
    if (given != nullptr && given->grids.contains(name)) continue;
    const SoftmaxKind kind = softmax->numerics.softmax;
    const std::vector<RealRange> ranges = observations.Ranges(name);
    for (std::size_t h = 0; h < ranges.size(); ++h) {
      const double scale =
          QuantizationOf(ranges[h], RangeOf(section), section.has_zero_point).scale;
      if (ChooseScores(kind, scale, 0)) continue;
      places.push_back(ranges.size() == 1 ? name : fmt::format("{} head {}", name, h));
      if (scale <= needed) continue;
      worst = &scores;
      needed = scale;
      most = CoarsestScores(kind, 0).scale;
    }
  }
  if (worst == nullptr) return;
  std::string named = places.front();
  for (std::size_t i = 1; i < std::min(places.size(), kNamed); ++i) named += ", " + places[i];
  if (places.size() > kNamed) named += fmt::format(" and {} more", places.size() - kNamed);
  if (growing) named += " at least";
  const int bits = worst->section->bits;
  throw InputError(fmt::format(
      "{}: {}: cannot be realised in integers: {} bits need score scales up to {:.3g}, softmax {} "
      "takes {:.4g}; use numerics.softmax: table, {}or --realise nearest (clips)",
      worst->section->origin, named, bits, needed, Name(SoftmaxOf(plan, *worst)->numerics.softmax),
      most, bits < 16 ? "bit_type.bits up to 16, " : ""));
}

}  // namespace qsim::calibrate
