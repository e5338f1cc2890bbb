#include "sim/sweep/pareto.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace qsim::sweep {
namespace {

// Top-1 counts images, so equal counts are told apart by QSNR.
std::array<double, 2> Merit(const SweepResult& r, SweepObjective objective) {
  if (objective == SweepObjective::kQsnr) return {r.qsnr_db, 0};
  if (objective == SweepObjective::kBits) return {-r.bits_per_token, r.qsnr_db};
  return {static_cast<double>(r.correct), r.qsnr_db};
}

std::tuple<std::int64_t, int, std::int64_t> Costs(const SweepResult& r) {
  return {r.cost.table_bits, r.cost.multiplier_width, r.cost.weight_bits};
}

// At least as good in everything.
bool Covers(const SweepResult& a, const SweepResult& b, SweepObjective objective) {
  return Merit(a, objective) >= Merit(b, objective) && a.cost.table_bits <= b.cost.table_bits &&
         a.cost.multiplier_width <= b.cost.multiplier_width &&
         a.cost.weight_bits <= b.cost.weight_bits;
}

}  // namespace

bool Better(const SweepResult& a, const SweepResult& b, SweepObjective objective) {
  const auto merit_a = Merit(a, objective);
  const auto merit_b = Merit(b, objective);
  if (merit_a != merit_b) return merit_a > merit_b;
  if (Costs(a) != Costs(b)) return Costs(a) < Costs(b);
  return a.point < b.point;
}

std::vector<std::size_t> ParetoFront(std::span<const SweepResult> results,
                                     SweepObjective objective) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].refused.empty()) order.push_back(i);
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return Better(results[a], results[b], objective);
  });
  // What covers a point stands before it, and is covered by one of the front if not on it.
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    const bool covered = std::any_of(front.begin(), front.end(), [&](std::size_t f) {
      return Covers(results[f], results[i], objective);
    });
    if (!covered) front.push_back(i);
  }
  return front;
}

}  // namespace qsim::sweep
