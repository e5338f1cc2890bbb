#include "tests/network/families/translator.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace qsim::testing {
namespace {

using namespace network;  // NOLINT(google-build-using-namespace): the vocabulary of this file

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // Own transformation, so that every standard library draws the same numbers.
  float Normal(double spread) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(engine_() >> 11) * 0x1p-53;
    return static_cast<float>(spread * sum);
  }
  FloatTensor Tensor(Shape shape, double spread) {
    FloatTensor tensor{std::move(shape), {}};
    for (std::int64_t i = 0; i < ElementCount(tensor.shape); ++i)
      tensor.data.push_back(Normal(spread));
    return tensor;
  }

 private:
  std::mt19937_64 engine_;
};

double Relu(double x) { return std::max(x, 0.0); }

class Builder {
 public:
  explicit Builder(std::uint64_t seed) : random_(seed) {}

  Network Build() {
    Input("source", Translator::kSource);
    rows_ = Translator::kSource;
    std::string memory = Attend("encoder.look.", "source", "source", rows_, false);
    memory = Think("encoder.think.", memory);
    ++part_;
    Input("target", Translator::kTarget);
    rows_ = Translator::kTarget;
    std::string x = Attend("decoder.look.", "target", "target", rows_, true);
    x = Attend("decoder.read.", x, memory, Translator::kSource, false);
    x = Think("decoder.think.", x);
    Layer("words", x, rows_, Translator::kWords, 1, "lexicon");
    return std::move(network_);
  }

 private:
  // norm(x + attention(x, memory)): x asks, and the memory's `length` rows answer.
  std::string Attend(const std::string& p, const std::string& x, const std::string& memory,
                     std::int64_t length, bool causal) {
    const std::int64_t heads = Translator::kHeads;
    const double divisor = std::sqrt(static_cast<double>(kChannels / heads));
    const Shape scores = {heads, rows_, length};
    Layer(p + "ask", x, rows_, kChannels, heads);
    Part(p + "query", p + "ask", 0, rows_);
    Layer(p + "tell", memory, length, 2 * kChannels, 2 * heads);
    Part(p + "key", p + "tell", 0, length);
    Part(p + "value", p + "tell", kChannels, length);
    Add(p + "likeness", Product{heads, true, divisor}, {p + "query", p + "key"}, scores, heads);
    Add(p + "share", network::Softmax{causal}, {p + "likeness"}, scores, heads);
    Add(p + "found", Product{heads, false, 1}, {p + "share", p + "value"}, {rows_, kChannels},
        heads);
    Layer(p + "out", p + "found", rows_, kChannels);
    return SumAndNorm(p, p + "out", x);
  }

  std::string Think(const std::string& p, const std::string& x) {
    Layer(p + "up", x, rows_, Translator::kHidden);
    Add(p + "relu", Elementwise{{&Relu}}, {p + "up"}, {rows_, Translator::kHidden});
    Layer(p + "down", p + "relu", rows_, kChannels);
    return SumAndNorm(p, p + "down", x);
  }

  std::string SumAndNorm(const std::string& p, const std::string& layer, const std::string& x) {
    Add(p + "sum", Sum{}, {layer, x}, {rows_, kChannels}).stream = true;
    Norm norm{std::vector<float>(kChannels, 1), random_.Tensor({kChannels}, 0.1).data, 1e-5};
    for (float& gamma : norm.gamma) gamma += random_.Normal(0.15);
    Add(p + "normed", LayerNorm{norm}, {p + "sum"}, {rows_, kChannels}).stream = true;
    return p + "normed";
  }

  void Input(const std::string& name, std::int64_t rows) {
    Add(name, Activations{}, {}, {rows, kChannels}).stream = true;
  }

  // `accumulator`: the name of the products, where the layer's own is that of their grid.
  void Layer(const std::string& name, const std::string& x, std::int64_t rows, std::int64_t outs,
             std::int64_t heads = 1, const std::string& accumulator = "") {
    const std::int64_t ins = network_.At(x).shape.back();
    Linear layer{random_.Tensor({outs, ins}, 1 / std::sqrt(static_cast<double>(ins))),
                 random_.Tensor({outs}, 0.1).data};
    Node& node = Add(name, Projection{std::move(layer), 0, accumulator}, {x}, {rows, outs}, heads);
    node.section = {{name + ".output"}};
    node.weight_section = {{name + ".weight"}};
  }

  void Part(const std::string& name, const std::string& layer, std::int64_t first,
            std::int64_t rows) {
    Add(name, Columns{first}, {layer}, {rows, kChannels}, Translator::kHeads);
  }

  Node& Add(const std::string& name, Function function, std::vector<std::string> inputs,
            Shape shape, std::int64_t heads = 1) {
    return network_.Add({.name = name,
                         .function = std::move(function),
                         .inputs = std::move(inputs),
                         .shape = std::move(shape),
                         .part = part_,
                         .section = {{name}},
                         .heads = heads});
  }

  static constexpr std::int64_t kChannels = Translator::kChannels;
  Random random_;
  Network network_;
  std::int64_t rows_ = 0;
  int part_ = 0;
};

}  // namespace

Network Translator::Build(std::uint64_t seed) { return Builder(seed).Build(); }

ModelInputs Translator::Inputs(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  return {.data = random.Tensor({count, kSource, kChannels}, 1),
          .more = {random.Tensor({count, kTarget, kChannels}, 1)}};
}

}  // namespace qsim::testing
