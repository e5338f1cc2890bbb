#include "sim/sweep/sweep.h"

#include <fmt/format.h>

#include <cstdlib>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "sim/parallel.h"
#include "sim/text/progress.h"

namespace qsim::sweep {
namespace {

// Exact, so that a resumed sweep ends as one that was not interrupted.
std::string LineOf(const SweepResult& r) {
  return fmt::format("{:a}\t{:a}\t{}\t{}\t{}\t{}\t{}\t{}", r.qsnr_db, r.bits_per_token, r.correct,
                     r.same_class, r.cost.table_bits, r.cost.weight_bits, r.cost.multiplier_width,
                     r.refused);
}

std::optional<SweepResult> ParseLine(std::int64_t point, const std::string& line) {
  SweepResult r;
  r.point = point;
  std::istringstream in(line);
  for (double* real : {&r.qsnr_db, &r.bits_per_token}) {
    std::string text;
    if (!std::getline(in, text, '\t')) return std::nullopt;
    char* end = nullptr;
    *real = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0') return std::nullopt;
  }
  in >> r.correct >> r.same_class >> r.cost.table_bits >> r.cost.weight_bits >>
      r.cost.multiplier_width;
  if (!in || in.get() != '\t') return std::nullopt;
  std::getline(in, r.refused);
  return r;
}

}  // namespace

Config ConfigOf(const Config& base, const std::vector<std::string>& settings) {
  Config config = base;
  for (const std::string& setting : settings) config.Set(setting);
  return config;
}

std::vector<SweepRow> TryAll(const SweepBench& bench, const Config& base, const SweepSpace& space,
                             const std::vector<SweepPoint>& points, int threads, ResumeLog& log) {
  std::vector<SweepRow> rows(1);
  for (const SweepPoint& point : points)
    rows.push_back({space.SettingsOf(point), space.ChangesOf(point), {}});
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto found = log.done().find(static_cast<std::int64_t>(i));
    if (found == log.done().end()) {
      missing.push_back(i);
      continue;
    }
    const auto result = ParseLine(found->first, found->second);
    if (!result) log.FailDamaged(found->second);
    rows[i].result = *result;
  }
  const auto count = static_cast<std::int64_t>(missing.size());
  Progress progress("points", count);
  std::mutex mutex;
  std::int64_t done = 0;
  ParallelFor(count, threads, [&](std::int64_t i, int) {
    const std::size_t index = missing[static_cast<std::size_t>(i)];
    SweepResult result = bench.Try(ConfigOf(base, rows[index].settings));
    result.point = static_cast<std::int64_t>(index);
    const std::lock_guard lock(mutex);
    log.Add(result.point, LineOf(result));
    rows[index].result = std::move(result);
    progress.Show(++done);
  });
  return rows;
}

std::vector<SweepResult> ResultsOf(const std::vector<SweepRow>& rows) {
  std::vector<SweepResult> results;
  for (const SweepRow& row : rows) results.push_back(row.result);
  return results;
}

}  // namespace qsim::sweep
