#include "sim/semantics/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "golden/program/queries.h"
#include "sim/error.h"

namespace qsim::semantics {
namespace {

// What operations read, as nodes of the network; entries are seen through.
class WiringCheck {
 public:
  WiringCheck(const Program& program, const network::Network& model)
      : program_(program), model_(model) {
    for (const TensorInfo& info : program.tensors) {
      const network::Node* node = model.NodeOf(info.name);
      if (node != nullptr) tensors_[Seen(node)].push_back(info.name);
    }
  }

  std::vector<Rewiring> Run() {
    std::vector<Rewiring> found;
    for (const Op& op : program_.ops) {
      const network::Node* node = model_.NodeOf(OutputOf(op));
      if (node == nullptr) continue;
      const std::vector<std::string> reads = InputsOf(op);
      std::vector<std::string> wanted = WantedOf(op, *node, reads);
      if (!wanted.empty() && !Same(reads, wanted))
        found.push_back({OutputOf(op), wanted, TextOf(reads, wanted)});
      defined_.insert(OutputOf(op));
    }
    return found;
  }

 private:
  const network::Node* Seen(const network::Node* node) const {
    while (std::holds_alternative<network::Entry>(node->function) && !node->inputs.empty())
      node = &model_.At(node->inputs[0]);
    return node;
  }
  const network::Node* NodeOf(const std::string& tensor) const {
    const network::Node* node = model_.NodeOf(tensor);
    return node == nullptr ? nullptr : Seen(node);
  }

  // The tensors that the operation would read. One behind the first of its node rounds what that
  // one has; a quotient's divisor are sums of exponentials.
  std::vector<std::string> WantedOf(const Op& op, const network::Node& node,
                                    const std::vector<std::string>& reads) const {
    const std::string& output = OutputOf(op);
    std::string own;
    for (const std::string& tensor : tensors_.at(Seen(&node))) {
      if (tensor != output && defined_.contains(tensor)) own = tensor;
    }
    if (std::holds_alternative<RowDivideOp>(op))
      return {own, node.inputs.at(0) + std::string(network::kSumSuffix)};
    // Any tensor of its own will do.
    if (!own.empty()) return NodeOf(reads[0]) == Seen(&node) ? reads : std::vector{own};
    std::vector<std::string> wanted;
    for (const std::string& input : node.inputs) {
      const auto found = tensors_.find(Seen(&model_.At(input)));
      if (found == tensors_.end()) return {};  // not in the program
      const std::vector<std::string>& of = found->second;
      wanted.push_back(std::find(of.begin(), of.end(), input) != of.end() ? input : of.back());
    }
    return wanted;
  }

  // Up to tensors of the same node.
  bool Same(const std::vector<std::string>& reads, const std::vector<std::string>& wanted) const {
    return std::equal(
        reads.begin(), reads.end(), wanted.begin(), wanted.end(),
        [this](const std::string& a, const std::string& b) { return NodeOf(a) == NodeOf(b); });
  }

  std::string TextOf(const std::vector<std::string>& reads,
                     const std::vector<std::string>& wanted) const {
    const auto list = [](const std::vector<std::string>& names) {
      return fmt::format("'{}'", fmt::join(names, "', '"));
    };
    if (reads.size() != wanted.size())
      return fmt::format("reads {} where the network has {}", list(reads), list(wanted));
    std::vector<std::string> is, should;
    for (std::size_t i = 0; i < reads.size(); ++i) {
      if (NodeOf(reads[i]) == NodeOf(wanted[i])) continue;
      is.push_back(reads[i]);
      should.push_back(wanted[i]);
    }
    return fmt::format("reads {} where the network has {}", list(is), list(should));
  }

  const Program& program_;
  const network::Network& model_;
  std::map<const network::Node*, std::vector<std::string>> tensors_;  // in order
  std::set<std::string> defined_;
};

class Check {
 public:
  Check(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs)
      : bundle_(bundle), model_(model), inputs_(inputs) {}

  void Run(Wiring wiring) const {
    for (const Op& op : bundle_.program.ops) Operation(op);
    for (const std::string& name : bundle_.program.inputs) Input(name);
    for (const Carried& carried : bundle_.program.carried) Carry(carried);
    if (wiring == Wiring::kAny) return;
    const std::vector<Rewiring> found = RewiringsOf(bundle_.program, model_);
    if (found.empty()) return;
    throw InputError(fmt::format(
        "{}: {}: the bundle is of another model, or damaged; qsim diagnose says what it costs",
        found[0].tensor, found[0].text));
  }

 private:
  void Carry(const Carried& carried) const {
    for (const network::Carry& of : model_.carried) {
      if (of.input != carried.input) continue;
      if (of.output == carried.output) return;
      throw InputError(fmt::format("{}: the program carries '{}' to it, the model '{}'",
                                   carried.input, carried.output, of.output));
    }
    throw InputError(fmt::format("{}: the model carries nothing to it", carried.input));
  }
  void Operation(const Op& op) const {
    const std::string& output = OutputOf(op);
    if (std::holds_alternative<AddOp>(op)) {
      throw InputError(
          fmt::format("{}: an operation 'add' is of a network that was imported as integers, and "
                      "has no float model to compare with",
                      output));
    }
    const network::Node& node = NodeOf(output, "operation");
    if (!Computes(op, node.function)) {
      throw InputError(
          fmt::format("{}: the model has another operation there than '{}'", output, KindName(op)));
    }
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
  // Of operations that are of one node's function alone.
  static bool Computes(const Op& op, const network::Function& function) {
    const auto is = [&]<typename F>() { return std::holds_alternative<F>(function); };
    if (std::holds_alternative<EmbedOp>(op)) return is.template operator()<network::Positions>();
    if (std::holds_alternative<LookupOp>(op)) return is.template operator()<network::Embedding>();
    if (std::holds_alternative<SoftmaxOp>(op)) return is.template operator()<network::Softmax>();
    if (std::holds_alternative<MatmulOp>(op)) return is.template operator()<network::Product>();
    if (std::holds_alternative<RecurrenceOp>(op))
      return is.template operator()<network::Recurrence>();
    if (std::holds_alternative<RecurrenceStateOp>(op))
      return is.template operator()<network::FinalState>();
    if (std::holds_alternative<CausalConvOp>(op))
      return is.template operator()<network::CausalConvolution>();
    if (const auto* product = std::get_if<MultiplyOp>(&op)) {
      return product->factor.empty() ? is.template operator()<network::Multiply>()
                                     : is.template operator()<network::Scaled>();
    }
    return true;
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

std::vector<Rewiring> RewiringsOf(const Program& program, const network::Network& model) {
  return WiringCheck(program, model).Run();
}

void CheckStandsFor(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs,
                    Wiring wiring) {
  Check(bundle, model, inputs).Run(wiring);
}

}  // namespace qsim::semantics
