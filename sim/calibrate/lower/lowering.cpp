#include "sim/calibrate/lower/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <tuple>
#include <utility>

#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/layernorm_lowering.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/recurrence_lowering.h"
#include "sim/semantics/rmsnorm.h"
#include "sim/semantics/softmax_lowering.h"
#include "sim/statistics/elementary.h"

namespace qsim::calibrate {
namespace {

// Positions (of the rows in front: with these) in the residual stream's scale.
IntTensor PositionCodes(const network::Positions& positions, const Activation& embed,
                        QuantizeRule rule) {
  IntTensor codes(DType::kInt32, positions.position.shape);
  std::vector<std::int32_t>& values = codes.As<std::int32_t>();
  const auto channels = static_cast<std::size_t>(positions.position.shape[1]);
  constexpr QuantRange kWide = {-65535, 65535};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i % channels;
    const bool in_front = i < positions.front.data.size();
    double x = static_cast<double>(positions.position.data[i]);
    if (in_front) x += static_cast<double>(positions.front.data[i]);
    const Quantization q = {embed.scale[c], in_front ? embed.zero[c] : 0};
    values[i] = Quantize(x, q, in_front ? embed.range : kWide, nullptr, rule);
  }
  return codes;
}

// An embedding's rows as codes of the stream.
IntTensor RowCodes(const FloatTensor& weight, const Activation& out, QuantizeRule rule) {
  IntTensor codes(StorageFor(out.range), weight.shape);
  const auto channels = static_cast<std::size_t>(weight.shape[1]);
  std::visit(
      [&]<typename T>(std::vector<T>& values) {
        for (std::size_t i = 0; i < values.size(); ++i) {
          const Quantization q = {out.scale[i % channels], out.zero[i % channels]};
          values[i] = static_cast<T>(
              Quantize(static_cast<double>(weight.data[i]), q, out.range, nullptr, rule));
        }
      },
      codes.storage());
  return codes;
}

constexpr int kMostTableCodes = 1 << 10;  // beyond that, 256 steps and straight lines between

// The integers of one node's operations.
class Deriver {
 public:
  Deriver(const Plan& plan, const Grids& grids, const InputSource& source,
          const DeriveOptions& options, Bundle& bundle)
      : plan_(plan), grids_(grids), source_(source), options_(options), bundle_(bundle) {}

  void Run() {
    for (const NodePlan& plan : plan_.nodes()) {
      std::visit([&](const auto& function) { Of(function, plan); }, plan.node->function);
    }
  }

 private:
  const std::string& Name(const NodePlan& plan) const { return plan.node->name; }
  const Shape& ShapeOf(const NodePlan& plan) const { return plan.node->shape; }
  bool Wanted(const std::string& tensor) const {
    return !options_.wanted || options_.wanted(tensor);
  }
  const Activation& Grid(const NodePlan& plan) const { return grids_.at(plan.Tensor()); }
  const Activation& Products(const NodePlan& plan) const { return grids_.at(plan.Products()); }
  const Activation& Input(const NodePlan& plan, std::size_t index) const {
    return Grid(plan_.At(plan.inputs.at(index)));
  }

  // What a reader finds of a linear layer: its accumulator, or the int8 step behind it, whose
  // scales are counted in the units of the rewritten rows.
  Activation Source(const NodePlan& layer) const {
    Activation source = Grid(layer);
    if (!layer.section) return source;
    source.factor = RowFactors(plan_, layer, grids_);
    for (std::size_t c = 0; c < source.factor.size(); ++c) source.scale[c] /= source.factor[c];
    return source;
  }

  // ---- what every function ends in ----

  void Define(const Activation& grid, const NodePlan& plan, ChannelAxis axis = ChannelAxis::kLast) {
    Define(grid, plan, axis, StorageFor(grid.range));
  }
  void Define(const Activation& grid, const NodePlan& plan, ChannelAxis axis, DType dtype) {
    bundle_.program.tensors.push_back(
        {grid.name, ShapeOf(plan), dtype, grid.range, plan.node->length_axes});
    bundle_.scales[grid.name] = ToState(grid, axis);
  }
  void Emit(Op op) { bundle_.program.ops.push_back(std::move(op)); }

