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

double Largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

double Smallest(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
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

void ProgramBuilder::DefineActivation(const Activation& a, std::int64_t tokens) {
  DefineTensor(a.name, {tokens, static_cast<std::int64_t>(a.scale.size())}, a.range);
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

// ---- choosing scales ----

Activation ProgramBuilder::Choose(const std::string& name, const Section& section,
                                  const std::vector<RealRange>& ranges, std::size_t channels,
                                  std::optional<double> unit) {
  Activation a;
  a.name = name;
  a.range = RangeOf(section);
  WarnClippedNegatives(name, section, ranges);
  std::vector<double> scales;
  for (const RealRange& range : ranges) {
    scales.push_back(QuantizationOf(range, a.range, section.has_zero_point).scale);
  }
  if (power_of_two()) {
    const double u = unit.value_or(Largest(scales));
    for (double& s : scales) s = SnapUp(s, u);
  }
  std::vector<std::int32_t> zeros;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    zeros.push_back(ZeroPointFor(ranges[i], scales[i], a.range, section.has_zero_point));
  }
  a.scale = Expanded(scales, channels);
  a.zero = Expanded(zeros, channels);
  return a;
}

void ProgramBuilder::WarnClippedNegatives(const std::string& name, const Section& section,
                                          const std::vector<RealRange>& ranges) {
  if (section.is_signed || section.has_zero_point) return;
  const bool negative =
      std::any_of(ranges.begin(), ranges.end(), [](const RealRange& r) { return r.min < 0; });
  if (negative) {
    Note(LoweringNote::Kind::kInfo, name,
         "unsigned and symmetric, but the data has negative values: they clip to 0");
  }
}

Activation ProgramBuilder::ChooseStream(const std::string& name, const Section& section,
                                        const std::vector<RealRange>& ranges, std::size_t channels,
                                        std::optional<double> unit) {
  Activation a = Choose(name, section, ranges, channels, unit);
  if (section.calibration_mode != CalibrationMode::kChannelWise) return a;
  double base = std::max(Smallest(a.scale), Largest(a.scale) / 128);
  if (unit && power_of_two()) base = SnapUp(base, *unit);
  for (double& s : a.scale) s = SnapUp(std::max(s, base), base);
  return a;
}

void ProgramBuilder::Recentre(Activation& a) {
  if (a.range.qmin < 0) return;
  const std::int32_t offset = (a.range.qmax + 1) / 2;
  a.range = {a.range.qmin - offset, a.range.qmax - offset};
  for (std::int32_t& z : a.zero) z -= offset;
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

double ProgramBuilder::AbsorbedScale(const Activation& input) { return Largest(input.scale); }

std::vector<double> ProgramBuilder::Linear(const std::string& name, const Activation& input,
                                           std::int64_t tokens, LinearRequest request,
                                           const std::vector<double>& tap_factor) {
  request.name = name;
  request.bias_limit = BiasLimit();
  request.input.scale = AbsorbedScale(input);
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
  const std::int64_t rows = q.weight.shape()[0];
  DefineAccumulator(name, {tokens, rows});
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

Activation ProgramBuilder::OutputQuant(const std::string& layer, const Section& section,
                                       const std::vector<RealRange>& ranges,
                                       const std::vector<double>& acc_scale,
                                       const std::vector<double>& tap_factor, std::int64_t tokens,
                                       std::optional<double> unit) {
  Activation quant = Choose(layer + ".quant", section, ranges, acc_scale.size(), unit);
  DefineActivation(quant, tokens);
  std::vector<double> ratios;
  for (std::size_t c = 0; c < acc_scale.size(); ++c) {
    quant.scale[c] /= tap_factor[c];
    ratios.push_back(acc_scale[c] / quant.scale[c]);
  }
  Requantize(quant.name, layer, 0, ChannelAxis::kLast, ratios, quant.zero, 0);
  return quant;
}

Activation ProgramBuilder::AddToStream(const StreamAdd& add, const Activation& input,
                                       const Activation& stream, std::int64_t tokens) {
  const std::size_t channels = stream.scale.size();
  Activation out = ChooseStream(add.output, add.stream_section, add.stream_ranges, channels,
                                power_of_two() ? std::optional(stream.scale[0]) : std::nullopt);
  LinearRequest request;
  request.weight = add.weights->weight;
  request.bias = add.weights->bias;
  request.section = add.weight_section;
  request.row_groups = add.row_groups;
  const bool narrow = add.output_section.output_quant_enable;
  const double input_scale = AbsorbedScale(input);
  // Both products of the residual add share one shift; a nearly dead output channel must keep a
  // few bits of multiplier beside the stream's.
  double least = 0;
  if (!narrow) {
    for (std::size_t c = 0; c < channels; ++c)
      least = std::max(least, stream.scale[c] / out.scale[c]);
    least = std::ldexp(least, 4 - hardware_.multiplier_bits);
  }
  request.adjust = [&](std::int64_t row, double observed) {
    const double unit = out.scale[static_cast<std::size_t>(row)] / input_scale;
    const double scale = std::max(observed, least * unit);
    if (scale > observed) {
      Note(LoweringNote::Kind::kRaisedScale, add.layer,
           fmt::format("output channel {}: weight scale raised from {:.3g} to {:.3g}, so that its "
                       "multiplier keeps a few bits beside the stream's (a nearly dead channel)",
                       row, observed, scale));
    }
    return power_of_two() ? SnapUp(scale, unit) : scale;
  };
  const std::vector<double> ones(channels, 1.0);
  Activation addend;
  addend.name = add.layer;
  addend.scale = Linear(add.layer, input, tokens, std::move(request), ones);
  addend.zero = {0};
  if (narrow) {
    addend = OutputQuant(add.layer, add.output_section, add.output_ranges, addend.scale, ones,
                         tokens, out.scale[0]);
  }

  std::vector<double> ratios;
  for (std::size_t c = 0; c < channels; ++c) ratios.push_back(addend.scale[c] / out.scale[c]);
  for (std::size_t c = 0; c < channels; ++c) ratios.push_back(stream.scale[c] / out.scale[c]);
  const CommonShift common = CommonShiftFor(ratios, hardware_.multiplier_bits, add.output);
  ResidualAddOp op;
  op.output = add.output;
  op.a = addend.name;
  op.b = stream.name;
  const auto middle = common.multipliers.begin() + static_cast<std::ptrdiff_t>(channels);
  op.a_multiplier = Compressed(std::vector<std::int32_t>(common.multipliers.begin(), middle));
  op.b_multiplier = Compressed(std::vector<std::int32_t>(middle, common.multipliers.end()));
  op.shift = common.shift;
  op.a_zero = addend.zero[0];
  op.b_zero = stream.zero[0];
  op.out_zero = out.zero[0];
  op.rounding = numerics_.residual_add;
  DefineActivation(out, tokens);
  program().ops.emplace_back(std::move(op));
  return out;
}

std::int64_t RowGroups(const Section& weight, std::int64_t layer, std::int64_t heads,
                       std::int64_t rows) {
  switch (weight.calibration_mode) {
    case CalibrationMode::kLayerWise:
      return layer;
    case CalibrationMode::kHeadWise:
      return heads;
    case CalibrationMode::kChannelWise:
      break;
  }
  return rows;
}

}  // namespace qsim
