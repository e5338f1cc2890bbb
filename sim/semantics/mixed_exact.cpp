// What an operation of a program is in real numbers: the function of the network's node, on what
// the operation reads. Sums are of doubles, so that a grid of 16 bits rounds what its codes really
// add up to; in float they are the node's own, bit for bit.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <utility>

#include "sim/semantics/float_nodes.h"
#include "sim/semantics/mixed_prepared.h"

namespace qsim::semantics {
namespace {

Reals Widened(const FloatTensor& x) { return {x.data.begin(), x.data.end()}; }

template <typename T>
std::vector<T> Columns(const std::vector<T>& x, std::int64_t in_width, std::int64_t first,
                       std::int64_t width) {
  if (width == in_width) return x;
  std::vector<T> out;
  out.reserve(x.size() / static_cast<std::size_t>(in_width) * static_cast<std::size_t>(width));
  for (auto row = x.begin(); row != x.end(); row += in_width)
    out.insert(out.end(), row + first, row + first + width);
  return out;
}

// Adds `x` to the last elements of `sum`.
Reals Plus(Reals sum, const Reals& x) {
  const std::size_t first = sum.size() - x.size();
  for (std::size_t i = 0; i < x.size(); ++i) sum[first + i] += x[i];
  return sum;
}

// exp(x - max) from a row's probabilities; 0 where the row sees nothing.
Reals OverLargest(Reals probabilities, std::int64_t width) {
  for (auto row = probabilities.begin(); row != probabilities.end(); row += width) {
    const double largest = *std::max_element(row, row + width);
    std::for_each(row, row + width, [&](double& p) { p = largest > 0 ? p / largest : 0; });
  }
  return probabilities;
}

Reals RowSums(const Reals& x, std::int64_t width) {
  Reals sums;
  for (auto row = x.begin(); row != x.end(); row += width)
    sums.push_back(std::accumulate(row, row + width, 0.0));
  return sums;
}

// Over a divisor for each row of each head; one that is not positive is a row without elements.
Reals RowQuotients(Reals x, const Shape& shape, const Reals& divisors, const Shape& rows) {
  const auto heads = static_cast<std::size_t>(rows[0]), count = static_cast<std::size_t>(rows[1]);
  const std::size_t width = x.size() / divisors.size();
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t row = i / width;
    const double d = divisors[shape.size() > 2 ? row : row % heads * count + row / heads];
    x[i] = d > 0 ? x[i] / d : 0;
  }
  return x;
}

Reals PositionsOf(const network::Positions& node) {
  Reals out = Widened(node.position);
  for (std::size_t i = 0; i < node.front.data.size(); ++i) {
    out[i] = static_cast<double>(node.position.data[i] + node.front.data[i]);
  }
  return out;
}

// The rows in front are in codes of the output; the others are in its steps, without zero point.
Reals PositionsOf(const EmbedOp& op, const Bundle& bundle) {
  const IntTensor& position = bundle.program.Constant(op.position);
  const auto& codes = position.As<std::int32_t>();
  const TensorScale& scale = bundle.scales.at(op.output);
  const auto channels = static_cast<std::size_t>(position.shape()[1]);
  const std::size_t in_front =
      codes.size() - static_cast<std::size_t>(ElementCount(bundle.program.Tensor(op.a).shape));
  Reals out(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const Quantization q = scale.At(i % channels);
    out[i] = q.scale * (codes[i] - (i < in_front ? q.zero : 0));
  }
  return out;
}

FloatTensor Normalised(const ImageInputs& images, FloatTensor patches) {
  const auto depth = static_cast<std::size_t>(patches.shape.back());
  const std::size_t per_channel = depth / images.mean.size();
  for (std::size_t i = 0; i < patches.data.size(); ++i) {
    const std::size_t c = i % depth / per_channel;
    const double pixel = static_cast<double>(patches.data[i]);
    patches.data[i] = static_cast<float>((pixel - images.mean[c]) / images.stddev[c]);
  }
  return patches;
}

// The integers as a linear layer on real numbers; of a convolution the taps of each channel, which
// all read one scale.
template <typename WeightedOp>
network::Linear RealLinear(const WeightedOp& op, const Bundle& bundle) {
  const IntTensor& weight = bundle.program.Constant(op.weight);
  const IntTensor& biases = bundle.program.Constant(op.bias);
  const auto& bias = biases.As<std::int32_t>();
  const auto& codes = weight.As<std::int8_t>();
  const auto rows = static_cast<std::size_t>(weight.shape()[0]);
  const auto depth = static_cast<std::size_t>(weight.shape()[1]);
  const TensorScale& in = bundle.scales.at(op.input);
  const TensorScale& out = bundle.scales.at(op.output);
  GemmParams params;
  params.rhs_zero = op.weight_zero;
  network::Linear layer;
  layer.weight = {weight.shape(), std::vector<float>(codes.size())};
  layer.bias.resize(rows);
  for (std::size_t n = 0; n < rows; ++n) {
    const std::int32_t zero = params.RhsZero(static_cast<std::int64_t>(n));
    const double step = out.At(n).scale;
    double offset = static_cast<double>(bias[n]);
    for (std::size_t k = 0; k < depth; ++k) {
      const Quantization q = in.At(std::is_same_v<WeightedOp, GemmOp> ? k : 0);
      const double w = static_cast<double>(codes[n * depth + k] - zero);
      offset += static_cast<double>(q.zero) * w;
      layer.weight.data[n * depth + k] = static_cast<float>(step / q.scale * w);
    }
    layer.bias[n] = static_cast<float>(step * offset);
  }
  return layer;
}

// Of two tensors, or of one and the factors that its integers, or the network, have.
Reals Products(const MultiplyOp& op, const network::Node& node, const Bundle& bundle, Reals a,
               const Reals& b, bool float_weights) {
  if (op.factor.empty()) {
    const std::size_t each = a.size() / b.size();
    for (std::size_t i = 0; i < a.size(); ++i) a[i] *= b[i / each];
    return a;
  }
  const auto& codes = bundle.program.Constant(op.factor).As<std::int16_t>();
  const TensorScale &in = bundle.scales.at(op.a), &out = bundle.scales.at(op.output);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::size_t c = i % codes.size();
    a[i] *= float_weights ? static_cast<double>(std::get<network::Scaled>(node.function).factor[c])
                          : static_cast<double>(codes[c]) * out.At(c).scale / in.At(c).scale;
  }
  return a;
}

