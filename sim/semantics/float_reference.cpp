#include "sim/semantics/float_reference.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "sim/semantics/elementary.h"

namespace qsim {
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

FloatTensor Columns(const FloatTensor& x, std::int64_t first, std::int64_t width) {
  FloatTensor out = Zeros({x.shape[0], width});
  AsMatrix(out) = AsMatrix(x).middleCols(first, width);
  return out;
}

FloatTensor Add(const FloatTensor& a, const FloatTensor& b) {
  FloatTensor out = Zeros(a.shape);
  AsMatrix(out) = AsMatrix(a) + AsMatrix(b);
  return out;
}

// softmax(Q K^T / sqrt(d)) V for one block, reporting the scores and the probabilities.
FloatTensor Attention(const VitGeometry& g, const FloatTensor& q, const FloatTensor& k,
                      const FloatTensor& v, const FloatSink& sink) {
  const std::int64_t tokens = q.shape[0];
  const std::int64_t d = g.head_dim();
  const float factor = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  FloatTensor scores = Zeros({g.heads, tokens, tokens});
  FloatTensor probabilities = Zeros(scores.shape);
  FloatTensor out = Zeros(q.shape);
  const auto row = static_cast<std::size_t>(tokens);
  for (std::int64_t h = 0; h < g.heads; ++h) {
    FloatTensor k_t = Zeros({d, tokens});
    AsMatrix(k_t) = AsMatrix(k).middleCols(h * d, d).transpose();
    float* head_scores = scores.data.data() + h * tokens * tokens;
    float* head_probabilities = probabilities.data.data() + h * tokens * tokens;
    FloatMatmul(q.data.data() + h * d, g.dim, k_t.data.data(), tokens, {}, tokens, tokens, d,
                head_scores, tokens);
    Map(head_scores, tokens, tokens) *= factor;
    for (std::int64_t t = 0; t < tokens; ++t) {
      FloatSoftmaxRow({head_scores + t * tokens, row}, {head_probabilities + t * tokens, row});
    }
    FloatMatmul(head_probabilities, tokens, v.data.data() + h * d, g.dim, {}, tokens, d, tokens,
                out.data.data() + h * d, g.dim);
  }
  sink("attn_kv_out", scores);
  sink("intSoft", probabilities);
  return out;
}

}  // namespace

