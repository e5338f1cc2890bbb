#include "sim/diagnose/hybrid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "sim/diagnose/model_check.h"
#include "sim/error.h"
#include "sim/semantics/float_nodes.h"
#include "sim/semantics/float_run.h"

namespace qsim {
namespace {

using Tensor = std::shared_ptr<const HybridTensor>;

std::vector<double> MeanOf(const ModelInputs& inputs) {
  const auto* images = std::get_if<ImageInputs>(&inputs.data);
  return images != nullptr ? images->mean : std::vector<double>{};
}

std::vector<double> DeviationOf(const ModelInputs& inputs) {
  const auto* images = std::get_if<ImageInputs>(&inputs.data);
  return images != nullptr ? images->stddev : std::vector<double>{};
}

// x / s + z - op_zero for every element: the number that an integer product would multiply.
FloatTensor Operand(const Grid& grid, const HybridTensor& tensor,
                    const std::vector<std::int32_t>& op_zero, std::size_t zero_of_element) {
  FloatTensor out = tensor.real();
  grid.ForEach([&](std::size_t i, Quantization q) {
    const std::size_t z = op_zero.size() == 1 ? 0 : i / zero_of_element % op_zero.size();
    out.data[i] = static_cast<float>(grid.Units(q, static_cast<double>(out.data[i])) -
                                     static_cast<double>(op_zero[z]));
  });
  return out;
}

}  // namespace

const FloatTensor& HybridTensor::real() const {
  if (real_.shape.empty()) {
    const std::vector<double> values = grid_->Dequantize(*codes_);
    real_ = {codes_->shape(), std::vector<float>(values.begin(), values.end())};
  }
  return real_;
}

// Tensors that changed, and behind them those that did not.
class HybridNetwork::Lookup {
 public:
  Lookup(const HybridState& changed, const HybridState* base) : changed_(changed), base_(base) {}

  const HybridTensor& At(const std::string& name) const {
    const auto found = changed_.find(name);
    return found != changed_.end() ? *found->second : *base_->at(name);
  }

 private:
  const HybridState& changed_;
  const HybridState* base_;
};

HybridNetwork::HybridNetwork(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs)
    : bundle_(bundle),
      model_(model),
      inputs_(inputs),
      exact_(bundle, model, MeanOf(inputs), DeviationOf(inputs)),
      names_(bundle.program.inputs) {
  for (const Op& op : bundle.program.ops) {
    names_.push_back(OutputOf(op));
  }
  for (std::size_t n = 0; n < names_.size(); ++n) nodes_[names_[n]] = n;
  CheckStandsFor(bundle, model, inputs, exact_);
}

const Op* HybridNetwork::OpOf(std::size_t node) const {
  const std::size_t inputs = bundle_.program.inputs.size();
  return node < inputs ? nullptr : &bundle_.program.ops[node - inputs];
}

std::vector<std::size_t> HybridNetwork::Last() const {
  std::set<std::string> read;
  for (const Op& op : bundle_.program.ops) {
    for (std::string& name : InputsOf(op)) read.insert(std::move(name));
  }
  std::vector<std::size_t> last;
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (!read.contains(names_[n])) last.push_back(n);
  }
  return last;
}

HybridState HybridNetwork::ExactInputs(std::int64_t image) const {
  HybridState state;
  const FloatRun run(model_);
  FloatRun::State values = run.Begin(inputs_, image);
  std::set<std::string> wanted(bundle_.program.inputs.begin(), bundle_.program.inputs.end());
  for (int part = 0; part < model_.parts() && !wanted.empty(); ++part) {
    run.Part(part, values, [&](const network::Node& node, const FloatTensor& value) {
      if (wanted.erase(node.name) == 0) return;
      if (std::holds_alternative<network::Pixels>(node.function)) {
        const IntTensor& pixels = std::get<ImageInputs>(inputs_.data).pixels;
        const Shape& shape = bundle_.program.Tensor(node.name).shape;
        const auto& all = pixels.As<std::uint8_t>();
        const auto begin = all.begin() + image * ElementCount(shape);
        IntTensor one(shape, std::vector<std::uint8_t>(begin, begin + ElementCount(shape)));
        state[node.name] =
            std::make_shared<HybridTensor>(std::move(one), bundle_.GridOf(node.name));
      } else {
        state[node.name] = std::make_shared<HybridTensor>(value);
      }
    });
  }
  if (!wanted.empty()) {
    throw InputError(fmt::format("the program has an input '{}', which the model has not",
                                 *wanted.begin()));
  }
  return state;
}

