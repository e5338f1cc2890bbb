#include "sim/calibrate/lower/rederivation.h"

#include <algorithm>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim::calibrate {

// One bundle's plan and stated grids.
class Rederivation::Session {
 public:
  Session(const Rederivation& of, Bundle& bundle)
      : source_(of.source_), bundle_(bundle), plan_(of.model_, bundle) {
    for (const TensorInfo& info : bundle.program.tensors)
      grids_[info.name] = StatedUnits(bundle, info.name);
  }

  const Plan& plan() const { return plan_; }
  const NodePlan& NodeOf(const std::string& tensor) const {
    return plan_.At(plan_.network().NodeOf(tensor)->name);
  }

  void Derive(const std::string& tensor, const DeriveOptions& options = {}) {
    if (ProducerOf(bundle_.program, tensor) == nullptr) return;  // an input of the program
    const NodePlan& node = NodeOf(tensor);
    if (tensor == node.Products()) {
      if (!node.weight) {
        State(ProductsGrid(plan_, node, grids_));
      } else if (!grids_.contains(node.Weights())) {
        grids_[node.Weights()] = StatedWeights(bundle_, node.Weights());
      }
    }
    if (tensor == node.Quotient()) State(QuotientGrid(plan_, node, grids_));
    DeriveOptions only = options;
    only.wanted = [&](const std::string& name) { return name == tensor; };
    Bundle derived;
    try {
      calibrate::Derive(plan_, grids_, source_, derived, only);
    } catch (const InputError&) {
      // Grids that a calibration does not choose can need the widest multiplier there is.
      Hardware widest = node.hardware;
      widest.multiplier_bits = 31;
      widest.requant = RequantMode::kMultiplier;
      derived = {};
      calibrate::Derive(plan_.With(widest), grids_, source_, derived, only);
    }
    for (Op& op : derived.program.ops) *ProducerOf(bundle_.program, tensor) = std::move(op);
    for (auto& [name, constant] : derived.program.constants)
      bundle_.program.constants[name] = std::move(constant);
  }
  void DeriveReaders(const std::string& tensor) {
    for (const std::string& reader : ReadersOf(bundle_.program, tensor)) {
      Derive(reader);
      if (reader == NodeOf(reader).Quotient()) DeriveReaders(reader);
    }
  }

  void ChooseWeights(const NodePlan& layer) {
    std::vector<LoweringNote> unread;
    ChooseProducts(plan_, layer, source_, grids_, unread);
    StateProducts(layer);
    Derive(layer.Products());
    DeriveReaders(layer.Products());
  }

  void SetWeights(const NodePlan& layer, const network::Linear& floats,
                  const std::vector<double>& scale) {
    const RealLayer real = RealLayerOf(plan_, layer, floats, grids_);
    const double limit = BiasLimit(layer.hardware.acc);
    std::vector<LoweringNote> unread;
    Activation& grid = grids_[layer.Weights()];
    grid = {
        layer.Weights(),       {-128, 127}, scale, std::vector<std::int32_t>(scale.size(), 0), {},
        layer.weight->rounding};
    for (std::size_t n = 0; n < scale.size(); ++n) {
      grid.scale[n] = RaisedForBias(real, static_cast<std::int64_t>(n), 1, scale[n], limit, unread);
    }
    grids_[layer.Products()] = ProductsGrid(plan_, layer, grids_);
    StateProducts(layer);
    DeriveOptions options;
    options.layer = [&](const network::Node&) { return floats; };
    Derive(layer.Products(), options);
    DeriveReaders(layer.Products());
  }

  void State(Activation grid) {
    const TensorInfo& info = bundle_.program.Tensor(grid.name);
    const auto axis = info.shape.size() == 3 ? ChannelAxis::kFirst : ChannelAxis::kLast;
    bundle_.scales.at(grid.name) = ToState(grid, axis);
    grids_[grid.name] = StatedUnits(bundle_, grid.name);
  }

