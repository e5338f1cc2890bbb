#include "sim/conform/step_program.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "golden/program/accumulator_proof.h"
#include "sim/error.h"
#include "sim/io/tensors/shape.h"
#include "sim/text/printable.h"

namespace qsim::conform {
namespace {

using nlohmann::json;

constexpr std::int64_t kMost = std::int64_t{1} << 31;
constexpr QuantRange kInt8 = {-128, 127};
constexpr QuantRange kInt32 = {INT32_MIN, INT32_MAX};

class Importer {
 public:
  explicit Importer(const ConformCase& c) : c_(c) {}

  ImportedNetwork Import() {
    const auto steps = c_.params().find("steps");
    if (steps == c_.params().end() || !steps->is_array()) c_.Reject("params.steps must be a list");
    DefineInput();
    for (std::size_t i = 0; i < steps->size(); ++i) {
      where_ = fmt::format("step {}", i);
      Step((*steps)[i]);
    }
    Validate(program());
    return std::move(network_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what) const {
    c_.Reject(fmt::format("{}: {}", where_, what));
  }
  Program& program() { return network_.program; }

  // ---- reading a step ----

  std::int64_t Integer(const json& step, const char* key, std::int64_t lo, std::int64_t hi) const {
    const auto found = step.find(key);
    if (found == step.end() || !found->is_number_integer()) {
      Fail(fmt::format("'{}' is missing or not an integer", key));
    }
    const auto value = found->get<std::int64_t>();
    if (value < lo || value > hi) {
      Fail(fmt::format("'{}' is {}, must be in {}..{}", key, value, lo, hi));
    }
    return value;
  }
  std::int64_t IntegerOr(const json& step, const char* key, std::int64_t fallback, std::int64_t lo,
                         std::int64_t hi) const {
    return step.contains(key) ? Integer(step, key, lo, hi) : fallback;
  }
  std::string Name(const json& value) const {
    if (!value.is_string()) Fail("a tensor's name must be text");
    return value.get<std::string>();
  }
  std::string Input(const json& step, std::size_t index) const {
    const auto found = step.find("in");
    if (found == step.end() || !found->is_array() || found->size() <= index) {
      Fail(fmt::format("needs at least {} inputs", index + 1));
    }
    return Name((*found)[index]);
  }
  const StepTensor& Tensor(const std::string& name) const {
    const auto found = network_.tensors.find(name);
    if (found == network_.tensors.end()) {
      Fail(fmt::format("'{}' is no tensor of an earlier step", Printable(name)));
    }
    return found->second;
  }
  bool IsConstant(const std::string& name) const {
    return name != "x" && !network_.tensors.contains(name) && c_.HasInput(name);
  }
  const TensorInfo& Info(const StepTensor& tensor) { return program().Tensor(tensor.name); }

  std::vector<std::int32_t> Vector32(const std::string& name, std::int64_t size) const {
    std::vector<std::int32_t> values = c_.InputValues32(name);
    if (static_cast<std::int64_t>(values.size()) != size) {
      Fail(fmt::format("'{}' has {} entries, needs {}", name, values.size(), size));
    }
    return values;
  }

  // ---- building ----

  void DefineInput() {
    where_ = "input x";
    const Shape& shape = c_.Input("x").shape();
    if (shape.size() != 3 || ElementCount(shape) == 0) Fail("must be [batch, tokens, channels]");
    const DType dtype = c_.Input("x").dtype();
    if (dtype != DType::kInt8 && dtype != DType::kUint8) Fail("must be int8 or uint8");
    network_.images = shape[0];
    const QuantRange range = dtype == DType::kInt8 ? kInt8 : QuantRange{0, 255};
    program().tensors.push_back({"x", {shape[1], shape[2]}, dtype, range});
    program().inputs = {"x"};
    network_.tensors["x"] = {"x", StepLayout::kFlat, false, 1};
  }

  // A new tensor of the program under the case's own name.
  void Define(const std::string& name, Shape shape, QuantRange range, StepTensor like) {
    program().tensors.push_back({name, std::move(shape), StorageFor(range), range});
    like.name = name;
    network_.tensors[name] = like;
  }

  void Step(const json& step) {
    if (!step.is_object()) Fail("must be an object");
    const std::string op = Name(step.value("op", json()));
    const std::string out = Name(step.value("out", json()));
    where_ += fmt::format(" ({} '{}')", Printable(op), Printable(out));
    if (network_.tensors.contains(out) || c_.HasInput(out)) Fail("computes a tensor twice");
    if (op == "matmul") return Matmul(step, out);
    if (op == "add") return Add(step, out);
    if (op == "requantshift") return Requantshift(step, out);
    if (op == "layernorm") return Layernorm(step, out);
    if (op == "gelu") return Gelu(step, out);
    if (op == "itamax" || op == "itapartialmax" || op == "isoftmax") return Softmax(step, op, out);
    if (op == "split_heads") return SplitHeads(step, out);
    if (op == "head") return Head(step, out);
    if (op == "merge_heads") return MergeHeads(step, out);
    Fail("is no operation that this version knows");
  }

  // Widths follow from the proof: the sum of anything that the operands may hold fits.
  template <typename Product>
  void SetAccumulator(Product& op, TensorInfo& info) {
    op.acc = {.bits = 32, .policy = AccPolicy::kError};
    const AccumulatorProof proof = ProveAccumulator(program(), op);
    if (proof.bits_needed > 32) {
      Fail(fmt::format("the worst case of the sum needs {} bits", proof.bits_needed));
    }
    op.acc.bits = std::max(16, proof.bits_needed);
    const std::int64_t half = std::int64_t{1} << (op.acc.bits - 1);
    info.range = {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)};
  }