HybridState HybridNetwork::Run(const HybridState& inputs, const Modes& modes) const {
  HybridState values;
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (OpOf(n) == nullptr) values[names_[n]] = inputs.at(names_[n]);
    values[names_[n]] = Node(n, modes[n], Lookup(values, nullptr));
  }
  return values;
}

HybridState HybridNetwork::Change(const HybridState& inputs, const HybridState& base,
                                  const Modes& base_modes, const Modes& modes,
                                  HybridState replaced) const {
  HybridState changed = std::move(replaced);
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (changed.contains(names_[n])) continue;
    bool differs = modes[n] != base_modes[n];
    const Op* op = OpOf(n);
    if (op != nullptr && !differs) {
      const std::vector<std::string> reads = InputsOf(*op);
      differs = std::any_of(reads.begin(), reads.end(),
                            [&](const std::string& name) { return changed.contains(name); });
    }
    if (!differs) continue;
    // An input is computed from its own exact values.
    const Lookup values(op == nullptr ? inputs : changed, &base);
    changed[names_[n]] = Node(n, modes[n], values);
  }
  return changed;
}

Tensor HybridNetwork::Compute(std::size_t node, Exactness exactness,
                              const HybridState& values) const {
  return Node(node, exactness, Lookup(values, nullptr));
}

Tensor HybridNetwork::OnGrid(const std::string& tensor, const FloatTensor& real) const {
  return FromReal(tensor, real, {}, {});
}

Tensor HybridNetwork::Node(std::size_t node, Exactness e, const Lookup& values) const {
  const std::size_t inputs = bundle_.program.inputs.size();
  const std::string& name = names_[node];
  if (node < inputs) {
    const HybridTensor& value = values.At(name);
    if (value.codes() != nullptr) {
      return std::make_shared<HybridTensor>(*value.codes(), bundle_.GridOf(name));
    }
    return FromReal(name, value.real(), e, {});
  }
  const std::size_t op = node - inputs;
  const Op& what = bundle_.program.ops[op];
  if (std::holds_alternative<PatchifyOp>(what)) {
    return std::make_shared<HybridTensor>(Golden(op, values), bundle_.GridOf(name));
  }
  if (std::holds_alternative<GemmOp>(what)) return Gemm(op, e, values);
  if (std::holds_alternative<MatmulOp>(what)) return Matmul(op, e, values);
  const bool function = std::holds_alternative<SoftmaxOp>(what) ||
                        std::holds_alternative<LayernormOp>(what) ||
                        std::holds_alternative<GeluOp>(what);
  return Rounding(op, e, function ? e.function : e.ratio, values);
}

FloatTensor HybridNetwork::ExactOutput(std::size_t op, const Lookup& values) const {
  const Op& what = bundle_.program.ops[op];
  const RealTensors real = [&](const std::string& name) { return values.At(name).real(); };
  return {bundle_.program.Tensor(OutputOf(what)).shape, exact_.Output(what, real)};
}

IntTensor HybridNetwork::Golden(std::size_t op, const Lookup& codes) const {
  GoldenBackend backend;
  Execution execution(bundle_.program, 0, backend);
  const Op& what = bundle_.program.ops[op];
  for (const std::string& name : InputsOf(what)) {
    const HybridTensor& value = codes.At(name);
    execution.Supply(
        name, value.codes() != nullptr ? *value.codes() : *OnGrid(name, value.real())->codes());
  }
  execution.Step(op);
  return execution.values().at(OutputOf(what));
}