 private:
  void StateProducts(const NodePlan& layer) {
    bundle_.scales[layer.Weights()] =
        ToState(Recentred(grids_.at(layer.Weights())), ChannelAxis::kFirst);
    State(grids_.at(layer.Products()));
  }

  const InputSource& source_;
  Bundle& bundle_;
  Plan plan_;
  Grids grids_;
};

Rederivation::Rederivation(const network::Network& model, const ModelInputs& inputs)
    : model_(model) {
  if (const auto* images = std::get_if<ImageInputs>(&inputs.data)) {
    source_.mean = images->mean;
    source_.stddev = images->stddev;
  }
}

network::Linear Rederivation::LayerOf(const std::string& tap) const {
  const network::Node* node = model_.NodeOf(tap);
  if (node == nullptr || !(std::holds_alternative<network::Projection>(node->function) ||
                           std::holds_alternative<network::CausalConvolution>(node->function)))
    throw InternalError("no weights of '" + tap + "'");
  return calibrate::LayerOf(model_, *node, source_);
}

void Rederivation::Derive(const std::vector<std::string>& tensors, Bundle& bundle,
                          bool skip) const {
  Session session(*this, bundle);
  for (const std::string& tensor : tensors) {
    try {
      session.Derive(tensor);
    } catch (const InputError&) {
      if (!skip) throw;
    }
  }
}

void Rederivation::Requantize(const std::string& tap, Bundle& bundle) const {
  Session session(*this, bundle);
  session.ChooseWeights(session.NodeOf(tap));
}

void Rederivation::Requantize(const std::string& tap, const network::Linear& layer,
                              const std::vector<double>& scale, Bundle& bundle) const {
  Session session(*this, bundle);
  session.SetWeights(session.NodeOf(tap), layer, scale);
}

void Rederivation::Regrid(Activation grid, Bundle& bundle) const {
  Session session(*this, bundle);
  const NodePlan& node = session.NodeOf(grid.name);
  // What is handed from piece to piece has one grid at both ends.
  std::vector<std::string> names = {grid.name};
  std::vector<std::string> readers = ReadersOf(bundle.program, grid.name);
  for (const golden::Carried& carried : bundle.program.carried) {
    if (carried.output != grid.name) continue;
    names.push_back(carried.input);
    for (std::string& reader : ReadersOf(bundle.program, carried.input)) {
      if (reader != grid.name) readers.push_back(std::move(reader));
    }
  }
  for (const std::string& reader : readers) {
    const NodePlan& read = session.NodeOf(reader);
    if (!std::holds_alternative<network::Softmax>(read.node->function)) continue;
    for (double& s : grid.scale) s = ScoresOf(read.numerics.softmax, s, 0).scale;
  }
  for (const std::string& name : names) {
    for (TensorInfo& info : bundle.program.tensors) {
      if (info.name != name) continue;
      info.range = grid.range;
      info.dtype = StorageFor(grid.range);
    }
    Activation end = grid;
    end.name = name;
    session.State(end);
  }
  // In the residual stream the weights behind a nearly dead channel depend on the output's scale.
  const NodePlan* layer = node.inputs.empty() ? nullptr : session.plan().Find(node.inputs.front());
  const bool added = std::holds_alternative<network::Sum>(node.node->function) ||
                     std::holds_alternative<network::Positions>(node.node->function);
  if (added && layer != nullptr && layer->weight && !layer->section) {
    session.ChooseWeights(*layer);
  } else {
    session.Derive(grid.name);
  }
  for (const std::string& reader : readers) {
    const NodePlan& read = session.NodeOf(reader);
    if (reader == read.Products() && read.weight) {
      session.ChooseWeights(read);
      continue;
    }
    session.Derive(reader);
    if (reader == read.Products()) session.DeriveReaders(reader);
  }
}

}  // namespace qsim::calibrate
