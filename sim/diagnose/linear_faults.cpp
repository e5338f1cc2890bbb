// The faults of linear layers: their codes, scales, biases and the order of their channels.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "sim/diagnose/bundle_faults.h"

namespace qsim {
namespace {

bool IsLinear(const std::string&, const Op* op, const Bundle&) {
  return op != nullptr && std::holds_alternative<GemmOp>(*op);
}

bool IsStackedLinear(const std::string& tensor, const Op* op, const Bundle& bundle) {
  return IsLinear(tensor, op, bundle) && tensor.ends_with(".attn_qkv");
}

// Q, K and V: whose channels are laid out in heads.
bool IsPartOfQkv(const std::string& tensor, const Op* op, const Bundle&) {
  return op != nullptr && (tensor.ends_with(".attn_q_out") || tensor.ends_with(".attn_k_out") ||
                           tensor.ends_with(".attn_v_input"));
}

// The scales of the weights, in steps of the layer's input.
std::vector<double> WeightScales(const Bundle& bundle, const GemmOp& op) {
  const auto rows = static_cast<std::size_t>(bundle.program.Constant(op.weight).shape()[0]);
  return Expanded(bundle.scales.at(op.weight).scale, rows);
}

template <typename T>
void PermuteRows(std::vector<T>& values, std::size_t first, std::size_t length,
                 const std::vector<std::size_t>& from) {
  const std::vector<T> old = values;
  for (std::size_t r = 0; r < from.size(); ++r) {
    const auto source = old.begin() + static_cast<std::ptrdiff_t>((first + from[r]) * length);
    std::copy(source, source + static_cast<std::ptrdiff_t>(length),
              values.begin() + static_cast<std::ptrdiff_t>((first + r) * length));
  }
}

// Output channels of the stacked layer in another order, codes, scales and biases alike.
using Order = std::vector<std::size_t> (*)(std::size_t heads, std::size_t head_dim);
BundleFault Permutation(Order order) {
  return {IsPartOfQkv,
          [order](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            Program& program = bundle.program;
            const std::string prefix = tensor.substr(0, tensor.rfind('.') + 1);
            const std::string layer = prefix + "attn_qkv";
            const auto& gemm = std::get<GemmOp>(*ProducerOf(program, layer));
            const auto& scores = std::get<MatmulOp>(
                *ProducerOf(std::as_const(program), ReadersOf(program, prefix + "attn_q_out")[0]));
            const auto channels = static_cast<std::size_t>(program.Tensor(tensor).shape.back());
            const auto heads = static_cast<std::size_t>(scores.heads);
            const std::size_t first = tensor.ends_with("attn_q_out")
                                          ? 0
                                          : (tensor.ends_with("attn_k_out") ? 1 : 2) * channels;
            const std::vector<std::size_t> from = order(heads, channels / heads);
            IntTensor& weight = program.constants.at(gemm.weight);
            const auto depth = static_cast<std::size_t>(weight.shape()[1]);
            PermuteRows(weight.As<std::int8_t>(), first, depth, from);
            PermuteRows(program.constants.at(gemm.bias).As<std::int32_t>(), first, 1, from);
            for (const std::string& name : {gemm.weight, layer}) {
              TensorScale& scale = bundle.scales.at(name);
              if (scale.scale.size() > 1) PermuteRows(scale.scale, first, 1, from);
              if (scale.zero.size() > 1) PermuteRows(scale.zero, first, 1, from);
            }
            for (const std::string& reader : ReadersOf(program, layer)) {
              relowering.Remake(reader, bundle);
            }
          }};
}

std::vector<std::size_t> Identity(std::size_t channels) {
  std::vector<std::size_t> from(channels);
  std::iota(from.begin(), from.end(), std::size_t{0});
  return from;
}

}  // namespace

BundleFault DoubleQuantization() {
  return {IsLinear, [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            const auto& op = std::get<GemmOp>(*ProducerOf(bundle.program, tensor));
            const std::vector<double> scale = WeightScales(bundle, op);
            // Symmetric codes span the whole width; the second pass takes the positive ones for it.
            const double one = 2 * *std::max_element(scale.begin(), scale.end());
            network::Linear layer = relowering.LayerOf(tensor);
            const std::size_t depth = layer.weight.data.size() / scale.size();
            for (std::size_t i = 0; i < layer.weight.data.size(); ++i) {
              layer.weight.data[i] = static_cast<float>(static_cast<double>(layer.weight.data[i]) *
                                                        one / scale[i / depth]);
            }
            relowering.RemakeLinear(tensor, layer, std::vector<double>(scale.size(), one), bundle);
          }};
}

BundleFault StackedScale() {
  return {IsStackedLinear,
          [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            const auto& op = std::get<GemmOp>(*ProducerOf(bundle.program, tensor));
            const std::vector<double> scale = WeightScales(bundle, op);
            const double one = *std::max_element(scale.begin(), scale.end());
            relowering.RemakeLinear(tensor, relowering.LayerOf(tensor),
                                    std::vector<double>(scale.size(), one), bundle);
          }};
}

BundleFault HeadLayout() {
  return Permutation([](std::size_t heads, std::size_t head_dim) {
    std::vector<std::size_t> from = Identity(heads * head_dim);
    std::rotate(from.begin(), from.begin() + static_cast<std::ptrdiff_t>(head_dim), from.end());
    return from;
  });
}

BundleFault HeadTranspose() {
  return Permutation([](std::size_t heads, std::size_t head_dim) {
    std::vector<std::size_t> from;
    for (std::size_t c = 0; c < heads * head_dim; ++c) {
      from.push_back(c % heads * head_dim + c / heads);
    }
    return from;
  });
}

BundleFault ChannelsSwapped() {
  return Permutation([](std::size_t heads, std::size_t head_dim) {
    std::vector<std::size_t> from = Identity(heads * head_dim);
    std::swap(from.front(), from[head_dim / 2]);
    return from;
  });
}

BundleFault BiasDropped() {
  return {IsLinear, [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            const auto& op = std::get<GemmOp>(*ProducerOf(bundle.program, tensor));
            network::Linear layer = relowering.LayerOf(tensor);
            std::fill(layer.bias.begin(), layer.bias.end(), 0.0F);
            relowering.RemakeLinear(tensor, layer, WeightScales(bundle, op), bundle);
          }};
}

BundleFault WeightRowZeroed() {
  return {IsLinear, [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            const network::Linear layer = relowering.LayerOf(tensor);
            const auto& op = std::get<GemmOp>(*ProducerOf(bundle.program, tensor));
            const auto depth = static_cast<std::size_t>(layer.in_features());
            std::size_t strongest = 0;
            double most = -1;
            for (std::size_t n = 0; n < layer.bias.size(); ++n) {
              double energy = 0;
              for (std::size_t k = 0; k < depth; ++k) {
                const auto w = static_cast<double>(layer.weight.data[n * depth + k]);
                energy += w * w;
              }
              if (energy <= most) continue;
              most = energy;
              strongest = n;
            }
            auto& codes = bundle.program.constants.at(op.weight).As<std::int8_t>();
            const std::int8_t zero =
                op.weight_zero.empty()
                    ? std::int8_t{0}
                    : static_cast<std::int8_t>(
                          op.weight_zero[op.weight_zero.size() == 1 ? 0 : strongest]);
            const auto row = codes.begin() + static_cast<std::ptrdiff_t>(strongest * depth);
            std::fill(row, row + static_cast<std::ptrdiff_t>(depth), zero);
          }};
}

BundleFault SignFlipped() {
  return {IsLinear, [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            const auto& op = std::get<GemmOp>(*ProducerOf(bundle.program, tensor));
            network::Linear layer = relowering.LayerOf(tensor);
            const std::size_t quarter = std::max<std::size_t>(1, layer.bias.size() / 4);
            const auto depth = static_cast<std::size_t>(layer.in_features());
            for (std::size_t i = 0; i < quarter * depth; ++i) layer.weight.data[i] *= -1;
            for (std::size_t n = 0; n < quarter; ++n) layer.bias[n] *= -1;
            relowering.RemakeLinear(tensor, layer, WeightScales(bundle, op), bundle);
          }};
}

}  // namespace qsim
