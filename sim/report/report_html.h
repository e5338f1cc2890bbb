// A run's report as one HTML page: it opens offline, asks no network for anything, and has its
// data, its style, its scripts and the plotting library (Chart.js, MIT licence) inside.
#pragma once

#include <string>

#include "sim/bundle/bundle.h"
#include "sim/run/run_report.h"

namespace qsim::report {

// The same report and bundle give the same bytes. Everything that comes from outside (names, paths,
// notes) reaches the page as data and never as markup. docs/outputs.md, "report.html".
std::string ReportHtml(const RunReport& report, const Bundle& bundle);

}  // namespace qsim::report
