// What a run found, ready to be printed as a table, JSON or HTML.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "golden/kernels/choice.h"
#include "golden/program/accumulator_proof.h"
#include "sim/bundle/bundle.h"
#include "sim/bundle/size_report.h"
#include "sim/run/diagnosis_page.h"
#include "sim/run/run_profile.h"

namespace qsim::run {

// The first element in which two executors differ.
struct FirstMismatch {
  std::vector<std::int64_t> index;  // image axis in front
  std::int64_t expected = 0;        // golden
  std::int64_t actual = 0;          // RTL
  std::string tile;      // "head 1, tile (0, 3)": where the RTL computed it; empty if not RTL's
  std::string waveform;  // path of the tile's FST, empty if none was written
};

// One tap of one block over all images of the run. Metrics are absent where there is no float
// reference (run --bundle) and mismatches where there was no RTL (--rtl off).
struct TapReport {
  std::string name;
  Shape shape;                    // image axis in front
  std::string dtype;              // "int8", ...
  std::optional<double> qsnr_db;  // 10 log10(sum x^2 / sum (x - y)^2); infinity when equal
  // Ideal fake quantization: exact functions between the same integers. What the bits cost; the
  // rest of the loss is the price of the integer approximations.
  std::optional<double> ideal_qsnr_db;
  // The operation's output against the exact operation on the integers that really entered it: the
  // loss of this step alone. qsnr_db accumulates over all steps before it.
  std::optional<double> step_qsnr_db;
  std::optional<double> cosine;
  std::optional<double> max_abs_error;
  double saturated_share = 0;  // elements that a clamp changed / all elements
  std::optional<std::int64_t> mismatches;
  std::optional<FirstMismatch> first_mismatch;
};

// One RTL-executed operation, summed over images.
struct CycleReport {
  std::string name;
  std::uint64_t cycles = 0;
  std::uint64_t macs = 0;  // 0 for requantize and residual add
  std::uint64_t tiles = 0;
  double utilisation = 0;  // macs / (rows * cols * cycles)
};

struct AccumulatorReport {
  AccumulatorProof proof;
  std::optional<AccRange> seen;
};

struct RunReport {
  std::string scope = "attention";
  std::int64_t images = 0;
  std::vector<std::int64_t> lengths;  // of each, in tokens; empty: the program has no such length
  std::vector<std::string> config_files;
  std::string input;
  HardwareParams hardware;
  Provenance provenance;
  std::vector<TapReport> taps;
  std::vector<CycleReport> cycles;
  std::vector<AccumulatorReport> accumulators;
  std::vector<LoweringNote> notes;
  KernelReport kernels;  // of the golden executor
  bool rtl = false;
  bool rtl_checks_every_tile = false;  // the array's assertions; else two tiles of each product
  std::optional<std::uint64_t> stall_seed;  // set when random stalls were on
  std::optional<SizeReport> size;
  std::optional<RunProfile> profile;
  std::optional<DiagnosisPage> diagnosis;  // shown in report.html where it is given
  std::int64_t total_mismatches() const {
    std::int64_t total = 0;
    for (const TapReport& tap : taps) total += tap.mismatches.value_or(0);
    return total;
  }
};

}  // namespace qsim::run
