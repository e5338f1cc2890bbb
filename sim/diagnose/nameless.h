// Culprits without a cause: steps that lose more than anything explains.
#pragma once

#include <functional>
#include <optional>

#include "sim/diagnose/bench.h"

namespace qsim::diagnose {

// In dB. Healthy steps lose up to 12 dB more than evenly distributed rounding errors would, and
// whatever changes an integer network moves its output by 1 or 2 dB.
inline constexpr double kAbnormalExcess = 6;
inline constexpr double kGainAtOutput = 3;

// Of the steps that lose more than their bits explain, made anew from the float weights and the
// scales around them, the one whose repair helps most.
std::optional<Candidate> BestRemade(
    const Bench& bench, const std::function<bool(Cause cause, const Candidate& c)>& confirmed);

// A step that no repair helps, or that cannot be made anew, and to which the output owes most of
// its noise. The algorithms that approximate a function are chosen with what they lose.
std::optional<Culprit> Irreparable(const Bench& bench);

// Of a network without any other culprit: the step whose exact version gains much, or to which most
// of a large loss is due. A gain that the few values of the output may show by chance is no culprit
// but a sentence, `by_chance`.
std::optional<Culprit> Unaccounted(const Bench& bench, const Diagnosis& diagnosis,
                                   std::string& by_chance);

}  // namespace qsim::diagnose