// The rows of the integers' own table.
FloatTensor RowsOf(const LookupOp& op, const Bundle& bundle, const FloatTensor& ids) {
  const TensorInfo& info = bundle.program.Tensor(op.output);
  const IntTensor& table = bundle.program.Constant(op.table);
  FloatTensor rows{table.shape(), Grid(info, bundle.scales.at(op.output)).DequantizeToFloat(table)};
  network::Node node;
  node.shape = info.shape;
  node.function = network::Embedding{std::move(rows)};
  const std::vector<const FloatTensor*> inputs = {&ids};
  return semantics::Compute(node, inputs);
}

// x / s + z - op_zero for every element: the number that the integer product would multiply.
// `inner`: elements of one zero point side by side.
FloatTensor Operand(const Grid& grid, const FloatTensor& x,
                    const std::vector<std::int32_t>& op_zero, std::size_t inner) {
  Reals units = Widened(x);
  grid.ToUnits(units, {.round = false, .clamp = false}, units);
  FloatTensor operand{x.shape, std::vector<float>(units.size())};
  std::size_t z = 0;
  for (std::size_t begin = 0; begin < units.size(); begin += inner) {
    const double zero = static_cast<double>(op_zero[z]);
    for (std::size_t i = begin; i < begin + inner; ++i)
      operand.data[i] = static_cast<float>(units[i] - zero);
    z = (z + 1) % op_zero.size();
  }
  return operand;
}

// OnReals: these very integers, on operands that may lie off their grids.
Reals OnReals(const MatmulOp& op, const Bundle& bundle, FloatTensor lhs, const FloatTensor& rhs) {
  // Zero points run along heads: of columns side by side, or of planes.
  const auto inner = [&](const Shape& shape) {
    return static_cast<std::size_t>(MatricesOf(shape, op.heads)->next);
  };
  const bool per_column = op.rhs_zero.size() == static_cast<std::size_t>(rhs.shape.back());
  if (op.mode == OperandMode::kShift) {
    for (float& v : lhs.data) v = std::ldexp(v, 15);
  } else {
    lhs = Operand(bundle.GridOf(op.lhs), lhs, op.lhs_zero, inner(lhs.shape));
  }
  const FloatTensor b =
      Operand(bundle.GridOf(op.rhs), rhs, op.rhs_zero, per_column ? 1 : inner(rhs.shape));
  network::Node node;
  node.function = network::Product{op.heads, op.transpose_rhs, 1};
  const std::vector<const FloatTensor*> operands = {&lhs, &b};
  Reals out = Widened(semantics::Compute(node, operands));
  bundle.GridOf(op.output).ToReal(out);
  return out;
}

}  // namespace

