// ITA's multi-head attention and feed-forward pass, as one program: products on the array,
// everything else an operation that networks of steps use too.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "golden/program/accumulator_proof.h"
#include "sim/conform/step_program.h"

namespace qsim::conform {
namespace {

constexpr QuantRange kInt8 = {-128, 127};

class ItaImporter {
 public:
  explicit ItaImporter(const ConformCase& c) : c_(c), heads_(c.Param("H", 1, 1024)) {
    network_.batched = false;
  }

  ImportedNetwork Import() {
    Input("q_in");
    Input("kv_in");
    std::int64_t row = 0;
    for (const auto& [name, input] : {std::pair{"q", "q_in"}, {"k", "kv_in"}, {"v", "kv_in"}}) {
      const std::string part = name;
      Rescaled(part, Linear(part + "_acc", input, "w" + part, "b" + part, heads_), "rq", row++);
    }
    Product("qk_acc", "q", "k", true);
    Rescaled("qk", "qk_acc", "rq", 3);
    Softmax();
    Product("av_acc", "probs", "v", false);
    Rescaled("av", "av_acc", "rq", 4);
    ProjectHeads();
    Rescaled("out_heads", "out_acc", "rq", 5);
    Rescaled("out", SumOfHeads(), "rq", 6);
    FeedForward();
    Validate(program());
    return std::move(network_);
  }

 private:
  Program& program() { return network_.program; }
  const Shape& ShapeOf(const std::string& name) { return program().Tensor(name).shape; }

  // A tensor of the program; as an output of the case: flat, of heads in columns or in planes.
  void Define(const std::string& name, Shape shape, QuantRange range, DType dtype,
              StepLayout layout = StepLayout::kFlat) {
    program().tensors.push_back({name, std::move(shape), dtype, range});
    network_.tensors[name] = {name, layout, false, layout == StepLayout::kHeads ? heads_ : 1};
  }
  template <typename Operation>
  void Add(Operation op) {
    program().ops.emplace_back(std::move(op));
  }

  void Input(const std::string& name) {
    const std::vector<std::int64_t> values = c_.InputValues(name, -128, 255);
    const Shape& shape = c_.Input(name).shape();
    if (shape.size() != 2) c_.Reject("'" + name + "' must be a matrix");
    const bool is_unsigned =
        std::any_of(values.begin(), values.end(), [](auto v) { return v > 127; });
    Define(name, shape, is_unsigned ? QuantRange{0, 255} : kInt8,
           is_unsigned ? DType::kUint8 : DType::kInt8);
    program().inputs.push_back(name);
  }

  // The peer clamps a finished sum to its accumulator's width; where the proof leaves that open, a
  // requantization that changes nothing else does.
  template <typename Operation>
  void AddProduct(Operation op, const Shape& shape, StepLayout layout) {
    const auto bits = static_cast<int>(c_.ParamOr("accumulator_bits", 26, 2, 32));
    const std::int64_t limit = std::int64_t{1} << (bits - 1);
    const QuantRange range = {static_cast<std::int32_t>(-limit),
                              static_cast<std::int32_t>(limit - 1)};
    const std::string name = op.output;
    const int needed = ProveAccumulator(program(), op).bits_needed;
    op.acc = {.bits = 32, .policy = AccPolicy::kWrap};
    if (needed > bits) {
      op.output += ".wide";
      Define(op.output, shape, {INT32_MIN, INT32_MAX}, DType::kInt32);
      RequantizeOp clamp;
      clamp.output = name;
      clamp.input = op.output;
      clamp.scale = {{1, 0}};
      clamp.zero = {0};
      Add(std::move(op));
      Define(name, shape, range, DType::kInt32, layout);
      return Add(std::move(clamp));
    }
    Define(name, shape, {INT32_MIN, INT32_MAX}, DType::kInt32, layout);
    Add(std::move(op));
  }