  // From the columns of a tensor that begin at `first`, or from the planes of scores.
  void Requantize(const NodePlan& plan, const Activation& in, const Activation& out,
                  std::int64_t first = 0, ChannelAxis axis = ChannelAxis::kLast) {
    RequantizeOp op;
    op.output = out.name;
    op.input = in.name;
    op.first_column = first;
    op.scheme = plan.numerics.requantize.scheme;
    op.rounding = plan.numerics.requantize.rounding;
    const MultiplierLimits limits = MultiplierLimitsOf(op.scheme, plan.hardware.multiplier_bits);
    std::optional<double> one;
    for (std::size_t c = 0; c < out.scale.size(); ++c) {
      const std::size_t from = static_cast<std::size_t>(first) + c;
      double ratio = in.scale[from] / out.scale[c];
      if (in.FactorOf(from) != out.FactorOf(c)) ratio *= in.FactorOf(from) / out.FactorOf(c);
      // What differs by the roundings of these quotients only, because both sides have the same
      // factors, is one ratio.
      if (!one) one = ratio;
      if (std::fabs(ratio / *one - 1) < 1e-14) ratio = *one;
      op.scale.push_back(HardwareMultiplier(ratio, plan.hardware,
                                            fmt::format("{}, channel {}", out.name, c), limits));
    }
    op.scale = Compressed(std::move(op.scale));
    op.zero = Compressed(out.zero);
    op.axis = op.scale.size() == 1 && op.zero.size() == 1 ? ChannelAxis::kNone : axis;
    op.input_zero = in.zero[0];
    Emit(std::move(op));
  }

  // ---- inputs and data movement ----

  void Of(const network::Tokens&, const NodePlan& plan) { DefineInput(plan, ChannelAxis::kNone); }
  void Of(const network::Embedding& embedding, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    LookupOp op{Name(plan), plan.inputs.at(0), Name(plan) + ".table"};
    bundle_.program.constants[op.table] =
        RowCodes(embedding.weight, Grid(plan), plan.numerics.quantize);
    Define(Grid(plan), plan);
    Emit(std::move(op));
  }

  // Reals that are 0 before the first step.
  void Of(const network::Past&, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    const Activation& grid = Grid(plan);
    DefineCarried(grid, plan);
    const auto& carried = plan_.network().carried;
    const auto carry = std::find_if(carried.begin(), carried.end(),
                                    [&](const auto& c) { return c.input == Name(plan); });
    const std::string initial = Name(plan) + ".initial";
    bundle_.program.carried.push_back({carry->output, carry->input, initial});
    IntTensor zeros(StorageFor(grid.range), ShapeOf(plan));
    std::visit(
        [&]<typename T>(std::vector<T>& values) {
          std::fill(values.begin(), values.end(), static_cast<T>(grid.zero[0]));
        },
        zeros.storage());
    bundle_.program.constants[initial] = std::move(zeros);
  }
  // Of [heads, ...] states the planes have scales, of rows the columns.
  void DefineCarried(const Activation& grid, const NodePlan& plan) {
    Define(grid, plan, ShapeOf(plan).size() == 3 ? ChannelAxis::kFirst : ChannelAxis::kLast);
  }

  void Of(const network::LastRows&, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    DefineCarried(Grid(plan), plan);
    Emit(LastRowsOp{Name(plan), Input(plan, 0).name, plan.inputs.at(1)});
  }

  void Of(const network::Activations&, const NodePlan& plan) { DefineInput(plan); }
  void Of(const network::Entry&, const NodePlan& plan) { DefineInput(plan); }
  void DefineInput(const NodePlan& plan, ChannelAxis axis = ChannelAxis::kLast) {
    if (!Wanted(Name(plan))) return;
    Define(Grid(plan), plan, axis);
    bundle_.program.inputs.push_back(Name(plan));
  }

  // Of a network that takes images: embeddings enter its program behind the patches.
  bool TokensOnly() const { return source_.mean.empty(); }

  void Of(const network::Pixels&, const NodePlan& plan) {
    if (!TokensOnly()) DefineInput(plan);
  }

  void Of(const network::Patches& patches, const NodePlan& plan) {
    if (TokensOnly() || !Wanted(Name(plan))) return;
    Define(Grid(plan), plan);
    PatchifyOp op;
    op.output = Name(plan);
    op.input = plan.inputs.at(0);
    op.patch = patches.size;
    Emit(std::move(op));
  }

  // ---- products ----

  void Of(const network::Projection& projection, const NodePlan& plan) {
    if (!grids_.contains(plan.Products())) return;  // patches that are not in the program
    if (Wanted(plan.Products())) DeriveLayer(projection, plan);
    if (!plan.section || !Wanted(plan.Tensor())) return;
    Define(Grid(plan), plan);
    Requantize(plan, Products(plan), Source(plan));
  }

