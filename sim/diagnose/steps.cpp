#include "sim/diagnose/steps.h"

#include <algorithm>

#include "golden/program/accumulator_proof.h"
#include "golden/program/queries.h"
#include "sim/run/pieces.h"

namespace qsim::diagnose {
std::vector<Step> StepsOf(const MixedExecutor& network) {
  std::vector<Step> steps;
  std::vector<std::size_t> waiting;  // products whose requantization follows
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    const Op* op = network.OpOf(n);
    if (!network.model().NodeOf(network.NameOf(n))->compared) continue;
    if (op != nullptr && IsProductOfTensors(*op)) {
      waiting.push_back(n);
      continue;
    }
    Step step{network.NameOf(n), {}};
    if (op != nullptr) {
      const std::vector<std::string> reads = network.ReadsOf(n);
      std::erase_if(waiting, [&](std::size_t product) {
        const bool mine =
            std::find(reads.begin(), reads.end(), network.NameOf(product)) != reads.end();
        if (mine) step.nodes.push_back(product);
        return mine;
      });
    }
    step.nodes.push_back(n);
    steps.push_back(std::move(step));
  }
  for (const std::size_t n : waiting) steps.push_back({network.NameOf(n), {n}});
  return steps;
}

std::vector<std::string> ReadsOf(const MixedExecutor& network, const Step& step) {
  std::vector<std::string> reads;
  for (const std::size_t n : step.nodes) {
    for (std::string& name : network.ReadsOf(n)) {
      const std::size_t from = network.NodeOf(name);
      const bool inside = std::find(step.nodes.begin(), step.nodes.end(), from) != step.nodes.end();
      if (!inside) reads.push_back(std::move(name));
    }
  }
  return reads;
}

AloneTensors RunAlone(const MixedExecutor& network, const Step& step, const MixedState& exact) {
  const auto on_grid = [&](const std::string& name) {
    const std::shared_ptr<const MixedTensor>& value = exact.at(name);
    return value->codes() != nullptr ? value : network.OnGrid(name, value->real());
  };
  if (const std::size_t input = step.nodes.front(); network.OpOf(input) == nullptr) {
    MixedState given;  // nothing of what is carried to a first piece
    if (input < network.bundle().program.inputs.size()) given[step.tensor] = exact.at(step.tensor);
    return {exact.at(step.tensor), network.Compute(input, Exactness::Golden(), given)};
  }
  MixedState values;
  for (const std::string& name : ReadsOf(network, step)) values[name] = on_grid(name);
  MixedState golden = values;
  for (const std::size_t n : step.nodes) {
    values[network.NameOf(n)] = network.Compute(n, Exactness::All(), values);
    golden[network.NameOf(n)] = network.Compute(n, Exactness::Golden(), golden);
  }
  return {values.at(step.tensor), golden.at(step.tensor)};
}

std::int64_t MacsOf(const Program& program, std::int64_t length) {
  std::int64_t macs = 0;
  for (const Op& op : program.ops) macs += golden::MacsOf(program, op, length);
  return macs;
}

OutputMeter::OutputMeter(const MixedExecutor& network, const ModelInputs& inputs)
    : labels_(inputs.labels) {
  if (const network::Node* head = network.model().Logits()) classes_ = head->name;
  // What is left for a next piece is no output.
  const Program& program = network.bundle().program;
  for (const std::size_t n : network.Last()) {
    const std::string& name = network.NameOf(n);
    if (!IsState(program, program.Tensor(name))) tensors_.push_back(name);
  }
}

OutputPower OutputMeter::Of(std::int64_t image, const MixedState& exact, const MixedState& state,
                            const MixedState& base) const {
  OutputPower power(tensors_);
  for (std::size_t part = 0; part < tensors_.size(); ++part) {
    const std::string& name = tensors_[part];
    const auto found = state.find(name);
    const std::vector<float>& value =
        (found != state.end() ? found->second : base.at(name))->real().data;
    power.Add(part, exact.at(name)->real().data, value);
    if (name == classes_ && !labels_.empty()) {
      const auto first = std::max_element(value.begin(), value.end()) - value.begin();
      power.CountClass(first == labels_[static_cast<std::size_t>(image)]);
    }
  }
  return power;
}

}  // namespace qsim::diagnose
