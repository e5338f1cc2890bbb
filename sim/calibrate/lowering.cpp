#include "sim/calibrate/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "sim/calibrate/linear_quantizer.h"
#include "sim/calibrate/multiplier.h"
#include "sim/error.h"

namespace qsim {
namespace {

constexpr double kLn2 = 0.6931;  // as published, not the exact logarithm

// A quantized [tensor, channels] (or [heads, ...]) with one scale and zero point for each channel
// (head), expanded even where all are equal.
struct Activation {
  std::string name;
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
};

template <typename T>
std::vector<T> Compressed(std::vector<T> values) {
  if (std::all_of(values.begin(), values.end(), [&](const T& v) { return v == values.front(); })) {
    values.resize(1);
  }
  return values;
}

template <typename T>
std::vector<T> Expanded(const std::vector<T>& groups, std::size_t channels) {
  std::vector<T> values(channels);
  for (std::size_t c = 0; c < channels; ++c) values[c] = groups[c * groups.size() / channels];
  return values;
}

std::vector<double> Product(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] *= b[i];
  return a;
}

double Largest(const std::vector<double>& values) {
  return *std::max_element(values.begin(), values.end());
}

class AttentionLowering {
 public:
  AttentionLowering(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                    const AttentionRanges& ranges, Realise realise, Bundle& bundle)
      : g_(model.geometry),
        weights_(model.blocks[static_cast<std::size_t>(block)]),
        prefix_(fmt::format("blocks.{}.", block)),
        channels_(static_cast<std::size_t>(g_.dim)),
        heads_(static_cast<std::size_t>(g_.heads)),
        plan_(plan),
        ranges_(ranges),
        realise_(realise),
        bundle_(bundle),
        power_of_two_(plan.hardware.requant == RequantMode::kPowerOfTwo) {}

  void Lower() {
    LowerInput();
    LowerNorm1();
    ChooseQkvScales();
    LowerQkv();
    LowerScores();
    LowerSoftmax();
    LowerAttentionOutput();
    LowerProjection();
    LowerResidual();
  }

 private:
  // ---- emitting ----

  void Define(const std::string& name, Shape shape, QuantRange range) {
    bundle_.program.tensors.push_back({prefix_ + name, std::move(shape), StorageFor(range), range});
  }

  void DefineAccumulator(const std::string& name, Shape shape) {
    const std::int64_t half = std::int64_t{1} << (plan_.hardware.acc.bits - 1);
    bundle_.program.tensors.push_back(
        {prefix_ + name,
         std::move(shape),
         DType::kInt32,
         {static_cast<std::int32_t>(-half), static_cast<std::int32_t>(half - 1)}});
  }

  void Scale(const std::string& name, ChannelAxis axis, std::vector<double> scale,
             std::vector<std::int32_t> zero) {
    TensorScale s;
    if (Compressed(scale).size() == 1 && Compressed(zero).size() == 1) {
      axis = ChannelAxis::kNone;
      scale.resize(1);
      zero.resize(1);
    }
    s.axis = axis;
    s.scale = std::move(scale);
    s.zero = std::move(zero);
    bundle_.scales[prefix_ + name] = std::move(s);
  }

  void Note(LoweringNote::Kind kind, const std::string& tensor, std::string text) {
    bundle_.notes.push_back({kind, prefix_ + tensor, std::move(text)});
  }

  Shape TokenShape(std::int64_t columns) const { return {g_.tokens, columns}; }
  Shape ScoreShape() const { return {g_.heads, g_.tokens, g_.tokens}; }

  Multiplier MakeMultiplier(double r, const std::string& tensor, std::size_t channel) const {
    const std::string what = fmt::format("{}{}, channel {}", prefix_, tensor, channel);
    if (power_of_two_) return ShiftFor(r, what);
    return MultiplierFor(r, plan_.hardware.multiplier_bits, what);
  }

  void EmitRequantize(const std::string& output, const std::string& input,
                      std::int64_t first_column, ChannelAxis axis,
                      const std::vector<double>& ratios, const std::vector<std::int32_t>& zeros,
                      std::int32_t input_zero) {
    RequantizeOp op;
    op.output = prefix_ + output;
    op.input = prefix_ + input;
    op.first_column = first_column;
    for (std::size_t c = 0; c < ratios.size(); ++c)
      op.scale.push_back(MakeMultiplier(ratios[c], output, c));
    op.scale = Compressed(std::move(op.scale));
    op.zero = Compressed(zeros);
    op.axis = op.scale.size() == 1 && op.zero.size() == 1 ? ChannelAxis::kNone : axis;
    op.input_zero = input_zero;
    op.rounding = plan_.numerics.requantize;
    bundle_.program.ops.emplace_back(std::move(op));
  }

