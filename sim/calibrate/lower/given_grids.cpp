#include "sim/calibrate/lower/given_grids.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/error.h"
#include "sim/semantics/linear_lowering.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/softmax_lowering.h"
#include "sim/text/nearest_word.h"

namespace qsim::calibrate {
namespace {

template <typename T>
bool Holds(const NodePlan& node) {
  return std::holds_alternative<T>(node.node->function);
}

bool IsStream(const NodePlan& node) {
  return Holds<network::Sum>(node) || Holds<network::Positions>(node) ||
         Holds<network::Entry>(node) || Holds<network::Activations>(node);
}

bool IsScores(const NodePlan& node) {
  const auto* product = std::get_if<network::Product>(&node.node->function);
  return product != nullptr && product->transpose_rhs;
}

// How many neighbours must have one scale and zero point; the whole tensor: 0.
std::size_t SharedBy(const Plan& plan, const NodePlan& node, const Activation& grid) {
  const auto* function = std::get_if<network::Elementwise>(&node.node->function);
  if (function != nullptr) return function->parts.empty() ? 0 : 1;
  if (Holds<network::Gelu>(node) && !node.wide_first) return 0;
  for (const NodePlan* reader : plan.ReadersOf(node.node->name)) {
    if (Holds<network::Gelu>(*reader) || Holds<network::Elementwise>(*reader)) return 0;
    const auto* product = std::get_if<network::Product>(&reader->node->function);
    if (product != nullptr && product->transpose_rhs)
      return grid.scale.size() / static_cast<std::size_t>(product->heads);
  }
  return 1;
}

template <typename T>
bool SameWithin(const std::vector<T>& values, std::size_t group) {
  if (group == 0) group = values.size();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != values[i / group * group]) return false;
  }
  return true;
}

}  // namespace

GivenGrids::GivenGrids(const GridsFile* file, const Plan& plan, Realise realise)
    : file_(file), plan_(plan), realise_(realise) {
  if (file == nullptr) return;
  std::vector<std::string> known;
  for (const NodePlan& node : plan.nodes()) {
    if (node.weight) known.push_back(node.Weights());
    const bool codes =
        Holds<network::Softmax>(node) && node.numerics.softmax == SoftmaxKind::kLogInt;
    if (node.section && !codes) known.push_back(node.Tensor());
  }
  for (const auto& [tensor, grid] : file->grids) {
    if (std::find(known.begin(), known.end(), tensor) == known.end())
      Fail(tensor, "no grid of this program that can be given; " + SuggestWord(tensor, known));
  }
}

bool GivenGrids::Has(const std::string& tensor) const {
  return file_ != nullptr && file_->grids.contains(tensor);
}

void GivenGrids::Fail(const std::string& tensor, const std::string& what) const {
  throw InputError(
      fmt::format("{}:{}: {}: {}", file_->file, file_->grids.at(tensor).line, tensor, what));
}

void GivenGrids::Replace(const NodePlan& node, Activation& chosen,
                         std::vector<LoweringNote>& notes) const {
  if (!Has(chosen.name)) return;
  const FileGrid& given = file_->grids.at(chosen.name);
  const std::size_t channels = chosen.scale.size();
  const auto heads = static_cast<std::size_t>(node.node->heads);
  const auto count = [&](std::string_view key, std::size_t entries, bool groups) {
    if (entries == channels || (groups && (entries == 1 || entries == heads))) return;
    Fail(chosen.name,
         fmt::format("'{}' has {} entries, and the tensor {} channels", key, entries, channels));
  };
  count("scale", given.scale.size(), true);
  count("zero_point", given.zero.size(), true);
  Activation grid{chosen.name,
                  given.range,
                  Expanded(given.scale, channels),
                  Expanded(given.zero, channels),
                  given.factor,
                  given.rounding.value_or(chosen.rounding)};
  if (!given.factor.empty()) {
    count("factor", given.factor.size(), false);
    if (!Holds<network::Columns>(node)) Fail(chosen.name, "'factor' is for Q and K only");
  }
  if (Holds<network::Softmax>(node)) {
    CheckSoftmax(node, chosen, grid, notes);
  } else {
    Check(node, grid, notes);
  }
  chosen = std::move(grid);
}

