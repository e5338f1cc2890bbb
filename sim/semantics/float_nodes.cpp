#include "sim/semantics/float_nodes.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <string>

#include "sim/error.h"
#include "sim/semantics/float_functions.h"
#include "sim/semantics/float_matmul.h"
#include "sim/semantics/float_recurrence.h"
#include "sim/semantics/rmsnorm.h"

namespace qsim::semantics {
namespace {

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMatrix>;
using Map = Eigen::Map<RowMatrix>;

ConstMap AsMatrix(const FloatTensor& t) { return {t.data.data(), t.shape[0], t.shape[1]}; }
Map AsMatrix(FloatTensor& t) { return {t.data.data(), t.shape[0], t.shape[1]}; }

FloatTensor Zeros(Shape shape) {
  FloatTensor t;
  t.data.assign(static_cast<std::size_t>(ElementCount(shape)), 0.0F);
  t.shape = std::move(shape);
  return t;
}

}  // namespace

FloatTensor FloatLinear(const network::Linear& layer, const FloatTensor& x, std::int64_t rows,
                        std::int64_t first) {
  const std::int64_t outs = layer.out_features();
  const std::int64_t depth = layer.in_features();
  FloatTensor out = Zeros({rows, outs});
  FloatMatmul(x.data.data() + first * x.shape[1], x.shape[1], {layer.weight.data.data(), 1, depth},
              layer.bias, rows, outs, depth, out.data.data(), outs);
  return out;
}

FloatTensor FloatLayerNorm(const network::Norm& norm, const FloatTensor& x) {
  FloatTensor out = Zeros(x.shape);
  LayerNormRows(x.data, norm.gamma, norm.beta, norm.eps, out.data);
  return out;
}

std::vector<double> MeanOfRows(const std::vector<double>& x, std::int64_t width,
                               std::int64_t first) {
  std::vector<double> mean(static_cast<std::size_t>(width), 0.0);
  const std::size_t begin = static_cast<std::size_t>(first) * mean.size();
  for (std::size_t i = begin; i < x.size(); ++i) mean[i % mean.size()] += x[i];
  const auto rows = static_cast<double>((x.size() - begin) / mean.size());
  for (double& sum : mean) sum /= rows;
  return mean;
}

namespace {

using Inputs = std::span<const FloatTensor* const>;

// [tokens, channels] with as many rows as an input has.
Shape ShapeLike(const network::Node& node, std::int64_t rows) { return {rows, node.shape.back()}; }

struct Evaluate {
  const network::Node& node;
  Inputs in;

  FloatTensor operator()(const network::Pixels&) const { return NotComputed(); }
  FloatTensor operator()(const network::Activations&) const { return NotComputed(); }
  FloatTensor operator()(const network::Tokens&) const { return NotComputed(); }
  FloatTensor operator()(const network::Past&) const { return NotComputed(); }
  FloatTensor operator()(const network::Entry&) const { return *in[0]; }

  FloatTensor operator()(const network::Patches& patches) const {
    const Shape& image = in[0]->shape;
    const std::int64_t p = patches.size;
    const std::int64_t per_row = image[2] / p;
    FloatTensor out = Zeros(node.shape);
    std::size_t element = 0;
    for (std::int64_t patch = 0; patch < out.shape[0]; ++patch) {
      for (std::int64_t c = 0; c < image[0]; ++c) {
        for (std::int64_t i = 0; i < p * p; ++i) {
          const std::int64_t y = patch / per_row * p + i / p;
          const std::int64_t x = patch % per_row * p + i % p;
          out.data[element++] =
              in[0]->data[static_cast<std::size_t>((c * image[1] + y) * image[2] + x)];
        }
      }
    }
    return out;
  }

  FloatTensor operator()(const network::Projection& projection) const {
    return FloatLinear(projection.layer, *in[0],
                       projection.rows == 0 ? in[0]->shape[0] : projection.rows, projection.first);
  }

  FloatTensor operator()(const network::Positions& positions) const {
    FloatTensor x = Zeros(node.shape);
    AsMatrix(x).topRows(positions.rows()) = AsMatrix(positions.front);
    AsMatrix(x).bottomRows(in[0]->shape[0]) = AsMatrix(*in[0]);
    AsMatrix(x) += AsMatrix(positions.position);
    return x;
  }

  FloatTensor operator()(const network::LayerNorm& layer) const {
    if (layer.centred) return FloatLayerNorm(layer.norm, *in[0]);
    return ExactRmsnorm(layer.norm, *in[0], in.size() > 1 ? in[1] : nullptr, layer.groups);
  }

  FloatTensor operator()(const network::Columns& columns) const {
    FloatTensor out = Zeros(ShapeLike(node, in[0]->shape[0]));
    AsMatrix(out) = AsMatrix(*in[0]).middleCols(columns.first, out.shape[1]);
    return out;
  }

