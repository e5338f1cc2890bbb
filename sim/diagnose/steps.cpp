#include "sim/diagnose/steps.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace qsim {
namespace {

constexpr std::string_view kLogits = "logits";

bool EndsWithAny(std::string_view name, std::initializer_list<std::string_view> suffixes) {
  return std::any_of(suffixes.begin(), suffixes.end(),
                     [&](std::string_view suffix) { return name.ends_with(suffix); });
}

}  // namespace

std::vector<Step> StepsOf(const MixedExecutor& network) {
  std::vector<Step> steps;
  std::vector<std::size_t> waiting;  // products whose requantization follows
  for (std::size_t n = 0; n < network.nodes(); ++n) {
    const Op* op = network.OpOf(n);
    if (op == nullptr && network.NameOf(n) == "image") continue;
    if (op != nullptr && std::holds_alternative<PatchifyOp>(*op)) continue;
    if (op != nullptr && std::holds_alternative<MatmulOp>(*op)) {
      waiting.push_back(n);
      continue;
    }
    Step step{network.NameOf(n), {}};
    if (op != nullptr) {
      const std::vector<std::string> reads = InputsOf(*op);
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
    const Op* op = network.OpOf(n);
    if (op == nullptr) continue;
    for (std::string& name : InputsOf(*op)) {
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
  if (network.OpOf(step.nodes.front()) == nullptr) {
    return {exact.at(step.tensor), on_grid(step.tensor)};
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

std::int64_t MacsOf(const Program& program) {
  std::int64_t macs = 0;
  for (const Op& op : program.ops) {
    if (const auto* gemm = std::get_if<GemmOp>(&op)) {
      const std::int64_t rows =
          gemm->rows > 0 ? gemm->rows : program.Tensor(gemm->input).shape.front();
      macs += rows * program.Constant(gemm->weight).size();
    } else if (const auto* matmul = std::get_if<MatmulOp>(&op)) {
      const Shape& lhs = program.Tensor(matmul->lhs).shape;
      const Shape& rhs = program.Tensor(matmul->rhs).shape;
      macs += rhs.front() *
              (matmul->transpose_rhs ? lhs.front() * lhs.back() : rhs.front() * rhs.back());
    }
  }
  return macs;
}

std::size_t HeadsOf(const std::string& tensor, std::size_t heads) {
  return EndsWithAny(tensor, {".attn_q_out", ".attn_k_out", ".attn_v_input", ".attn_kv_out",
                              ".intSoft", ".attn_v_out"})
             ? heads
             : 1;
}

std::size_t HeadOfElement(const Shape& shape, std::size_t heads, std::size_t element) {
  if (heads == 1) return 0;
  if (shape.size() == 3) return element / static_cast<std::size_t>(shape[1] * shape[2]);
  const auto columns = static_cast<std::size_t>(shape.back());
  return element % columns / (columns / heads);
}

OutputMeter::OutputMeter(const MixedExecutor& network, const ModelInputs& inputs)
    : labels_(inputs.labels) {
  for (const std::size_t n : network.Last()) tensors_.push_back(network.NameOf(n));
}

OutputPower OutputMeter::Of(std::int64_t image, const MixedState& exact, const MixedState& state,
                            const MixedState& base) const {
  OutputPower power(tensors_);
  for (std::size_t part = 0; part < tensors_.size(); ++part) {
    const std::string& name = tensors_[part];
    const auto found = state.find(name);
    const std::vector<float>& value =
        (found != state.end() ? found->second : base.at(name))->real().data;
    power.At(part).Add(exact.at(name)->real().data, value);
    if (name == kLogits && !labels_.empty()) {
      const auto first = std::max_element(value.begin(), value.end()) - value.begin();
      power.CountClass(first == labels_[static_cast<std::size_t>(image)]);
    }
  }
  return power;
}

}  // namespace qsim
