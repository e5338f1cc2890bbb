// Whole attention blocks, each imported as a program.
#include <array>

#include "sim/bundle/bundle.h"
#include "sim/conform/algorithms.h"
#include "sim/conform/step_program.h"

namespace qsim::conform {
namespace {

// A few values can stand for many scores.
ImportedNetwork Checked(const ConformCase& c, ImportedNetwork network) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 28;
  CheckProgramSize(network.program, kMostBytes, (c.dir() / "case.json").string());
  return network;
}

template <ImportedNetwork (*kImport)(const ConformCase&)>
CaseTensors RunGolden(const ConformCase& c) {
  GoldenBackend golden;
  return RunSteps(c, Checked(c, kImport(c)), golden);
}

template <ImportedNetwork (*kImport)(const ConformCase&)>
std::optional<CaseTensors> RunOnRtl(const ConformCase& c, Backend& rtl) {
  return RunSteps(c, Checked(c, kImport(c)), rtl);
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
