// The pieces that every part of a transformer is lowered from: choosing scales, and emitting
// tensors, operations, constants and scales into a bundle. Names are full tensor names
// ("blocks.0.norm1").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/linear_quantizer.h"
#include "sim/semantics/multiplier.h"
#include "sim/calibrate/observe/observer.h"
#include "sim/calibrate/plan/plan.h"
#include "sim/network/vit_model.h"

namespace qsim {

// A quantized tensor with one scale and zero point for each channel of its last axis (for scores:
// each head), expanded even where all are equal.
struct Activation {
  std::string name;
  QuantRange range;
  std::vector<double> scale;
  std::vector<std::int32_t> zero;
};

// One entry when all are equal, as they were otherwise.
template <typename T>
std::vector<T> Compressed(std::vector<T> values) {
  for (const T& v : values) {
    if (!(v == values.front())) return values;
  }
  values.resize(1);
  return values;
}

// Group values repeated for each of their channels.
template <typename T>
std::vector<T> Expanded(const std::vector<T>& groups, std::size_t channels) {
  std::vector<T> values(channels);
  for (std::size_t c = 0; c < channels; ++c) values[c] = groups[c * groups.size() / channels];
  return values;
}

class ProgramBuilder {
 public:
  ProgramBuilder(Bundle& bundle, const Hardware& hardware, const Numerics& numerics)
      : bundle_(bundle), hardware_(hardware), numerics_(numerics) {}

  bool power_of_two() const { return hardware_.requant == RequantMode::kPowerOfTwo; }
  const Hardware& hardware() const { return hardware_; }
  const Numerics& numerics() const { return numerics_; }
  Bundle& bundle() { return bundle_; }
  Program& program() { return bundle_.program; }

  // ---- tensors ----
  void DefineTensor(const std::string& name, Shape shape, QuantRange range);
  void DefineAccumulator(const std::string& name, Shape shape);
  // A [tokens, channels] tensor with its scale.
  void DefineActivation(const Activation& a, std::int64_t tokens);
  void SetScale(const std::string& name, ChannelAxis axis, std::vector<double> scale,
                std::vector<std::int32_t> zero);
  void Note(LoweringNote::Kind kind, const std::string& tensor, std::string text);

  // ---- choosing scales ----
  // From observed ranges, one for each group of channels; in power-of-two mode every scale is unit
  // * 2^n.
  Activation Choose(const std::string& name, const Section& section,
                    const std::vector<RealRange>& ranges, std::size_t channels,
                    std::optional<double> unit = std::nullopt);
  // For the residual stream; channel_wise: factors 1, 2, ... 128 over a common base.
  Activation ChooseStream(const std::string& name, const Section& section,
                          const std::vector<RealRange>& ranges, std::size_t channels,
                          std::optional<double> unit = std::nullopt);
  // The array's second operand is int8: unsigned codes are stored minus half their range.
  static void Recentre(Activation& a);

  // ---- operations ----
  // In the hardware's width, or within a scheme's limits.
  Multiplier MakeMultiplier(double r, const std::string& tensor, std::size_t channel) const;
  Multiplier MakeMultiplier(double r, const std::string& tensor, std::size_t channel,
                            const MultiplierLimits& limits) const;
  void Requantize(const std::string& output, const std::string& input, std::int64_t first_column,
                  ChannelAxis axis, const std::vector<double>& ratios,
                  const std::vector<std::int32_t>& zeros, std::int32_t input_zero);
  // A linear layer on `input`, whose per-channel scales move into the weights. Fills request.name,
  // bias_limit and input. Returns the accumulator's scale for each row; the tap's own is that times
  // `tap_factor`.
  std::vector<double> Linear(const std::string& name, const Activation& input, std::int64_t tokens,
                             LinearRequest request, const std::vector<double>& tap_factor);
  // The one scale that is left of an input whose per-channel scales are absorbed.
  static double AbsorbedScale(const Activation& input);
  // A narrow step behind a linear layer: `output_quant_enable`, or the input of a GELU.
  Activation OutputQuant(const std::string& layer, const Section& section,
                         const std::vector<RealRange>& ranges, const std::vector<double>& acc_scale,
                         const std::vector<double>& tap_factor, std::int64_t tokens,
                         std::optional<double> unit = std::nullopt);
  Activation Layernorm(const std::string& name, const Norm& norm, const Section& section,
                       const std::vector<RealRange>& ranges, const Activation& input,
                       std::int64_t tokens);

  // x + linear(input) in the residual stream.
  struct StreamAdd {
    std::string layer;  // "blocks.0.attn_proj"
    const ::qsim::Linear* weights = nullptr;
    Section weight_section;
    std::int64_t row_groups = 1;
    Section output_section;  // its optional int8 step
    std::vector<RealRange> output_ranges;
    std::string output;  // "blocks.0.residual1"
    Section stream_section;
    std::vector<RealRange> stream_ranges;
  };
  Activation AddToStream(const StreamAdd& add, const Activation& input, const Activation& stream,
                         std::int64_t tokens);

 private:
  double BiasLimit() const;
  void WarnClippedNegatives(const std::string& name, const Section& section,
                            const std::vector<RealRange>& ranges);
  std::vector<double> EffectiveGamma(const std::string& name, const Norm& norm, double unit);
  // The constants of one kind of layer norm: completes `out`, which has its name and range, and
  // `op`, which has its tensors and kind. `range` has one entry per channel.
  void RootOfSumLayernorm(const Norm& norm, const Section& section,
                          const std::vector<RealRange>& range, const Activation& input,
                          Activation& out, LayernormOp& op);
  void DeeployLayernorm(const Norm& norm, const Section& section,
                        const std::vector<RealRange>& range, const Activation& input,
                        Activation& out, LayernormOp& op);

  Bundle& bundle_;
  const Hardware& hardware_;
  const Numerics& numerics_;
};

// Equal groups of rows that share one weight scale: `layer` of them, `heads`, or one for each row.
std::int64_t RowGroups(const Section& weight, std::int64_t layer, std::int64_t heads,
                       std::int64_t rows);

}  // namespace qsim
