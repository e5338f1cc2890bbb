#include "sim/calibrate/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/calibrate/multiplier.h"
#include "sim/calibrate/program_builder.h"
#include "sim/error.h"

namespace qsim {
namespace {

constexpr double kLn2 = 0.6931;  // as published, not the exact logarithm

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
        builder_(bundle, plan.hardware, plan.numerics) {}

  Activation Lower(const Activation* chained) {
    const Activation stream = chained != nullptr ? *chained : LowerInput();
    norm1_ = builder_.Layernorm(prefix_ + "norm1", weights_.norm1, plan_.norm1, ranges_.norm1,
                                stream, g_.tokens);
    ChooseQkvScales();
    LowerQkv();
    LowerScores();
    LowerSoftmax();
    LowerAttentionOutput();
    return LowerProjection(stream);
  }

 private:
  Shape ScoreShape() const { return {g_.heads, g_.tokens, g_.tokens}; }

  Activation LowerInput() {
    Activation input =
        builder_.ChooseStream(prefix_ + "input", plan_.input, ranges_.input, channels_);
    builder_.DefineActivation(input, g_.tokens);
    builder_.program().inputs.push_back(input.name);
    return input;
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
    builder_.Note(LoweringNote::Kind::kSubstitution, prefix_ + "attn_kv_out",
                  problem + ": clipped");
    return 1;
  }

  void ChooseQkvScales() {
    k_ = builder_.Choose(prefix_ + "attn_k_out", plan_.k, ranges_.k, channels_);
    v_ = builder_.Choose(prefix_ + "attn_v_input", plan_.v, ranges_.v, channels_);
    scores_.name = prefix_ + "attn_kv_out";
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
    q_ = builder_.Choose(prefix_ + "attn_q_out", plan_.q, ranges_.q, channels_);
    if (builder_.power_of_two()) SnapQToScores();
    ProgramBuilder::Recentre(k_);
    ProgramBuilder::Recentre(v_);
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
      builder_.Note(LoweringNote::Kind::kInfo, q_.name,
                    "requant: power_of_two with head_wise scores makes the scale per head");
    }
  }

  void LowerQkv() {
    LinearRequest request;
    request.weight = weights_.qkv.weight;
    request.bias = weights_.qkv.bias;
    request.section = plan_.qkv_weight;
    request.row_groups = RowGroups(plan_.qkv_weight, 3, 3 * g_.heads, 3 * g_.dim);
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
    if (builder_.power_of_two()) {
      request.adjust = [&, input_scale = ProgramBuilder::AbsorbedScale(norm1_)](std::int64_t row,
                                                                                double observed) {
        const auto r = static_cast<std::size_t>(row);
        const Activation& target = r < channels_ ? q_ : r < 2 * channels_ ? k_ : v_;
        return SnapUp(observed, target.scale[r % channels_] / input_scale);
      };
    }
    std::string source = prefix_ + "attn_qkv";
    std::vector<double> source_scale =
        builder_.Linear(source, norm1_, g_.tokens, std::move(request), tap_factor);
    std::int32_t source_zero = 0;
    if (plan_.qkv_output.output_quant_enable) {
      const Activation quant = builder_.OutputQuant(source, plan_.qkv_output, ranges_.qkv_output,
                                                    source_scale, tap_factor, g_.tokens);
      source = quant.name;
      source_scale = quant.scale;
      source_zero = quant.zero[0];
    }
    const Activation* parts[] = {&q_, &k_, &v_};
    for (std::size_t p = 0; p < 3; ++p) {
      Activation part = *parts[p];
      std::vector<double> ratios;
      for (std::size_t c = 0; c < channels_; ++c) {
        const std::size_t row = p * channels_ + c;
        ratios.push_back(source_scale[row] / part.scale[c]);
        part.scale[c] *= tap_factor[row];
      }
      builder_.DefineActivation(part, g_.tokens);
      builder_.Requantize(part.name, source, static_cast<std::int64_t>(p * channels_),
                          ChannelAxis::kLast, ratios, part.zero, source_zero);
    }
  }

  void LowerScores() {
    const std::size_t head_dim = channels_ / heads_;
    MatmulOp op;
    op.output = prefix_ + "attn_kv_out.acc";
    op.lhs = q_.name;
    op.rhs = k_.name;
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
    builder_.DefineAccumulator(prefix_ + "attn_kv_out.acc", ScoreShape());
    builder_.SetScale(prefix_ + "attn_kv_out.acc", ChannelAxis::kFirst, acc_scale,
                      std::vector<std::int32_t>(heads_, 0));
    builder_.program().ops.emplace_back(std::move(op));
    builder_.DefineTensor(scores_.name, ScoreShape(), scores_.range);
    builder_.SetScale(scores_.name, ChannelAxis::kFirst, scores_.scale, scores_.zero);
    builder_.Requantize(scores_.name, prefix_ + "attn_kv_out.acc", 0, ChannelAxis::kFirst, ratios,
                        scores_.zero, 0);
  }

