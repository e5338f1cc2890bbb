#include "sim/semantics/float_nodes.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstring>

#include "sim/error.h"
#include "sim/semantics/rmsnorm.h"
#include "sim/statistics/elementary.h"

namespace qsim::semantics {
namespace {

using RowMatrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using ConstMap = Eigen::Map<const RowMatrix>;
using Map = Eigen::Map<RowMatrix>;

// Columns of a product that are summed side by side.
constexpr std::int64_t kPanel = 8;

ConstMap AsMatrix(const FloatTensor& t) { return {t.data.data(), t.shape[0], t.shape[1]}; }
Map AsMatrix(FloatTensor& t) { return {t.data.data(), t.shape[0], t.shape[1]}; }

FloatTensor Zeros(Shape shape) {
  FloatTensor t;
  t.data.assign(static_cast<std::size_t>(ElementCount(shape)), 0.0F);
  t.shape = std::move(shape);
  return t;
}

}  // namespace

FloatTensor FloatLinear(const network::Linear& layer, const FloatTensor& x) {
  const std::int64_t outs = layer.out_features();
  const std::int64_t depth = layer.in_features();
  FloatTensor out = Zeros({x.shape[0], outs});
  // A few columns of the transposed weights at a time: a transposed copy of all would double the
  // memory of a model.
  std::vector<float> panel(static_cast<std::size_t>(depth * kPanel));
  for (std::int64_t first = 0; first < outs; first += kPanel) {
    const std::int64_t columns = std::min(kPanel, outs - first);
    for (std::int64_t c = 0; c < columns; ++c) {
      const float* row = layer.weight.data.data() + (first + c) * depth;
      for (std::int64_t i = 0; i < depth; ++i) {
        panel[static_cast<std::size_t>(i * kPanel + c)] = row[i];
      }
    }
    const auto bias =
        std::span(layer.bias)
            .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(columns));
    FloatMatmul(x.data.data(), x.shape[1], panel.data(), kPanel, bias, x.shape[0], columns, depth,
                out.data.data() + first, outs);
  }
  return out;
}

FloatTensor FloatLayerNorm(const network::Norm& norm, const FloatTensor& x) {
  FloatTensor out = Zeros(x.shape);
  const auto channels = static_cast<std::size_t>(x.shape[1]);
  for (std::size_t begin = 0; begin < x.data.size(); begin += channels) {
    double sum = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += static_cast<double>(x.data[begin + c]);
    const double mean = sum / static_cast<double>(channels);
    double squares = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const double d = static_cast<double>(x.data[begin + c]) - mean;
      squares += d * d;
    }
    const double inverse_std = 1 / std::sqrt(squares / static_cast<double>(channels) + norm.eps);
    for (std::size_t c = 0; c < channels; ++c) {
      const double d = static_cast<double>(x.data[begin + c]) - mean;
      out.data[begin + c] = static_cast<float>(
          d * inverse_std * static_cast<double>(norm.gamma[c]) + static_cast<double>(norm.beta[c]));
    }
  }
  return out;
}

void FloatSoftmaxRow(std::span<const float> scores, std::span<float> out) {
  const double largest = static_cast<double>(*std::max_element(scores.begin(), scores.end()));
  std::vector<double> e(scores.size());
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    e[i] = Exp(static_cast<double>(scores[i]) - largest);
    sum += e[i];
  }
  for (std::size_t i = 0; i < scores.size(); ++i) out[i] = static_cast<float>(e[i] / sum);
}

// Eigen's own product picks its blocking, and so its order of additions, from the cache sizes of
// the machine. Here columns are added side by side, each of them in its own order, so that the
// width of the machine's vectors changes nothing; no multiplication is fused with an addition.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
[[gnu::target_clones("avx2", "default")]]
#endif
void FloatMatmul(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride) {
  using Lanes [[gnu::vector_size(kPanel * sizeof(float))]] = float;
  constexpr std::int64_t kRows = 4;
  for (std::int64_t col = 0; col < n; col += kPanel) {
    const std::int64_t cols = std::min(kPanel, n - col);
    for (std::int64_t row = 0; row < m;) {
      const std::int64_t rows = cols == kPanel && row + kRows <= m ? kRows : 1;
      Lanes acc[kRows] = {};
      if (rows == kRows) {
        for (std::int64_t i = 0; i < k; ++i) {
          Lanes y;
          std::memcpy(&y, b + i * b_stride + col, sizeof(y));
          for (std::int64_t r = 0; r < kRows; ++r) acc[r] += a[(row + r) * a_stride + i] * y;
        }
      } else {
        for (std::int64_t i = 0; i < k; ++i) {
          const float x = a[row * a_stride + i];
          for (std::int64_t c = 0; c < cols; ++c) acc[0][c] += x * b[i * b_stride + col + c];
        }
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) {
          const float offset = bias.empty() ? 0.0F : bias[static_cast<std::size_t>(col + c)];
          out[(row + r) * out_stride + col + c] = acc[r][c] + offset;
        }
      }
      row += rows;
    }
  }
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
    if (projection.rows == 0) return FloatLinear(projection.layer, *in[0]);
    FloatTensor first = Zeros({projection.rows, in[0]->shape[1]});
    AsMatrix(first) = AsMatrix(*in[0]).topRows(projection.rows);
    return FloatLinear(projection.layer, first);
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
    return ExactRmsnorm(layer.norm, *in[0], in.size() > 1 ? in[1] : nullptr);
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
    if (!product.transpose_rhs) {
      const std::int64_t rows = a.shape[1];
      FloatTensor out = Zeros({rows, columns});
      for (std::int64_t h = 0; h < heads; ++h) {
        FloatMatmul(a.data.data() + h * rows * sources, sources, b.data.data() + h * d, columns, {},
                    rows, d, sources, out.data.data() + h * d, columns);
      }
      return out;
    }
    const std::int64_t rows = a.shape[0];
    FloatTensor out = Zeros({heads, rows, sources});
    FloatTensor transposed = Zeros({d, sources});
    for (std::int64_t h = 0; h < heads; ++h) {
      AsMatrix(transposed) = AsMatrix(b).middleCols(h * d, d).transpose();
      FloatMatmul(a.data.data() + h * d, columns, transposed.data.data(), sources, {}, rows,
                  sources, d, out.data.data() + h * rows * sources, sources);
    }
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
      FloatSoftmaxRow({in[0]->data.data() + row * columns, count},
                      {out.data.data() + row * columns, count});
    }
    return out;
  }

  FloatTensor operator()(const network::Gelu&) const { return ForEach(&statistics::Gelu); }
  FloatTensor operator()(const network::Elementwise& function) const {
    return ForEach(function.of);
  }

  FloatTensor operator()(const network::Sum&) const {
    FloatTensor out = Zeros(in[0]->shape);
    AsMatrix(out) = AsMatrix(*in[0]) + AsMatrix(*in[1]);
    return out;
  }

 private:
  FloatTensor ForEach(double (*function)(double)) const {
    FloatTensor out = *in[0];
    for (float& v : out.data) v = static_cast<float>(function(static_cast<double>(v)));
    return out;
  }
  FloatTensor NotComputed() const {
    throw InternalError("input '" + node.name + "' is not computed from other tensors");
  }
};

}  // namespace

FloatTensor Compute(const network::Node& node, std::span<const FloatTensor* const> inputs) {
  return std::visit(Evaluate{node, inputs}, node.function);
}

}  // namespace qsim::semantics
