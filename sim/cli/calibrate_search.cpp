#include "sim/cli/calibrate_search.h"

#include <algorithm>
#include <chrono>
#include <iostream>

#include "sim/inputs/input_reader.h"
#include "sim/io/files/atomic_file.h"
#include "sim/sweep/search_report.h"

namespace qsim::cli {
namespace {

// Each has many tokens: enough to tell what a change does to a block by itself.
constexpr std::int64_t kMostJudging = 8;

}  // namespace

void WriteSearched(const LoadedModel& loaded, std::int64_t seconds,
                   const std::filesystem::path& file) {
  AtomicFile output(file);  // before the work
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  const InputReader reader = CalibrationReader(loaded);
  // Judged on what no range was chosen from, wherever there is enough of it.
  const std::int64_t count = reader.count();
  const std::int64_t kept = count - std::min(count / 4, kMostJudging);
  const std::int64_t first = kept == count ? 0 : kept;
  const CalibrationInputs calibration = CalibrationShare(loaded, reader, 0, kept);
  const ModelInputs images =
      CalibrationShare(loaded, reader, 0, count).read(first, reader.EqualRun(first, count - first));
  const SearchResult result =
      Search({loaded.model, calibration, images, loaded.calibrate}, loaded.config, deadline);
  output.Write(SearchYaml(result, images.count(), static_cast<int>(loaded.model.depth())));
  output.Commit();
  SayFileNotes(loaded);
  std::cout << FormatSearch(result, images.count()) << "written to " << file.string() << '\n';
}

}  // namespace qsim::cli
