// A sweep's result as text and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qsim {

// One line of the table.
struct SweepRow {
  std::int64_t point = 0;  // 0 is the base configuration
  double qsnr_db = 0;
  std::int64_t correct = 0, same_class = 0;  // images
  std::int64_t table_bits = 0, weight_bits = 0;
  int multiplier_width = 1;
  std::vector<std::string> settings;  // all that it sets, as for --set
  std::vector<std::string> changes;   // what of it differs from the base: "attn_kv_out.bits 12"
  std::string refused;                // why it cannot be lowered; empty where it can
};

struct SweepReport {
  std::int64_t space = 0;  // points of the whole product
  std::uint64_t seed = 0;  // of the draw
  bool drawn = false;      // not all of the space
  std::int64_t images = 0;
  std::string scope;
  std::string objective;           // "qsnr" or "top1"
  bool labels = false;             // correct counts
  bool classes = false;            // same_class counts
  std::vector<SweepRow> rows;      // by point; the base first
  std::vector<std::size_t> front;  // indices into rows, best first
  std::string best_file;           // where the best configuration was written; empty: nowhere
};

// The base, the Pareto front with each point's settings, and how many points were refused. At most
// 80 columns, long settings excepted.
std::string FormatSweep(const SweepReport& report);
// The same with every point.
std::string SweepJsonText(const SweepReport& report);

}  // namespace qsim