FloatTensor FloatLinear(const Linear& layer, const FloatTensor& x) {
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

FloatTensor FloatLayerNorm(const Norm& norm, const FloatTensor& x, double eps) {
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
    const double inverse_std = 1 / std::sqrt(squares / static_cast<double>(channels) + eps);
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

void FloatMatmul(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                 std::span<const float> bias, std::int64_t m, std::int64_t n, std::int64_t k,
                 float* out, std::int64_t out_stride) {
  // Eigen's own product picks its blocking, and so its order of additions, from the cache sizes of
  // the machine. Here the compiler vectorises across columns, which leaves every element's order
  // alone.
  constexpr std::int64_t kRows = 4;
  constexpr std::int64_t kCols = kPanel;
  for (std::int64_t col = 0; col < n; col += kCols) {
    const std::int64_t cols = std::min(kCols, n - col);
    for (std::int64_t row = 0; row < m; row += kRows) {
      const std::int64_t rows = std::min(kRows, m - row);
      float acc[kRows][kCols] = {};
      if (rows == kRows && cols == kCols) {
        for (std::int64_t i = 0; i < k; ++i) {
          for (std::int64_t r = 0; r < kRows; ++r) {
            const float x = a[(row + r) * a_stride + i];
            for (std::int64_t c = 0; c < kCols; ++c) acc[r][c] += x * b[i * b_stride + col + c];
          }
        }
      } else {
        for (std::int64_t i = 0; i < k; ++i) {
          for (std::int64_t r = 0; r < rows; ++r) {
            const float x = a[(row + r) * a_stride + i];
            for (std::int64_t c = 0; c < cols; ++c) acc[r][c] += x * b[i * b_stride + col + c];
          }
        }
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < cols; ++c) {
          const float offset = bias.empty() ? 0.0F : bias[static_cast<std::size_t>(col + c)];
          out[(row + r) * out_stride + col + c] = acc[r][c] + offset;
        }
      }
    }
  }
}

FloatTensor FloatReference::Embed(const ModelInputs& inputs, std::int64_t image,
                                  const FloatSink& sink) const {
  const FloatSink tap = sink ? sink : [](const std::string&, const FloatTensor&) {};
  const VitGeometry& g = model_.geometry;
  if (const auto* tokens = std::get_if<FloatTensor>(&inputs.data)) {
    // Calibration inputs may be of another length than the program's.
    FloatTensor x = Zeros({tokens->shape[1], g.dim});
    const auto size = static_cast<std::int64_t>(x.data.size());
    const auto begin = tokens->data.begin() + image * size;
    std::copy(begin, begin + size, x.data.begin());
    tap("embed", x);
    return x;
  }
  FloatTensor x = Zeros({g.tokens, g.dim});
  const auto& images = std::get<ImageInputs>(inputs.data);
  const std::uint8_t* pixels = images.pixels.As<std::uint8_t>().data() +
                               image * g.image_channels * g.image_size * g.image_size;
  const std::int64_t per_side = g.image_size / g.patch;
  // Patches in row-major order; within a patch channel, row, column, as a convolution's weight.
  FloatTensor patches = Zeros({per_side * per_side, g.image_channels * g.patch * g.patch});
  std::size_t element = 0;
  for (std::int64_t p = 0; p < per_side * per_side; ++p) {
    for (std::int64_t c = 0; c < g.image_channels; ++c) {
      const double mean = images.mean[static_cast<std::size_t>(c)];
      const double deviation = images.stddev[static_cast<std::size_t>(c)];
      for (std::int64_t i = 0; i < g.patch * g.patch; ++i) {
        const std::int64_t y = p / per_side * g.patch + i / g.patch;
        const std::int64_t z = p % per_side * g.patch + i % g.patch;
        const double pixel = pixels[(c * g.image_size + y) * g.image_size + z] / 255.0;
        patches.data[element++] = static_cast<float>((pixel - mean) / deviation);
      }
    }
  }
  const FloatTensor embedded = FloatLinear(model_.patch_embed, patches);
  tap("patch_embed", embedded);
  AsMatrix(x).row(0) = Eigen::Map<const Eigen::RowVectorXf>(model_.cls_token.data(), g.dim);
  AsMatrix(x).bottomRows(per_side * per_side) = AsMatrix(embedded);
  AsMatrix(x) += AsMatrix(model_.pos_embed);
  tap("embed", x);
  return x;
}

FloatTensor FloatReference::Head(const FloatTensor& x, const FloatSink& sink) const {
  const FloatSink tap = sink ? sink : [](const std::string&, const FloatTensor&) {};
  const FloatTensor norm = FloatLayerNorm(model_.norm, x, model_.geometry.eps);
  tap("norm", norm);
  FloatTensor class_token = Zeros({1, model_.geometry.dim});
  AsMatrix(class_token) = AsMatrix(norm).topRows(1);
  FloatTensor logits = FloatLinear(model_.head, class_token);
  tap("logits", logits);
  return logits;
}

FloatTensor FloatReference::Block(std::int64_t block, const FloatTensor& x,
                                  const FloatSink& sink) const {
  const FloatSink tap = sink ? sink : [](const std::string&, const FloatTensor&) {};
  const BlockWeights& w = model_.blocks[static_cast<std::size_t>(block)];
  const VitGeometry& g = model_.geometry;
  tap("input", x);
  const FloatTensor norm1 = FloatLayerNorm(w.norm1, x, g.eps);
  tap("norm1", norm1);
  const FloatTensor qkv = FloatLinear(w.qkv, norm1);
  tap("attn_qkv", qkv);
  const FloatTensor q = Columns(qkv, 0, g.dim);
  const FloatTensor k = Columns(qkv, g.dim, g.dim);
  const FloatTensor v = Columns(qkv, 2 * g.dim, g.dim);
  tap("attn_q_out", q);
  tap("attn_k_out", k);
  tap("attn_v_input", v);
  const FloatTensor attention = Attention(g, q, k, v, tap);
  tap("attn_v_out", attention);
  const FloatTensor proj = FloatLinear(w.proj, attention);
  tap("attn_proj", proj);
  const FloatTensor residual1 = Add(x, proj);
  tap("residual1", residual1);
  const FloatTensor norm2 = FloatLayerNorm(w.norm2, residual1, g.eps);
  tap("norm2", norm2);
  const FloatTensor fc1 = FloatLinear(w.fc1, norm2);
  tap("mlp_fc1", fc1);
  FloatTensor gelu = fc1;
  for (float& value : gelu.data) value = static_cast<float>(Gelu(static_cast<double>(value)));
  tap("mlp_gelu", gelu);
  const FloatTensor fc2 = FloatLinear(w.fc2, gelu);
  tap("mlp_fc2", fc2);
  const FloatTensor residual2 = Add(residual1, fc2);
  tap("residual2", residual2);
  return residual2;
}

}  // namespace qsim
