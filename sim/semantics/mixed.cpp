#include "sim/semantics/mixed.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/error.h"
#include "sim/semantics/float_run.h"
#include "sim/semantics/mixed_prepared.h"

namespace qsim::semantics {
namespace {

// What a step is given.
std::vector<std::string> InputNames(const Program& program) {
  std::vector<std::string> names = program.inputs;
  for (const Carried& carried : program.carried) names.push_back(carried.input);
  return names;
}

// An operation that reads these tensors, of a stacked one the node's columns.
Op Reading(Op op, const std::vector<std::string>& tensors, const network::Node& node) {
  std::size_t i = 0;
  ForEachParameterOf(op, [&](const Field& field, auto& member) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, std::string>) {
      if (field.role == Role::kReads) member = i < tensors.size() ? tensors[i++] : std::string();
    }
  });
  const auto* columns = std::get_if<network::Columns>(&node.function);
  if (auto* requantize = std::get_if<RequantizeOp>(&op))
    requantize->first_column = columns == nullptr ? 0 : columns->first;
  return op;
}

}  // namespace

const FloatTensor& MixedTensor::real() const {
  if (real_.shape.empty()) {
    real_ = {codes_->shape(), grid_->DequantizeToFloat(*codes_)};
  }
  return real_;
}

Reals MixedTensor::Doubles() const {
  if (codes_) return grid_->Dequantize(*codes_);
  return {real_.data.begin(), real_.data.end()};
}

MixedExecutor::MixedExecutor(const Bundle& bundle, const network::Network& model,
                             const ModelInputs& inputs, Wiring wiring)
    : bundle_(bundle),
      model_(model),
      inputs_(inputs),
      names_(InputNames(bundle.program)),
      prepared_(std::make_unique<Prepared>(bundle.program)) {
  for (const Op& op : bundle.program.ops) names_.push_back(OutputOf(op));
  for (std::size_t n = 0; n < names_.size(); ++n) nodes_[names_[n]] = n;
  for (const Op& op : bundle.program.ops) {
    const auto* softmax = std::get_if<SoftmaxOp>(&op);
    const std::vector<std::string> reads = InputsOf(op);
    const bool sums = std::holds_alternative<RowSumOp>(op) || AccumulatorOf(op) != nullptr;
    if ((softmax != nullptr && softmax->division == SoftmaxDivision::kAfter) ||
        (sums && std::any_of(reads.begin(), reads.end(),
                             [this](const std::string& name) { return Undivided(name); })))
      undivided_.insert(OutputOf(op));
  }
  CheckStandsFor(bundle, model, inputs, wiring);
  for (const Rewiring& other : RewiringsOf(bundle.program, model)) {
    for (const std::string& read : other.network) {
      if (!nodes_.contains(read) || nodes_.at(read) >= nodes_.at(other.tensor))
        throw InputError(
            fmt::format("{}: {}, which the program computes later", other.tensor, other.text));
      wired_reads_.insert(read);
    }
    wired_.emplace(other.tensor, Reading(*ProducerOf(bundle.program, other.tensor), other.network,
                                         *model.NodeOf(other.tensor)));
  }
}

MixedExecutor::~MixedExecutor() = default;

const Op* MixedExecutor::OpOf(std::size_t node) const {
  return node < first_op() ? nullptr : &bundle_.program.ops[node - first_op()];
}

const Op& MixedExecutor::Wired(const Op& op) const {
  const auto found = wired_.find(OutputOf(op));
  return found == wired_.end() ? op : found->second;
}

std::vector<std::string> MixedExecutor::ReadsOf(std::size_t node) const {
  const Op* op = OpOf(node);
  if (op == nullptr) return {};
  std::vector<std::string> reads = InputsOf(*op);
  if (!wired_.contains(names_[node])) return reads;
  for (std::string& name : InputsOf(Wired(*op))) {
    if (std::find(reads.begin(), reads.end(), name) == reads.end())
      reads.push_back(std::move(name));
  }
  return reads;
}

