#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/calibrate/lower/lowering.h"
#include "sim/semantics/multiplier.h"

namespace qsim {

LinearRequest FoldedPatchEmbedding(const VitModel& model, const std::vector<double>& mean,
                                   const std::vector<double>& stddev) {
  const Linear& layer = model.patch_embed;
  const auto depth = static_cast<std::size_t>(layer.in_features());
  const auto per_channel = static_cast<std::size_t>(model.geometry.patch * model.geometry.patch);
  LinearRequest request;
  request.weight = layer.weight;
  request.bias = layer.bias;
  for (std::size_t n = 0; n < request.bias.size(); ++n) {
    double bias = static_cast<double>(layer.bias[n]);
    for (std::size_t i = 0; i < depth; ++i) {
      const std::size_t c = i / per_channel;
      const double w = static_cast<double>(layer.weight.data[n * depth + i]) / stddev[c];
      request.weight.data[n * depth + i] = static_cast<float>(w);
      bias -= w * mean[c];
    }
    request.bias[n] = static_cast<float>(bias);
  }
  return request;
}

IntTensor PositionCodes(const VitModel& model, const Activation& embed) {
  const VitGeometry& g = model.geometry;
  IntTensor codes(DType::kInt32, {g.tokens, g.dim});
  std::vector<std::int32_t>& values = codes.As<std::int32_t>();
  constexpr QuantRange kWide = {-65535, 65535};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t c = i % static_cast<std::size_t>(g.dim);
    const bool class_row = i < static_cast<std::size_t>(g.dim);
    double x = static_cast<double>(model.pos_embed.data[i]);
    if (class_row) x += static_cast<double>(model.cls_token[c]);
    const Quantization q = {embed.scale[c], class_row ? embed.zero[c] : 0};
    values[i] = Quantize(x, q, class_row ? embed.range : kWide);
  }
  return codes;
}

Activation LowerEmbedding(const VitModel& model, const EndsPlan& plan,
                          const std::vector<RealRange>& embed_ranges,
                          const std::vector<double>& mean, const std::vector<double>& stddev,
                          Bundle& bundle) {
  const VitGeometry& g = model.geometry;
  const auto channels = static_cast<std::size_t>(g.dim);
  ProgramBuilder builder(bundle, plan.hardware, plan.numerics);
  Activation embed = builder.ChooseStream("embed", plan.embed, embed_ranges, channels);
  if (mean.empty()) {
    builder.DefineActivation(embed, g.tokens);
    builder.program().inputs.push_back(embed.name);
    return embed;
  }

  constexpr QuantRange kPixels = {0, 255};
  builder.DefineTensor("image", {g.image_channels, g.image_size, g.image_size}, kPixels);
  builder.SetScale("image", ChannelAxis::kNone, {1.0 / 255}, {0});
  builder.program().inputs.emplace_back("image");
  const auto depth = static_cast<std::size_t>(model.patch_embed.in_features());
  Activation patches;
  patches.name = "patches";
  patches.range = kPixels;
  patches.scale.assign(depth, 1.0 / 255);
  patches.zero.assign(depth, 0);
  builder.DefineActivation(patches, g.tokens - 1);
  PatchifyOp patchify;
  patchify.output = patches.name;
  patchify.input = "image";
  patchify.patch = g.patch;
  builder.program().ops.emplace_back(std::move(patchify));

  LinearRequest request = FoldedPatchEmbedding(model, mean, stddev);
  request.section = plan.patch_weight;
  request.row_groups = RowGroups(plan.patch_weight, 1, 1, g.dim);
  // Positions and patches share one shift: a nearly dead channel must keep a few bits of
  // multiplier.
  const double least = std::ldexp(1.0, 4 - plan.hardware.multiplier_bits);
  request.adjust = [&](std::int64_t row, double observed) {
    const double unit = embed.scale[static_cast<std::size_t>(row)] * 255;
    const double scale = std::max(observed, least * unit);
    if (scale > observed) {
      builder.Note(LoweringNote::Kind::kRaisedScale, "patch_embed",
                   fmt::format("output channel {}: weight scale raised from {:.3g} to {:.3g}, so "
                               "that its multiplier keeps a few bits beside the positions' (a "
                               "nearly dead channel)",
                               row, observed, scale));
    }
    return builder.power_of_two() ? SnapUp(scale, unit) : scale;
  };
  std::vector<double> ratios = builder.Linear(
      "patch_embed", patches, g.tokens - 1, std::move(request), std::vector<double>(channels, 1.0));
  for (std::size_t c = 0; c < channels; ++c) ratios[c] /= embed.scale[c];
  ratios.push_back(1.0);
  const CommonShift common = CommonShiftFor(ratios, plan.hardware.multiplier_bits, "embed");
  EmbedOp op;
  op.output = embed.name;
  op.a = "patch_embed";
  op.position = "embed.position";
  op.a_multiplier = Compressed(
      std::vector<std::int32_t>(common.multipliers.begin(), common.multipliers.end() - 1));
  op.b_multiplier = common.multipliers.back();
  op.shift = common.shift;
  op.out_zero = embed.zero[0];
  op.rounding = plan.numerics.residual_add;
  builder.program().constants[op.position] = PositionCodes(model, embed);
  builder.DefineActivation(embed, g.tokens);
  builder.program().ops.emplace_back(std::move(op));
  return embed;
}

void LowerHead(const VitModel& model, const EndsPlan& plan, const HeadRanges& ranges,
               const Activation& stream, Bundle& bundle) {
  const VitGeometry& g = model.geometry;
  ProgramBuilder builder(bundle, plan.hardware, plan.numerics);
  const Activation norm =
      builder.Layernorm("norm", model.norm, plan.norm, ranges.norm, stream, g.tokens);
  const auto classes = static_cast<std::size_t>(g.classes);
  const Activation logits = builder.Choose("logits", LogitsSection(), ranges.logits, classes);
  LinearRequest request;
  request.weight = model.head.weight;
  request.bias = model.head.bias;
  request.section = plan.head_weight;
  request.row_groups = RowGroups(plan.head_weight, 1, 1, g.classes);
  if (builder.power_of_two()) {
    request.adjust = [&](std::int64_t, double observed) {
      return SnapUp(observed, logits.scale[0] / ProgramBuilder::AbsorbedScale(norm));
    };
  }
  std::vector<double> ratios =
      builder.Linear("head", norm, 1, std::move(request), std::vector<double>(classes, 1.0));
  // Only the class token reaches the head.
  std::get<GemmOp>(builder.program().ops.back()).rows = 1;
  for (double& r : ratios) r /= logits.scale[0];
  builder.DefineActivation(logits, 1);
  builder.Requantize(logits.name, "head", 0, ChannelAxis::kLast, ratios, logits.zero, 0);
}

}  // namespace qsim
