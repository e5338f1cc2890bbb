// Trying every point of a sweep.
#pragma once

#include <string>
#include <vector>

#include "sim/config/config.h"
#include "sim/io/files/resume_log.h"
#include "sim/sweep/bench.h"
#include "sim/sweep/pareto.h"
#include "sim/sweep/space.h"

namespace qsim::sweep {

// One point: what it sets, and what it came to.
struct SweepRow {
  std::vector<std::string> settings;  // all that it sets, as for --set
  std::vector<std::string> changes;   // what of it differs from the base: "multiplier_bits 12"
  SweepResult result;
};

Config ConfigOf(const Config& base, const std::vector<std::string>& settings);

// The base, which changes nothing, then the points. Those that the log has are not tried again; the
// others are added to it. Throws InputError for a log that is damaged.
std::vector<SweepRow> TryAll(const SweepBench& bench, const Config& base, const SweepSpace& space,
                             const std::vector<SweepPoint>& points, int threads, ResumeLog& log);

// The rows' results, as ParetoFront takes them.
std::vector<SweepResult> ResultsOf(const std::vector<SweepRow>& rows);

}  // namespace qsim::sweep