  void DeriveLayer(const network::Projection& projection, const NodePlan& plan) {
    GemmOp op;
    op.output = plan.Products();
    op.input = Input(plan, 0).name;
    op.acc = plan.hardware.acc;
    std::tie(op.weight, op.bias) = QuantizeWeights(plan);
    const std::vector<std::int32_t>& zero = bundle_.scales[op.weight].zero;
    if (std::ranges::any_of(zero, [](std::int32_t z) { return z != 0; }))
      op.weight_zero = Compressed(zero);
    op.rows = projection.rows;
    op.first_row = projection.first;
    Define(Products(plan), plan, ChannelAxis::kLast, DType::kInt32);
    Emit(std::move(op));
  }

  // The names of the constants.
  std::pair<std::string, std::string> QuantizeWeights(const NodePlan& plan) {
    const Activation weights = grids_.at(plan.Weights());
    const RealLayer layer = RealLayerOf(
        plan_, plan,
        options_.layer ? options_.layer(*plan.node) : LayerOf(plan_.network(), *plan.node, source_),
        grids_);
    QuantizedLinear q = QuantizeLinear(layer, weights, MeanOf(plan), plan.numerics.quantize);
    const std::string bias = plan.Products() + ".bias";
    bundle_.scales[weights.name] = ToState(Recentred(weights), ChannelAxis::kFirst);
    bundle_.program.constants[weights.name] = std::move(q.weight);
    bundle_.program.constants[bias] = std::move(q.bias);
    return {weights.name, bias};
  }

  // Of a layer's input in the units of its rewritten weights, where it corrects its biases.
  std::vector<double> MeanOf(const NodePlan& plan) const {
    if (!plan.weight || !plan.weight->bias_correction || !options_.means) return {};
    std::vector<double> means = options_.means(plan.inputs.at(0));
    const Activation& input = Input(plan, 0);
    for (std::size_t c = 0; c < means.size(); ++c) means[c] *= input.Absorbed() / input.scale[c];
    return means;
  }

  void Of(const network::Columns& columns, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    if (IsView(plan_.network(), *plan.node)) {
      const std::int64_t width = plan_.At(plan.inputs.at(0)).node->shape.back();
      Define(Grid(plan), plan);
      return Emit(ViewOp{Name(plan), Input(plan, 0).name, columns.first, {width, 1}, {}});
    }
    Define(Grid(plan), plan);
    Requantize(plan, Source(plan_.At(plan.inputs.at(0))), Grid(plan), columns.first);
  }

  void Of(const network::Product& product, const NodePlan& plan) {
    const ChannelAxis axis = product.transpose_rhs ? ChannelAxis::kFirst : ChannelAxis::kLast;
    if (Wanted(plan.Products())) DeriveProduct(product, plan, axis);
    DeriveQuotient(plan);
    if (!Wanted(Name(plan))) return;
    Define(Grid(plan), plan, axis);
    Requantize(plan,
               DividesAfter(plan_.At(plan.inputs.at(0))) ? QuotientGrid(plan_, plan, grids_)
                                                         : Products(plan),
               Grid(plan), 0, axis);
  }

  // A product with exponentials, over the sums of their rows.
  void DeriveQuotient(const NodePlan& plan) {
    const NodePlan& softmax = plan_.At(plan.inputs.at(0));
    if (!DividesAfter(softmax) || !Wanted(plan.Quotient())) return;
    RowDivideOp op;
    op.output = plan.Quotient();
    op.input = plan.Products();
    op.divisor = softmax.Sums();
    op.rounding = plan.numerics.requantize.rounding;
    Define(QuotientGrid(plan_, plan, grids_), plan);
    Emit(std::move(op));
  }

