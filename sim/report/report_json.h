// A run report for machines. The same text serves `--json` and OUT/report.json. docs/outputs.md.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "sim/run/run_report.h"

namespace qsim::report {

// Complete, with keys in a fixed order. JSON has no infinity: infinite values are the strings "inf"
// and
// "-inf". null means that the value was not measured.
nlohmann::ordered_json RunReportToJson(const RunReport& report);

// The same as text: two-space indent, newline at the end.
std::string RunReportJsonText(const RunReport& report);

}  // namespace qsim::report
