// A run report as one self-contained HTML page: inline style and SVG, no network, no script needed.
#pragma once

#include <string>

#include "sim/report/run_report.h"

namespace qsim {

std::string RunReportHtml(const RunReport& report);

}  // namespace qsim
