#include "sim/semantics/mixed.h"

#include <algorithm>
#include <set>
#include <utility>

#include "sim/semantics/model_check.h"

namespace qsim {

const FloatTensor& MixedTensor::real() const {
  if (real_.shape.empty()) {
    const std::vector<double> values = grid_->Dequantize(*codes_);
    real_ = {codes_->shape(), std::vector<float>(values.begin(), values.end())};
  }
  return real_;
}

Reals MixedTensor::Doubles() const {
  if (codes_) return grid_->Dequantize(*codes_);
  return {real_.data.begin(), real_.data.end()};
}

MixedExecutor::MixedExecutor(const Bundle& bundle, const network::Network& model, const ModelInputs& inputs)
    : bundle_(bundle), model_(model, inputs), names_(bundle.program.inputs) {
  for (const Op& op : bundle.program.ops) names_.push_back(OutputOf(op));
  for (std::size_t n = 0; n < names_.size(); ++n) nodes_[names_[n]] = n;
  CheckStandsFor(bundle, model_);
}

const Op* MixedExecutor::OpOf(std::size_t node) const {
  const std::size_t inputs = bundle_.program.inputs.size();
  return node < inputs ? nullptr : &bundle_.program.ops[node - inputs];
}

std::vector<std::size_t> MixedExecutor::Last() const {
  std::set<std::string> read;
  for (const Op& op : bundle_.program.ops) {
    for (std::string& name : InputsOf(op)) read.insert(std::move(name));
  }
  std::vector<std::size_t> last;
  for (std::size_t n = 0; n < nodes(); ++n) {
    if (!read.contains(names_[n])) last.push_back(n);
  }
  return last;
}

MixedState MixedExecutor::ExactInputs(std::int64_t image) const {
  MixedState state;
  for (auto& [name, input] : model_.InputsOf(bundle_.program.inputs, image)) {
    if (auto* codes = std::get_if<IntTensor>(&input)) {
      state[name] = std::make_shared<MixedTensor>(std::move(*codes), bundle_.GridOf(name));
    } else {
      state[name] = std::make_shared<MixedTensor>(std::get<FloatTensor>(std::move(input)));
    }
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

MixedState MixedExecutor::RunForOutputs(const MixedState& inputs, const Modes& modes) const {
  const std::vector<std::vector<std::string>> last_reads = LastReads(bundle_.program);
  const std::size_t first_op = nodes() - last_reads.size();
  MixedState values;
  for (std::size_t n = 0; n < nodes(); ++n) {
    values[names_[n]] = Node(n, modes[n], Lookup(n < first_op ? inputs : values));
    if (n < first_op) continue;
    for (const std::string& name : last_reads[n - first_op]) values.erase(name);
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
      const std::vector<std::string> reads = InputsOf(*op);
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

}  // namespace qsim
