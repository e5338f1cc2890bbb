// report.json and report.html in a run's output directory.
#pragma once

#include <filesystem>

#include "sim/report/run_report.h"

namespace qsim {

// Writes both, each to a temporary name and renamed. The directory must exist. Throws InputError.
void WriteReportFiles(const RunReport& report, const std::filesystem::path& directory);

}  // namespace qsim
