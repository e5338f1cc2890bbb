// What plants of faults share: places drawn at random, and what is done to a linear layer there.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "sim/diagnose/structure.h"
#include "tests/diagnose/plants.h"

namespace qsim::testing {

using Codes = std::vector<std::int8_t>;

template <typename Wanted>
Op* AnyOp(Planting& p, Wanted wanted) {
  std::vector<Op*> ops;
  for (Op& op : p.bundle.program.ops) {
    if (wanted(op)) ops.push_back(&op);
  }
  if (ops.empty()) return nullptr;
  return ops[static_cast<std::size_t>(
      p.random.Between(0, static_cast<std::int64_t>(ops.size()) - 1))];
}

inline std::size_t Draw(Planting& p, std::size_t from, std::size_t to) {
  return static_cast<std::size_t>(
      p.random.Between(static_cast<std::int64_t>(from), static_cast<std::int64_t>(to)));
}
inline double Factor(Planting& p) {
  constexpr double kFactors[] = {0.125, 0.25, 0.4, 0.5, 2, 2.7, 4};
  return kFactors[Draw(p, 0, 6)];
}

// ---- linear layers ----

struct Layer {
  std::string tensor;
  LinearOperands op;
  Codes& codes;
  std::vector<std::int32_t>& bias;
  std::size_t rows, depth;
  std::vector<StackedPart> parts;
  std::size_t heads;  // of a part
  network::Linear floats;
};

template <typename Wanted>
std::optional<Layer> AnyLayer(Planting& p, Wanted wanted) {
  const Rederivation rederivation(p.model, p.inputs);
  const Op* op = AnyOp(p, [&](const Op& o) {
    if (!LinearOperandsOf(o)) return false;
    const network::Node& node = *p.model.NodeOf(OutputOf(o));
    return wanted(node, PartsOf(p.model, OutputOf(o)));
  });
  if (op == nullptr) return std::nullopt;
  const std::string tensor = OutputOf(*op);
  const LinearOperands operands = *LinearOperandsOf(*op);
  network::Linear floats = rederivation.LayerOf(tensor);
  const std::vector<StackedPart> parts = PartsOf(p.model, tensor);
  const network::Node& node = *p.model.NodeOf(tensor);
  const std::size_t heads =
      static_cast<std::size_t>(node.heads) / std::max<std::size_t>(1, parts.size());
  auto& constants = p.bundle.program.constants;
  return Layer{tensor,
               operands,
               constants.at(operands.weight).As<std::int8_t>(),
               constants.at(operands.bias).As<std::int32_t>(),
               floats.bias.size(),
               static_cast<std::size_t>(floats.in_features()),
               parts,
               heads,
               floats};
}
inline std::optional<Layer> AnyLayer(Planting& p) {
  return AnyLayer(p, [](const network::Node&, const auto&) { return true; });
}

// Row n or column k takes the codes of another one.
inline void Reorder(Layer& layer, const std::vector<std::size_t>& from, bool columns) {
  const Codes old = layer.codes;
  for (std::size_t n = 0; n < layer.rows; ++n) {
    for (std::size_t k = 0; k < layer.depth; ++k) {
      layer.codes[n * layer.depth + k] =
          columns ? old[n * layer.depth + from[k]] : old[from[n] * layer.depth + k];
    }
  }
}

inline std::vector<std::size_t> Same(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}
inline std::vector<std::size_t> Rotated(std::size_t count, std::size_t by) {
  std::vector<std::size_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = (i + by) % count;
  return order;
}
inline std::vector<std::size_t> Permuted(Planting& p, std::size_t count) {
  std::vector<std::size_t> order = Same(count);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[Draw(p, 0, i - 1)]);
  return order;
}

inline Planted Weights(const Layer& layer, std::string what, Cause cause, std::string says) {
  return {layer.tensor + ": " + std::move(what), {layer.tensor}, {cause}, std::move(says)};
}

// One row, a head's rows, or some of them anywhere.
inline std::vector<std::size_t> SomeRows(Planting& p, const Layer& layer, std::string& says) {
  if (layer.heads > 1 && Draw(p, 0, 1) == 0) {
    const std::size_t parts = std::max<std::size_t>(1, layer.parts.size());
    const std::size_t width = layer.rows / parts / layer.heads;
    const std::size_t part = Draw(p, 0, parts - 1), head = Draw(p, 0, layer.heads - 1);
    says =
        fmt::format("head {}{}", head, layer.parts.empty() ? "" : " of " + layer.parts[part].name);
    std::vector<std::size_t> rows = Same(width);
    for (std::size_t& row : rows) row += (part * layer.heads + head) * width;
    return rows;
  }
  const std::size_t row = Draw(p, 0, layer.rows - 1);
  says = fmt::format("channel {}\\b", row);
  return {row};
}

// By where they are planted.
std::vector<PlantKind> WeightKinds();
std::vector<PlantKind> BiasKinds();
std::vector<PlantKind> ArithmeticKinds();
std::vector<PlantKind> TableKinds();
std::vector<PlantKind> InputKinds();
std::vector<PlantKind> BundleKinds();

}  // namespace qsim::testing