  FloatTensor operator()(const network::Product& product) const {
    const FloatTensor& a = *in[0];
    const FloatTensor& b = *in[1];
    const std::int64_t heads = product.heads;
    const std::int64_t columns = b.shape[1];
    const std::int64_t d = columns / heads;
    const std::int64_t sources = b.shape[0];
    const std::int64_t rows = product.transpose_rhs ? a.shape[0] : a.shape[1];
    FloatTensor out =
        product.transpose_rhs ? Zeros({heads, rows, sources}) : Zeros({rows, columns});
    for (std::int64_t h = 0; h < heads; ++h) {
      const float* right = b.data.data() + h * d;
      if (product.transpose_rhs) {
        FloatMatmul(a.data.data() + h * d, columns, {right, 1, columns}, {}, rows, sources, d,
                    out.data.data() + h * rows * sources, sources);
      } else {
        FloatMatmul(a.data.data() + h * rows * sources, sources, {right, columns, 1}, {}, rows, d,
                    sources, out.data.data() + h * d, columns);
      }
    }
    if (!product.transpose_rhs) return out;
    const auto factor = static_cast<float>(1 / product.divisor);
    for (float& v : out.data) v *= factor;
    return out;
  }

  FloatTensor operator()(const network::Softmax& softmax) const {
    FloatTensor out = Zeros(in[0]->shape);
    const std::int64_t columns = out.shape.back();
    const std::int64_t rows = out.shape[out.shape.size() - 2];
    for (std::int64_t row = 0; row < ElementCount(out.shape) / columns; ++row) {
      const std::int64_t seen =
          softmax.causal ? std::max<std::int64_t>(0, row % rows + 1 + columns - rows) : columns;
      if (seen == 0) continue;
      const auto count = static_cast<std::size_t>(seen);
      SoftmaxRow({in[0]->data.data() + row * columns, count},
                 {out.data.data() + row * columns, count});
    }
    return out;
  }

  FloatTensor operator()(const network::Gelu&) const {
    FloatTensor out = *in[0];
    GeluEach(out.data);
    return out;
  }
  FloatTensor operator()(const network::Elementwise& function) const {
    FloatTensor out = *in[0];
    const auto columns = static_cast<std::size_t>(out.shape.back());
    const std::size_t each = columns / function.of.size();
    for (std::size_t i = 0; i < out.data.size(); ++i) {
      const double x = static_cast<double>(out.data[i]);
      out.data[i] = static_cast<float>(function.of[i % columns / each](x));
    }
    return out;
  }

  FloatTensor operator()(const network::Sum&) const {
    FloatTensor out = Zeros(in[0]->shape);
    AsMatrix(out) = AsMatrix(*in[0]) + AsMatrix(*in[1]);
    return out;
  }

  FloatTensor operator()(const network::MeanRows& mean) const {
    const std::vector<double> values =
        MeanOfRows({in[0]->data.begin(), in[0]->data.end()}, in[0]->shape[1], mean.first);
    return {{1, in[0]->shape[1]}, {values.begin(), values.end()}};
  }

  FloatTensor operator()(const network::Embedding& embedding) const {
    FloatTensor out = Zeros(ShapeLike(node, in[0]->shape[0]));
    const std::int64_t width = out.shape[1];
    auto to = out.data.begin();
    for (const float token : in[0]->data) {
      const auto id = static_cast<std::int64_t>(token);
      if (id < 0 || id >= embedding.weight.shape[0])
        throw InternalError("token " + std::to_string(id) + " is not in the vocabulary of '" +
                            node.name + "'");
      to = std::copy_n(embedding.weight.data.begin() + id * width, width, to);
    }
    return out;
  }
  FloatTensor operator()(const network::CausalConvolution& convolution) const {
    return FloatCausalConvolution(convolution, *in[0], *in[1]);
  }
  FloatTensor operator()(const network::LastRows&) const {
    FloatTensor out = *in[1];
    const auto fresh = static_cast<std::ptrdiff_t>(std::min(out.data.size(), in[0]->data.size()));
    std::rotate(out.data.begin(), out.data.begin() + fresh, out.data.end());
    std::copy(in[0]->data.end() - fresh, in[0]->data.end(), out.data.end() - fresh);
    return out;
  }
  FloatTensor operator()(const network::Recurrence& recurrence) const {
    return FloatRecurrence(recurrence, in);
  }
  FloatTensor operator()(const network::FinalState& state) const {
    return FloatFinalState(state, in);
  }
  FloatTensor operator()(const network::Multiply&) const {
    FloatTensor out = *in[0];
    const std::size_t each = out.data.size() / in[1]->data.size();
    for (std::size_t i = 0; i < out.data.size(); ++i) out.data[i] *= in[1]->data[i / each];
    return out;
  }
  FloatTensor operator()(const network::Scaled& scaled) const {
    FloatTensor out = *in[0];
    for (std::size_t i = 0; i < out.data.size(); ++i)
      out.data[i] *= scaled.factor[i % scaled.factor.size()];
    return out;
  }

 private:
  FloatTensor NotComputed() const {
    throw InternalError("input '" + node.name + "' is not computed from other tensors");
  }
};

}  // namespace

FloatTensor Compute(const network::Node& node, std::span<const FloatTensor* const> inputs) {
  return std::visit(Evaluate{node, inputs}, node.function);
}

}  // namespace qsim::semantics
