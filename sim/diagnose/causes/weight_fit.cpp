#include "sim/diagnose/causes/weight_fit.h"

#include <algorithm>
#include <cmath>

#include "golden/program/queries.h"

namespace qsim::diagnose {

WeightFit::WeightFit(const Bundle& bundle, const std::string& output, const network::Linear& layer,
                     const std::vector<double>& column_power)
    : layer_(layer), depth_(static_cast<std::size_t>(layer.in_features())) {
  const auto rows = layer.bias.size();
  const LinearOperands op = *LinearOperandsOf(*ProducerOf(bundle.program, output));
  const auto& codes = bundle.program.Constant(op.weight).As<std::int8_t>();
  const auto& bias = bundle.program.Constant(op.bias).As<std::int32_t>();
  const Activation in = StatedActivation(bundle, op.input);
  column_scale_ = in.scale;
  row_scale_ = StatedActivation(bundle, output).scale;
  double power_sum = 0;
  for (const double p : column_power) power_sum += p;
  const auto count = static_cast<double>(depth_);
  for (std::size_t n = 0; n < rows; ++n) {
    double input_zeros = 0;
    RowFit fit;
    for (std::size_t k = 0; k < depth_; ++k) {
      codes_.push_back(static_cast<double>(codes[n * depth_ + k] - op.WeightZero(n)));
      input_zeros += static_cast<double>(in.zero[k]) * codes_.back();
      const double w = Weight(n, k);
      const double e = InPlace(n, k);
      // Relative, so that a bias can be counted beside it.
      const double p = power_sum > 0 ? column_power[k] / power_sum * count : 1;
      fit.exact += p * w * w;
      fit.both += p * w * e;
      fit.in_place += p * e * e;
    }
    rows_.push_back(fit);
    input_zeros_.push_back(input_zeros);
    bias_.push_back(row_scale_[n] * (static_cast<double>(bias[n]) + input_zeros));
    signal_ += fit.exact;
    noise_ += fit.Noise();
    noise_alone_ += fit.NoiseAlone();
  }
  mean_energy_ = signal_ / static_cast<double>(rows);
  // A row's output is the sum of `depth` products whose inputs have the mean power over the
  // columns.
  const double mean_power = power_sum / count;
  for (std::size_t n = 0; n < rows; ++n) {
    const double off = bias_[n] - Bias(n);
    if (mean_power > 0) bias_noise_ += off * off / mean_power;
  }
}

double WeightFit::LargestCode(std::size_t n) const {
  double largest = 0;
  for (std::size_t k = 0; k < depth_; ++k) largest = std::max(largest, std::fabs(Code(n, k)));
  return largest;
}

Lines WeightFit::Rows(bool in_place) const {
  Lines lines{{}, depth_};
  for (std::size_t n = 0; n < rows(); ++n) {
    for (std::size_t k = 0; k < depth_; ++k)
      lines.values.push_back(in_place ? InPlace(n, k) : Weight(n, k));
  }
  return lines;
}

Lines WeightFit::Columns(bool in_place) const {
  Lines lines{{}, rows()};
  for (std::size_t k = 0; k < depth_; ++k) {
    for (std::size_t n = 0; n < rows(); ++n)
      lines.values.push_back(in_place ? InPlace(n, k) : Weight(n, k));
  }
  return lines;
}

}  // namespace qsim::diagnose
