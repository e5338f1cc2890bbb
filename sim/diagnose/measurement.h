// What every step loses by itself, and what has been lost where it stands.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/output_power.h"
#include "sim/diagnose/steps.h"
#include "sim/semantics/mixed.h"

namespace qsim::diagnose {

struct Span {
  double min = 0;
  double max = 0;
};

// One step over all inputs.
struct TensorLoss {
  std::string tensor;
  bool accumulator = false;  // a linear layer's int32 output: what it loses, its weights lose
  Span exact, integer;       // real values in the float and in the integer network
  Power own;                 // golden against exact, both on the float network's values, quantized
  Power in_place;            // golden network against float network
  // The noise that a range taken from these very values would leave in these bits. What is far
  // above it is more than bits can explain.
  double expected_noise = 0;
  std::vector<Power> own_by_head, in_place_by_head;  // empty where there are no heads
  double OwnDb() const { return Decibel(own.Ratio()); }
  double InPlaceDb() const { return Decibel(in_place.Ratio()); }
  // How much more noise than expected, in dB.
  double ExcessDb() const;
};

// A linear layer's weights as integers, by themselves: each output channel with the scale that fits
// its codes best, whatever scale the flow reads them with.
struct WeightLoss {
  std::string tensor;  // the constant of the program
  Span exact, integer;
  Power own;
};

struct Measurement {
  std::vector<TensorLoss> taps;  // one for each step, in order
  OutputPower output;            // of the integer network
  OutputPower exact;             // of the float network: no noise, but its classes
  const TensorLoss* Find(const std::string& tensor) const;
};

Measurement Measure(const BaseRuns& runs, const ModelInputs& inputs, int threads);

// What one step loses by itself, as TensorLoss::own.
Power OwnLoss(const BaseRuns& runs, const Step& step, int threads);
// The output of the integer network alone, or with something exact in it; `floats` are runs of a
// network with the same outputs.
OutputPower MeasureOutput(const MixedExecutor& network, const BaseRuns& floats,
                          const ModelInputs& inputs, int threads,
                          Exactness exact = Exactness::Golden());

// One weight of a layer; of pixels as they are, where the network has them normalised.
double WeightOnPixels(const FloatTensor& weight, std::size_t element, const ImageInputs* pixels);

// The weights of every linear layer of the program.
std::vector<WeightLoss> MeasureWeights(const MixedExecutor& network);

}  // namespace qsim::diagnose
