// What a subject's data say: every tensor of the float network against the grid that the bundle has
// for it, and single operations on the same inputs as they are and as they should be.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/diagnose/finding.h"

namespace qsim::diagnose {

// The float values of a tensor on its grid.
struct TensorUse {
  std::int64_t count = 0;
  std::int64_t high = 0, low = 0;  // clipped
  std::int64_t negative = 0;
  double signal = 0;
  double clipped = 0, rounded = 0;  // noise power of the elements that are, and of the others
  double mass = 0, lost = 0;        // sum of the magnitudes, and of those that become 0
  // Of each channel of the last axis.
  std::vector<double> channel_min, channel_max;
  double Min() const;
  double Max() const;
  double ClippedShare() const;
  double QsnrDb() const;
};

// One operation on inputs that are on their grids, against the exact one on the same inputs.
struct StepNoise {
  double signal = 0;
  double noise = 0;                // of the program's operation
  double remade = 0;               // of the operation as it should be
  double elements = 0, other = 0;  // how many there are, and how many the two have other codes of
};

// The input of a normalisation.
struct NormInput {
  std::vector<double> deviation;  // of each row, from its mean where the norm takes that away, in
                                  // steps of the input's scale
  double signal = 0;              // of the exact output
  double noise = 0;               // that the input's grid causes there
};

// A recurrence on inputs that are on their grids.
struct StateUse {
  std::int64_t updates = 0, clamped = 0;  // of elements of the state
  double peak = 0;                        // of the exact state, in steps of its grid
  std::int64_t decays = 0, kept = 0;      // of the exact ones: all, and those below 1 that become 1
};

struct Probe {
  std::map<std::string, TensorUse> tensors;  // narrow ones, by name
  std::map<std::string, StepNoise> steps;    // of the operations asked for
  std::map<std::string, NormInput> norms;    // by output
  std::map<std::string, StateUse> states;    // by the state's tensor
  std::map<std::string, std::vector<double>>
      column_power;  // mean square, of linear layers' inputs, by output
};

TensorUse UseOf(const FloatTensor& x, const Grid& grid);
void Merge(const TensorUse& from, TensorUse& to);

// `remade` is the subject's bundle with the operations `differing` (by output) as they should be;
// both may be empty. `inputs` are some of the model's.
Probe RunProbe(const DiagnosisSubject& subject, const ModelInputs& inputs, const Bundle& remade,
               const std::set<std::string>& differing, int threads);

}  // namespace qsim::diagnose