  void DeriveProduct(const network::Product& product, const NodePlan& plan, ChannelAxis axis) {
    const Activation& lhs = Input(plan, 0);
    const Activation& rhs = Input(plan, 1);
    MatmulOp op;
    op.output = plan.Products();
    op.lhs = lhs.name;
    op.rhs = rhs.name;
    op.heads = static_cast<int>(product.heads);
    op.transpose_rhs = product.transpose_rhs;
    op.acc = plan.hardware.acc;
    if (product.transpose_rhs) {
      const std::size_t d = rhs.scale.size() / static_cast<std::size_t>(product.heads);
      for (std::size_t c = 0; c < rhs.scale.size(); c += d) {
        op.lhs_zero.push_back(lhs.zero[c]);
        op.rhs_zero.push_back(rhs.zero[c]);
      }
      op.lhs_zero = Compressed(op.lhs_zero);
    } else {
      const NodePlan& left = plan_.At(plan.inputs.at(0));
      const bool log2 = std::holds_alternative<network::Softmax>(left.node->function) &&
                        left.numerics.softmax == SoftmaxKind::kLogInt;
      op.mode = log2 ? OperandMode::kShift : OperandMode::kMultiply;
      op.lhs_zero = {lhs.zero[0]};
      op.rhs_zero = rhs.zero;
    }
    op.rhs_zero = Compressed(op.rhs_zero);
    Define(Products(plan), plan, axis, DType::kInt32);
    Emit(std::move(op));
  }

  // ---- element by element, and row by row ----

  void Of(const network::Softmax& softmax, const NodePlan& plan) {
    if (Wanted(Name(plan))) DeriveSoftmax(softmax, plan);
    if (!DividesAfter(plan) || !Wanted(plan.Sums())) return;
    RowSumOp op;
    op.output = plan.Sums();
    op.input = Name(plan);
    if (plan.numerics.softmax == SoftmaxKind::kLogInt) op.mode = OperandMode::kShift;
    const Activation grid = SumsGrid(plan, grids_);
    Shape shape = ShapeOf(plan);
    shape.back() = 1;
    bundle_.program.tensors.push_back({grid.name, std::move(shape), DType::kInt32, grid.range});
    bundle_.scales[grid.name] = ToState(grid, ChannelAxis::kFirst);
    Emit(std::move(op));
  }

  void DeriveSoftmax(const network::Softmax& softmax, const NodePlan& plan) {
    const SoftmaxKind kind = plan.numerics.softmax;
    const int extra_bits = ExtraBits(kind, Grid(plan).scale[0]);
    SoftmaxOp op;
    op.output = Name(plan);
    op.causal = softmax.causal;
    op.division = plan.numerics.softmax_division;
    op.input = plan.inputs.at(0);
    const Activation& scores = Input(plan, 0);
    for (const double scale : scores.scale)
      op.params.push_back(ScoresOf(kind, scale, extra_bits, scores.range).params);
    op.params = Compressed(std::move(op.params));
    // 8 bits whatever the range: the array reads its left operand as uint8 or int8.
    const QuantRange range = SoftmaxOutputRange(op.params.front(), op.division);
    Define(Grid(plan), plan, ChannelAxis::kNone, range.qmin < 0 ? DType::kInt8 : DType::kUint8);
    bundle_.scales[op.output] = SoftmaxOutputScale(op.params.front(), op.division);
    Emit(std::move(op));
  }

  void Of(const network::LayerNorm& layer, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    Define(Grid(plan), plan);
    if (!layer.centred) {
      const Activation* gate = plan.inputs.size() > 1 ? &Input(plan, 1) : nullptr;
      return Emit(
          DeriveRmsnorm(layer, plan.numerics, plan.hardware, Input(plan, 0), gate, Grid(plan)));
    }
    Emit(DeriveLayernorm(layer.norm, plan.numerics, plan.hardware, Input(plan, 0), Grid(plan),
                         plan.section->origin));
  }

  // From one channel's grid to another's.
  static std::vector<std::int32_t> Table(const std::function<double(double)>& function,
                                         const Activation& in, const Activation& out,
                                         std::size_t channel = 0, int step_bits = 0) {
    return TableOf(function, {in.scale[channel], in.zero[channel]}, in.range,
                   {out.scale[channel], out.zero[channel]}, out.range, step_bits);
  }

  // One table for each function and grid among the columns.
  void Of(const network::Elementwise& elementwise, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    const Activation& in = Input(plan, 0);
    const Activation& out = Grid(plan);
    TableOp op;
    op.output = Name(plan);
    op.input = in.name;
    const std::size_t channels = out.scale.size();
    const auto function = [&](std::size_t c) { return c * elementwise.of.size() / channels; };
    if (in.range.qmax - in.range.qmin >= kMostTableCodes)
      op.step_bits = BitsFor({0, in.range.qmax - in.range.qmin}) - 9;
    std::int32_t tables = 0;
    for (std::size_t c = 0; c < channels; ++c) {
      const bool same = c > 0 && function(c) == function(c - 1) &&
                        out.scale[c] == out.scale[c - 1] && out.zero[c] == out.zero[c - 1];
      if (!same) {
        const auto table = Table(elementwise.of[function(c)], in, out, c, op.step_bits);
        op.table.insert(op.table.end(), table.begin(), table.end());
        ++tables;
      }
      op.table_of.push_back(tables - 1);
    }
    if (tables == 1) op.table_of.clear();
    Define(out, plan);
    Emit(std::move(op));
  }

