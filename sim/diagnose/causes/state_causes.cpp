#include "sim/diagnose/causes/state_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace qsim::diagnose {

std::vector<Suspect> StateCauses(const DiagnosisSubject& subject) {
  const Bundle& bundle = subject.bundle;
  std::vector<Suspect> found;
  for (const Carried& carried : bundle.program.carried) {
    const IntTensor& initial = bundle.program.Constant(carried.initial);
    const Grid grid = bundle.GridOf(carried.input);
    const std::vector<double> begun = grid.Dequantize(initial);
    const auto other = std::count_if(begun.begin(), begun.end(), [](double x) { return x != 0; });
    if (other == 0) continue;
    Suspect suspect;
    suspect.suspicion.cause = Cause::kUnexplained;
    suspect.suspicion.tensor = carried.input;
    suspect.suspicion.text =
        "a sequence begins with something else than zeros: what another one left is not reset";
    suspect.suspicion.evidence = {
        {"values that are not zero",
         100.0 * static_cast<double>(other) / static_cast<double>(begun.size()), "%"}};
    IntTensor zeros = grid.Quantize(std::vector<float>(begun.size(), 0.0F));
    suspect.suspicion.repairs = {{"begin every sequence with zeros",
                                  {},
                                  [name = carried.initial, zeros = std::move(zeros)](Bundle& b) {
                                    b.program.constants.at(name) = zeros;
                                  }}};
    suspect.damage = 1;
    found.push_back(std::move(suspect));
  }
  return found;
}

}  // namespace qsim::diagnose
