// The network under diagnosis as it stands, with the repairs so far, and what one more would do.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/diagnose/base_runs.h"
#include "sim/diagnose/diagnosis.h"

namespace qsim::diagnose {

// A repair that was carried out, and the network with it.
struct Candidate {
  Culprit finding;
  Bundle bundle;
  std::optional<Config> config;
  std::function<void(Bundle&)> change;
};

class Bench {
 public:
  Bench(const DiagnosisSubject& subject, const Measurement& measured,
        const DiagnoseOptions& options);

  // The network as it stands.
  DiagnosisSubject Current() const;
  const Bundle& bundle() const { return bundle_; }
  const MixedExecutor& network() const { return runs_->network(); }
  const Measurement& measured() const { return measured_; }
  const DiagnoseOptions& options() const { return options_; }
  const network::Network& model() const { return subject_.model; }
  const ModelInputs& inputs() const { return subject_.inputs; }

  // The network with a repair of what computes `tensor`; nothing where it cannot be carried out, of
  // which `why` then says the reason where it has one.
  std::optional<Candidate> Try(const Repair& repair, const std::string& tensor,
                               std::string* why = nullptr) const;
  // The network is the repaired one from here on.
  void Accept(Candidate candidate);

  // The step that computes a tensor: products are steps together with their requantization.
  std::string StepOf(const std::string& tensor) const;
  std::optional<Step> StepIn(const std::string& tensor) const;
  const TensorLoss* LossOf(const std::string& tensor) const {
    return measured_.Find(StepOf(tensor));
  }
  // The effects of one step in the network as it is; nothing for a tensor that is no step.
  std::optional<StepContribution> EffectOf(const std::string& tensor) const;
  // Whether most of the output's noise is a step's own.
  bool Dominates(const StepContribution& effect) const;

 private:
  const DiagnosisSubject& subject_;
  const DiagnoseOptions& options_;
  Bundle bundle_;
  std::unique_ptr<const MixedExecutor> network_;  // of a repaired bundle
  std::unique_ptr<const BaseRuns> own_runs_;
  const BaseRuns* runs_;  // of the network as it is
  Measurement measured_;
  bool clipping_dominates_;  // in the network as it is
  std::optional<Config> config_;
  std::vector<std::function<void(Bundle&)>> changes_;  // repairs of the bundle so far
};

}  // namespace qsim::diagnose
