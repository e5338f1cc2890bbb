// The first phase of lowering: a grid for every tensor that has one, from what was observed and
// from what the operations around it ask. docs/architecture.md, "What a granularity means in
// integers".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/calibrate/lower/activation.h"
#include "sim/calibrate/observe/observations.h"
#include "sim/calibrate/plan/plan.h"

namespace qsim {

struct Grids {
  std::map<std::string, Activation> of;  // by node
  // By Softmax node, one for each head: the exponential's constants fix the scale of the scores.
  std::map<std::string, std::vector<SoftmaxParams>> softmax;

  const Activation& At(const std::string& node) const { return of.at(node); }
  const Activation* Find(const std::string& node) const {
    const auto found = of.find(node);
    return found == of.end() ? nullptr : &found->second;
  }
};

// In the network's order; where two grids depend on each other, the node says which gives way.
// Notes are appended. Throws InputError naming tensor and section for a request that no grid can
// satisfy.
Grids ChooseGrids(const Plan& plan, const Observations& observations, Realise realise,
                  std::vector<LoweringNote>& notes);

// I-BERT's y has the real scale sqrt(C) / 2^30 * gamma. A (nearly) dead gamma is raised until the
// bias, counted in that scale, fits: `raised`, if not null, receives the channels.
double LayernormUnit(std::size_t channels);
std::vector<double> EffectiveGamma(const network::Norm& norm, double unit,
                                   std::vector<std::size_t>* raised = nullptr);

}  // namespace qsim
