// A sweep's result as text and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/sweep/sweep.h"

namespace qsim::sweep {

struct SweepReport {
  std::int64_t space = 0;  // points of the whole product
  std::uint64_t seed = 0;  // of the draw
  bool drawn = false;      // not all of the space
  std::int64_t images = 0;
  bool tokens = false;  // they are sequences
  std::string scope;
  std::string objective;                  // "qsnr", "top1" or "bits_per_token"
  std::optional<double> float_bits = {};  // per token, of a language model
  bool labels = false;                    // correct counts
  bool classes = false;                   // same_class counts
  std::vector<SweepRow> rows;             // by point; the base first
  std::vector<std::size_t> front;         // indices into rows, best first
  std::string best_file;  // where the best configuration was written; empty: nowhere
};

// What the objective is worth: "38.20 dB", or "1.4321 bits per token".
std::string MeritOf(const SweepReport& report, const SweepResult& result);

// The base, the Pareto front with each point's settings, and how many points were refused. At most
// 80 columns, long settings excepted.
std::string FormatSweep(const SweepReport& report);
// The same with every point.
std::string SweepJsonText(const SweepReport& report);

}  // namespace qsim::sweep