std::vector<std::size_t> MixedExecutor::Last() const {
  std::set<std::string> read;
  for (const Op& op : bundle_.program.ops) {
    for (std::string& name : InputsOf(Wired(op))) read.insert(std::move(name));
  }
  std::vector<std::size_t> last;
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (!read.contains(names_[n])) last.push_back(n);
  }
  return last;
}

const ImageInputs* MixedExecutor::PixelsIn(const std::string& tensor) const {
  const network::Node* node = model_.NodeOf(tensor);
  const bool pixels = node != nullptr && (std::holds_alternative<network::Pixels>(node->function) ||
                                          std::holds_alternative<network::Patches>(node->function));
  return pixels ? std::get_if<ImageInputs>(&inputs_.data) : nullptr;
}

MixedState MixedExecutor::ExactInputs(const ModelInputs& inputs, std::int64_t image) const {
  MixedState state;
  const FloatRun run(model_);
  FloatRun::State values = run.Begin(inputs, image);
  const std::vector<std::string>& names = bundle_.program.inputs;
  std::set<std::string> wanted(names.begin(), names.end());
  for (int part = 0; part < model_.parts() && !wanted.empty(); ++part) {
    run.Part(part, values, [&](const network::Node& node, const FloatTensor& value) {
      if (wanted.erase(node.name) == 0) return;
      const bool of_pixels = PixelsIn(node.name) != nullptr;
      const auto* images = of_pixels ? std::get_if<ImageInputs>(&inputs.data) : nullptr;
      if (images == nullptr) {
        state[node.name] = std::make_shared<MixedTensor>(value);
        return;
      }
      const auto& all = images->pixels.As<std::uint8_t>();
      const std::int64_t size = ElementCount(value.shape);
      const auto begin = all.begin() + image * size;
      IntTensor pixels(value.shape, std::vector<std::uint8_t>(begin, begin + size));
      state[node.name] =
          std::make_shared<MixedTensor>(std::move(pixels), bundle_.GridOf(node.name));
    });
  }
  if (!wanted.empty()) {
    throw InputError(
        fmt::format("the program has an input '{}', which the model has not", *wanted.begin()));
  }
  return state;
}

MixedState MixedExecutor::Run(const MixedState& inputs, const Modes& modes) const {
  MixedState values;
  for (std::size_t n = 0; n < nodes(); ++n) {
    // An input is computed from its own exact values.
    values[names_[n]] = Node(n, modes[n], Lookup(OpOf(n) == nullptr ? inputs : values));
  }
  return values;
}

MixedState MixedExecutor::RunForOutputs(const MixedState& inputs, const Modes& modes,
                                        const std::set<std::string>& kept) const {
  const std::vector<std::vector<std::string>> last_reads = LastReads(bundle_.program);
  MixedState values;
  for (std::size_t n = 0; n < nodes(); ++n) {
    values[names_[n]] = Node(n, modes[n], Lookup(n < first_op() ? inputs : values));
    if (n < first_op()) continue;
    for (const std::string& name : last_reads[n - first_op()]) {
      if (!kept.contains(name) && !wired_reads_.contains(name)) values.erase(name);
    }
  }
  return values;
}

MixedState MixedExecutor::Change(const MixedState& inputs, const MixedState& base,
                                 const Modes& base_modes, const Modes& modes,
                                 MixedState replaced) const {
  MixedState changed = std::move(replaced);
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (changed.contains(names_[n])) continue;
    bool differs = modes[n] != base_modes[n];
    const Op* op = OpOf(n);
    if (op != nullptr && !differs) {
      const std::vector<std::string> reads = ReadsOf(n);
      differs = std::any_of(reads.begin(), reads.end(),
                            [&](const std::string& name) { return changed.contains(name); });
    }
    if (!differs) continue;
    changed[names_[n]] = Node(n, modes[n], Lookup(op == nullptr ? inputs : changed, &base));
  }
  return changed;
}

std::shared_ptr<const MixedTensor> MixedExecutor::Compute(std::size_t node, Exactness exactness,
                                                          const MixedState& values) const {
  return Node(node, exactness, Lookup(values));
}

}  // namespace qsim::semantics
