#include "sim/semantics/float_run.h"

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "sim/error.h"
#include "sim/semantics/float_nodes.h"

namespace qsim::semantics {
namespace {

FloatTensor NormalisedPixels(const ImageInputs& images, std::int64_t image) {
  const Shape& all = images.pixels.shape();
  FloatTensor x{{all.begin() + 1, all.end()}, {}};
  const auto size = static_cast<std::size_t>(ElementCount(x.shape));
  const std::size_t per_channel = size / static_cast<std::size_t>(x.shape[0]);
  const std::uint8_t* pixels =
      images.pixels.As<std::uint8_t>().data() + static_cast<std::size_t>(image) * size;
  x.data.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t c = i / per_channel;
    x.data[i] = static_cast<float>((pixels[i] / 255.0 - images.mean[c]) / images.stddev[c]);
  }
  return x;
}

FloatTensor Embeddings(const FloatTensor& tokens, std::int64_t image) {
  FloatTensor x{{tokens.shape[1], tokens.shape[2]}, {}};
  const std::int64_t size = ElementCount(x.shape);
  const auto begin = tokens.data.begin() + image * size;
  x.data.assign(begin, begin + size);
  return x;
}

FloatTensor Ids(const TokenInputs& tokens, std::int64_t index) {
  const IntTensor sequence = tokens.Sequence(index);
  const auto& ids = sequence.As<std::int32_t>();
  return {sequence.shape(), {ids.begin(), ids.end()}};
}

FloatTensor Nothing(const Shape& shape) {
  return {shape, std::vector<float>(static_cast<std::size_t>(ElementCount(shape)), 0.0F)};
}

}  // namespace

FloatRun::FloatRun(const network::Network& network) : network_(network) {
  for (const network::Node& node : network.nodes()) {
    for (const std::string& input : node.inputs) last_part_[input] = node.part;
  }
  for (const network::Carry& carry : network.carried) last_part_[carry.output] = network.parts();
}

FloatRun::State FloatRun::Begin(const ModelInputs& inputs, std::int64_t image,
                                State carried) const {
  State state = std::move(carried);
  const auto* images = std::get_if<ImageInputs>(&inputs.data);
  const auto* tokens = std::get_if<TokenInputs>(&inputs.data);
  const std::vector<const FloatTensor*> sequences = inputs.Sequences();
  bool entered = false;
  std::size_t taken = 0;
  for (const network::Node& node : network_.nodes()) {
    if (images != nullptr && std::holds_alternative<network::Pixels>(node.function)) {
      state.emplace(node.name, NormalisedPixels(*images, image));
      entered = true;
    } else if (std::holds_alternative<network::Past>(node.function)) {
      state.try_emplace(node.name, Nothing(node.shape));
    } else if (tokens != nullptr && std::holds_alternative<network::Tokens>(node.function)) {
      state.emplace(node.name, Ids(*tokens, image));
      entered = true;
    } else if (std::holds_alternative<network::Activations>(node.function) ||
               (images == nullptr && tokens == nullptr &&
                std::holds_alternative<network::Positions>(node.function))) {
      if (taken == sequences.size()) throw InternalError("no data for input '" + node.name + "'");
      state.emplace(node.name, Embeddings(*sequences[taken++], image));
    }
  }
  if ((!entered && taken == 0) || taken < sequences.size()) {
    throw InternalError("the network has no input of this kind");
  }
  return state;
}

void FloatRun::Part(int part, State& state, const Sink& sink) const {
  const std::vector<network::Node>& nodes = network_.nodes();
  const auto first = std::lower_bound(nodes.begin(), nodes.end(), part,
                                      [](const network::Node& n, int p) { return n.part < p; });
  for (auto node = first; node != nodes.end() && node->part == part; ++node) {
    auto found = state.find(node->name);
    if (found == state.end()) {
      // Embeddings enter behind the patches: what makes them of pixels is not computed then.
      if (node->inputs.empty() || !state.contains(node->inputs.front())) continue;
      std::vector<const FloatTensor*> inputs;
      for (const std::string& input : node->inputs) inputs.push_back(&state.at(input));
      found = state.emplace(node->name, Compute(*node, inputs)).first;
    }
    if (sink) sink(*node, found->second);
  }
  std::erase_if(state, [&](const auto& tensor) {
    const auto last = last_part_.find(tensor.first);
    return last == last_part_.end() || last->second <= part;
  });
}

FloatRun::State FloatRun::Carried(State state) const {
  State carried;
  for (const network::Carry& carry : network_.carried)
    carried.emplace(carry.input, std::move(state.at(carry.output)));
  return carried;
}

}  // namespace qsim::semantics