void GivenGrids::Require(const Activation& grid, double& scale, double right,
                         const std::string& why, std::vector<LoweringNote>& notes) const {
  if (scale == right) return;
  const std::string problem =
      fmt::format("{}: in place of the scale {:.17g}, {:.17g} would be right", why, scale, right);
  if (realise_ == Realise::kExact) Fail(grid.name, problem + " (--realise nearest takes it)");
  notes.push_back({LoweringNote::Kind::kSubstitution, grid.name, problem + ": taken"});
  scale = right;
}

void GivenGrids::RequireReciprocal(const Activation& lhs, const Activation& rhs) const {
  if (!Has(lhs.name) && !Has(rhs.name)) return;
  for (std::size_t c = 0; c < rhs.scale.size(); ++c) {
    if (std::fabs(lhs.FactorOf(c) * rhs.FactorOf(c) - 1) > 1e-9) {
      Fail(Has(lhs.name) ? lhs.name : rhs.name,
           fmt::format("channel {}: the factors of '{}' and '{}' must cancel; give both grids", c,
                       lhs.name, rhs.name));
    }
  }
}

// The algorithm fixes its output, but for the extra bits that some have.
void GivenGrids::CheckSoftmax(const NodePlan& node, const Activation& chosen, Activation& grid,
                              std::vector<LoweringNote>& notes) const {
  if (!(grid.range == chosen.range) || grid.zero != chosen.zero)
    Fail(grid.name, "the algorithm fixes its range and zero point");
  double right = chosen.scale[0];
  if (HasExtraBits(node.numerics.softmax) && !DividesAfter(node)) {
    constexpr int kMostExtraBits = 7;
    const int bits = std::clamp(ExtraBits(node.numerics.softmax, grid.scale[0]), 0, kMostExtraBits);
    right = std::ldexp(1.0, -8 - bits);
  }
  Require(grid, grid.scale[0], right, "the algorithm fixes its scale", notes);
}

void GivenGrids::Check(const NodePlan& node, Activation& grid,
                       std::vector<LoweringNote>& notes) const {
  const bool weights = node.weight && grid.name == node.Weights();
  const int bits = weights || plan_.network().FeedsArray(*node.node) ? 8 : 16;
  const std::int32_t half = 1 << (bits - 1);
  const QuantRange range = grid.range;
  if (!(range.qmin >= -half && range.qmax < half) && !(range.qmin >= 0 && range.qmax < 2 * half)) {
    Fail(grid.name, fmt::format("its type has {} bits at most: a range within {}..{} or 0..{}",
                                bits, -half, half - 1, 2 * half - 1));
  }
  if (weights) return;
  if (node.second_operand) grid = Recentred(std::move(grid));
  const std::size_t group = SharedBy(plan_, node, grid);
  if (!SameWithin(grid.scale, group) || !SameWithin(grid.zero, group)) {
    Fail(grid.name, group == 0 ? "one table serves every channel: one scale and one zero point"
                               : "channels are summed over: one scale and zero point for a head");
  }
  const bool added = IsStream(node) || Holds<network::Projection>(node);
  if (added && !SameWithin(grid.zero, 0))
    Fail(grid.name, "channels that are added share one zero point");
  if (IsStream(node)) {
    const double base = *std::min_element(grid.scale.begin(), grid.scale.end());
    for (double& scale : grid.scale)
      Require(grid, scale, SnapUp(scale, base), "channels of the stream are powers of two apart",
              notes);
  }
  if (!IsScores(node)) return;
  for (const NodePlan* reader : plan_.ReadersOf(node.node->name)) {
    if (!Holds<network::Softmax>(*reader)) continue;
    for (double& scale : grid.scale)
      Require(grid, scale, ScoresOf(reader->numerics.softmax, scale, 0).scale,
              "the exponential has scales of its own", notes);
  }
}

}  // namespace qsim::calibrate