  void LowerSoftmax() {
    const auto least = std::min_element(ranges_.softmax_error.begin(), ranges_.softmax_error.end());
    const int extra_bits = plan_.softmax_kind == SoftmaxKind::kIbertRn
                               ? static_cast<int>(least - ranges_.softmax_error.begin())
                               : 0;
    SoftmaxOp op;
    op.output = prefix_ + "intSoft";
    op.input = scores_.name;
    for (const std::int32_t k : softmax_k_) {
      op.params.push_back(SoftmaxParamsFor(plan_.softmax_kind, k, extra_bits));
    }
    op.params = Compressed(std::move(op.params));
    builder_.program().ops.emplace_back(std::move(op));
    const bool log2 = plan_.softmax_kind == SoftmaxKind::kLogInt;
    // uint8 whatever the range: shift mode reads codes as the array's unsigned left operand.
    builder_.program().tensors.push_back(
        {prefix_ + "intSoft", ScoreShape(), DType::kUint8, {0, log2 ? 16 : 255}});
    // The array sees a log2 code c as 2^(15 - c).
    softmax_scale_ = std::ldexp(1.0, log2 ? -15 : -(8 + extra_bits));
    TensorScale& scale = builder_.bundle().scales[prefix_ + "intSoft"];
    scale.kind = log2 ? TensorScale::Kind::kLog2 : TensorScale::Kind::kLinear;
    scale.scale = {log2 ? 1.0 : softmax_scale_};
    scale.zero = {0};
  }

  void LowerAttentionOutput() {
    MatmulOp op;
    op.output = prefix_ + "attn_v_out.acc";
    op.lhs = prefix_ + "intSoft";
    op.rhs = v_.name;
    op.heads = static_cast<int>(g_.heads);
    op.mode =
        plan_.softmax_kind == SoftmaxKind::kLogInt ? OperandMode::kShift : OperandMode::kMultiply;
    op.lhs_zero = {0};
    op.rhs_zero = Compressed(v_.zero);
    op.acc = plan_.hardware.acc;
    builder_.DefineAccumulator(prefix_ + "attn_v_out.acc", Shape{g_.tokens, g_.dim});
    builder_.program().ops.emplace_back(std::move(op));
    attention_ = builder_.Choose(prefix_ + "attn_v_out", plan_.attention, ranges_.attention,
                                 channels_, v_.scale[0]);
    std::vector<double> acc_scale = v_.scale;
    std::vector<double> ratios;
    for (std::size_t c = 0; c < channels_; ++c) {
      acc_scale[c] *= softmax_scale_;
      ratios.push_back(acc_scale[c] / attention_.scale[c]);
    }
    builder_.SetScale(prefix_ + "attn_v_out.acc", ChannelAxis::kLast, acc_scale,
                      std::vector<std::int32_t>(channels_, 0));
    builder_.DefineActivation(attention_, g_.tokens);
    builder_.Requantize(attention_.name, prefix_ + "attn_v_out.acc", 0, ChannelAxis::kLast, ratios,
                        attention_.zero, 0);
  }

  Activation LowerProjection(const Activation& stream) {
    ProgramBuilder::StreamAdd add;
    add.layer = prefix_ + "attn_proj";
    add.weights = &weights_.proj;
    add.weight_section = plan_.proj_weight;
    add.row_groups = RowGroups(plan_.proj_weight, 1, g_.heads, g_.dim);
    add.output_section = plan_.proj_output;
    add.output_ranges = ranges_.proj_output;
    add.output = prefix_ + "residual1";
    add.stream_section = plan_.residual1;
    add.stream_ranges = ranges_.residual1;
    return builder_.AddToStream(add, attention_, stream, g_.tokens);
  }

  const VitGeometry& g_;
  const BlockWeights& weights_;
  std::string prefix_;
  std::size_t channels_;
  std::size_t heads_;
  const AttentionPlan& plan_;
  const AttentionRanges& ranges_;
  Realise realise_;
  ProgramBuilder builder_;

  Activation norm1_, q_, k_, v_, scores_, attention_;
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

Activation LowerAttention(const VitModel& model, std::int64_t block, const AttentionPlan& plan,
                          const AttentionRanges& ranges, Realise realise, Bundle& bundle,
                          const Activation* stream) {
  return AttentionLowering(model, block, plan, ranges, realise, bundle).Lower(stream);
}

}  // namespace qsim
