#include "sim/cli/selftest_command.h"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "sim/error.h"
#include "sim/io/hash.h"
#include "sim/report/text_util.h"
#include "tests/derivation/batteries.h"

namespace qsim {
namespace {

struct BatteryResult {
  derivation::Battery battery;
  std::int64_t compared = 0;
  std::int64_t mismatches = 0;
  std::string first_mismatch;
  std::string digest;
};

std::vector<BatteryResult> RunAll(std::uint64_t seed) {
  std::vector<BatteryResult> results;
  for (const derivation::Battery& battery : derivation::AllBatteries()) {
    derivation::Comparison comparison(seed);
    battery.run(comparison);
    results.push_back({battery, comparison.compared(), comparison.mismatches(),
                       comparison.first_mismatch(), comparison.Digest()});
  }
  return results;
}

std::string DigestOf(const std::vector<BatteryResult>& results) {
  Sha256 hash;
  for (const BatteryResult& r : results) {
    hash.Update(fmt::format("{} {} {}\n", r.battery.operation, r.battery.scheme, r.digest));
  }
  return hash.Finish();
}

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
                     Count(mismatches, "mismatch", "mismatches"), DigestOf(results));
  return out;
}

std::string JsonText(const std::vector<BatteryResult>& results, std::uint64_t seed) {
  nlohmann::ordered_json json;
  json["seed"] = seed;
  json["digest"] = DigestOf(results);
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

CLI::App* AddSelftest(CLI::App& app, SelftestOptions& options) {
  CLI::App* command = app.add_subcommand(
      "selftest", "Compare every operation with a second derivation, in seconds");
  command->footer(
      "Each golden operation against the same equations in arbitrary precision, on\n"
      "corners, ties and random inputs. The digest is that of all results: it is the\n"
      "same on every machine, compiler and build type.\n"
      "Exit status: 0 all equal; 1 a mismatch.\n\n"
      "Example: qsim selftest");
  command->add_option("--seed", options.seed, "Of the random inputs; another seed, another digest")
      ->capture_default_str();
  command->add_flag("--json", options.json, "Print the complete result as JSON");
  return command;
}

int RunSelftest(const SelftestOptions& options) {
  const std::vector<BatteryResult> results = RunAll(options.seed);
  std::cout << (options.json ? JsonText(results, options.seed) : Text(results, options.seed))
            << std::flush;
  if (!std::cout) throw InputError("selftest: standard output cannot be written");
  for (const BatteryResult& r : results) {
    if (r.mismatches > 0) return 1;
  }
  return 0;
}

}  // namespace qsim
