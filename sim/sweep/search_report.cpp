#include "sim/sweep/search_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/config/config_yaml.h"
#include "sim/text/text_util.h"

namespace qsim::sweep {
namespace {

std::string Row(const std::string& change, const std::string& own, const std::string& end) {
  return fmt::format("{:<60}{:>9}{:>9}\n", Shorten(change, 60), own, end);
}

std::string Decibels(double db) { return fmt::format("{:.2f}", db); }

}  // namespace

std::string FormatSearch(const SearchResult& result, std::int64_t images) {
  std::string text =
      fmt::format("{} of {} changes tried, judged on {}\n", result.steps.size(), result.moves,
                  Count(images, "calibration input", "calibration inputs")) +
      Row("change", "blocks dB", "end dB") +
      Row("the configuration as it is", "",
          result.start_db ? Decibels(*result.start_db) : "refused");
  std::int64_t left = 0;
  std::int64_t refused = 0;
  for (const SearchStep& step : result.steps) {
    if (!step.taken()) {
      ++(step.refused.empty() ? left : refused);
      continue;
    }
    const std::string where =
        step.blocks > 0 ? fmt::format(" ({})", Count(step.blocks, "block", "blocks")) : "";
    text += Row(step.change + where, fmt::format("{:+.2f}", step.own_db), Decibels(step.end_db));
  }
  text += fmt::format("{} no better", Count(left, "change was", "changes were"));
  if (refused > 0) text += fmt::format(", {} not be lowered", Count(refused, "could", "could"));
  text += "\n";
  if (result.steps.size() < result.moves)
    text += fmt::format(
        "{} not tried: the time was over\n",
        Count(static_cast<std::int64_t>(result.moves - result.steps.size()), "change", "changes"));
  return text;
}

std::string SearchYaml(const SearchResult& result, std::int64_t images, int depth) {
  std::string text =
      "# Found by qsim calibrate --search. blocks dB: what a change brings to the\n"
      "# blocks by themselves; end dB: of the whole network behind it.\n";
  const std::string table = FormatSearch(result, images);
  for (std::size_t begin = 0; begin < table.size();) {
    const std::size_t end = table.find('\n', begin);
    text += "# " + table.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  for (const SearchStep& step : result.steps) {
    for (const std::string& setting : step.settings) text += fmt::format("#   {}\n", setting);
  }
  return text + ConfigYaml(result.config, depth);
}

}  // namespace qsim::sweep
