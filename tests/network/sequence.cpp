#include "tests/network/sequence.h"

#include <cmath>
#include <random>

#include "sim/calibrate/calibrate.h"

namespace qsim::testing {
namespace {

using namespace network;  // NOLINT(google-build-using-namespace): the vocabulary of this file

double Silu(double x) { return x / (1 + std::exp(-x)); }

class Builder {
 public:
  explicit Builder(std::uint64_t seed) : engine_(seed) {}

  Network Build() {
    constexpr std::int64_t kC = Sequence::kChannels;
    Add("tokens", Tokens{Sequence::kVocabulary}, {}, 0);
    Add("embeddings", Embedding{Random({Sequence::kVocabulary, kC}, 1)}, {"tokens"}, kC).stream =
        true;
    Attend(kC);
    Mix(kC);
    Add("norm", Rms(kC, 1), {"residual2"}, kC);
    Layer("logits", "norm", Sequence::kVocabulary);
    return std::move(network_);
  }

 private:
  // Four heads of queries on two states.
  void Attend(std::int64_t channels) {
    Add("norm1", Rms(channels, 1), {"embeddings"}, channels);
    Layer("q", "norm1", 4 * 3);
    Layer("k", "norm1", 2 * 3);
    Layer("v", "norm1", 2 * 5);
    Layer("gk", "norm1", 2 * 3);
    Add("log_decay", Elementwise{{[](double x) { return -std::log1p(std::exp(-x)) / 4; }}}, {"gk"},
        6);
    Add("decay", Elementwise{{[](double x) { return std::exp(x); }}}, {"log_decay"}, 6);
    State("past", {2, 3, 5}, 2);
    Add("recurrence", Recurrence{3, 5, std::sqrt(3.0)}, {"q", "k", "v", "decay", "past"}, 20);
    Last("state", FinalState{3, 5}, {"k", "v", "decay", "past"}, {2, 3, 5}, 2);
    network_.carried.push_back({"state", "past"});
    Layer("o", "recurrence", channels);
    Add("residual1", Sum{}, {"o", "embeddings"}, channels).stream = true;
  }

  // Three heads of four values with states of two columns, of one group.
  void Mix(std::int64_t channels) {
    constexpr std::int64_t kInner = 12, kState = 2, kHeads = 3;
    Add("norm2", Rms(channels, 1), {"residual1"}, channels);
    const std::int64_t mixed = kInner + 2 * kState;
    Layer("in", "norm2", kInner + mixed + kHeads);
    Part("z", "in", 0, kInner);
    Part("xBC", "in", kInner, mixed);
    Part("dt_in", "in", kInner + mixed, kHeads);
    State("conv_past", {2, mixed}, 1);
    Node& conv = Add("conv", CausalConvolution{Random({mixed, 3}, 0.5), Random({mixed}, 0.1).data},
                     {"xBC", "conv_past"}, mixed);
    conv.section = {{"conv.output"}};
    conv.weight_section = {{"conv.weight"}};
    Last("conv_tail", LastRows{}, {"xBC", "conv_past"}, {2, mixed}, 1);
    network_.carried.push_back({"conv_tail", "conv_past"});
    Add("conv1d", Elementwise{{&Silu}, {kInner, kState, kState}}, {"conv"}, mixed);
    View("x", "conv1d", 0, kInner);
    View("B", "conv1d", kInner, kState);
    View("C", "conv1d", kInner + kState, kState);
    Elementwise step, fall;
    for (int h = 0; h < kHeads; ++h) {
      step.of.emplace_back([h](double x) { return std::log1p(std::exp(x + h - 2)); });
      fall.of.emplace_back([h](double x) { return std::exp(-(0.5 + h) * x); });
    }
    Add("dt", step, {"dt_in"}, kHeads);
    Add("a", fall, {"dt"}, kHeads);
    Add("dt_x", network::Multiply{}, {"x", "dt"}, kInner).wide = true;
    State("ssm_past", {kHeads, 4, kState}, kHeads);
    Add("readout", Recurrence{kState, 4, 1, true}, {"C", "B", "dt_x", "a", "ssm_past"}, kInner);
    Last("ssm_state", FinalState{kState, 4, true}, {"B", "dt_x", "a", "ssm_past"},
         {kHeads, 4, kState}, kHeads);
    network_.carried.push_back({"ssm_state", "ssm_past"});
    Add("skip", Scaled{Random({kInner}, 1).data}, {"x"}, kInner);
    Add("sum", Sum{}, {"readout", "skip"}, kInner);
    Add("gate", Elementwise{{&Silu}}, {"z"}, kInner);
    Add("gated", network::Multiply{}, {"sum", "gate"}, kInner).wide = true;
    Add("gated_norm", Rms(kInner, 3), {"gated"}, kInner);
    Layer("out", "gated_norm", channels);
    Add("residual2", Sum{}, {"out", "residual1"}, channels).stream = true;
  }

