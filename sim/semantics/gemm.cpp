#include "sim/semantics/exact.h"
#include "sim/semantics/float_nodes.h"

namespace qsim {
namespace {

void Normalize(const PixelScale& scale, FloatTensor& x) {
  const auto depth = static_cast<std::size_t>(x.shape[1]);
  const std::size_t per_channel = depth / scale.mean.size();
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const std::size_t c = i % depth / per_channel;
    x.data[i] =
        static_cast<float>((static_cast<double>(x.data[i]) - scale.mean[c]) / scale.deviation[c]);
  }
}

// The integers as a linear layer on real numbers.
network::Linear LayerOfIntegers(const GemmOp& op, const Bundle& bundle) {
  const IntTensor& weight = bundle.program.Constant(op.weight);
  const auto& bias = bundle.program.Constant(op.bias).As<std::int32_t>();
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
      const Quantization q = in.At(k);
      const double w = static_cast<double>(codes[n * depth + k] - zero);
      offset += static_cast<double>(q.zero) * w;
      layer.weight.data[n * depth + k] = static_cast<float>(step / q.scale * w);
    }
    layer.bias[n] = static_cast<float>(step * offset);
  }
  return layer;
}

}  // namespace

Reals Exact(const GemmOp& op, const ExactOperands& in) {
  const FloatTensor* x = &in.tensor(op.input).real();
  FloatTensor read;
  const PixelScale pixels = in.model.PixelsBefore(op.output);
  const bool normalized = in.float_weights && !pixels.mean.empty();
  if (op.rows > 0 || normalized) {
    read = *x;
    x = &read;
  }
  if (op.rows > 0) {
    read.shape[0] = op.rows;
    read.data.resize(static_cast<std::size_t>(op.rows * read.shape[1]));
  }
  if (normalized) Normalize(pixels, read);
  return AsReals(in.float_weights ? FloatLinear(*in.model.LinearOf(op.output), *x)
                                  : FloatLinear(LayerOfIntegers(op, in.bundle), *x));
}

}  // namespace qsim