template <typename WeightedOp>
const network::Linear& MixedExecutor::LayerOf(const WeightedOp& op) const {
  const std::lock_guard lock(prepared_->mutex);
  const auto found = prepared_->layers.find(op.output);
  if (found != prepared_->layers.end()) return found->second;
  return prepared_->layers.emplace(op.output, RealLinear(op, bundle_)).first->second;
}

ExactValue MixedExecutor::ExactOf(const Op& integers, const Lookup& values,
                                  bool float_weights) const {
  const Op& op = Wired(integers);
  const auto real = [&](const std::string& name) -> const FloatTensor& {
    return values.At(name)->real();
  };
  const Program& program = bundle_.program;
  if (const auto* requantize = std::get_if<RequantizeOp>(&op)) {
    const MixedTensor& input = *values.At(requantize->input);
    const auto columns = [&](const auto& x) {
      return Columns(x, program.Tensor(requantize->input).shape.back(), requantize->first_column,
                     program.Tensor(requantize->output).shape.back());
    };
    if (input.codes() != nullptr) return columns(input.Doubles());
    return FloatTensor{{}, columns(input.real().data)};
  }
  if (const auto* add = std::get_if<ResidualAddOp>(&op)) {
    return Plus(values.At(add->a)->Doubles(), values.At(add->b)->Doubles());
  }
  if (const auto* sum = std::get_if<RowSumOp>(&op)) {
    return RowSums(values.At(sum->input)->Doubles(), program.Tensor(sum->input).shape.back());
  }
  if (const auto* sum = std::get_if<ColumnSumOp>(&op)) {  // its scale is that of the mean
    return MeanOfRows(values.At(sum->input)->Doubles(), program.Tensor(sum->input).shape.back(),
                      sum->first);
  }
  if (const auto* divide = std::get_if<RowDivideOp>(&op)) {
    return RowQuotients(values.At(divide->input)->Doubles(), program.Tensor(divide->input).shape,
                        values.At(divide->divisor)->Doubles(),
                        program.Tensor(divide->divisor).shape);
  }
  const network::Node& node = *model_.NodeOf(OutputOf(op));
  if (const auto* embed = std::get_if<EmbedOp>(&op)) {
    return Plus(float_weights ? PositionsOf(std::get<network::Positions>(node.function))
                              : PositionsOf(*embed, bundle_),
                values.At(embed->a)->Doubles());
  }
  if (const auto* product = std::get_if<MultiplyOp>(&op)) {
    return Products(*product, node, bundle_, values.At(product->a)->Doubles(),
                    product->b.empty() ? Reals() : values.At(product->b)->Doubles(), float_weights);
  }
  if (!float_weights) {
    if (const auto* lookup = std::get_if<LookupOp>(&op))
      return RowsOf(*lookup, bundle_, real(lookup->input));
    if (const auto* convolution = std::get_if<CausalConvOp>(&op)) {
      const network::Linear& taps = LayerOf(*convolution);
      network::Node own = node;
      own.function = network::CausalConvolution{taps.weight, taps.bias};
      const std::vector<const FloatTensor*> rows = {&real(convolution->input),
                                                    &real(convolution->past)};
      return semantics::Compute(own, rows);
    }
    if (const auto* gemm = std::get_if<GemmOp>(&op)) {
      const FloatTensor& x = real(gemm->input);
      return FloatLinear(LayerOf(*gemm), x, gemm->rows == 0 ? x.shape[0] : gemm->rows,
                         gemm->first_row);
    }
    if (const auto* matmul = std::get_if<MatmulOp>(&op))
      return OnReals(*matmul, bundle_, real(matmul->lhs), real(matmul->rhs));
  }
  FloatTensor normalised;
  std::vector<const FloatTensor*> inputs;
  for (const std::string& name : InputsOf(op)) {
    inputs.push_back(&real(name));
    if (const ImageInputs* images = PixelsIn(name)) {
      normalised = Normalised(*images, real(name));
      inputs.back() = &normalised;
    }
  }
  FloatTensor result = semantics::Compute(node, inputs);
  const auto* softmax = std::get_if<SoftmaxOp>(&op);
  if (softmax == nullptr || softmax->division != SoftmaxDivision::kAfter) return result;
  return OverLargest(Widened(result), program.Tensor(softmax->output).shape.back());
}

}  // namespace qsim::semantics