  LayerNorm Rms(std::int64_t channels, std::int64_t groups) {
    LayerNorm norm{{Random({channels}, 0.2).data, {}, 1e-5}, false, groups};
    for (float& gamma : norm.norm.gamma) gamma += 1;
    return norm;
  }
  void Layer(const std::string& name, const std::string& x, std::int64_t outs) {
    const std::int64_t ins = network_.At(x).shape.back();
    Linear layer{Random({outs, ins}, 1.2 / std::sqrt(static_cast<double>(ins))),
                 Random({outs}, 0.1).data};
    Node& node = Add(name, Projection{std::move(layer)}, {x}, outs);
    node.section = {{name + ".output"}};
    node.weight_section = {{name + ".weight"}};
  }
  void Part(const std::string& name, const std::string& of, std::int64_t first,
            std::int64_t columns) {
    Add(name, Columns{first}, {of}, columns);
  }
  void View(const std::string& name, const std::string& of, std::int64_t first,
            std::int64_t columns) {
    Add(name, Columns{first}, {of}, columns).section.reset();
  }
  void State(const std::string& name, Shape shape, std::int64_t heads) {
    Last(name, Past{}, {}, std::move(shape), heads);
  }
  void Last(const std::string& name, Function function, std::vector<std::string> inputs,
            Shape shape, std::int64_t heads) {
    network_.Add({.name = name,
                  .function = std::move(function),
                  .inputs = std::move(inputs),
                  .shape = std::move(shape),
                  .heads = heads});
  }
  Node& Add(const std::string& name, Function function, std::vector<std::string> inputs,
            std::int64_t columns) {
    Node node{.name = name,
              .function = std::move(function),
              .inputs = std::move(inputs),
              .shape = {Sequence::kLongest},
              .length_axes = {0}};
    if (columns > 0) {
      node.shape.push_back(columns);
      node.section = {{name}};
    }
    return network_.Add(std::move(node));
  }

  FloatTensor Random(Shape shape, double spread) {
    FloatTensor tensor{std::move(shape), {}};
    for (std::int64_t i = 0; i < ElementCount(tensor.shape); ++i) {
      double sum = -6;
      for (int n = 0; n < 12; ++n) sum += static_cast<double>(engine_() >> 11) * 0x1p-53;
      tensor.data.push_back(static_cast<float>(spread * sum));
    }
    return tensor;
  }

  std::mt19937_64 engine_;
  Network network_;
};

}  // namespace

Network Sequence::Build(std::uint64_t seed) { return Builder(seed).Build(); }

ModelInputs Sequence::Inputs(std::int64_t count, std::int64_t length, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<std::int32_t> ids;
  for (std::int64_t i = 0; i < count * length; ++i)
    ids.push_back(static_cast<std::int32_t>(engine() % kVocabulary));
  return {.data = TokenInputs{IntTensor({count, length}, std::move(ids))}};
}

Config SequenceSubjects::ConfigWith(const std::vector<std::string>& settings) const {
  Config config = Config::Defaults(model.Vocabulary());
  config.Set("w8a8={granularity: per_channel, smooth: 0.5}");
  for (const std::string& setting : settings) config.Set(setting);
  return config;
}

Bundle SequenceSubjects::Calibrated(const Config& config) const {
  CalibrateOptions options;
  options.scope = Scope::kModel;
  return Calibrate(model, config, calibration, options);
}

const SequenceSubjects& TheSequence() {
  static const SequenceSubjects subjects;
  return subjects;
}

}  // namespace qsim::testing
