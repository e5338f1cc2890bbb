// Improves a configuration by itself: one change after the other, each kept where it lowers the
// noise of its own block on calibration data. docs/calibration.md, "Search".
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/calibrate/calibrate.h"
#include "sim/sweep/search_moves.h"

namespace qsim::sweep {

struct SearchSubject {
  const network::Network& model;
  const CalibrationInputs& calibration;
  const ModelInputs& images;  // the calibration inputs on which changes are judged
  CalibrateOptions calibrate;
};

// One change that was tried.
struct SearchStep {
  std::string change;
  std::vector<std::string> settings;  // what of it was taken, as for --set; empty: nothing
  int blocks = 0;                     // that took it; 0: it holds everywhere, or nowhere
  double own_db = 0;    // what it brings to the blocks by themselves, the mean over all of them
  double end_db = 0;    // of the whole network behind it, where it was taken
  std::string refused;  // why it cannot be lowered, if it cannot
  bool taken() const { return !settings.empty(); }
};

struct SearchResult {
  Config config;                        // the base, and all that was taken
  std::optional<double> start_db = {};  // of the whole network; absent: the base cannot be lowered
  double end_db = 0;
  std::vector<SearchStep> steps = {};
  std::size_t moves = 0;  // that there are; more than steps where time ran out
};

// Stops before the first change that begins after the deadline: what is found depends on how many
// are tried, on nothing else. Throws InputError where neither the base configuration nor any change
// of it can be lowered to integers.
SearchResult Search(const SearchSubject& subject, const Config& base,
                    std::chrono::steady_clock::time_point deadline);

}  // namespace qsim::sweep