Tensor HybridNetwork::Gemm(std::size_t op, Exactness e, const Lookup& values) const {
  const auto& gemm = std::get<GemmOp>(bundle_.program.ops[op]);
  if (e.weights) return std::make_shared<HybridTensor>(ExactOutput(op, values));
  const Grid out = bundle_.GridOf(gemm.output);
  const HybridTensor& input = values.At(gemm.input);
  const bool bounded = gemm.acc.policy != AccPolicy::kError;
  if (input.codes() != nullptr && !(bounded && e.unclipped)) {
    return std::make_shared<HybridTensor>(Golden(op, values), out);
  }
  // The integers as a linear layer on real numbers.
  const IntTensor& weight = bundle_.program.Constant(gemm.weight);
  const IntTensor& bias = bundle_.program.Constant(gemm.bias);
  const auto& codes = weight.As<std::int8_t>();
  const auto rows = static_cast<std::size_t>(weight.shape()[0]);
  const auto depth = static_cast<std::size_t>(weight.shape()[1]);
  const Grid in = bundle_.GridOf(gemm.input);
  network::Linear layer;
  layer.weight = {weight.shape(), std::vector<float>(codes.size())};
  layer.bias.resize(rows);
  for (std::size_t n = 0; n < rows; ++n) {
    const std::vector<std::int32_t>& zeros = gemm.weight_zero;
    const std::int32_t zero = zeros.empty() ? 0 : zeros[zeros.size() == 1 ? 0 : n];
    double offset = static_cast<double>(bias.As<std::int32_t>()[n]);
    for (std::size_t k = 0; k < depth; ++k) {
      const double w = static_cast<double>(codes[n * depth + k] - zero);
      offset += static_cast<double>(in.At(k).zero) * w;
      layer.weight.data[n * depth + k] = static_cast<float>(out.At(n).scale / in.At(k).scale * w);
    }
    layer.bias[n] = static_cast<float>(out.At(n).scale * offset);
  }
  FloatTensor x = input.real();
  if (gemm.rows > 0) {
    x.shape[0] = gemm.rows;
    x.data.resize(static_cast<std::size_t>(gemm.rows) * depth);
  }
  return FromAccumulator(gemm.output, FloatLinear(layer, x), gemm.acc, e.unclipped);
}

Tensor HybridNetwork::Matmul(std::size_t op, Exactness e, const Lookup& values) const {
  const auto& matmul = std::get<MatmulOp>(bundle_.program.ops[op]);
  if (e.weights) return std::make_shared<HybridTensor>(ExactOutput(op, values));
  const Grid out_grid = bundle_.GridOf(matmul.output);
  const HybridTensor& lhs = values.At(matmul.lhs);
  const HybridTensor& rhs = values.At(matmul.rhs);
  const bool bounded = matmul.acc.policy != AccPolicy::kError;
  if (lhs.codes() != nullptr && rhs.codes() != nullptr && !(bounded && e.unclipped)) {
    return std::make_shared<HybridTensor>(Golden(op, values), out_grid);
  }
  const Program& program = bundle_.program;
  const Grid lhs_grid = bundle_.GridOf(matmul.lhs);
  const Grid rhs_grid = bundle_.GridOf(matmul.rhs);
  const Shape& stream = rhs.real().shape;
  const auto channels = static_cast<std::size_t>(stream[1]);
  const std::size_t head_dim = channels / static_cast<std::size_t>(matmul.heads);
  // Zero points run along heads, whose elements are columns of Q, K and V and planes of the
  // softmax.
  const std::size_t lhs_inner =
      matmul.transpose_rhs ? head_dim : static_cast<std::size_t>(stream[0] * stream[0]);
  const std::size_t rhs_inner = matmul.rhs_zero.size() == channels ? 1 : head_dim;
  FloatTensor a;
  if (matmul.mode == OperandMode::kShift) {
    a = lhs.real();
    for (float& v : a.data) v = std::ldexp(v, 15);
  } else {
    a = Operand(lhs_grid, lhs, matmul.lhs_zero, lhs_inner);
  }
  const FloatTensor b = Operand(rhs_grid, rhs, matmul.rhs_zero, rhs_inner);
  const RealTensors operands = [&](const std::string& name) { return name == matmul.lhs ? a : b; };
  FloatTensor out{program.Tensor(matmul.output).shape, exact_.Output(program.ops[op], operands)};
  // The exact product of Q and K includes 1 / sqrt(head_dim); the integers have it in their scale.
  const double factor = matmul.transpose_rhs ? std::sqrt(static_cast<double>(head_dim)) : 1.0;
  out_grid.ForEach([&](std::size_t i, Quantization q) {
    out.data[i] = static_cast<float>(out_grid.Real(q, static_cast<double>(out.data[i]) * factor));
  });
  return FromAccumulator(matmul.output, std::move(out), matmul.acc, e.unclipped);
}