  // x [S, E], weights [H, E, P], biases [H, P]: one stacked layer, or of head `only`.
  std::string Linear(const std::string& name, const std::string& input, const std::string& weight,
                     const std::string& bias, std::int64_t heads, std::int64_t only = -1) {
    const Shape& shape = c_.Input(weight).shape();
    const std::vector<std::int64_t> w = c_.InputValues(weight, -128, 127);
    std::vector<std::int32_t> b = c_.InputValues32(bias);
    const std::int64_t depth = ShapeOf(input)[1];
    if (shape.size() != 3 || shape[0] != heads || shape[1] != depth ||
        std::ssize(b) != heads * shape[2]) {
      c_.Reject("'" + weight + "' or '" + bias + "' has the wrong shape");
    }
    const std::int64_t columns = shape[2];
    std::vector<std::int8_t> stored;  // [heads * columns, depth]
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t n = 0; n < columns; ++n) {
        for (std::int64_t k = 0; k < depth && (only < 0 || h == only); ++k)
          stored.push_back(
              static_cast<std::int8_t>(w[static_cast<std::size_t>((h * depth + k) * columns + n)]));
      }
    }
    if (only >= 0) b = {b.begin() + only * columns, b.begin() + (only + 1) * columns};
    const std::int64_t rows = std::ssize(b);
    program().constants[name + ".weight"] = IntTensor({rows, depth}, std::move(stored));
    program().constants[name + ".bias"] = IntTensor({rows}, std::move(b));
    AddProduct(GemmOp{name, input, name + ".weight", name + ".bias", {}, {}},
               {ShapeOf(input)[0], rows},
               rows == columns && only < 0 && heads == 1 ? StepLayout::kFlat : StepLayout::kHeads);
    return name;
  }

  void Product(const std::string& name, const std::string& a, const std::string& b, bool scores) {
    MatmulOp op;
    op.output = name;
    op.lhs = a;
    op.rhs = b;
    op.heads = static_cast<int>(heads_);
    op.transpose_rhs = scores;
    op.lhs_zero = op.rhs_zero = {0};
    const std::int64_t tokens = ShapeOf(a)[scores ? 0 : 1];
    AddProduct(std::move(op),
               scores ? Shape{heads_, tokens, ShapeOf(b)[0]} : Shape{tokens, ShapeOf(b)[1]},
               scores ? StepLayout::kScores : StepLayout::kHeads);
  }

