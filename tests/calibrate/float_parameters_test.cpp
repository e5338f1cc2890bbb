// Every parameter of a float network has integers that stand for it: where one of them changes and
// the grids stay, so does the program. A parameter that nothing reads would be another function
// than the one that was trained, without a word.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "golden/program/queries.h"
#include "sim/calibrate/lower/rederivation.h"
#include "tests/support/vectors.h"

namespace qsim::testing {
namespace {

using network::Function;

// One parameter of a function, and a change of it.
struct Parameter {
  std::string name;
  std::function<void(Function&)> change;
};

template <typename F>
Parameter Of(const std::string& name, std::function<void(F&)> change) {
  return {name,
          [change = std::move(change)](Function& function) { change(std::get<F>(function)); }};
}

// The structured bindings do not compile where a function has a parameter more; what says only
// where it reads (rows, columns, names) is left out.
struct ParametersOf {
  std::vector<Parameter> operator()(const network::Pixels&) const { return {}; }
  std::vector<Parameter> operator()(const network::Activations&) const { return {}; }
  std::vector<Parameter> operator()(const network::Entry&) const { return {}; }
  std::vector<Parameter> operator()(const network::Patches&) const { return {}; }
  std::vector<Parameter> operator()(const network::Columns&) const { return {}; }
  std::vector<Parameter> operator()(const network::Gelu&) const { return {}; }
  std::vector<Parameter> operator()(const network::Sum&) const { return {}; }
  std::vector<Parameter> operator()(const network::MeanRows&) const { return {}; }
  std::vector<Parameter> operator()(const network::Tokens&) const { return {}; }
  std::vector<Parameter> operator()(const network::Past&) const { return {}; }
  std::vector<Parameter> operator()(const network::LastRows&) const { return {}; }
  std::vector<Parameter> operator()(const network::FinalState&) const { return {}; }
  std::vector<Parameter> operator()(const network::Multiply&) const { return {}; }

