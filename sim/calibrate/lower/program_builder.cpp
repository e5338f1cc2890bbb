#include "sim/calibrate/lower/program_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace qsim {
namespace {

std::vector<double> Product(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}

}  // namespace

// ---- tensors ----

void ProgramBuilder::DefineTensor(const std::string& name, Shape shape, QuantRange range) {
  program().tensors.push_back({name, std::move(shape), StorageFor(range), range});
}

void ProgramBuilder::DefineAccumulator(const std::string& name, Shape shape) {
  const std::int64_t half = std::int64_t{1} << (hardware_.acc.bits - 1);
  program().tensors.push_back(
      {name,
       std::move(shape),
       DType::kInt32,
       {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)}});
}

void ProgramBuilder::DefineActivation(const Activation& a, Shape shape) {
  DefineTensor(a.name, std::move(shape), a.range);
  SetScale(a.name, ChannelAxis::kLast, a.scale, a.zero);
}

void ProgramBuilder::SetScale(const std::string& name, ChannelAxis axis, std::vector<double> scale,
                              std::vector<std::int32_t> zero) {
  if (Compressed(scale).size() == 1 && Compressed(zero).size() == 1) {
    axis = ChannelAxis::kNone;
    scale.resize(1);
    zero.resize(1);
  }
  TensorScale s;
  s.axis = axis;
  s.scale = std::move(scale);
  s.zero = std::move(zero);
  bundle_.scales[name] = std::move(s);
}

void ProgramBuilder::Note(LoweringNote::Kind kind, const std::string& tensor, std::string text) {
  bundle_.notes.push_back({kind, tensor, std::move(text)});
}

// ---- operations ----

Multiplier ProgramBuilder::MakeMultiplier(double r, const std::string& tensor,
                                          std::size_t channel) const {
  return MakeMultiplier(r, tensor, channel, {.bits = hardware_.multiplier_bits});
}

Multiplier ProgramBuilder::MakeMultiplier(double r, const std::string& tensor, std::size_t channel,
                                          const MultiplierLimits& limits) const {
  const std::string what = fmt::format("{}, channel {}", tensor, channel);
  if (power_of_two()) return ShiftFor(r, what);
  return MultiplierFor(r, limits.bits, what, limits.most_shift);
}

void ProgramBuilder::Requantize(const std::string& output, const std::string& input,
                                std::int64_t first_column, ChannelAxis axis,
                                const std::vector<double>& ratios,
                                const std::vector<std::int32_t>& zeros, std::int32_t input_zero) {
  RequantizeOp op;
  op.output = output;
  op.input = input;
  op.first_column = first_column;
  const RequantScheme scheme = numerics_.requantize.scheme;
  const MultiplierLimits limits = MultiplierLimitsOf(scheme, hardware_.multiplier_bits);
  for (std::size_t c = 0; c < ratios.size(); ++c) {
    op.scale.push_back(MakeMultiplier(ratios[c], output, c, limits));
  }
  op.scale = Compressed(std::move(op.scale));
  op.zero = Compressed(zeros);
  op.axis = op.scale.size() == 1 && op.zero.size() == 1 ? ChannelAxis::kNone : axis;
  op.input_zero = input_zero;
  op.scheme = scheme;
  op.rounding = numerics_.requantize.rounding;
  program().ops.emplace_back(std::move(op));
}

double ProgramBuilder::BiasLimit() const {
  return std::ldexp(1.0, hardware_.acc.policy == AccPolicy::kError ? hardware_.acc.bits - 2 : 30);
}

std::vector<double> ProgramBuilder::Linear(const std::string& name, const Activation& input,
                                           Shape shape, LinearRequest request,
                                           const std::vector<double>& tap_factor,
                                           std::int64_t rows) {
  request.name = name;
  request.bias_limit = BiasLimit();
  request.input.scale = input.Absorbed();
  request.input.zero = input.zero;
  const std::size_t depth = input.scale.size();
  for (std::size_t i = 0; i < request.weight.data.size(); ++i) {
    const double factor = input.scale[i % depth] / request.input.scale;
    request.weight.data[i] =
        static_cast<float>(static_cast<double>(request.weight.data[i]) * factor);
  }
  QuantizedLinear q = QuantizeLinear(request, bundle_.notes);
  GemmOp op;
  op.output = name;
  op.input = input.name;
  op.weight = name + ".weight";
  op.bias = name + ".bias";
  op.acc = hardware_.acc;
  if (std::any_of(q.zero.begin(), q.zero.end(), [](std::int32_t z) { return z != 0; })) {
    op.weight_zero = Compressed(q.zero);
  }
  op.rows = rows;
  DefineAccumulator(name, std::move(shape));
  SetScale(op.weight, ChannelAxis::kFirst, q.scale, q.zero);
  program().constants[op.weight] = std::move(q.weight);
  program().constants[op.bias] = std::move(q.bias);
  program().ops.emplace_back(std::move(op));
  std::vector<double> acc_scale = q.scale;
  for (double& s : acc_scale) s *= request.input.scale;
  SetScale(name, ChannelAxis::kLast, Product(acc_scale, tap_factor),
           std::vector<std::int32_t>(acc_scale.size(), 0));
  return acc_scale;
}

}  // namespace qsim
