#include "sim/semantics/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim::semantics {
namespace {

class Check {
 public:
  Check(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs)
      : bundle_(bundle), model_(model), inputs_(inputs) {}

  void Run() const {
    for (const Op& op : bundle_.program.ops) Operation(op);
    for (const std::string& name : bundle_.program.inputs) Input(name);
  }

 private:
  void Operation(const Op& op) const {
    const std::string& output = OutputOf(op);
    if (std::holds_alternative<AddOp>(op)) {
      throw InputError(
          fmt::format("{}: an operation 'add' is of a network that was imported as integers, and "
                      "has no float model to compare with",
                      output));
    }
    const network::Node& node = NodeOf(output, "operation");
    if (const auto* gemm = std::get_if<GemmOp>(&op)) Layer(*gemm, node);
    if (const auto* matmul = std::get_if<MatmulOp>(&op)) {
      const auto* product = std::get_if<network::Product>(&node.function);
      const std::int64_t heads = product == nullptr ? 0 : product->heads;
      if (matmul->heads != heads) {
        throw InputError(fmt::format("{}: {} heads in the program, {} in the model", output,
                                     matmul->heads, heads));
      }
    }
    Shape shape = node.shape;
    if (std::holds_alternative<RowSumOp>(op)) shape.back() = 1;
    Expect(output, ShapeOf(output), shape);
  }
  const network::Node& NodeOf(const std::string& tensor, const char* what) const {
    if (const network::Node* node = model_.NodeOf(tensor)) return *node;
    throw InputError(fmt::format("{}: the model has no such {}", tensor, what));
  }
  void Expect(const std::string& tensor, const Shape& program, const Shape& model) const {
    if (program == model) return;
    throw InputError(
        fmt::format("{}: [{}] in the program, [{}] in the model: the bundle is of another model",
                    tensor, fmt::join(program, ", "), fmt::join(model, ", ")));
  }
  const Shape& ShapeOf(const std::string& tensor) const {
    return bundle_.program.Tensor(tensor).shape;
  }

  void Layer(const GemmOp& op, const network::Node& node) const {
    const auto* projection = std::get_if<network::Projection>(&node.function);
    if (projection == nullptr || projection->layer.weight.shape.empty()) {
      throw InputError(fmt::format("{}: the model has no such linear layer", op.output));
    }
    const Shape& shape = bundle_.program.Constant(op.weight).shape();
    Expect(op.weight, shape, projection->layer.weight.shape);
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

  void Input(const std::string& name) const {
    const network::Node& node = NodeOf(name, "input");
    const auto* images = std::get_if<ImageInputs>(&inputs_.data);
    const bool pixels = std::holds_alternative<network::Pixels>(node.function);
    if (std::holds_alternative<network::Tokens>(node.function)) {
      if (!std::holds_alternative<TokenInputs>(inputs_.data))
        throw InputError(fmt::format("the program's input '{}' needs ids of tokens", name));
      return Expect(name, ShapeOf(name), node.shape);
    }
    const bool entry = std::holds_alternative<network::Entry>(node.function);
    const bool ids = std::holds_alternative<network::Tokens>(node.function);
    const bool has_ids = std::holds_alternative<TokenInputs>(inputs_.data);
    const bool fits = pixels ? images != nullptr : ids ? has_ids : !inputs_.Sequences().empty();
    if (!fits && !entry) {
      throw InputError(fmt::format("the program's input '{}' needs {}, and the inputs are {}", name,
                                   pixels ? "images"
                                   : ids  ? "token ids"
                                          : "token embeddings",
                                   images != nullptr ? "images"
                                   : has_ids         ? "token ids"
                                                     : "token embeddings"));
    }
    Shape shape = node.shape;
    if (pixels) shape.assign(images->pixels.shape().begin() + 1, images->pixels.shape().end());
    Expect(name, ShapeOf(name), shape);
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

}  // namespace qsim::semantics
