// One node of the mixed executor.
#include <algorithm>
#include <cmath>
#include <utility>

#include "golden/program/queries.h"
#include "sim/semantics/mixed_prepared.h"

namespace qsim::semantics {
namespace {

using Tensor = std::shared_ptr<const MixedTensor>;

// Operations that change a grid, or add on it; the others that round have a function of their own.
bool IsRatio(const Op& op) {
  return std::holds_alternative<RequantizeOp>(op) || std::holds_alternative<ResidualAddOp>(op) ||
         std::holds_alternative<EmbedOp>(op) || std::holds_alternative<RowDivideOp>(op);
}

Reals AsReals(ExactValue value) {
  if (auto* doubles = std::get_if<Reals>(&value)) return std::move(*doubles);
  const FloatTensor& floats = std::get<FloatTensor>(value);
  return {floats.data.begin(), floats.data.end()};
}

// Exact on any grid: sums and products of two, and what is only moved.
bool IsExact(const Op& op) {
  return std::holds_alternative<RowSumOp>(op) || std::holds_alternative<ColumnSumOp>(op) ||
         std::holds_alternative<MultiplyOp>(op) || std::holds_alternative<ViewOp>(op) ||
         std::holds_alternative<LastRowsOp>(op);
}

// Whether a constant of the network was rounded to one of the operation's operands.
bool WeightOrFactor(const Op& op) {
  const auto* product = std::get_if<MultiplyOp>(&op);
  return product != nullptr && !product->factor.empty();
}

// What an accumulator makes of sums that it cannot hold.
void Bound(const Accumulator& acc, const Grid& grid, Reals& real) {
  const double half = std::ldexp(1.0, acc.bits - 1);
  grid.ForEach(real.size(), [&](std::size_t i, Quantization q) {
    const double sum = grid.Units(q, real[i]);
    const double kept = acc.policy == AccPolicy::kSaturate
                            ? std::clamp(sum, -half, half - 1)
                            : sum - 2 * half * std::floor((sum + half) / (2 * half));
    if (kept != sum) real[i] = grid.Real(q, kept);
  });
}

}  // namespace

bool MixedExecutor::HasFunction(std::size_t node) const {
  const Op* op = OpOf(node);
  return op != nullptr && AccumulatorOf(*op) == nullptr && !IsRatio(*op) &&
         !std::holds_alternative<PatchifyOp>(*op) && !IsExact(*op);
}

Tensor MixedExecutor::OnGrid(const std::string& tensor, const FloatTensor& real) const {
  return FromExact(tensor, Reals(real.data.begin(), real.data.end()), Exactness::Golden(), {});
}

Tensor MixedExecutor::Node(std::size_t node, Exactness e, const Lookup& values) const {
  const Op* op = OpOf(node);
  if (op == nullptr) {
    if (node >= bundle_.program.inputs.size() && !values.Changed(names_[node]))
      return Initial(names_[node], e);
    const Tensor& value = values.At(names_[node]);
    // A state that no function has rounded is carried as it is.
    const bool carried = IsState(names_[node]) && e.function;
    return value->codes() != nullptr || carried ? value
                                                : FromExact(names_[node], value->Doubles(), e, {});
  }
  if (std::holds_alternative<PatchifyOp>(*op)) return Golden(node, values);
  if (IsExact(*op)) {
    const bool rounded = WeightOrFactor(*op) && e.weights;
    const bool moved = e == Exactness::All() && wired_.contains(names_[node]);
    return OnGrids(*op, values) && !rounded && !moved
               ? Golden(node, values)
               : OffGrid(names_[node], ExactOf(*op, values, e.weights));
  }
  if (std::holds_alternative<RecurrenceStateOp>(*op) && e.function)
    return OffGrid(names_[node], ExactOf(*op, values, e.weights));
  const Accumulator* acc = AccumulatorOf(*op);
  return acc != nullptr ? Product(node, *acc, e, values) : Rounding(node, e, values);
}

Tensor MixedExecutor::OffGrid(const std::string& name, ExactValue value) const {
  FloatTensor real;
  if (auto* floats = std::get_if<FloatTensor>(&value)) {
    real = std::move(*floats);
  } else {
    const Reals& doubles = std::get<Reals>(value);
    real.data.assign(doubles.begin(), doubles.end());
  }
  real.shape = ShapeOf(bundle_.program.Tensor(name), static_cast<std::int64_t>(real.data.size()));
  return std::make_shared<MixedTensor>(std::move(real));
}

Tensor MixedExecutor::Initial(const std::string& tensor, Exactness e) const {
  if (e == Exactness::All()) {
    const Shape& shape = bundle_.program.Tensor(tensor).shape;
    return std::make_shared<MixedTensor>(
        FloatTensor{shape, std::vector<float>(static_cast<std::size_t>(ElementCount(shape)))});
  }
  const std::vector<Carried>& carried = bundle_.program.carried;
  const auto to = std::find_if(carried.begin(), carried.end(),
                               [&](const Carried& c) { return c.input == tensor; });
  return std::make_shared<MixedTensor>(bundle_.program.Constant(to->initial),
                                       bundle_.GridOf(tensor));
}

bool MixedExecutor::IsState(const std::string& tensor) const {
  const auto& carried = bundle_.program.carried;
  return std::any_of(carried.begin(), carried.end(), [&](const Carried& c) {
    const Op* op = c.input == tensor ? ProducerOf(bundle_.program, c.output) : nullptr;
    return op != nullptr && std::holds_alternative<RecurrenceStateOp>(*op);
  });
}

// From operands that are on their grids, or at the nearest point of them.
Tensor MixedExecutor::Golden(std::size_t node, const Lookup& values) const {
  const Op& op = *OpOf(node);
  Execution execution(bundle_.program, 0, prepared_->backend);
  for (const std::string& name : InputsOf(op)) {
    const MixedTensor& value = *values.At(name);
    execution.Supply(
        name, value.codes() != nullptr ? *value.codes() : *OnGrid(name, value.real())->codes());
  }
  execution.Step(node - first_op());
  return std::make_shared<MixedTensor>(std::move(execution).Take().at(names_[node]),
                                       bundle_.GridOf(names_[node]));
}

bool MixedExecutor::OnGrids(const Op& op, const Lookup& values) {
  const std::vector<std::string> reads = InputsOf(op);
  return std::all_of(reads.begin(), reads.end(),
                     [&](const std::string& name) { return values.At(name)->codes() != nullptr; });
}

Tensor MixedExecutor::Product(std::size_t node, const Accumulator& acc, Exactness e,
                              const Lookup& values) const {
  const Op& op = *OpOf(node);
  if (e.weights) return OffGrid(names_[node], ExactOf(op, values, true));
  const bool bounded = acc.policy != AccPolicy::kError;
  if (OnGrids(op, values) && !(bounded && e.unbounded)) return Golden(node, values);
  ExactValue exact = ExactOf(op, values, false);
  if (!bounded || e.unbounded) return OffGrid(names_[node], std::move(exact));
  Reals real = AsReals(std::move(exact));
  Bound(acc, bundle_.GridOf(names_[node]), real);
  return OffGrid(names_[node], std::move(real));
}

// Operations that round. Off the grid the golden operation has no answer: its own error, beyond the
// rounding, is then that at the nearest point of the grid.
Tensor MixedExecutor::Rounding(std::size_t node, Exactness e, const Lookup& values) const {
  const Op& op = *OpOf(node);
  const std::string& name = names_[node];
  if (IsRatio(op) ? e.ratio : e.function) {
    return FromExact(name, ExactOf(op, values, e.weights), e, {});
  }
  const bool on_grid = OnGrids(op, values);
  if (on_grid && !e.unrounded && !e.unclipped) return Golden(node, values);
  MixedState rounded;
  for (const std::string& input : ReadsOf(node)) {
    const Tensor& value = values.At(input);
    rounded[input] = value->codes() != nullptr ? value : OnGrid(input, value->real());
  }
  const Lookup nearest(rounded);
  const Tensor golden = Golden(node, nearest);
  Reals ideal = AsReals(ExactOf(op, nearest, false));
  const Grid grid = bundle_.GridOf(name);
  Reals error(ideal.size());
  grid.ToUnits(ideal, {}, error);
  std::visit(
      [&](const auto& codes) {
        for (std::size_t i = 0; i < error.size(); ++i)
          error[i] = static_cast<double>(codes[i]) - error[i];
      },
      golden->codes()->storage());
  if (!on_grid || e.weights) ideal = AsReals(ExactOf(op, values, e.weights));
  return FromExact(name, std::move(ideal), e, error);
}

// `error`: in steps of the grid, empty or for each element.
Tensor MixedExecutor::FromExact(const std::string& name, ExactValue value, Exactness e,
                                const Reals& error) const {
  if (e.unrounded && e.unclipped && error.empty()) return OffGrid(name, std::move(value));
  const Grid grid = bundle_.GridOf(name);
  const Reals real = AsReals(std::move(value));
  // How what enters the program becomes integers, its contract says.
  const std::vector<std::string>& inputs = bundle_.program.inputs;
  if (!e.unrounded && !e.unclipped && error.empty() &&
      std::find(inputs.begin(), inputs.end(), name) != inputs.end()) {
    return std::make_shared<MixedTensor>(
        grid.Quantize(std::vector<float>(real.begin(), real.end())), grid);
  }
  Reals units(real.size());
  const Stepping stepping = {.round = !e.unrounded, .clamp = !e.unclipped, .error = error};
  if (grid.ToUnits(real, stepping, units))
    return std::make_shared<MixedTensor>(grid.Codes(units), grid);
  grid.ToReal(units);
  return OffGrid(name, std::move(units));
}

}  // namespace qsim::semantics