  // ---- choosing scales ----

  // Scales and zero points from observed ranges; in power-of-two mode every scale is unit * 2^n.
  Activation Choose(const std::string& name, const Section& section,
                    const std::vector<RealRange>& ranges, std::size_t channels,
                    std::optional<double> unit = std::nullopt) const {
    Activation a;
    a.name = name;
    a.range = RangeOf(section);
    WarnClippedNegatives(name, section, ranges);
    std::vector<double> scales;
    for (const RealRange& range : ranges) {
      scales.push_back(QuantizationOf(range, a.range, section.has_zero_point).scale);
    }
    if (power_of_two_) {
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

  void WarnClippedNegatives(const std::string& name, const Section& section,
                            const std::vector<RealRange>& ranges) const {
    if (section.is_signed || section.has_zero_point) return;
    const bool negative =
        std::any_of(ranges.begin(), ranges.end(), [](const RealRange& r) { return r.min < 0; });
    if (negative) {
      bundle_.notes.push_back(
          {LoweringNote::Kind::kInfo, prefix_ + name,
           "unsigned and symmetric, but the data has negative values: they clip to 0"});
    }
  }

  // The array's second operand is int8: unsigned codes are stored minus half their range.
  static void Recentre(Activation& a) {
    if (a.range.qmin < 0) return;
    const std::int32_t offset = (a.range.qmax + 1) / 2;
    a.range = {a.range.qmin - offset, a.range.qmax - offset};
    for (std::int32_t& z : a.zero) z -= offset;
  }

  // channel_wise residual streams: factors 1, 2, ... 128 over a common base.
  Activation ChooseResidual(const std::string& name, const Section& section,
                            const std::vector<RealRange>& ranges,
                            std::optional<double> unit) const {
    Activation a = Choose(name, section, ranges, channels_, unit);
    if (section.calibration_mode != CalibrationMode::kChannelWise) return a;
    const double smallest = *std::min_element(a.scale.begin(), a.scale.end());
    double base = std::max(smallest, Largest(a.scale) / 128);
    if (unit) base = SnapUp(base, *unit);
    for (double& s : a.scale) s = SnapUp(std::max(s, base), base);
    return a;
  }

  double BiasLimit() const {
    const Accumulator& acc = plan_.hardware.acc;
    return std::ldexp(1.0, acc.policy == AccPolicy::kError ? acc.bits - 2 : 30);
  }

  static std::int64_t RowGroups(const Section& weight, std::int64_t layer, std::int64_t heads,
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

  // Moves the input's per-channel scales into the weights; returns the one scale that is left.
  static double Absorb(const std::vector<double>& input_scale, FloatTensor& weight) {
    const double reference = Largest(input_scale);
    const std::size_t depth = input_scale.size();
    for (std::size_t i = 0; i < weight.data.size(); ++i) {
      const double factor = input_scale[i % depth] / reference;
      weight.data[i] = static_cast<float>(static_cast<double>(weight.data[i]) * factor);
    }
    return reference;
  }

  // Emits constants and operation of a linear layer; returns the accumulator's scale, one per row.
  std::vector<double> EmitLinear(const std::string& name, const std::string& input,
                                 LinearRequest request, const std::vector<double>& tap_factor) {
    request.name = prefix_ + name;
    request.bias_limit = BiasLimit();
    QuantizedLinear q = QuantizeLinear(request, bundle_.notes);
    GemmOp op;
    op.output = prefix_ + name;
    op.input = prefix_ + input;
    op.weight = prefix_ + name + ".weight";
    op.bias = prefix_ + name + ".bias";
    op.acc = plan_.hardware.acc;
    if (std::any_of(q.zero.begin(), q.zero.end(), [](std::int32_t z) { return z != 0; })) {
      op.weight_zero = Compressed(q.zero);
    }
    const std::int64_t rows = q.weight.shape()[0];
    DefineAccumulator(name, TokenShape(rows));
    Scale(name + ".weight", ChannelAxis::kFirst, q.scale, q.zero);
    bundle_.program.constants[op.weight] = std::move(q.weight);
    bundle_.program.constants[op.bias] = std::move(q.bias);
    bundle_.program.ops.emplace_back(std::move(op));
    std::vector<double> acc_scale = q.scale;
    for (double& s : acc_scale) s *= request.input.scale;
    Scale(name, ChannelAxis::kLast, Product(acc_scale, tap_factor),
          std::vector<std::int32_t>(acc_scale.size(), 0));
    return acc_scale;
  }

  // ---- the datapath ----

  void LowerInput() {
    input_ = ChooseResidual("input", plan_.input, ranges_.input, std::nullopt);
    Define(input_.name, TokenShape(g_.dim), input_.range);
    Scale(input_.name, ChannelAxis::kLast, input_.scale, input_.zero);
    bundle_.program.inputs.push_back(prefix_ + input_.name);
  }

  // I-BERT's y has the real scale sqrt(C) / 2^30 * gamma. A (nearly) dead gamma is raised until the
  // bias, counted in that scale, fits.
  std::vector<double> EffectiveGamma(double unit) {
    std::vector<double> gammas;
    double largest = 0;
    for (const float gamma : weights_.norm1.gamma) {
      largest = std::max(largest, std::fabs(static_cast<double>(gamma)));
    }
    for (std::size_t c = 0; c < channels_; ++c) {
      const double gamma = static_cast<double>(weights_.norm1.gamma[c]);
      const double beta = std::fabs(static_cast<double>(weights_.norm1.beta[c]));
      const double least =
          std::max({beta / (unit * std::ldexp(1.0, 40)), std::ldexp(largest, -20), kMinScale});
      if (std::fabs(gamma) < least) {
        Note(LoweringNote::Kind::kRaisedScale, "norm1",
             fmt::format(
                 "channel {}: gamma {:.3g} raised to {:.3g}, so that its bias fits (a nearly dead "
                 "channel)",
                 c, gamma, least));
      }
      gammas.push_back(std::copysign(std::max(std::fabs(gamma), least), gamma));
    }
    return gammas;
  }

  void LowerNorm1() {
    const double unit = std::ldexp(std::sqrt(static_cast<double>(g_.dim)), -30);
    const std::vector<double> gamma = EffectiveGamma(unit);
    norm1_.name = "norm1";
    norm1_.range = RangeOf(plan_.norm1);
    WarnClippedNegatives("norm1", plan_.norm1, ranges_.norm1);
    const std::vector<RealRange> range = Expanded(ranges_.norm1, channels_);
    LayernormOp op;
    op.output = prefix_ + "norm1";
    op.input = prefix_ + input_.name;
    op.input_zero = input_.zero[0];
    for (std::size_t c = 0; c < channels_; ++c) {
      double scale = QuantizationOf(range[c], norm1_.range, plan_.norm1.has_zero_point).scale;
      // gamma is given, so a power-of-two ratio leaves the output scale as the only choice; it is
      // absorbed into the QKV weights like any channel_wise scale.
      if (power_of_two_) scale = SnapUp(scale, unit * std::fabs(gamma[c]));
      norm1_.scale.push_back(scale);
      norm1_.zero.push_back(
          ZeroPointFor(range[c], scale, norm1_.range, plan_.norm1.has_zero_point));
      op.bias.push_back(static_cast<std::int64_t>(
          std::floor(static_cast<double>(weights_.norm1.beta[c]) / gamma[c] / unit)));
      op.scale.push_back(MakeMultiplier(unit * gamma[c] / scale, "norm1", c));
    }
    if (power_of_two_ && plan_.norm1.calibration_mode == CalibrationMode::kLayerWise) {
      Note(LoweringNote::Kind::kInfo, "norm1",
           "requant: power_of_two makes the output scale per channel (gamma times a power of two), "
           "absorbed "
           "into the attn_qkv weights");
    }
    op.zero = Compressed(norm1_.zero);
    op.rounding = plan_.numerics.requantize;
    int widest = 0;
    for (const double s : input_.scale) {
      const int shift = std::ilogb(s / *std::min_element(input_.scale.begin(), input_.scale.end()));
      op.input_shift.push_back(shift);
      widest = std::max(widest, shift);
    }
    if (widest == 0) op.input_shift.clear();
    // sum((d >> k)^2) must fit 62 bits; d is one bit wider than the input, one more for the zero
    // point.
    const int d_bits = plan_.input.bits + 2 + widest;
    const int count_bits = std::ilogb(static_cast<double>(g_.dim)) + 1;
    op.std_shift = std::max(0, (2 * d_bits + count_bits - 62 + 1) / 2);
    Define("norm1", TokenShape(g_.dim), norm1_.range);
    Scale("norm1", ChannelAxis::kLast, norm1_.scale, norm1_.zero);
    bundle_.program.ops.emplace_back(std::move(op));
  }

  // The score scale 0.6931 / k, never finer than what was observed.
  std::int32_t SoftmaxK(double observed, std::size_t head) {
    const double k = std::floor(kLn2 / observed);
    if (k >= 1) return static_cast<std::int32_t>(std::min(k, static_cast<double>(kMaxSoftmaxK)));
    const std::string problem = fmt::format(
        "head {}: scores need a scale of {:.3g}, and the integer exponential at most {}", head,
        observed, kLn2);
    if (realise_ == Realise::kExact) {
      throw InputError(
          fmt::format("{}: {}attn_kv_out: cannot be realised in integers: {}; give the scores more "
                      "bits (bit_type.bits up to 16), or --realise nearest to clip them",
                      plan_.scores.origin, prefix_, problem));
    }
    Note(LoweringNote::Kind::kSubstitution, "attn_kv_out", problem + ": clipped");
    return 1;
  }

  void ChooseQkvScales() {
    k_ = Choose("attn_k_out", plan_.k, ranges_.k, channels_);
    v_ = Choose("attn_v_input", plan_.v, ranges_.v, channels_);
    scores_.name = "attn_kv_out";
    scores_.range = RangeOf(plan_.scores);
    const std::vector<RealRange> score_range = Expanded(ranges_.scores, heads_);
    for (std::size_t h = 0; h < heads_; ++h) {
      const double observed =
          QuantizationOf(score_range[h], scores_.range, plan_.scores.has_zero_point).scale;
      softmax_k_.push_back(SoftmaxK(observed, h));
      scores_.scale.push_back(kLn2 / softmax_k_.back());
      scores_.zero.push_back(ZeroPointFor(score_range[h], scores_.scale[h], scores_.range,
                                          plan_.scores.has_zero_point));
    }
    q_ = Choose("attn_q_out", plan_.q, ranges_.q, channels_);
    if (power_of_two_) SnapQToScores();
    Recentre(k_);
    Recentre(v_);
  }

  // s_q s_k / sqrt(d) / s_scores = 2^-S, and s_scores is tied to the exponential's constants: s_q
  // gives way.
  void SnapQToScores() {
    const std::vector<RealRange> range = Expanded(ranges_.q, channels_);
    const double root = std::sqrt(static_cast<double>(g_.head_dim()));
    const bool one_scale = plan_.q.calibration_mode != CalibrationMode::kHeadWise &&
                           plan_.scores.calibration_mode == CalibrationMode::kLayerWise;
    for (std::size_t c = 0; c < channels_; ++c) {
      const std::size_t from = one_scale ? 0 : c;
      const double unit = scores_.scale[from * heads_ / channels_] * root / k_.scale[from];
      q_.scale[c] = SnapUp(q_.scale[c], unit);
      q_.zero[c] = ZeroPointFor(range[c], q_.scale[c], q_.range, plan_.q.has_zero_point);
    }
    if (!one_scale && plan_.q.calibration_mode != CalibrationMode::kHeadWise) {
      Note(LoweringNote::Kind::kInfo, q_.name,
           "requant: power_of_two with head_wise scores makes the scale per head");
    }
  }

  void LowerQkv() {
    LinearRequest request;
    request.weight = weights_.qkv.weight;
    request.bias = weights_.qkv.bias;
    std::vector<double> tap_factor(3 * channels_, 1.0);
    for (std::size_t c = 0; c < channels_; ++c) {
      // channel_wise Q or K: Q's rows are divided by f_c, K's multiplied.
      tap_factor[c] = ranges_.qk_factor[c];
      tap_factor[channels_ + c] = 1 / ranges_.qk_factor[c];
    }
    for (std::size_t row = 0; row < 3 * channels_; ++row) {
      for (std::size_t i = 0; i < channels_; ++i) {
        float& w = request.weight.data[row * channels_ + i];
        w = static_cast<float>(static_cast<double>(w) / tap_factor[row]);
      }
      request.bias[row] =
          static_cast<float>(static_cast<double>(request.bias[row]) / tap_factor[row]);
    }
    request.input.scale = Absorb(norm1_.scale, request.weight);
    request.input.zero = norm1_.zero;
    request.section = plan_.qkv_weight;
    request.row_groups = RowGroups(plan_.qkv_weight, 3, 3 * g_.heads, 3 * g_.dim);
    if (power_of_two_) {
      request.adjust = [&, input_scale = request.input.scale](std::int64_t row, double observed) {
        const auto r = static_cast<std::size_t>(row);
        const Activation& target = r < channels_ ? q_ : r < 2 * channels_ ? k_ : v_;
        return SnapUp(observed, target.scale[r % channels_] / input_scale);
      };
    }
    std::vector<double> source_scale =
        EmitLinear("attn_qkv", "norm1", std::move(request), tap_factor);
    std::string source = "attn_qkv";
    std::int32_t source_zero = 0;
    if (plan_.qkv_output.output_quant_enable) {
      const Activation quant = EmitOutputQuant("attn_qkv", plan_.qkv_output, ranges_.qkv_output,
                                               source_scale, tap_factor);
      source = quant.name;
      source_scale = quant.scale;
      source_zero = quant.zero[0];
    }
    const Activation* parts[] = {&q_, &k_, &v_};
    for (std::size_t p = 0; p < 3; ++p) {
      const Activation& part = *parts[p];
      std::vector<double> ratios;
      std::vector<double> tap_scale;
      for (std::size_t c = 0; c < channels_; ++c) {
        const std::size_t row = p * channels_ + c;
        ratios.push_back(source_scale[row] / part.scale[c]);
        tap_scale.push_back(part.scale[c] * tap_factor[row]);
      }
      Define(part.name, TokenShape(g_.dim), part.range);
      Scale(part.name, ChannelAxis::kLast, tap_scale, part.zero);
      EmitRequantize(part.name, source, static_cast<std::int64_t>(p * channels_),
                     ChannelAxis::kLast, ratios, part.zero, source_zero);
    }
  }

  // The optional int8 step behind a linear layer.
  Activation EmitOutputQuant(const std::string& layer, const Section& section,
                             const std::vector<RealRange>& ranges,
                             const std::vector<double>& acc_scale,
                             const std::vector<double>& tap_factor,
                             std::optional<double> unit = std::nullopt) {
    Activation quant = Choose(layer + ".quant", section, ranges, acc_scale.size(), unit);
    std::vector<double> ratios;
    for (std::size_t c = 0; c < acc_scale.size(); ++c) {
      quant.scale[c] /= tap_factor[c];
      ratios.push_back(acc_scale[c] / quant.scale[c]);
    }
    Define(quant.name, TokenShape(static_cast<std::int64_t>(acc_scale.size())), quant.range);
    Scale(quant.name, ChannelAxis::kLast, Product(quant.scale, tap_factor), quant.zero);
    EmitRequantize(quant.name, layer, 0, ChannelAxis::kLast, ratios, quant.zero, 0);
    return quant;
  }

  void LowerScores() {
    const std::size_t head_dim = channels_ / heads_;
    MatmulOp op;
    op.output = prefix_ + "attn_kv_out.acc";
    op.lhs = prefix_ + q_.name;
    op.rhs = prefix_ + k_.name;
    op.heads = static_cast<int>(g_.heads);
    op.transpose_rhs = true;
    op.acc = plan_.hardware.acc;
    std::vector<double> ratios;
    std::vector<double> acc_scale;
    for (std::size_t h = 0; h < heads_; ++h) {
      op.lhs_zero.push_back(q_.zero[h * head_dim]);
      op.rhs_zero.push_back(k_.zero[h * head_dim]);
      acc_scale.push_back(q_.scale[h * head_dim] * k_.scale[h * head_dim] /
                          std::sqrt(static_cast<double>(g_.head_dim())));
      ratios.push_back(acc_scale[h] / scores_.scale[h]);
    }
    op.lhs_zero = Compressed(op.lhs_zero);
    op.rhs_zero = Compressed(op.rhs_zero);
    DefineAccumulator("attn_kv_out.acc", ScoreShape());
    Scale("attn_kv_out.acc", ChannelAxis::kFirst, acc_scale, std::vector<std::int32_t>(heads_, 0));
    bundle_.program.ops.emplace_back(std::move(op));
    Define(scores_.name, ScoreShape(), scores_.range);
    Scale(scores_.name, ChannelAxis::kFirst, scores_.scale, scores_.zero);
    EmitRequantize(scores_.name, "attn_kv_out.acc", 0, ChannelAxis::kFirst, ratios, scores_.zero,
                   0);
  }

  void LowerSoftmax() {
    const auto least = std::min_element(ranges_.softmax_error.begin(), ranges_.softmax_error.end());
    const int extra_bits = plan_.softmax_kind == SoftmaxKind::kIbertRn
                               ? static_cast<int>(least - ranges_.softmax_error.begin())
                               : 0;
    SoftmaxOp op;
    op.output = prefix_ + "intSoft";
    op.input = prefix_ + scores_.name;
    for (const std::int32_t k : softmax_k_) {
      op.params.push_back(SoftmaxParamsFor(plan_.softmax_kind, k, extra_bits));
    }
    op.params = Compressed(std::move(op.params));
    bundle_.program.ops.emplace_back(std::move(op));
    const bool log2 = plan_.softmax_kind == SoftmaxKind::kLogInt;
    Define("intSoft", ScoreShape(), {0, log2 ? 16 : 255});
    // The array sees a log2 code c as 2^(15 - c).
    softmax_scale_ = std::ldexp(1.0, log2 ? -15 : -(8 + extra_bits));
    TensorScale& scale = bundle_.scales[prefix_ + "intSoft"];
    scale.kind = log2 ? TensorScale::Kind::kLog2 : TensorScale::Kind::kLinear;
    scale.scale = {log2 ? 1.0 : softmax_scale_};
    scale.zero = {0};
  }

  void LowerAttentionOutput() {
    MatmulOp op;
    op.output = prefix_ + "attn_v_out.acc";
    op.lhs = prefix_ + "intSoft";
    op.rhs = prefix_ + v_.name;
    op.heads = static_cast<int>(g_.heads);
    op.mode =
        plan_.softmax_kind == SoftmaxKind::kLogInt ? OperandMode::kShift : OperandMode::kMultiply;
    op.lhs_zero = {0};
    op.rhs_zero = Compressed(v_.zero);
    op.acc = plan_.hardware.acc;
    DefineAccumulator("attn_v_out.acc", TokenShape(g_.dim));
    bundle_.program.ops.emplace_back(std::move(op));
    attention_ = Choose("attn_v_out", plan_.attention, ranges_.attention, channels_, v_.scale[0]);
    std::vector<double> acc_scale = v_.scale;
    std::vector<double> ratios;
    for (std::size_t c = 0; c < channels_; ++c) {
      acc_scale[c] *= softmax_scale_;
      ratios.push_back(acc_scale[c] / attention_.scale[c]);
    }
    Scale("attn_v_out.acc", ChannelAxis::kLast, acc_scale, std::vector<std::int32_t>(channels_, 0));
    Define("attn_v_out", TokenShape(g_.dim), attention_.range);
    Scale("attn_v_out", ChannelAxis::kLast, attention_.scale, attention_.zero);
    EmitRequantize("attn_v_out", "attn_v_out.acc", 0, ChannelAxis::kLast, ratios, attention_.zero,
                   0);
  }

  void LowerProjection() {
    residual_ = ChooseResidual("residual1", plan_.residual1, ranges_.residual1,
                               power_of_two_ ? std::optional(input_.scale[0]) : std::nullopt);
    LinearRequest request;
    request.weight = weights_.proj.weight;
    request.bias = weights_.proj.bias;
    request.input.scale = Absorb(attention_.scale, request.weight);
    request.input.zero = attention_.zero;
    request.section = plan_.proj_weight;
    request.row_groups = RowGroups(plan_.proj_weight, 1, g_.heads, g_.dim);
    const double input_scale = request.input.scale;
    if (power_of_two_) {
      request.adjust = [&, input_scale](std::int64_t row, double observed) {
        return SnapUp(observed, residual_.scale[static_cast<std::size_t>(row)] / input_scale);
      };
    } else if (!plan_.proj_output.output_quant_enable) {
      // Both products of the residual add share one shift; a nearly dead output channel must keep a
      // few bits of multiplier beside the stream's.
      const double least = StreamRatio() * std::ldexp(1.0, 4 - plan_.hardware.multiplier_bits);
      request.adjust = [&, input_scale, least](std::int64_t row, double observed) {
        return std::max(observed,
                        least * residual_.scale[static_cast<std::size_t>(row)] / input_scale);
      };
    }
    const std::vector<double> ones(channels_, 1.0);
    addend_.name = "attn_proj";
    addend_.scale = EmitLinear("attn_proj", "attn_v_out", std::move(request), ones);
    addend_.zero = {0};
    if (plan_.proj_output.output_quant_enable) {
      addend_ = EmitOutputQuant("attn_proj", plan_.proj_output, ranges_.proj_output, addend_.scale,
                                ones, residual_.scale[0]);
    }
  }

  // The largest ratio of the stream's two scales.
  double StreamRatio() const {
    double largest = 0;
    for (std::size_t c = 0; c < channels_; ++c) {
      largest = std::max(largest, input_.scale[c] / residual_.scale[c]);
    }
    return largest;
  }

  void LowerResidual() {
    std::vector<double> ratios;
    for (std::size_t c = 0; c < channels_; ++c)
      ratios.push_back(addend_.scale[c] / residual_.scale[c]);
    for (std::size_t c = 0; c < channels_; ++c)
      ratios.push_back(input_.scale[c] / residual_.scale[c]);
    const CommonShift common =
        CommonShiftFor(ratios, plan_.hardware.multiplier_bits, prefix_ + "residual1");
    ResidualAddOp op;
    op.output = prefix_ + "residual1";
    op.a = prefix_ + addend_.name;
    op.b = prefix_ + input_.name;
    const auto middle = common.multipliers.begin() + static_cast<std::ptrdiff_t>(channels_);
    op.a_multiplier = Compressed(std::vector<std::int32_t>(common.multipliers.begin(), middle));
    op.b_multiplier = Compressed(std::vector<std::int32_t>(middle, common.multipliers.end()));
    op.shift = common.shift;
    op.a_zero = addend_.zero[0];
    op.b_zero = input_.zero[0];
    op.out_zero = residual_.zero[0];
    op.rounding = plan_.numerics.residual_add;
    Define("residual1", TokenShape(g_.dim), residual_.range);
    Scale("residual1", ChannelAxis::kLast, residual_.scale, residual_.zero);
    bundle_.program.ops.emplace_back(std::move(op));
  }

  const VitGeometry& g_;
  const BlockWeights& weights_;
  std::string prefix_;
  std::size_t channels_;
  std::size_t heads_;
  const AttentionPlan& plan_;
  const AttentionRanges& ranges_;
  Realise realise_;
  Bundle& bundle_;
  bool power_of_two_;

  Activation input_, norm1_, q_, k_, v_, scores_, attention_, addend_, residual_;
  std::vector<std::int32_t> softmax_k_;  // one per head
  double softmax_scale_ = 1;
};

}  // namespace

SoftmaxParams SoftmaxParamsFor(SoftmaxKind kind, std::int32_t k, int extra_bits) {
  // I-BERT: exp(p) = 0.35815147 p^2 + 0.96963238 p + 1 on (-ln 2, 0], normalised by the first
  // coefficient.
  constexpr double kLinear = 0.96963238 / 0.35815147;
  constexpr double kConstant = 1.0 / 0.35815147;
  const double scale = kLn2 / k;
  SoftmaxParams params;
  params.kind = kind;
  params.exp.x0 = -k;
  params.exp.b = static_cast<std::int64_t>(std::floor(kLinear / scale));
  params.exp.c = static_cast<std::int64_t>(std::floor(kConstant / (scale * scale)));
  params.extra_bits = extra_bits;
  if (kind == SoftmaxKind::kLogInt) return params;
  // exp(0) = c 2^n becomes 32767: M / 2^shift = 32767 / (c 2^n) with 31 bits.
  const double ratio = std::ldexp(32767.0 / static_cast<double>(params.exp.c), -params.exp.n);
  int exponent = 0;
  std::frexp(ratio, &exponent);
  params.act16_shift = 31 - exponent;
  params.act16_multiplier = std::llrint(std::ldexp(ratio, params.act16_shift));
  if (params.act16_multiplier > INT32_MAX) {
    --params.act16_shift;
    params.act16_multiplier = std::llrint(std::ldexp(ratio, params.act16_shift));
  }
  return params;
}

void LowerAttention(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                    const AttentionRanges& ranges, Realise realise, Bundle& bundle) {
  AttentionLowering(model, block, plan, ranges, realise, bundle).Lower();
}

}  // namespace qsim
