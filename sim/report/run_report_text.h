// A run report as the text a person reads on a terminal.
#pragma once

#include <string>

#include "sim/run/run_report.h"

namespace qsim::report {

// A tap below this deserves a second look and is marked: the lowest of the quality targets in use.
inline constexpr double kLowQsnrDb = 20;

struct TextOptions {
  bool verbose = false;  // every lowering note instead of a summary
  bool color = false;    // ANSI colour on cells that need attention
};

// Taps by block, accumulators, RTL cycles, lowering notes, mismatches, and Verdict() as the last
// line. No line is wider than 80 columns (paths excepted: they are never cut), colour codes not
// counted.
std::string FormatRunReport(const RunReport& report, const TextOptions& options = {});

// One line that is true for the run: "40 taps, 0 mismatches between golden and RTL",
// "40 taps, RTL not run: nothing compared with golden".
std::string Verdict(const RunReport& report);

// Whether to colour what is written to this file descriptor: a terminal that is not dumb, and
// NO_COLOR (https://no-color.org) unset or empty.
bool ColorWanted(int file_descriptor);

}  // namespace qsim::report
