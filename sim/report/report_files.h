// report.json and report.html in a run's output directory.
#pragma once

#include <filesystem>

#include "sim/bundle/bundle.h"
#include "sim/run/run_report.h"

namespace qsim::report {

// Writes both, each to a temporary name and renamed. `bundle`: what was run; the page draws its
// program and lists its scales. The directory must exist. Throws InputError.
void WriteReportFiles(const RunReport& report, const Bundle& bundle,
                      const std::filesystem::path& directory);

}  // namespace qsim::report