  // ---- sequences ----

  void Of(const network::CausalConvolution&, const NodePlan& plan) {
    if (Wanted(plan.Products())) {
      CausalConvOp op;
      op.output = plan.Products();
      op.input = Input(plan, 0).name;
      op.past = plan.inputs.at(1);
      op.acc = plan.hardware.acc;
      std::tie(op.weight, op.bias) = QuantizeWeights(plan);
      Define(Products(plan), plan, ChannelAxis::kLast, DType::kInt32);
      Emit(std::move(op));
    }
    Narrow(plan);
  }

  void Of(const network::Multiply&, const NodePlan& plan) {
    if (Wanted(plan.Products())) {
      const Activation& a = Input(plan, 0);
      const Activation& b = Input(plan, 1);
      MultiplyOp op;
      op.output = plan.Products();
      op.a = a.name;
      op.b = b.name;
      op.a_zero = a.zero[0];
      op.b_zero = b.zero[0];
      Define(Products(plan), plan, ChannelAxis::kLast, DType::kInt32);
      Emit(std::move(op));
    }
    Narrow(plan);
  }

  void Of(const network::Scaled& scaled, const NodePlan& plan) {
    if (Wanted(plan.Products())) {
      MultiplyOp op;
      op.output = plan.Products();
      op.a = Input(plan, 0).name;
      op.a_zero = Input(plan, 0).zero[0];
      op.factor = op.output + ".factor";
      std::vector<std::int16_t> codes = FactorsOf(scaled).codes;
      const auto channels = static_cast<std::int64_t>(codes.size());
      bundle_.program.constants[op.factor] = IntTensor({channels}, std::move(codes));
      Define(Products(plan), plan, ChannelAxis::kLast, DType::kInt32);
      Emit(std::move(op));
    }
    Narrow(plan);
  }

  // What was accumulated, on the node's own grid.
  void Narrow(const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    Define(Grid(plan), plan);
    Requantize(plan, Products(plan), Grid(plan));
  }

  // Of the inputs from `first` on: key, value and decay, and a state.
  GatedGrids Gated(const NodePlan& plan, std::size_t first, const Activation& state) const {
    return {Input(plan, first), Input(plan, first + 1), Input(plan, first + 2), state};
  }

  void Of(const network::Recurrence& recurrence, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    Define(Grid(plan), plan);
    Emit(DeriveRecurrence(recurrence, plan.numerics, plan.hardware, Input(plan, 0),
                          Gated(plan, 1, Input(plan, 4)), Grid(plan)));
  }

  void Of(const network::FinalState& final, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    const Activation& state = Grid(plan);
    RecurrenceStateOp op = DeriveFinalState(final, plan.numerics, plan.hardware,
                                            Gated(plan, 0, state), plan.inputs.at(3));
    if (op.update.rounding == Rounding::kFloor) {
      bundle_.notes.push_back(
          {LoweringNote::Kind::kInfo, op.output,
           "rounded by floor, which drifts: every token takes half a step, and a slow decay keeps "
           "it; numerics.recurrence: half_up does not"});
    }
    DefineCarried(state, plan);
    Emit(std::move(op));
  }

  void Of(const network::Gelu&, const NodePlan& plan) {
    if (plan.wide_first) {
      if (Wanted(plan.Products())) DeriveGelu(plan, Products(plan));
      Narrow(plan);
    } else if (Wanted(Name(plan))) {
      DeriveGelu(plan, Grid(plan));
    }
  }
  void DeriveGelu(const NodePlan& plan, const Activation& out) {
    const Activation& in = Input(plan, 0);
    GeluOp op;
    op.output = out.name;
    op.input = in.name;
    op.params = Alternative<GeluParams>(static_cast<std::size_t>(plan.numerics.gelu));
    if (auto* lookup = std::get_if<GeluTableParams>(&op.params)) {
      lookup->table = Table(&statistics::Gelu, in, out);
    } else {
      const double y_scale = SetGeluConstants(in.scale[0], op.params);
      const Multiplier scale =
          HardwareMultiplier(y_scale / out.scale[0], plan.hardware, out.name + ", channel 0",
                             {.bits = plan.hardware.multiplier_bits});
      std::visit(
          [&](auto& params) {
            if constexpr (requires { params.scale; }) {
              params.scale = scale;
              params.zero = out.zero[0];
            }
            // ita takes neither: it brings its own last rounding.
            if constexpr (requires { params.rounding; }) {
              params.input_zero = in.zero[0];
              params.rounding = plan.numerics.requantize.rounding;
            }
          },
          op.params);
    }
    Define(out, plan);
    Emit(std::move(op));
  }

