#include <algorithm>
#include <cmath>

#include "sim/calibrate/dequantize.h"
#include "sim/calibrate/step_reference.h"
#include "sim/diagnose/grid.h"
#include "sim/diagnose/taps.h"

namespace qsim {
namespace {

// Where Q or K has a scale for each channel, their rows of the weights are divided by factors that
// cancel in the product; the accumulator's scale holds them. 1 for every other row.
double RowFactor(const Bundle& bundle, const GemmOp& gemm, double input_scale, std::size_t row,
                 std::size_t rows) {
  const std::size_t third = rows / 3;
  if (!gemm.output.ends_with(".attn_qkv") || row >= 2 * third) return 1;
  const Grid out(bundle.program.Tensor(gemm.output), bundle.scales.at(gemm.output));
  const TensorScale& scale = bundle.scales.at(gemm.weight);
  const auto factor = [&](std::size_t r) {
    return out.ScaleAt(r) / (scale.scale[scale.scale.size() == 1 ? 0 : r] * input_scale);
  };
  const double here = factor(row);
  const double there = factor(row < third ? row + third : row - third);
  return std::abs(here * there - 1) < 1e-6 ? here : 1;
}

WeightLoss LossOf(const Bundle& bundle, const Linear& layer, const GemmOp& gemm,
                  const std::vector<double>& stddev) {
  const IntTensor& codes = bundle.program.Constant(gemm.weight);
  const std::vector<double> real = Dequantize(codes, bundle.scales.at(gemm.weight));
  const Grid in(bundle.program.Tensor(gemm.input), bundle.scales.at(gemm.input));
  const auto rows = static_cast<std::size_t>(codes.shape()[0]);
  const auto depth = static_cast<std::size_t>(codes.shape()[1]);
  double input_scale = 0;
  for (std::size_t k = 0; k < depth; ++k) input_scale = std::max(input_scale, in.ScaleAt(k));
  WeightLoss loss;
  loss.tensor = gemm.weight;
  const bool pixels = gemm.output == "patch_embed" && !stddev.empty();
  for (std::size_t n = 0; n < rows; ++n) {
    const double row_factor = RowFactor(bundle, gemm, input_scale, n, rows);
    for (std::size_t k = 0; k < depth; ++k) {
      const std::size_t i = n * depth + k;
      double exact = static_cast<double>(layer.weight.data[i]);
      if (pixels) exact /= stddev[k / (depth / stddev.size())];
      const double integer = real[i] * input_scale / in.ScaleAt(k) * row_factor;
      loss.own.Add(exact, integer - exact);
      loss.exact = {std::min(loss.exact.min, exact), std::max(loss.exact.max, exact)};
      loss.integer = {std::min(loss.integer.min, integer), std::max(loss.integer.max, integer)};
    }
  }
  return loss;
}

}  // namespace

std::vector<WeightLoss> MeasureWeights(const Bundle& bundle, const VitModel& model,
                                       const ModelInputs& inputs) {
  const auto* images = std::get_if<ImageInputs>(&inputs.data);
  const std::vector<double> stddev = images != nullptr ? images->stddev : std::vector<double>{};
  const StepReference reference(bundle, model, {}, {});
  std::vector<WeightLoss> losses;
  for (const Op& op : bundle.program.ops) {
    const auto* gemm = std::get_if<GemmOp>(&op);
    if (gemm == nullptr) continue;
    losses.push_back(LossOf(bundle, *reference.LinearOf(gemm->output), *gemm, stddev));
  }
  return losses;
}

}  // namespace qsim