  void Matmul(const json& step, const std::string& out) {
    const std::string a = Input(step, 0);
    const std::string b = Input(step, 1);
    if (IsConstant(b)) return Linear(a, b, out);
    const StepTensor lhs = Tensor(a);
    const StepTensor rhs = Tensor(b);
    MatmulOp op;
    op.output = out;
    op.lhs = lhs.name;
    op.rhs = rhs.name;
    op.heads = static_cast<int>(rhs.heads);
    op.lhs_zero = {0};
    op.rhs_zero = {0};
    const Shape& columns = Info(rhs).shape;
    const bool scores =
        lhs.layout == StepLayout::kHeads && rhs.layout == StepLayout::kHeads && rhs.transposed;
    op.transpose_rhs = scores;
    if (!scores &&
        (lhs.layout != StepLayout::kScores || rhs.layout != StepLayout::kHeads || rhs.transposed)) {
      Fail("multiplies neither queries with keys nor attention weights with values");
    }
    const Shape shape = scores ? Shape{rhs.heads, columns[0], columns[0]} : columns;
    Define(out, shape, kInt32,
           {"", scores ? StepLayout::kScores : StepLayout::kHeads, false, rhs.heads});
    program().tensors.back().dtype = DType::kInt32;
    SetAccumulator(op, program().tensors.back());
    program().ops.emplace_back(std::move(op));
  }

  void Linear(const std::string& input, const std::string& weight, const std::string& out) {
    const StepTensor in = Tensor(input);
    if (in.layout != StepLayout::kFlat) Fail("a weight needs [batch, tokens, channels] before it");
    const Shape shape = c_.Input(weight).shape();
    const Shape& input_shape = Info(in).shape;
    if (shape.size() != 2 || shape[0] != input_shape[1]) {
      Fail(fmt::format("'{}' has shape {}, needs [{}, N]", weight, FormatShape(shape),
                       input_shape[1]));
    }
    const std::vector<std::int64_t> values = c_.InputValues(weight, -128, 127);
    IntTensor stored(DType::kInt8, {shape[1], shape[0]});
    for (std::int64_t k = 0; k < shape[0]; ++k) {
      for (std::int64_t n = 0; n < shape[1]; ++n) {
        stored.As<std::int8_t>()[static_cast<std::size_t>(n * shape[0] + k)] =
            static_cast<std::int8_t>(values[static_cast<std::size_t>(k * shape[1] + n)]);
      }
    }
    GemmOp op;
    op.output = out;
    op.input = in.name;
    op.weight = weight;
    op.bias = out + ".bias";  // the steps add biases on their own
    program().constants.insert_or_assign(weight, std::move(stored));
    program().constants.insert_or_assign(op.bias, IntTensor(DType::kInt32, {shape[1]}));
    Define(out, {input_shape[0], shape[1]}, kInt32, {"", StepLayout::kFlat, false, 1});
    program().tensors.back().dtype = DType::kInt32;
    SetAccumulator(op, program().tensors.back());
    program().ops.emplace_back(std::move(op));
  }

