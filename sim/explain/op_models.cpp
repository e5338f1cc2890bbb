#include "sim/explain/op_models.h"

#include <fmt/format.h>

#include <algorithm>

#include "golden/ops/one_or_each.h"
#include "sim/explain/gemm_model.h"
#include "sim/explain/requant_model.h"
#include "sim/explain/variant_model.h"

namespace qsim::explain {
namespace {

// "image" and the usual names of one image's axes.
std::vector<std::string> AxisNames(const Shape& shape) {
  std::vector<std::string> names = {"image"};
  if (shape.size() == 3) names.insert(names.end(), {"head", "row", "column"});
  if (shape.size() == 2) names.insert(names.end(), {"token", "channel"});
  if (shape.size() == 1) names.emplace_back("channel");
  while (names.size() < shape.size() + 1) names.push_back(fmt::format("axis {}", names.size()));
  return names;
}

Shape WithImages(std::int64_t images, const Shape& shape) {
  Shape with = {images};
  with.insert(with.end(), shape.begin(), shape.end());
  return with;
}

template <typename T>
std::vector<std::int64_t> Wide(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

std::string Span(const std::vector<std::int64_t>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *low == *high ? fmt::format("{}", *low) : fmt::format("{}..{}", *low, *high);
}

// Two kinds of operations have models of their own, because implementations go wrong in them where
// no parameter of the golden operation says so: requantizations (roundings that golden/ops has not,
// products that wrap) and products (partial sums, orders of operands). Every other operation is
// suspected by its description: VariantModel.
class Builder {
 public:
  Builder(const Program& program, const Op& op, const WideTensors& inputs,
          std::span<const std::int64_t> actual, int threads)
      : program_(program),
        op_(op),
        inputs_(inputs),
        actual_(actual),
        threads_(threads),
        info_(program.Tensor(OutputOf(op))) {
    images_ = inputs.at(InputsOf(op).front()).shape.front();
  }

  RequantSpec SpecOf(const RequantizeOp& op) const {
    RequantSpec spec = CommonSpec(op.rounding);
    const WideTensor& input = inputs_.at(op.input);
    const std::int64_t width = info_.shape.back();
    const std::int64_t in_width = input.shape.back();
    for (std::size_t begin = 0; begin < input.values.size();
         begin += static_cast<std::size_t>(in_width)) {
      const auto from = input.values.begin() + static_cast<std::ptrdiff_t>(begin) + op.first_column;
      spec.x.insert(spec.x.end(), from, from + width);
    }
    const std::int64_t size = ElementCount(spec.shape);
    spec.layout = {1, 1, size};
    if (op.axis == ChannelAxis::kLast) spec.layout = {size / width, width, 1};
    if (op.axis == ChannelAxis::kFirst)
      spec.layout = {images_, info_.shape.front(), size / images_ / info_.shape.front()};
    for (const Multiplier& scale : op.scale) {
      spec.multiplier.push_back(scale.m);
      spec.shift.push_back(scale.shift);
    }
    spec.zero = Wide(op.zero);
    spec.x_zero = op.input_zero;
    spec.x_bits = BitsOf(program_.Tensor(op.input).dtype);
    return spec;
  }

  RequantSpec SpecOf(const ResidualAddOp& op) const {
    RequantSpec spec = CommonSpec(op.rounding);
    spec.x = inputs_.at(op.a).values;
    spec.b = inputs_.at(op.b).values;
    spec.is_sum = true;
    const std::int64_t width = info_.shape.back();
    spec.layout = {ElementCount(spec.shape) / width, width, 1};
    spec.multiplier = Wide(op.a_multiplier);
    spec.b_multiplier = Wide(op.b_multiplier);
    spec.shift = {op.shift};
    spec.zero = {op.out_zero};
    spec.x_zero = op.a_zero;
    spec.b_zero = op.b_zero;
    spec.x_bits = BitsOf(program_.Tensor(op.a).dtype);
    return spec;
  }

  OpModel operator()(const RequantizeOp& op) const { return Finish(SpecOf(op)); }
  OpModel operator()(const ResidualAddOp& op) const { return Finish(SpecOf(op)); }

  OpModel operator()(const GemmOp& op) const {
    const TensorInfo& input = program_.Tensor(op.input);
    const IntTensor& weight = program_.Constant(op.weight);
    GemmSpec spec = CommonGemm(op.acc, op.input);
    spec.products = images_;
    spec.rows = info_.shape[0];
    spec.depth = weight.shape()[1];
    spec.cols = weight.shape()[0];
    const std::vector<std::int8_t>& weights = weight.As<std::int8_t>();
    spec.rhs.assign(weights.begin(), weights.end());
    for (std::int64_t i = 0; i < images_; ++i) {
      spec.lhs_start.push_back((i * input.shape[0] + op.first_row) * spec.depth);
      spec.rhs_start.push_back(0);
      AddZeros(spec, 0, op.weight_zero, 0);
    }
    spec.lhs_row = spec.depth;
    spec.rhs_row = 1;
    spec.rhs_col = spec.depth;
    spec.bias = Wide(program_.Constant(op.bias).As<std::int32_t>());
    return Finish(std::move(spec));
  }

  OpModel operator()(const MatmulOp& op) const {
    GemmSpec spec = CommonGemm(op.acc, op.lhs);
    const Shape& lhs = program_.Tensor(op.lhs).shape;
    const Shape& rhs = op.RightShape(program_);
    const Matrices a = *MatricesOf(lhs, op.heads), b = *MatricesOf(rhs, op.heads),
                   y = *MatricesOf(info_.shape, op.heads);
    if (op.weight.empty()) {
      const WideTensor& values = inputs_.at(op.rhs);
      spec.rhs.assign(values.values.begin(), values.values.end());
    } else {
      const auto& values = program_.Constant(op.weight).As<std::int8_t>();
      spec.rhs.assign(values.begin(), values.end());
    }
    spec.products = images_ * op.heads;
    spec.rows = y.rows;
    spec.depth = a.cols;
    spec.cols = y.cols;
    spec.heads = info_.shape.size() == 2 ? op.heads : 1;
    spec.group = op.heads;
    spec.lhs_row = a.row_stride;
    spec.rhs_row = op.transpose_rhs ? 1 : b.row_stride;
    spec.rhs_col = op.transpose_rhs ? b.row_stride : 1;
    for (std::int64_t i = 0; i < images_; ++i) {
      for (std::int64_t h = 0; h < op.heads; ++h) {
        spec.lhs_start.push_back(i * ElementCount(lhs) + h * a.next);
        spec.rhs_start.push_back((op.weight.empty() ? i * ElementCount(rhs) : 0) + h * b.next);
        const auto head = static_cast<std::size_t>(h);
        std::vector<std::int32_t> zeros = op.rhs_zero;
        if (zeros.size() > 1 && op.transpose_rhs) zeros = {zeros[head]};
        AddZeros(spec, EntryFor(op.lhs_zero, head), zeros, op.transpose_rhs ? 0 : h * y.cols);
      }
    }
    if (op.mode == OperandMode::kShift) {
      // The numbers that log2 codes stand for; a sign cannot be mistaken in them.
      constexpr std::int32_t kZeroCode = 16;
      for (std::int32_t& code : spec.lhs)
        code = code == kZeroCode ? 0 : std::int32_t{1} << (kZeroCode - 1 - code);
      spec.lhs_bits = 0;
    }
    return Finish(std::move(spec));
  }

  // Everything else: variants of the golden operation.
  template <typename Other>
  OpModel operator()(const Other&) const {
    std::vector<TensorMap> images(static_cast<std::size_t>(images_));
    for (const std::string& name : InputsOf(op_)) {
      const TensorInfo& info = program_.Tensor(name);
      const std::vector<std::int64_t>& values = inputs_.at(name).values;
      const auto count = static_cast<std::size_t>(ElementCount(info.shape));
      for (std::size_t i = 0; i < images.size(); ++i) {
        IntTensor tensor(info.dtype, info.shape);
        std::visit(
            [&](auto& storage) {
              using T = typename std::decay_t<decltype(storage)>::value_type;
              for (std::size_t e = 0; e < count; ++e)
                storage[e] = static_cast<T>(values[i * count + e]);
            },
            tensor.storage());
        images[i].emplace(name, std::move(tensor));
      }
    }
    return {std::make_unique<VariantModel>(program_, op_, std::move(images), AxisNames(info_.shape),
                                           actual_, threads_),
            std::string(KindName(op_))};
  }

 private:
  RequantSpec CommonSpec(Rounding rounding) const {
    RequantSpec spec;
    spec.shape = WithImages(images_, info_.shape);
    spec.axis_names = AxisNames(info_.shape);
    spec.rounding = *RoundSchemeFromName(Name(rounding));
    spec.qmin = info_.range.qmin;
    spec.qmax = info_.range.qmax;
    return spec;
  }

  OpModel Finish(RequantSpec spec) const {
    std::string golden = fmt::format("{}, {}, M {}, S {}, zero {}", KindName(op_),
                                     NameOf(spec.rounding), Span(spec.multiplier),
                                     Span({spec.shift.begin(), spec.shift.end()}), Span(spec.zero));
    return {std::make_unique<RequantModel>(std::move(spec), actual_), std::move(golden)};
  }

  GemmSpec CommonGemm(const Accumulator& acc, const std::string& lhs) const {
    GemmSpec spec;
    spec.shape = WithImages(images_, info_.shape);
    spec.axis_names = AxisNames(info_.shape);
    spec.acc = acc;
    const WideTensor& values = inputs_.at(lhs);
    spec.lhs.assign(values.values.begin(), values.values.end());
    spec.lhs_signed = IsSigned(program_.Tensor(lhs).dtype);
    return spec;
  }

  // One product's zero points: those of columns begin at `first` of a list with one for each.
  static void AddZeros(GemmSpec& spec, std::int64_t lhs, const std::vector<std::int32_t>& rhs,
                       std::int64_t first) {
    spec.lhs_zero.push_back(lhs);
    for (std::int64_t n = 0; n < spec.cols; ++n) {
      std::int64_t zero = 0;
      if (rhs.size() == 1) zero = rhs[0];
      if (rhs.size() > 1) zero = rhs[static_cast<std::size_t>(first + n)];
      spec.rhs_zero.push_back(zero);
    }
  }

  OpModel Finish(GemmSpec spec) const {
    std::string golden =
        fmt::format("{} of {} x {} by {} x {}, accumulator {} bits, {}", KindName(op_), spec.rows,
                    spec.depth, spec.depth, spec.cols, spec.acc.bits, Name(spec.acc.policy));
    return {std::make_unique<GemmModel>(std::move(spec), actual_), std::move(golden)};
  }

  const Program& program_;
  const Op& op_;
  const WideTensors& inputs_;
  std::span<const std::int64_t> actual_;
  int threads_;
  const TensorInfo& info_;
  std::int64_t images_ = 0;
};

}  // namespace

bool TakesAnyInput(const Op& op) {
  return std::visit(
      [](const auto& o) {
        return requires(const Builder& builder) { builder.SpecOf(o); };
      },
      op);
}

OpModel MakeOpModel(const Program& program, const Op& op, const WideTensors& inputs,
                    std::span<const std::int64_t> actual, int threads) {
  return std::visit(Builder(program, op, inputs, actual, threads), op);
}

}  // namespace qsim::explain