Tensor HybridNetwork::FromAccumulator(const std::string& name, FloatTensor real,
                                      const Accumulator& acc, bool unclipped) const {
  if (acc.policy != AccPolicy::kError && !unclipped) {
    const Grid grid = bundle_.GridOf(name);
    const double half = std::ldexp(1.0, acc.bits - 1);
    grid.ForEach([&](std::size_t i, Quantization q) {
      const double sum = grid.Units(q, static_cast<double>(real.data[i]));
      const double kept = acc.policy == AccPolicy::kSaturate
                              ? std::clamp(sum, -half, half - 1)
                              : sum - 2 * half * std::floor((sum + half) / (2 * half));
      if (kept != sum) real.data[i] = static_cast<float>(grid.Real(q, kept));
    });
  }
  return std::make_shared<HybridTensor>(std::move(real));
}

// Operations that round. Off the grid the golden operation has no answer: its own error, beyond the
// rounding, is then that at the nearest point of the grid.
Tensor HybridNetwork::Rounding(std::size_t op, Exactness e, bool exact_inside,
                               const Lookup& values) const {
  const Op& what = bundle_.program.ops[op];
  const std::string& name = OutputOf(what);
  const Grid grid = bundle_.GridOf(name);
  if (exact_inside && e.unrounded && e.unclipped) {
    return std::make_shared<HybridTensor>(ExactOutput(op, values));
  }
  const std::vector<std::string> reads = InputsOf(what);
  const bool on_grid = std::all_of(reads.begin(), reads.end(), [&](const std::string& input) {
    return values.At(input).codes() != nullptr;
  });
  if (on_grid && !exact_inside && !e.unrounded && !e.unclipped) {
    return std::make_shared<HybridTensor>(Golden(op, values), grid);
  }
  const FloatTensor exact = ExactOutput(op, values);
  if (exact_inside) return FromReal(name, exact, e, {});
  HybridState rounded;
  for (const std::string& input : reads) {
    const HybridTensor& value = values.At(input);
    rounded[input] = value.codes() != nullptr
                         ? std::make_shared<HybridTensor>(*value.codes(), bundle_.GridOf(input))
                         : OnGrid(input, value.real());
  }
  const Lookup nearest(rounded, nullptr);
  const IntTensor golden = Golden(op, nearest);
  const FloatTensor ideal = on_grid ? exact : ExactOutput(op, nearest);
  std::vector<double> error(ideal.data.size());
  grid.ForEach([&](std::size_t i, Quantization q) {
    const double code =
        grid.Clamped(std::nearbyint(grid.Units(q, static_cast<double>(ideal.data[i]))));
    error[i] = static_cast<double>(golden.At(static_cast<std::int64_t>(i))) - code;
  });
  return FromReal(name, exact, e, error);
}

// `error`: in steps of the grid, empty or for each element.
Tensor HybridNetwork::FromReal(const std::string& name, const FloatTensor& real, Exactness e,
                               const std::vector<double>& error) const {
  const TensorInfo& info = bundle_.program.Tensor(name);
  const Grid grid = bundle_.GridOf(name);
  if (e.unrounded && e.unclipped && error.empty()) return std::make_shared<HybridTensor>(real);
  std::vector<double> units(real.data.size());
  bool on_grid = !e.unrounded;
  grid.ForEach([&](std::size_t i, Quantization q) {
    double u = grid.Units(q, static_cast<double>(real.data[i]));
    if (!e.unrounded) u = std::nearbyint(u);
    if (!e.unclipped) u = grid.Clamped(u);
    if (!error.empty()) u += error[i];
    if (!e.unclipped) u = grid.Clamped(u);
    on_grid = on_grid && u == grid.Clamped(u);
    units[i] = u;
  });
  if (on_grid) return std::make_shared<HybridTensor>(grid.Codes(units), grid);
  FloatTensor out{info.shape, std::vector<float>(units.size())};
  grid.ForEach([&](std::size_t i, Quantization q) {
    out.data[i] = static_cast<float>(grid.Real(q, units[i]));
  });
  return std::make_shared<HybridTensor>(std::move(out));
}

}  // namespace qsim
