#include "sim/cli/selftest_command.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "derivation/batteries.h"
#include "sim/text/text_util.h"

namespace qsim::cli {
namespace {

using derivation::BatteryResult;

std::string Text(const std::vector<BatteryResult>& results, std::uint64_t seed) {
  std::string out = fmt::format("{:<44}{:>14}{:>12}\n", "golden against its second derivation",
                                "compared", "mismatches");
  std::int64_t compared = 0;
  std::int64_t mismatches = 0;
  for (const BatteryResult& r : results) {
    out += fmt::format("  {:<42}{:>14}{:>12}\n",
                       fmt::format("{} {}", r.battery.operation, r.battery.scheme), r.compared,
                       r.mismatches);
    if (r.mismatches > 0) out += WrapText("    first: ", r.first_mismatch);
    compared += r.compared;
    mismatches += r.mismatches;
  }
  out += fmt::format("\nseed {}, {} compared, {}\ndigest {}\n", seed, compared,
                     Count(mismatches, "mismatch", "mismatches"), derivation::DigestOf(results));
  return out;
}

std::string JsonText(const std::vector<BatteryResult>& results, std::uint64_t seed) {
  nlohmann::ordered_json json;
  json["seed"] = seed;
  json["digest"] = derivation::DigestOf(results);
  json["batteries"] = nlohmann::ordered_json::array();
  for (const BatteryResult& r : results) {
    json["batteries"].push_back({{"operation", r.battery.operation},
                                 {"scheme", r.battery.scheme},
                                 {"compared", r.compared},
                                 {"mismatches", r.mismatches},
                                 {"first_mismatch", r.first_mismatch},
                                 {"digest", r.digest}});
  }
  return json.dump(2) + "\n";
}

}  // namespace

Command AddSelftest(CommandLine& line, SelftestOptions& options) {
  const Command command = line.Add("selftest", "Compare every operation with a second derivation");
  command.Footer(
      "Each golden operation against the same equations in arbitrary precision, on\n"
      "corners, ties and random inputs. The digest is that of all results: it is the\n"
      "same on every machine, compiler and build type.\n"
      "Exit status: 0 all equal; 1 a mismatch.\n\n"
      "Example: qsim selftest");
  command.Add("--seed", options.seed, "Of the random inputs; another seed, another digest")
      .Type("SEED")
      .ShowDefault();
  command.Flag("--json", options.json, "Print the complete result as JSON");
  return command;
}

int RunSelftest(const SelftestOptions& options) {
  const std::vector<BatteryResult> results = derivation::RunBatteries(options.seed);
  std::cout << (options.json ? JsonText(results, options.seed) : Text(results, options.seed));
  for (const BatteryResult& r : results) {
    if (r.mismatches > 0) return 1;
  }
  return 0;
}

}  // namespace qsim::cli
