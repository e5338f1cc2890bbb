#include "sim/semantics/ideal_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <variant>
#include <vector>

#include "sim/semantics/elementary.h"
#include "sim/semantics/quantization.h"

namespace qsim {
namespace {

// Scale and zero point of one channel.
Quantization At(const TensorScale& s, std::int64_t channel) {
  const auto c = static_cast<std::size_t>(channel);
  return {s.scale[s.scale.size() == 1 ? 0 : c], s.zero[s.zero.size() == 1 ? 0 : c]};
}

double Real(const TensorScale& s, std::int64_t channel, std::int32_t code) {
  const Quantization q = At(s, channel);
  return q.scale * (static_cast<double>(code) - static_cast<double>(q.zero));
}

QuantRange RangeOfTensor(const Program& program, std::string_view tap) {
  return program.Tensor(tap).range;
}

}  // namespace

IdealBackend::IdealBackend(const Bundle& bundle, const network::Network& model) : bundle_(bundle) {
  for (const Op& op : bundle.program.ops) ops_.emplace(OutputOf(op), &op);
  for (const network::Node& node : model.nodes()) {
    if (const auto* layer = std::get_if<network::LayerNorm>(&node.function))
      norms_.emplace(node.name, &layer->norm);
  }
}

void IdealBackend::Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
                        const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) {
  GemmParams exact = params;
  exact.acc = {32, AccPolicy::kWrap};
  golden_.Gemm(id, lhs, rhs, exact, out, seen);
}

std::int64_t IdealBackend::Requantize(const OpId& id, std::span<const std::int32_t> in,
                                      std::int64_t, const RequantizeParams&,
                                      std::span<std::int32_t> out) {
  const auto& op = std::get<RequantizeOp>(OpOf(id.tap));
  const TensorScale& from = ScaleOf(op.input);
  const TensorScale& to = ScaleOf(op.output);
  const TensorInfo& info = bundle_.program.Tensor(id.tap);
  const std::int64_t width = info.shape.back();
  const std::int64_t per_head = ElementCount(info.shape) / info.shape.front();
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const auto element = static_cast<std::int64_t>(i);
    const std::int64_t column = element % width;
    const std::int64_t head = element / per_head;
    const double x =
        Real(from, from.axis == ChannelAxis::kFirst ? head : op.first_column + column, in[i]);
    out[i] =
        Quantize(x, At(to, to.axis == ChannelAxis::kFirst ? head : column), info.range, &saturated);
  }
  return saturated;
}

std::int64_t IdealBackend::ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                                       std::span<const std::int32_t> b, std::int64_t row_length,
                                       const ResidualAddParams& params,
                                       std::span<std::int32_t> out) {
  const Op& op = OpOf(id.tap);
  const TensorScale& to = ScaleOf(OutputOf(op));
  const auto* add = std::get_if<ResidualAddOp>(&op);
  const TensorScale& a_scale = ScaleOf(add != nullptr ? add->a : std::get<EmbedOp>(op).a);
  // Positions are codes of the output's own scale, without a zero point.
  const TensorScale& b_scale = add != nullptr ? ScaleOf(add->b) : to;
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t c = static_cast<std::int64_t>(i) % row_length;
    const double second = add != nullptr ? Real(b_scale, c, b[i]) : At(b_scale, c).scale * b[i];
    out[i] = Quantize(Real(a_scale, c, a[i]) + second, At(to, c), params.range, &saturated);
  }
  return saturated;
}

std::int64_t IdealBackend::Softmax(const OpId& id, std::span<const std::int32_t> scores,
                                   const SoftmaxParams& params, std::span<std::int32_t> out) {
  const auto& op = std::get<SoftmaxOp>(OpOf(id.tap));
  const TensorScale& from = ScaleOf(op.input);
  const TensorScale& to = ScaleOf(op.output);
  std::vector<double> e(scores.size());
  const std::int32_t largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    e[i] = Exp(At(from, id.head).scale * (scores[i] - largest));
    sum += e[i];
  }
  const bool log2 = params.kind == SoftmaxKind::kLogInt;
  const std::int32_t zero_flag = 1 << params.code_bits;
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double p = e[i] / sum;
    if (log2) {
      const double code = p > 0 ? std::nearbyint(-std::log2(p)) : zero_flag;
      out[i] = code < zero_flag ? static_cast<std::int32_t>(code) : zero_flag;
    } else {
      out[i] = Quantize(p, At(to, 0), RangeOfTensor(bundle_.program, id.tap), &saturated);
    }
  }
  return saturated;
}

std::int64_t IdealBackend::Layernorm(const OpId& id, std::span<const std::int32_t> x,
                                     const LayernormParams& params, std::span<std::int32_t> out) {
  const auto& op = std::get<LayernormOp>(OpOf(id.tap));
  const TensorScale& from = ScaleOf(op.input);
  const TensorScale& to = ScaleOf(op.output);
  const network::Norm& norm = *norms_.at(op.output);
  std::vector<double> real(x.size());
  double sum = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    real[c] = Real(from, static_cast<std::int64_t>(c), x[c]);
    sum += real[c];
  }
  const double mean = sum / static_cast<double>(x.size());
  double squares = 0;
  for (double& v : real) {
    v -= mean;
    squares += v * v;
  }
  const double inverse = 1 / std::sqrt(squares / static_cast<double>(x.size()) + norm.eps);
  std::int64_t saturated = 0;
  for (std::size_t c = 0; c < x.size(); ++c) {
    const double y =
        real[c] * inverse * static_cast<double>(norm.gamma[c]) + static_cast<double>(norm.beta[c]);
    out[c] = Quantize(y, At(to, static_cast<std::int64_t>(c)), params.range, &saturated);
  }
  return saturated;
}

std::int64_t IdealBackend::Gelu(const OpId& id, std::span<const std::int32_t> x, const GeluParams&,
                                std::span<std::int32_t> out) {
  const auto& op = std::get<GeluOp>(OpOf(id.tap));
  const TensorScale& from = ScaleOf(op.input);
  const TensorScale& to = ScaleOf(op.output);
  const QuantRange range = RangeOfTensor(bundle_.program, id.tap);
  std::int64_t saturated = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    out[i] = Quantize(qsim::Gelu(Real(from, 0, x[i])), At(to, 0), range, &saturated);
  }
  return saturated;
}

}  // namespace qsim
