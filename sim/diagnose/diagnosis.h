// What qsim diagnose finds: measurements, experiments, and the culprits whose repair was tried.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/diagnose/budget.h"
#include "sim/diagnose/finding.h"
#include "sim/diagnose/measurement.h"
#include "sim/diagnose/step_contributions.h"

namespace qsim::diagnose {

// A repair, carried out: QSNR in dB before and after it, at the output and of the step at fault.
struct RepairTrial {
  std::string text;
  std::vector<std::string> settings;  // empty where the bundle itself was changed
  double output_before = 0, output_after = 0;
  double own_before = 0, own_after = 0;
  bool worse = false;  // at the output: it counts as no repair, and the network stays without it
};

// A culprit: a suspicion that an experiment has confirmed.
struct Culprit {
  Cause cause = Cause::kUnexplained;
  std::string tensor;
  std::string text;
  std::vector<Evidence> evidence;
  RepairTrial trial;
  // The trial was the exact operation in the step's place: no repair is known.
  bool exact_instead = false;
};

// A grid that suits its tensors badly, in every block: a choice that costs, not a fault.
struct Cost {
  Cause cause = Cause::kUnexplained;
  std::string kind;  // the section that speaks of the tensors, without a block
  std::size_t tensors = 0;
  std::string worst;  // the tensor that has most of it
  std::string text;
  std::vector<Evidence> evidence;
  // QSNR at the output: as it is, and with these tensors exact.
  double before = 0, exact = 0;
  std::vector<RepairTrial> trials;  // the best first; empty: no setting helps
};

struct Diagnosis {
  std::string scope;
  std::string bundle;        // the directory; empty: of a fresh calibration
  Provenance made_of;        // the bundle's
  std::string weights_hash;  // of the model
  std::int64_t images = 0;
  bool tokens = false;  // they are sequences
  Measurement measured;
  std::vector<WeightLoss> weights;
  std::vector<StepContribution> effects;  // of the steps that were looked at, in order
  LossBudget budget;
  std::vector<Culprit> findings;  // the worst first
  std::vector<Cost> costs;        // of a network without culprits
  std::string by_chance;          // what may be chance, on so few values; empty: nothing
  double repaired_db = 0;         // QSNR at the output with every finding's repair
  bool healthy() const { return findings.empty(); }
  // Whether the bundle names other weights than the model has.
  bool OtherWeights() const {
    return !made_of.weights_hash.empty() && !weights_hash.empty() &&
           made_of.weights_hash != weights_hash;
  }
  // Whether most of the output's noise is clipped values.
  bool ClippingDominates() const;
};

struct DiagnoseOptions {
  std::string scope;
  std::string bundle;
  int threads = 1;
  // How a configuration becomes a bundle, for repairs that are settings. Empty where there is no
  // configuration.
  std::function<Bundle(const Config& config)> calibrate;
  // What is suspected of a network. Empty: nothing has a name, and culprits are kUnexplained.
  std::function<std::vector<Suspicion>(const DiagnosisSubject& subject, int threads)> recognise;
  // Products of all experiments together. Where every step would take more, only the steps that
  // lose most by themselves are looked at.
  double work = 1.5e11;
};

// Throws InputError where the bundle is not one of the model.
Diagnosis Diagnose(const DiagnosisSubject& subject, const DiagnoseOptions& options);

}  // namespace qsim::diagnose
