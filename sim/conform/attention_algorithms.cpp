// Whole attention blocks, each imported as a program.
#include <array>

#include "sim/conform/algorithms.h"
#include "sim/conform/step_program.h"

namespace qsim::conform {
namespace {

template <ImportedNetwork (*kImport)(const ConformCase&)>
CaseTensors RunGolden(const ConformCase& c) {
  GoldenBackend golden;
  return RunSteps(c, kImport(c), golden);
}

template <ImportedNetwork (*kImport)(const ConformCase&)>
std::optional<CaseTensors> RunOnRtl(const ConformCase& c, Backend& rtl) {
  return RunSteps(c, kImport(c), rtl);
}

}  // namespace

std::span<const ConformAlgorithm> AttentionAlgorithms() {
  static constexpr std::array<ConformAlgorithm, 3> kAlgorithms = {{
      {"attention", "ita_mha", RunGolden<ImportIta>, RunOnRtl<ImportIta>},
      {"attention", "icct_block", RunGolden<ImportSteps>, RunOnRtl<ImportSteps>},
      {"attention", "deeploy_attention", RunGolden<ImportSteps>, RunOnRtl<ImportSteps>},
  }};
  return kAlgorithms;
}

}  // namespace qsim::conform