  std::vector<Parameter> operator()(const network::Projection& projection) const {
    [[maybe_unused]] const auto& [layer, rows, accumulator, first] = projection;
    [[maybe_unused]] const auto& [weight, bias] = layer;
    return {Of<network::Projection>("weight", [](auto& p) { p.layer.weight.data[5] *= -1.5F; }),
            Of<network::Projection>("bias", [](auto& p) { p.layer.bias.at(0) += 0.1F; })};
  }
  std::vector<Parameter> operator()(const network::Positions& positions) const {
    [[maybe_unused]] const auto& [front, position] = positions;
    return {Of<network::Positions>("front", [](auto& p) { p.front.data.at(2) += 0.1F; }),
            Of<network::Positions>("position", [](auto& p) { p.position.data.back() += 0.1F; })};
  }
  std::vector<Parameter> operator()(const network::LayerNorm& norm) const {
    [[maybe_unused]] const auto& [of, centred, groups] = norm;
    [[maybe_unused]] const auto& [gamma, beta, eps] = of;
    return {Of<network::LayerNorm>("gamma", [](auto& n) { n.norm.gamma.at(1) *= 1.1F; }),
            Of<network::LayerNorm>("beta", [](auto& n) { n.norm.beta.at(1) += 0.1F; }),
            Of<network::LayerNorm>("eps", [](auto& n) { n.norm.eps *= 2; })};
  }
  std::vector<Parameter> operator()(const network::Product& product) const {
    [[maybe_unused]] const auto& [heads, transpose_rhs, divisor] = product;
    if (!transpose_rhs) return {};
    return {Of<network::Product>("divisor", [](auto& p) { p.divisor *= 1.1; })};
  }
  std::vector<Parameter> operator()(const network::Softmax& softmax) const {
    [[maybe_unused]] const auto& [causal] = softmax;
    return {Of<network::Softmax>("causal", [](auto& s) { s.causal = !s.causal; })};
  }
  std::vector<Parameter> operator()(const network::Elementwise& elementwise) const {
    [[maybe_unused]] const auto& [of, parts] = elementwise;
    return {Of<network::Elementwise>("of",
                                     [](auto& e) { e.of.at(0) = [](double x) { return x / 2; }; })};
  }
  std::vector<Parameter> operator()(const network::Embedding& embedding) const {
    [[maybe_unused]] const auto& [weight] = embedding;
    return {Of<network::Embedding>("weight", [](auto& e) { e.weight.data.at(3) += 0.5F; })};
  }
  std::vector<Parameter> operator()(const network::CausalConvolution& convolution) const {
    [[maybe_unused]] const auto& [weight, bias] = convolution;
    return {Of<network::CausalConvolution>("weight", [](auto& c) { c.weight.data.at(1) *= -1.5F; }),
            Of<network::CausalConvolution>("bias", [](auto& c) { c.bias.at(0) += 0.1F; })};
  }
  std::vector<Parameter> operator()(const network::Recurrence& recurrence) const {
    [[maybe_unused]] const auto& [key_width, value_width, divisor, value_first] = recurrence;
    return {Of<network::Recurrence>("divisor", [](auto& r) { r.divisor *= 1.1; })};
  }
  std::vector<Parameter> operator()(const network::Scaled& scaled) const {
    [[maybe_unused]] const auto& [factor] = scaled;
    return {Of<network::Scaled>("factor", [](auto& s) { s.factor.at(0) *= 1.5F; })};
  }
};

// The program of a network, on the grids that a bundle states.
Program Rederived(const network::Network& model, const ModelInputs& inputs, Bundle bundle,
                  const std::string& node) {
  std::vector<std::string> tensors;
  for (const Op& op : bundle.program.ops) {
    if (node.empty() || model.NodeOf(OutputOf(op))->name == node) tensors.push_back(OutputOf(op));
  }
  Rederivation(model, inputs).Derive(tensors, bundle);
  return bundle.program;
}

TEST(FloatParameters, EachHasIntegersThatStandForIt) {
  const Vectors vectors = Vectors::Shipped();
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Bundle bundle = vectors.Calibrate({}, options);
  std::set<std::string> tried;
  for (const network::Node& node : vectors.model().nodes()) {
    for (const Parameter& parameter : std::visit(ParametersOf(), node.function)) {
      // One of each kind, outside the blocks and within.
      const std::string kind = std::to_string(node.function.index()) + " " + parameter.name +
                               (node.block < 0 ? "" : " in a block");
      if (!tried.insert(kind).second) continue;
      network::Network changed = vectors.model();
      parameter.change(changed.At(node.name).function);
      const Program same = Rederived(vectors.model(), vectors.calibration(), bundle, node.name);
      EXPECT_NE(Rederived(changed, vectors.calibration(), bundle, node.name), same)
          << node.name << ": " << parameter.name;
    }
  }
  EXPECT_GE(tried.size(), 13U);
  const Program same = Rederived(vectors.model(), vectors.calibration(), bundle, "patch_embed");
  for (const auto of : {&ImageInputs::mean, &ImageInputs::stddev}) {
    ModelInputs inputs = vectors.calibration();
    (std::get<ImageInputs>(inputs.data).*of).at(0) *= 1.1F;
    EXPECT_NE(Rederived(vectors.model(), inputs, bundle, "patch_embed"), same);
  }
}

// The choice that leaves one out, by name.
TEST(FloatParameters, EpsIsIgnoredOnRequestOnly) {
  const Vectors vectors = Vectors::Shipped();
  network::Network changed = vectors.model();
  std::get<network::LayerNorm>(changed.At("blocks.0.norm1").function).norm.eps *= 1000;
  const auto programs = [&](const std::vector<std::string>& settings) {
    const Bundle bundle = vectors.Calibrate(settings);
    return std::pair(Rederived(vectors.model(), vectors.calibration(), bundle, ""),
                     Rederived(changed, vectors.calibration(), bundle, ""));
  };
  for (const char* layernorm : {"ibert", "ivit", "rq_layernorm"}) {
    const std::string algorithm = std::string("numerics.layernorm=") + layernorm;
    const auto [with, with_changed] = programs({algorithm});
    EXPECT_NE(with, with_changed) << layernorm;
    const auto [without, without_changed] = programs({algorithm, "numerics.layernorm_eps=ignore"});
    EXPECT_EQ(without, without_changed) << layernorm;
    EXPECT_NE(with, without) << layernorm;
  }
}

}  // namespace
}  // namespace qsim::testing
