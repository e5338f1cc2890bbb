// The operations behind the linear layers: their multipliers, zero points and tables beside those
// that the scales around them ask for.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "sim/diagnose/causes/probe.h"
#include "sim/diagnose/causes/suspect.h"

namespace qsim::diagnose {

// What the model asks for, whatever the contracts say: its eps.
void AskForEps(ModelContracts& contracts);
// Every normalisation anew, with the model's eps.
void AddEps(const Rederivation& rederivation, Bundle& bundle);

// The operations other than linear layers that differ from what `remade` has in their place.
std::set<std::string> DifferingOperations(const Bundle& bundle, const Bundle& remade);

std::vector<Suspect> ArithmeticCauses(const DiagnosisSubject& subject, const Bundle& remade,
                                      const Probe& probe, const SharedRederivation& rederivation);

}  // namespace qsim::diagnose
