#include "sim/semantics/step_reference.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "sim/semantics/elementary.h"
#include "sim/semantics/float_reference.h"
#include "sim/semantics/real_weights.h"

namespace qsim {

StepReference::StepReference(const Bundle& bundle, const VitModel& model, std::vector<double> mean,
                             std::vector<double> stddev)
    : bundle_(bundle),
      model_(model),
      mean_(std::move(mean)),
      stddev_(std::move(stddev)),
      linears_(LinearsByOutput(model)) {
  for (std::size_t n = 0; n < model.blocks.size(); ++n) {
    const BlockWeights& block = model.blocks[n];
    const std::string prefix = fmt::format("blocks.{}.", n);
    norms_[prefix + "norm1"] = &block.norm1;
    norms_[prefix + "norm2"] = &block.norm2;
  }
  norms_["norm"] = &model.norm;
}

std::vector<float> StepReference::Output(const Op& op, const TensorMap& values) const {
  return Output(op, [&](const std::string& tensor) -> FloatTensor {
    const IntTensor& codes = values.at(tensor);
    const std::vector<double> real = bundle_.GridOf(tensor).Dequantize(codes);
    return {codes.shape(), std::vector<float>(real.begin(), real.end())};
  });
}

std::vector<float> StepReference::Output(const Op& op, const RealTensors& real) const {
  return std::visit([&](const auto& o) { return Of(o, real); }, op);
}

const Linear* StepReference::LinearOf(const std::string& output) const {
  const auto found = linears_.find(output);
  return found == linears_.end() ? nullptr : found->second;
}

const Norm* StepReference::NormOf(const std::string& output) const {
  const auto found = norms_.find(output);
  return found == norms_.end() ? nullptr : found->second;
}

std::vector<float> StepReference::Of(const GemmOp& op, const RealTensors& real) const {
  FloatTensor x = real(op.input);
  if (op.rows > 0) {
    x.shape[0] = op.rows;
    x.data.resize(static_cast<std::size_t>(op.rows * x.shape[1]));
  }
  if (op.output == "patch_embed") {
    const auto depth = static_cast<std::size_t>(x.shape[1]);
    const std::size_t per_channel = depth / mean_.size();
    for (std::size_t i = 0; i < x.data.size(); ++i) {
      const std::size_t c = i % depth / per_channel;
      x.data[i] = static_cast<float>((static_cast<double>(x.data[i]) - mean_[c]) / stddev_[c]);
    }
  }
  return FloatLinear(*linears_.at(op.output), x).data;
}

std::vector<float> StepReference::Of(const MatmulOp& op, const RealTensors& real) const {
  const FloatTensor lhs = real(op.lhs);
  const FloatTensor rhs = real(op.rhs);
  const std::int64_t tokens = rhs.shape[0];
  const std::int64_t channels = rhs.shape[1];
  const std::int64_t d = channels / op.heads;
  std::vector<float> out(
      static_cast<std::size_t>(op.transpose_rhs ? op.heads * tokens * tokens : tokens * channels));
  for (std::int64_t h = 0; h < op.heads; ++h) {
    if (!op.transpose_rhs) {
      FloatMatmul(lhs.data.data() + h * tokens * tokens, tokens, rhs.data.data() + h * d, channels,
                  {}, tokens, d, tokens, out.data() + h * d, channels);
      continue;
    }
    std::vector<float> transposed(static_cast<std::size_t>(d * tokens));
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t c = 0; c < d; ++c) {
        transposed[static_cast<std::size_t>(c * tokens + t)] =
            rhs.data[static_cast<std::size_t>(t * channels + h * d + c)];
      }
    }
    FloatMatmul(lhs.data.data() + h * d, channels, transposed.data(), tokens, {}, tokens, tokens, d,
                out.data() + h * tokens * tokens, tokens);
  }
  if (op.transpose_rhs) {
    const float factor = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
    for (float& v : out) v *= factor;
  }
  return out;
}

std::vector<float> StepReference::Of(const RequantizeOp& op, const RealTensors& real) const {
  const FloatTensor in = real(op.input);
  const std::int64_t width = bundle_.program.Tensor(op.output).shape.back();
  const std::int64_t in_width = in.shape.back();
  std::vector<float> out;
  for (std::int64_t begin = 0; begin < static_cast<std::int64_t>(in.data.size());
       begin += in_width) {
    const auto first = in.data.begin() + begin + op.first_column;
    out.insert(out.end(), first, first + width);
  }
  return out;
}

std::vector<float> StepReference::Of(const SoftmaxOp& op, const RealTensors& real) const {
  const FloatTensor scores = real(op.input);
  const auto row = static_cast<std::size_t>(scores.shape.back());
  std::vector<float> out(scores.data.size());
  for (std::size_t i = 0; i < out.size(); i += row) {
    FloatSoftmaxRow({scores.data.data() + i, row}, {out.data() + i, row});
  }
  return out;
}

std::vector<float> StepReference::Of(const LayernormOp& op, const RealTensors& real) const {
  return FloatLayerNorm(*norms_.at(op.output), real(op.input), model_.geometry.eps).data;
}

std::vector<float> StepReference::Of(const GeluOp& op, const RealTensors& real) const {
  std::vector<float> out = real(op.input).data;
  for (float& v : out) v = static_cast<float>(Gelu(static_cast<double>(v)));
  return out;
}

std::vector<float> StepReference::Of(const ResidualAddOp& op, const RealTensors& real) const {
  std::vector<float> out = real(op.a).data;
  const std::vector<float> b = real(op.b).data;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += b[i];
  return out;
}

std::vector<float> StepReference::Of(const EmbedOp& op, const RealTensors& real) const {
  std::vector<float> out = model_.pos_embed.data;
  const std::size_t channels = model_.cls_token.size();
  for (std::size_t c = 0; c < channels; ++c) out[c] += model_.cls_token[c];
  const std::vector<float> patches = real(op.a).data;
  for (std::size_t i = 0; i < patches.size(); ++i) out[channels + i] += patches[i];
  return out;
}

// Only in networks that were imported as integers: they have no float model to compare with.
std::vector<float> StepReference::Of(const AddOp&, const RealTensors&) const { return {}; }

std::vector<float> StepReference::Of(const PatchifyOp&, const RealTensors&) const { return {}; }

}  // namespace qsim
