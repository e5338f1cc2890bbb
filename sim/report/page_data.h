// Everything that report.html shows, as the one JSON document embedded in it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "sim/bundle/bundle.h"
#include "sim/run/run_report.h"

namespace qsim::report {

// The run's report with the statistics of every tensor; the program as a graph; scales, zero
// points, multipliers and shifts; sizes; the numerics contract; the diagnosis. Real parameters have
// seven digits: a page is for reading, `qsim export` has all of them.
nlohmann::ordered_json PageData(const RunReport& report, const Bundle& bundle);

}  // namespace qsim::report