  // Row `row` of the parameters, a column for each head.
  void Rescaled(const std::string& name, const std::string& input, const std::string& prefix,
                std::int64_t row) {
    const StepTensor like = network_.tensors.at(input);
    const Shape shape = ShapeOf(input);
    const Shape& table = c_.Input(prefix + "_mult").shape();
    const std::vector<std::int64_t> mult = c_.InputValues(prefix + "_mult", 0, 255);
    const std::vector<std::int64_t> shift = c_.InputValues(prefix + "_shift", 0, 62);
    const std::vector<std::int64_t> add = c_.InputValues(prefix + "_add", -65536, 65536);
    const std::int64_t columns = table.back();
    const std::int64_t heads = like.layout == StepLayout::kFlat ? 1 : heads_;
    if ((row + 1) * columns > std::ssize(mult) || shift.size() != mult.size() ||
        add.size() != mult.size() || heads > columns) {
      c_.Reject("'" + prefix + "_*' need a row for each step and a column for each head");
    }
    RequantizeOp op;
    op.output = name;
    op.input = input;
    op.scheme = RequantScheme::kIta;
    op.zero = {0};
    op.axis = like.layout == StepLayout::kFlat     ? ChannelAxis::kNone
              : like.layout == StepLayout::kScores ? ChannelAxis::kFirst
                                                   : ChannelAxis::kLast;
    const std::int64_t channels = LayoutOf(shape, op.axis).channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      const auto at = static_cast<std::size_t>(row * columns + c * heads / channels);
      op.scale.push_back({static_cast<std::int32_t>(mult[at]), static_cast<int>(shift[at])});
      op.addend.push_back(add[at]);
    }
    Define(name, shape, kInt8, DType::kInt8, like.layout);
    Add(std::move(op));
  }

  void Softmax() {
    const auto shift_bits = static_cast<int>(c_.ParamOr("softmax_shift_bits", 0, 0, 31));
    const std::int64_t group = c_.ParamOr("group", 16, 1, 65536);
    SoftmaxParams params = ItaSoftmaxParams{.shift_bits = shift_bits};
    if (c_.params().value("softmax", std::string("streaming")) == "streaming")
      params = ItaStreamingSoftmaxParams{.shift_bits = shift_bits, .group = group};
    const Shape shape = ShapeOf("qk");
    Define("probs", shape, SoftmaxOutputRange(params), DType::kUint8, StepLayout::kScores);
    Add(SoftmaxOp{"probs", "qk", {params}});
  }

  // Each head has a projection of its own: its columns of `av`, and its plane of `out_acc`.
  void ProjectHeads() {
    const Shape in = ShapeOf("av");
    const std::int64_t width = in[1] / heads_;
    std::string all;
    for (std::int64_t h = 0; h < heads_; ++h) {
      const std::string head = fmt::format("head{}", h);
      Define(head, {in[0], width}, kInt8, DType::kInt8);
      Add(ViewOp{head, "av", h * width, {in[1], 1}, {}});
      const std::string acc = Linear(head + "_acc", head, "wo", "bo", heads_, h);
      if (all.empty()) {
        all = acc;
        continue;
      }
      Shape stacked = ShapeOf(all);
      stacked[0] += in[0];
      Define("heads" + std::to_string(h), stacked, program().Tensor(acc).range, DType::kInt32);
      Add(ConcatOp{"heads" + std::to_string(h), all, acc});
      all = "heads" + std::to_string(h);
    }
    const std::int64_t columns = ShapeOf(all)[1];
    Define("out_acc", {heads_, in[0], columns}, program().Tensor(all).range, DType::kInt32,
           StepLayout::kScores);
    Add(ViewOp{"out_acc", all, 0, {in[0] * columns, columns, 1}, {}});
  }

  std::string SumOfHeads() {
    const Shape planes = ShapeOf("out_heads");
    std::string sum;
    for (std::int64_t h = 0; h < heads_; ++h) {
      const std::string head = fmt::format("out_head{}", h), next = fmt::format("sum{}", h);
      Define(head, {planes[1], planes[2]}, kInt8, DType::kInt8);
      Add(ViewOp{head, "out_heads", h * planes[1] * planes[2], {planes[2], 1}, {}});
      if (!sum.empty()) {
        const auto terms = static_cast<std::int32_t>(h + 1);
        Define(next, {planes[1], planes[2]}, {-128 * terms, 127 * terms}, DType::kInt32);
        Add(AddOp{next, sum, head, ""});
      }
      sum = sum.empty() ? head : next;
    }
    return sum;
  }

  std::int64_t GeluParam(const char* key) const {
    const nlohmann::json& p = c_.params().at("gelu");
    if (!p.contains(key) || !p.at(key).is_number_integer())
      c_.Reject(std::string("params.gelu.") + key + " must be an integer");
    return p.at(key).get<std::int64_t>();
  }

  void FeedForward() {
    const std::string activation = c_.params().value("activation", std::string("identity"));
    if (activation != "identity" && activation != "gelu" && activation != "relu")
      c_.Reject("params.activation must be identity, gelu or relu");
    if (activation != "identity" && !c_.HasParam("gelu")) c_.Reject("params.gelu is missing");
    Input("ff_in");
    Linear("ff1_acc", "ff_in", "wff1", "bff1", 1);
    const bool identity = activation == "identity";
    Rescaled(identity ? "ff1_act" : "ff1", "ff1_acc", "ffn_rq", 0);
    if (!identity) Activate(activation == "gelu");
    Linear("ff2_acc", "ff1_act", "wff2", "bff2", 1);
    Rescaled("ff2", "ff2_acc", "ffn_rq", 1);
  }

  void Activate(bool gelu) {
    GeluItaParams params;
    params.scale = {static_cast<std::int32_t>(GeluParam("eps_mul")),
                    static_cast<int>(GeluParam("eps_shift"))};
    params.zero = static_cast<std::int32_t>(GeluParam("eps_add"));
    Define("ff1_act", ShapeOf("ff1"), kInt8, DType::kInt8);
    if (gelu) {
      params.q_1 = GeluParam("q_1");
      params.q_b = GeluParam("q_b");
      params.q_c = GeluParam("q_c");
      return Add(GeluOp{"ff1_act", "ff1", params});
    }
    // ReLU and what follows it, for each of 256 codes.
    const std::vector<Multiplier> scale = {params.scale};
    const std::vector<std::int32_t> zero = {params.zero};
    TableOp relu{"ff1_act", "ff1", std::vector<std::int32_t>(256)};
    for (std::int32_t code = 0; code < 128; ++code)
      relu.table[static_cast<std::size_t>(code + 128)] = code;
    Requantize(std::vector(relu.table),
               {.layout = {1, 1, 256}, .scale = scale, .zero = zero, .scheme = RequantScheme::kIta},
               relu.table);
    Add(std::move(relu));
  }

  const ConformCase& c_;
  std::int64_t heads_;
  ImportedNetwork network_;
};

}  // namespace

ImportedNetwork ImportIta(const ConformCase& c) { return ItaImporter(c).Import(); }

}  // namespace qsim::conform
