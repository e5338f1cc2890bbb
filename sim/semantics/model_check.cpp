#include "sim/semantics/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"
#include "sim/semantics/real_weights.h"

namespace qsim {
namespace {

class Check {
 public:
  Check(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs)
      : bundle_(bundle), model_(model), inputs_(inputs) {}

  void Run() const {
    for (const Op& op : bundle_.program.ops) {
      std::visit([this](const auto& o) { Of(o); }, op);
      if (model_.NodeOf(OutputOf(op)) != nullptr) continue;
      throw InputError(fmt::format("{}: the model has no such operation", OutputOf(op)));
    }
    for (const std::string& name : bundle_.program.inputs) Input(name);
  }

 private:
  void Expect(const std::string& tensor, const Shape& program, const Shape& model) const {
    if (program == model) return;
    throw InputError(
        fmt::format("{}: [{}] in the program, [{}] in the model: the bundle is of another model",
                    tensor, fmt::join(program, ", "), fmt::join(model, ", ")));
  }
  const Shape& ShapeOf(const std::string& tensor) const {
    return bundle_.program.Tensor(tensor).shape;
  }
  Shape Stream() const { return {model_.input.tokens, model_.input.dim}; }

  void Of(const GemmOp& op) const {
    const network::Linear* layer = LinearOf(model_, op.output);
    if (layer == nullptr || layer->weight.shape.empty()) {
      throw InputError(fmt::format("{}: the model has no such linear layer", op.output));
    }
    const Shape& shape = bundle_.program.Constant(op.weight).shape();
    Expect(op.weight, shape, layer->weight.shape);
    const auto scale = bundle_.scales.find(op.weight);
    if (scale == bundle_.scales.end() || !scale->second.Fits(static_cast<std::size_t>(shape[0]))) {
      throw InputError(fmt::format("scales.yaml: '{}' needs one scale and zero point, or {}",
                                   op.weight, shape[0]));
    }
    for (const double s : scale->second.scale) {
      if (std::isfinite(s) && s > 0) continue;
      throw InputError(
          fmt::format("scales.yaml: '{}' has a scale that is not positive", op.weight));
    }
  }
  void Of(const LayernormOp& op) const {
    const auto* layer = model_.FunctionOf<network::LayerNorm>(op.output);
    const std::int64_t channels = layer == nullptr ? 0 : std::ssize(layer->norm.gamma);
    Expect(op.output, ShapeOf(op.output), {ShapeOf(op.output).front(), channels});
  }
  void Of(const EmbedOp& op) const { Expect(op.output, ShapeOf(op.output), Stream()); }
  void Of(const MatmulOp& op) const {
    if (op.heads == model_.heads) return;
    throw InputError(fmt::format("{}: {} heads in the program, {} in the model", op.output,
                                 op.heads, model_.heads));
  }
  void Of(const AddOp& op) const {
    throw InputError(
        fmt::format("{}: an operation 'add' is of a network that was imported as integers, and "
                    "has no float model to compare with",
                    op.output));
  }
  template <typename Other>
  void Of(const Other&) const {}

  void Input(const std::string& name) const {
    const auto* images = std::get_if<ImageInputs>(&inputs_.data);
    const bool block = name.starts_with("blocks.");
    if (!block && (name == "image") != (images != nullptr)) {
      throw InputError(fmt::format("the program's input '{}' needs {}, and the inputs are {}", name,
                                   images != nullptr ? "token embeddings" : "images",
                                   images != nullptr ? "images" : "token embeddings"));
    }
    if (name == "image") {
      const Shape& all = images->pixels.shape();
      Expect(name, ShapeOf(name), {all.begin() + 1, all.end()});
      return;
    }
    Expect(name, ShapeOf(name), Stream());
  }

  const Bundle& bundle_;
  const network::Network& model_;
  const ModelInputs& inputs_;
};

}  // namespace

void CheckStandsFor(const Bundle& bundle, const network::Network& model,
                    const ModelInputs& inputs) {
  Check(bundle, model, inputs).Run();
}

}  // namespace qsim