  void Add(const json& step, const std::string& out) {
    std::string a = Input(step, 0);
    std::string b = Input(step, 1);
    if (IsConstant(a)) std::swap(a, b);
    const StepTensor first = Tensor(a);
    const TensorInfo& info = Info(first);
    AddOp op;
    op.output = out;
    op.a = first.name;
    std::int64_t lowest = info.range.qmin;
    std::int64_t highest = info.range.qmax;
    if (IsConstant(b)) {
      op.bias = b;
      std::vector<std::int32_t> bias = Vector32(b, info.shape.back());
      const auto [least, most] = std::minmax_element(bias.begin(), bias.end());
      lowest += *least;
      highest += *most;
      const Shape shape = {info.shape.back()};
      program().constants.insert_or_assign(b, IntTensor(shape, std::move(bias)));
    } else {
      const StepTensor second = Tensor(b);
      if (second.layout != first.layout || second.transposed != first.transposed ||
          Info(second).shape != info.shape) {
        Fail("adds tensors of different shapes");
      }
      op.b = second.name;
      lowest += Info(second).range.qmin;
      highest += Info(second).range.qmax;
    }
    if (lowest < kInt32.qmin || highest > kInt32.qmax) Fail("the sum can leave 32 bits");
    const Shape shape = info.shape;
    Define(out, shape, {static_cast<std::int32_t>(lowest), static_cast<std::int32_t>(highest)},
           first);
    program().tensors.back().dtype = DType::kInt32;
    program().ops.emplace_back(std::move(op));
  }

  void Requantshift(const json& step, const std::string& out) {
    const StepTensor in = Tensor(Input(step, 0));
    RequantizeOp op;
    op.output = out;
    op.input = in.name;
    op.scheme = RequantScheme::kRequantShift;
    op.scale = {{static_cast<std::int32_t>(Integer(step, "mul", 1 - kMost, kMost - 1)),
                 static_cast<int>(Integer(step, "log2D", 0, 62))}};
    op.addend = {IntegerOr(step, "add", 0, -(std::int64_t{1} << 61), std::int64_t{1} << 61)};
    op.zero = {0};
    const QuantRange range = {static_cast<std::int32_t>(Integer(step, "min", -128, 0)),
                              static_cast<std::int32_t>(Integer(step, "max", 1, 255))};
    const Shape shape = Info(in).shape;
    Define(out, shape, range, in);
    program().ops.emplace_back(std::move(op));
  }

  void Layernorm(const json& step, const std::string& out) {
    const StepTensor in = Tensor(Input(step, 0));
    const Shape shape = Info(in).shape;
    if (in.layout != StepLayout::kFlat) Fail("needs [batch, tokens, channels]");
    LayernormOp op;
    op.output = out;
    op.input = in.name;
    const std::vector<std::int32_t> weight = Vector32(Input(step, 1), shape.back());
    const std::vector<std::int32_t> bias = Vector32(Input(step, 2), shape.back());
    op.params = DeeployLayernormParams{.bias = {bias.begin(), bias.end()},
                                       .weight = weight,
                                       .log2d = static_cast<int>(Integer(step, "log2D", 0, 62)),
                                       .wrap = true};
    Define(out, shape, kInt8, in);
    program().ops.emplace_back(std::move(op));
  }

  void Gelu(const json& step, const std::string& out) {
    const StepTensor in = Tensor(Input(step, 0));
    GeluOp op;
    op.output = out;
    op.input = in.name;
    // The wide result: a step of its own requantizes it.
    op.params = GeluDeeployParams{.b = Integer(step, "b", -kMaxGeluB, -1),
                                  .one = Integer(step, "one", -kMaxGeluC, kMaxGeluC)};
    const Shape shape = Info(in).shape;
    Define(out, shape, kInt32, in);
    program().tensors.back().dtype = DType::kInt32;
    program().ops.emplace_back(std::move(op));
  }

