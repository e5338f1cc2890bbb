// Emitting tensors, scales and the operations that several functions end in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/calibrate/lower/activation.h"
#include "sim/calibrate/lower/linear_quantizer.h"
#include "sim/semantics/multiplier.h"

namespace qsim {

class ProgramBuilder {
 public:
  ProgramBuilder(Bundle& bundle, const Hardware& hardware, const Numerics& numerics)
      : bundle_(bundle), hardware_(hardware), numerics_(numerics) {}

  bool power_of_two() const { return hardware_.requant == RequantMode::kPowerOfTwo; }
  Program& program() { return bundle_.program; }

  // ---- tensors ----
  void DefineTensor(const std::string& name, Shape shape, QuantRange range);
  void DefineAccumulator(const std::string& name, Shape shape);
  // A tensor with channels along its last axis, and its scale.
  void DefineActivation(const Activation& a, Shape shape);
  void SetScale(const std::string& name, ChannelAxis axis, std::vector<double> scale,
                std::vector<std::int32_t> zero);
  void Note(LoweringNote::Kind kind, const std::string& tensor, std::string text);

  // ---- operations ----
  // In the hardware's width, or within a scheme's limits.
  Multiplier MakeMultiplier(double r, const std::string& tensor, std::size_t channel) const;
  Multiplier MakeMultiplier(double r, const std::string& tensor, std::size_t channel,
                            const MultiplierLimits& limits) const;
  void Requantize(const std::string& output, const std::string& input, std::int64_t first_column,
                  ChannelAxis axis, const std::vector<double>& ratios,
                  const std::vector<std::int32_t>& zeros, std::int32_t input_zero);
  // A linear layer on `input`, whose per-channel scales move into the weights; of the first `rows`
  // rows (0: all). Fills request.name, bias_limit and input. Returns the accumulator's scale for
  // each output channel; the tap's own is that times `tap_factor`.
  std::vector<double> Linear(const std::string& name, const Activation& input, Shape shape,
                             LinearRequest request, const std::vector<double>& tap_factor,
                             std::int64_t rows);

 private:
  double BiasLimit() const;

  Bundle& bundle_;
  const Hardware& hardware_;
  const Numerics& numerics_;
};

}  // namespace qsim