  // The ratios of two addends to their sum, which share a shift.
  CommonShift AddendRatios(const NodePlan& plan, const Activation& addend,
                           std::vector<double> of_other) const {
    const Activation& out = Grid(plan);
    std::vector<double> ratios;
    for (std::size_t c = 0; c < out.scale.size(); ++c)
      ratios.push_back(addend.scale[c] / out.scale[c]);
    ratios.insert(ratios.end(), of_other.begin(), of_other.end());
    return CommonShiftFor(ratios, plan.hardware.multiplier_bits, out.name);
  }

  void Of(const network::Sum&, const NodePlan& plan) {
    if (!Wanted(Name(plan))) return;
    const NodePlan& first = plan_.At(plan.inputs.at(0));
    const bool layer = std::holds_alternative<network::Projection>(first.node->function);
    const Activation addend = layer ? Source(first) : Grid(first);
    const Activation& stream = Input(plan, 1);
    const Activation& out = Grid(plan);
    std::vector<double> of_stream;
    for (std::size_t c = 0; c < out.scale.size(); ++c)
      of_stream.push_back(stream.scale[c] / out.scale[c]);
    const CommonShift common = AddendRatios(plan, addend, of_stream);
    ResidualAddOp op;
    op.output = out.name;
    op.a = addend.name;
    op.b = stream.name;
    const auto middle = common.multipliers.begin() + static_cast<std::ptrdiff_t>(out.scale.size());
    op.a_multiplier = Compressed(std::vector<std::int32_t>(common.multipliers.begin(), middle));
    op.b_multiplier = Compressed(std::vector<std::int32_t>(middle, common.multipliers.end()));
    op.shift = common.shift;
    op.a_zero = addend.zero[0];
    op.b_zero = stream.zero[0];
    op.out_zero = out.zero[0];
    op.rounding = plan.numerics.residual_add;
    Define(out, plan);
    Emit(std::move(op));
  }

  void Of(const network::MeanRows& mean, const NodePlan& plan) {
    if (Wanted(plan.Products())) {
      ColumnSumOp op;
      op.output = plan.Products();
      op.input = Input(plan, 0).name;
      op.first = mean.first;
      op.input_zero = Compressed(Input(plan, 0).zero);
      Define(Products(plan), plan, ChannelAxis::kLast, DType::kInt32);
      Emit(std::move(op));
    }
    Narrow(plan);
  }

  void Of(const network::Positions& positions, const NodePlan& plan) {
    if (TokensOnly()) return DefineInput(plan);
    if (!Wanted(Name(plan))) return;
    const Activation patches = Source(plan_.At(plan.inputs.at(0)));
    const Activation& out = Grid(plan);
    const CommonShift common = AddendRatios(plan, patches, {1.0});
    EmbedOp op;
    op.output = out.name;
    op.a = patches.name;
    op.position = out.name + ".position";
    op.a_multiplier = Compressed(
        std::vector<std::int32_t>(common.multipliers.begin(), common.multipliers.end() - 1));
    op.b_multiplier = common.multipliers.back();
    op.shift = common.shift;
    op.out_zero = out.zero[0];
    op.rounding = plan.numerics.residual_add;
    bundle_.program.constants[op.position] = PositionCodes(positions, out, plan.numerics.quantize);
    Define(out, plan);
    Emit(std::move(op));
  }

  const Plan& plan_;
  const Grids& grids_;
  const InputSource& source_;
  const DeriveOptions& options_;
  Bundle& bundle_;
};

}  // namespace

void Derive(const Plan& plan, const Grids& grids, const InputSource& source, Bundle& bundle,
            const DeriveOptions& options) {
  Deriver(plan, grids, source, options, bundle).Run();
}

}  // namespace qsim::calibrate
