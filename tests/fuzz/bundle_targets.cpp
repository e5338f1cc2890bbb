// Directories that qsim wrote, and cases of other projects: read whole, then run.
#include <fmt/format.h>

#include <stdexcept>

#include "golden/program/queries.h"
#include "sim/bundle/bundle.h"
#include "sim/bundle/checked_bundle.h"
#include "sim/bundle/grids_file.h"
#include "sim/conform/conform_run.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/random_program.h"
#include "tests/fuzz/target.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

// Programs of one operation each, so that a file of a few kilobytes has everything.
template <typename... T>
std::vector<std::string> BundlesOf(const std::variant<T...>* /*all*/) {
  std::vector<std::string> seeds;
  const Draw draw = DrawFrom("bundles");
  const auto add = [&](Instance instance) {
    const fs::path directory = Written(Files{}) / "bundle";
    SaveCase({std::move(instance.program), {std::move(instance.inputs)}}, directory);
    seeds.push_back(Joined(FilesIn(directory)));
    Written(Files{});
  };
  (add(Arbitrary(std::type_identity<T>(), draw)), ...);
  return seeds;
}

std::vector<std::string> BundleSeeds() { return BundlesOf(static_cast<const Op*>(nullptr)); }

// Small enough to be run for every input.
bool IsSmall(const Program& program) {
  std::int64_t work = 0;
  for (const TensorInfo& info : program.tensors) work += ElementCount(info.shape);
  for (const Op& op : program.ops) work += MacsOf(program, op, 0);
  return work < 100'000;
}

// What is taken is valid: it can be run, to the same bits by every executor.
void RunBundle(std::string_view input) {
  const Case c = LoadCase(Written(Split(input)));
  if (!IsSmall(c.program)) return;
  const std::string difference = DifferenceIn(c, AllExecutors());
  if (!difference.empty()) throw std::logic_error(difference);
}

std::vector<std::string> ConformSeeds() {
  std::vector<std::string> seeds;
  const fs::path cases = fs::path(QSIM_SOURCE_DIR) / "tests" / "conform" / "cases";
  for (const fs::path& directory : FindConformCases(cases)) {
    std::string seed = Joined(FilesIn(directory));
    if (seed.size() < 8192) seeds.push_back(std::move(seed));
  }
  return seeds;
}

void RunCase(std::string_view input) {
  const Files files = Split(input);
  if (!files.contains("case.json")) return;
  const ConformReport report = RunConform(Written(files), "", nullptr);
  for (const std::string& error : report.errors) {
    if (error.size() > 600) throw std::logic_error("a long message: " + error.substr(0, 200));
  }
}

std::vector<std::string> GridsSeeds() {
  return {
      "blocks.0.attn_q_out:\n  range: [-128, 127]\n  scale: [0.5, 1e-3]\n  zero_point: [0]\n"
      "norm:\n  range: [0, 255]\n  scale: [1]\n  zero_point: [3, 4]\n  factor: [2, 0.5]\n"};
}

}  // namespace

std::vector<Target> BundleTargets() {
  return {
      {"bundle", "bundles, which are then run",
       "sim/bundle/bundle_reader.cpp sim/bundle/bundle_records.h", BundleSeeds, RunBundle},
      {"conform", "conformance cases", "sim/conform", ConformSeeds, RunCase},
      {"grids", "files of grids", "sim/bundle/grids_file.cpp", GridsSeeds,
       [](std::string_view input) { ReadGrids(Written("grids.yaml", input)); }},
  };
}

}  // namespace qsim::testing
