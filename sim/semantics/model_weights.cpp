#include "sim/semantics/model_weights.h"

#include <fmt/format.h>

#include <set>

#include "sim/error.h"
#include "sim/semantics/float_run.h"

namespace qsim {

ModelWeights::ModelWeights(const network::Network& model, const ModelInputs& inputs)
    : model_(model), inputs_(inputs) {}

const network::Linear* ModelWeights::LinearOf(const std::string& output) const {
  const network::Node* node = model_.NodeOf(output);
  const auto* projection =
      node == nullptr ? nullptr : std::get_if<network::Projection>(&node->function);
  return projection == nullptr ? nullptr : &projection->layer;
}

const network::Norm* ModelWeights::NormOf(const std::string& output) const {
  const auto* layer = model_.FunctionOf<network::LayerNorm>(output);
  return layer == nullptr ? nullptr : &layer->norm;
}

PixelScale ModelWeights::PixelsBefore(const std::string& output) const {
  const auto* images = std::get_if<ImageInputs>(&inputs_.data);
  const network::Node* node = model_.NodeOf(output);
  if (images == nullptr || node == nullptr || node->inputs.empty()) return {};
  const network::Node& input = model_.At(node->inputs.front());
  if (!std::holds_alternative<network::Patches>(input.function)) return {};
  return {images->mean, images->stddev};
}

FloatTensor ModelWeights::PositionsOf(const std::string& output) const {
  const auto& positions = std::get<network::Positions>(model_.At(output).function);
  FloatTensor out = positions.position;
  for (std::size_t c = 0; c < positions.first.size(); ++c) out.data[c] += positions.first[c];
  return out;
}

std::map<std::string, ModelWeights::Input> ModelWeights::InputsOf(
    const std::vector<std::string>& names, std::int64_t image) const {
  std::map<std::string, Input> inputs;
  const FloatRun run(model_);
  FloatRun::State values = run.Begin(inputs_, image);
  std::set<std::string> missing(names.begin(), names.end());
  for (int part = 0; part < model_.parts() && !missing.empty(); ++part) {
    run.Part(part, values, [&](const network::Node& node, const FloatTensor& value) {
      if (missing.erase(node.name) == 0) return;
      if (!std::holds_alternative<network::Pixels>(node.function)) {
        inputs[node.name] = value;
        return;
      }
      const IntTensor& pixels = std::get<ImageInputs>(inputs_.data).pixels;
      const Shape shape(pixels.shape().begin() + 1, pixels.shape().end());
      const auto begin = pixels.As<std::uint8_t>().begin() + image * ElementCount(shape);
      inputs[node.name] =
          IntTensor(shape, std::vector<std::uint8_t>(begin, begin + ElementCount(shape)));
    });
  }
  if (!missing.empty()) {
    throw InputError(fmt::format("the program has an input '{}', which the model has not",
                                 *missing.begin()));
  }
  return inputs;
}

}  // namespace qsim
