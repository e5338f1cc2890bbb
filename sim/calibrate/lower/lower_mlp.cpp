#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/semantics/gelu_lowering.h"
#include "sim/calibrate/lower/lowering.h"
#include "sim/semantics/multiplier.h"

namespace qsim {
Activation LowerMlp(const VitModel& model, std::int64_t block, const MlpPlan& plan,
                    const MlpRanges& ranges, const Activation& residual1, Bundle& bundle) {
  const VitGeometry& g = model.geometry;
  const BlockWeights& weights = model.blocks[static_cast<std::size_t>(block)];
  const std::string prefix = fmt::format("blocks.{}.", block);
  ProgramBuilder builder(bundle, plan.hardware, plan.numerics);
  const Activation norm2 = builder.Layernorm(prefix + "norm2", weights.norm2, plan.norm2,
                                             ranges.norm2, residual1, g.tokens);
  LinearRequest fc1;
  fc1.weight = weights.fc1.weight;
  fc1.bias = weights.fc1.bias;
  fc1.section = plan.fc1_weight;
  const std::int64_t hidden = weights.fc1.out_features();
  fc1.row_groups = RowGroups(plan.fc1_weight, 1, 1, hidden);
  const std::vector<double> ones(static_cast<std::size_t>(hidden), 1.0);
  if (builder.power_of_two()) {
    fc1.adjust = [&](std::int64_t, double observed) {
      const double output =
          QuantizationOf(ranges.fc1[0], RangeOf(plan.fc1_output), plan.fc1_output.has_zero_point)
              .scale;
      return SnapUp(observed, output / ProgramBuilder::AbsorbedScale(norm2));
    };
  }
  const std::vector<double> acc_scale =
      builder.Linear(prefix + "mlp_fc1", norm2, g.tokens, std::move(fc1), ones);
  const Activation input = builder.OutputQuant(prefix + "mlp_fc1", plan.fc1_output, ranges.fc1,
                                               acc_scale, ones, g.tokens);

  Activation gelu =
      builder.Choose(prefix + "mlp_gelu", plan.gelu, ranges.gelu, static_cast<std::size_t>(hidden));
  GeluOp op;
  op.output = gelu.name;
  op.input = input.name;
  op.kind = plan.numerics.gelu;
  if (op.kind == GeluKind::kTable) {
    op.table = GeluTable({input.scale[0], input.zero[0]}, input.range,
                         {gelu.scale[0], gelu.zero[0]}, gelu.range);
  } else {
    op.input_zero = input.zero[0];
    // ita brings its own last rounding.
    if (op.kind != GeluKind::kIta) op.rounding = plan.numerics.requantize.rounding;
    const double y_scale = SetGeluConstants(input.scale[0], op);
    if (builder.power_of_two()) {
      const double unit = std::fabs(y_scale);
      for (double& s : gelu.scale) s = SnapUp(s, unit);
      for (std::int32_t& z : gelu.zero) {
        z = ZeroPointFor(ranges.gelu[0], gelu.scale[0], gelu.range, plan.gelu.has_zero_point);
      }
    }
    op.scale = builder.MakeMultiplier(y_scale / gelu.scale[0], gelu.name, 0);
    op.zero = gelu.zero[0];
  }
  builder.DefineActivation(gelu, g.tokens);
  builder.program().ops.emplace_back(std::move(op));

  ProgramBuilder::StreamAdd add;
  add.layer = prefix + "mlp_fc2";
  add.weights = &weights.fc2;
  add.weight_section = plan.fc2_weight;
  add.row_groups = RowGroups(plan.fc2_weight, 1, 1, g.dim);
  add.output_section = plan.fc2_output;
  add.output_ranges = ranges.fc2_output;
  add.output = prefix + "residual2";
  add.stream_section = plan.residual2;
  add.stream_ranges = ranges.residual2;
  return builder.AddToStream(add, gelu, residual1, g.tokens);
}

}  // namespace qsim
