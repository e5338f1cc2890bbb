// The faults of linear layers and convolutions: their codes, scales, biases and the order of their
// channels.
#include <algorithm>
#include <numeric>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/bundle_faults.h"
#include "sim/diagnose/structure.h"

namespace qsim::diagnose {
namespace {

bool HasWeights(const Victim& v) { return v.op != nullptr && !WeightOf(*v.op).empty(); }

// Layers of other float weights, or with other scales for their output channels.
using Mistake = void (*)(network::Linear& layer, std::vector<double>& scale);
BundleFault Misread(Mistake mistake) {
  return {HasWeights, [mistake](const Victim& v) {
            network::Linear layer = v.rederivation.LayerOf(v.tensor);
            // In steps of the layer's input.
            std::vector<double> scale =
                Expanded(v.bundle.scales.at(WeightOf(*v.op)).scale, layer.bias.size());
            mistake(layer, scale);
            v.rederivation.Requantize(v.tensor, layer, scale, v.bundle);
          }};
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

// The output channels of one of several stacked layers in another order, where they are laid out in
// heads: codes, scales and biases alike.
using Order = std::vector<std::size_t> (*)(std::size_t heads, std::size_t head_dim);
BundleFault Permutation(Order order) {
  return {[](const Victim& v) {
            return std::holds_alternative<network::Columns>(v.node.function) && v.node.heads > 1;
          },
          [order](const Victim& v) {
            Program& program = v.bundle.program;
            const auto first =
                static_cast<std::size_t>(std::get<network::Columns>(v.node.function).first);
            const std::string& layer = network::AccumulatorName(v.model.At(v.node.inputs.front()));
            const LinearOperands linear = *LinearOperandsOf(*ProducerOf(program, layer));
            const auto heads = static_cast<std::size_t>(v.node.heads);
            const auto channels = static_cast<std::size_t>(program.Tensor(v.tensor).shape.back());
            const std::vector<std::size_t> from = order(heads, channels / heads);
            IntTensor& weight = program.constants.at(linear.weight);
            PermuteRows(weight.As<std::int8_t>(), first,
                        static_cast<std::size_t>(weight.shape()[1]), from);
            PermuteRows(program.constants.at(linear.bias).As<std::int32_t>(), first, 1, from);
            for (const std::string& name : {linear.weight, layer}) {
              TensorScale& scale = v.bundle.scales.at(name);
              if (scale.scale.size() > 1) PermuteRows(scale.scale, first, 1, from);
              if (scale.zero.size() > 1) PermuteRows(scale.zero, first, 1, from);
            }
            v.rederivation.Derive(ReadersOf(program, layer), v.bundle);
          }};
}

std::vector<std::size_t> Identity(std::size_t channels) {
  std::vector<std::size_t> from(channels);
  std::iota(from.begin(), from.end(), std::size_t{0});
  return from;
}

}  // namespace

BundleFault DoubleQuantization() {
  return Misread([](network::Linear& layer, std::vector<double>& scale) {
    // Symmetric codes span the whole width; the second pass takes the positive ones for it.
    const double one = 2 * *std::max_element(scale.begin(), scale.end());
    const std::size_t depth = layer.weight.data.size() / scale.size();
    for (std::size_t i = 0; i < layer.weight.data.size(); ++i) {
      layer.weight.data[i] =
          static_cast<float>(static_cast<double>(layer.weight.data[i]) * one / scale[i / depth]);
    }
    std::fill(scale.begin(), scale.end(), one);
  });
}

BundleFault StackedScale() {
  BundleFault fault = Misread([](network::Linear& /*layer*/, std::vector<double>& scale) {
    std::fill(scale.begin(), scale.end(), *std::max_element(scale.begin(), scale.end()));
  });
  fault.applies = [](const Victim& v) {
    return HasWeights(v) && !PartsOf(v.model, v.tensor).empty();
  };
  return fault;
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
  BundleFault fault = Misread([](network::Linear& layer, std::vector<double>& /*scale*/) {
    std::fill(layer.bias.begin(), layer.bias.end(), 0.0F);
  });
  fault.applies = [](const Victim& v) {
    if (!HasWeights(v)) return false;
    const std::vector<float> bias = v.rederivation.LayerOf(v.tensor).bias;
    return std::any_of(bias.begin(), bias.end(), [](float b) { return b != 0; });
  };
  return fault;
}

BundleFault WeightRowZeroed() {
  return Misread([](network::Linear& layer, std::vector<double>& scale) {
    const auto depth = static_cast<std::ptrdiff_t>(layer.in_features());
    auto strongest = layer.weight.data.begin();
    double most = -1;
    for (std::size_t n = 0; n < scale.size(); ++n) {
      const auto row = layer.weight.data.begin() + static_cast<std::ptrdiff_t>(n) * depth;
      const double energy = std::inner_product(row, row + depth, row, 0.0);
      if (energy <= most) continue;
      most = energy;
      strongest = row;
    }
    std::fill(strongest, strongest + depth, 0.0F);
  });
}

BundleFault SignFlipped() {
  return Misread([](network::Linear& layer, std::vector<double>& /*scale*/) {
    const std::size_t quarter = std::max<std::size_t>(1, layer.bias.size() / 4);
    const auto depth = static_cast<std::size_t>(layer.in_features());
    for (std::size_t i = 0; i < quarter * depth; ++i) layer.weight.data[i] *= -1;
    for (std::size_t n = 0; n < quarter; ++n) layer.bias[n] *= -1;
  });
}

}  // namespace qsim::diagnose