  void Softmax(const json& step, const std::string& kind, const std::string& out) {
    const StepTensor in = Tensor(Input(step, 0));
    if (in.layout != StepLayout::kScores) Fail("needs scores [batch, heads, tokens, tokens]");
    SoftmaxParams params;
    const auto levels = static_cast<std::int32_t>(IntegerOr(step, "levels", 256, 2, 256));
    if (kind == "isoftmax") {
      IsoftmaxParams isoftmax;
      isoftmax.coeff_a = static_cast<std::int32_t>(Integer(step, "coeffA", 0, kMost - 1));
      isoftmax.coeff_b = static_cast<std::int32_t>(Integer(step, "coeffB", 1 - kMost, kMost - 1));
      isoftmax.coeff_c = Integer(step, "coeffC", 0, std::int64_t{1} << 62);
      isoftmax.log2 = static_cast<std::int32_t>(Integer(step, "log2", 1, kMost - 1));
      isoftmax.levels = levels;
      params = isoftmax;
    } else {
      const auto shift_bits = static_cast<int>(IntegerOr(step, "shift_bits", 5, 0, 31));
      const std::int64_t group = IntegerOr(step, "group", 16, 1, kMost);
      if (kind == "itamax") {
        params = ItaSoftmaxParams{.shift_bits = shift_bits, .levels = levels};
      } else {
        params =
            ItaStreamingSoftmaxParams{.shift_bits = shift_bits, .levels = levels, .group = group};
      }
    }
    const Shape shape = Info(in).shape;
    CheckSoftmaxParams(params);
    Define(out, shape, SoftmaxOutputRange(params), in);
    program().ops.emplace_back(SoftmaxOp{out, in.name, {params}});
  }

  // ---- changes of layout, for which the program needs no operation ----

  void SplitHeads(const json& step, const std::string& out) {
    StepTensor tensor = Tensor(Input(step, 0));
    const std::int64_t heads = Integer(step, "heads", 1, 65536);
    if (tensor.layout != StepLayout::kFlat || Info(tensor).shape.back() % heads != 0) {
      Fail("needs [batch, tokens, channels] whose channels the heads divide");
    }
    const json perm = step.value("perm", json());
    tensor.layout = StepLayout::kHeads;
    tensor.heads = heads;
    if (perm == json::array({0, 2, 3, 1})) {
      tensor.transposed = true;
    } else if (perm != json::array({0, 2, 1, 3})) {
      Fail("'perm' must be [0, 2, 1, 3] or [0, 2, 3, 1]");
    }
    network_.tensors[out] = tensor;
  }

  // One head is a range of columns: cut out by a requantize that changes no value.
  void Head(const json& step, const std::string& out) {
    StepTensor tensor = Tensor(Input(step, 0));
    if (tensor.layout != StepLayout::kHeads || tensor.transposed) Fail("needs separate heads");
    const std::int64_t index = Integer(step, "index", 0, tensor.heads - 1);
    const TensorInfo info = Info(tensor);
    const std::int64_t width = info.shape.back() / tensor.heads;
    if (tensor.heads > 1) {
      RequantizeOp op;
      op.output = out;
      op.input = tensor.name;
      op.first_column = index * width;
      op.scale = {{1, 0}};
      op.zero = {0};
      program().tensors.push_back({out, {info.shape[0], width}, info.dtype, info.range});
      program().ops.emplace_back(std::move(op));
      tensor.name = out;
    }
    tensor.layout = StepLayout::kFlat;
    tensor.heads = 1;
    network_.tensors[out] = tensor;
  }

  void MergeHeads(const json& step, const std::string& out) {
    StepTensor tensor = Tensor(Input(step, 0));
    if (tensor.layout != StepLayout::kHeads || tensor.transposed) Fail("needs separate heads");
    tensor.layout = StepLayout::kFlat;
    tensor.heads = 1;
    network_.tensors[out] = tensor;
  }

  const ConformCase& c_;
  std::string where_;
  ImportedNetwork network_;
};

}  // namespace

ImportedNetwork ImportSteps(const ConformCase& c) { return Importer(c).Import(); }

}  // namespace qsim::conform
