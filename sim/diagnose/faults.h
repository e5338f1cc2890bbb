// Faults planted on purpose, for demonstrations and to test a diagnosis: `--inject NAME[@TENSOR]`.
// A fault changes the configuration, the calibration inputs, or the bundle after its lowering,
// where it stands for a mistake in another tool's flow. The result is a valid program that computes
// something else than the model. docs/causes.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/bundle/bundle.h"
#include "sim/config/config.h"
#include "sim/inputs/manifest.h"
#include "sim/network/network.h"

namespace qsim::diagnose {

struct FaultInfo {
  std::string_view name;
  std::string_view text;  // what goes wrong, one line
};
// Every fault there is, in the order of the documentation.
const std::vector<FaultInfo>& KnownFaults();

class Faults {
 public:
  Faults() = default;
  // "clipping", "scale_mismatch@TENSOR". Throws InputError for an unknown name.
  explicit Faults(const std::vector<std::string>& words);

  bool empty() const { return faults_.empty(); }

  // Each in its turn, before and after the calibration. A fault that belongs to another turn does
  // nothing. Throw InputError for a tensor that does not exist or cannot have the fault.
  void PlantInConfig(const network::Network& model, Config& config) const;
  void PlantInCalibration(ModelInputs& inputs) const;
  // Also notes every fault in the bundle. `inputs` name the mean and deviation of the pixels.
  // Throws InputError where a fault changes nothing in this program.
  void PlantInBundle(const network::Network& model, const ModelInputs& inputs,
                     Bundle& bundle) const;

 private:
  struct Fault {
    std::size_t kind = 0;  // in KnownFaults()
    std::string tensor;    // empty: the usual victim
  };
  std::vector<Fault> faults_;
};

}  // namespace qsim::diagnose
