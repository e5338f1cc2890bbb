#include "sim/cli/calibrate_shards.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sim/calibrate/observe/shard.h"
#include "sim/cli/model_identity.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"

namespace qsim::cli {
namespace {

namespace fs = std::filesystem;

ShardIdentity IdentityOf(const ModelOptions& given, const LoadedModel& loaded) {
  const CalibrateOptions& options = loaded.calibrate;
  ShardIdentity identity = ModelIdentity(given, loaded);
  identity.insert(
      identity.end(),
      {{"configuration", Sha256Hex(loaded.config.Canonical())},
       {"--scope", std::string(Name(options.scope))},
       {"--blocks",
        options.blocks.empty() ? "all" : fmt::format("{}", fmt::join(options.blocks, ","))},
       {"--realise", given.realise},
       {"--min-length", std::to_string(loaded.min_length)}});
  return identity;
}

void RequireNoFaults(const LoadedModel& loaded) {
  if (loaded.faults.empty()) return;
  throw InputError(
      "--inject does not go with --shard and --merge; inject faults into a whole "
      "calibration");
}

CalibrationInputs ShareOf(const LoadedModel& loaded, const InputReader& reader, ShardPlace place) {
  const std::int64_t first = place.First(reader.count());
  return CalibrationShare(loaded, reader, first, place.End(reader.count()) - first);
}

// Directories stand for the shards in them.
std::vector<fs::path> ShardFiles(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path, ignored)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("shard-") && name.ends_with(".json")) inside.push_back(entry.path());
    }
    if (inside.empty()) {
      throw InputError(fmt::format("--merge: {} has no files shard-*.json", path.string()));
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

}  // namespace

fs::path WriteShard(const ModelOptions& given, const LoadedModel& loaded, const std::string& shard,
                    const fs::path& output) {
  RequireNoFaults(loaded);
  const ShardPlace place = ParseShard(shard);
  std::error_code ignored;
  const fs::path file = fs::is_directory(output, ignored)
                            ? output / fmt::format("shard-{}-of-{}.json", place.index, place.count)
                            : output;
  const Calibrator calibrator(loaded.model, loaded.config, loaded.calibrate);
  Observations observations = calibrator.NoObservations();
  RequireMergeable(observations);
  const InputReader reader = CalibrationReader(loaded);
  if (place.count > reader.count()) {
    throw InputError(
        fmt::format("--shard {}: there are only {} calibration inputs; give at most "
                    "as many shards",
                    shard, reader.count()));
  }
  AtomicFile written(file);  // before the work
  const CalibrationInputs inputs = ShareOf(loaded, reader, place);
  calibrator.Observe(inputs, observations);
  SaveShard(written, IdentityOf(given, loaded), place, HashOf(inputs), observations);
  return file;
}

Bundle MergeLoaded(const ModelOptions& given, const LoadedModel& loaded,
                   const std::vector<fs::path>& shards) {
  RequireNoFaults(loaded);
  const Calibrator calibrator(loaded.model, loaded.config, loaded.calibrate);
  Observations observations = calibrator.NoObservations();
  RequireMergeable(observations);
  const InputReader reader = CalibrationReader(loaded);
  MergeShards(
      ShardFiles(shards), IdentityOf(given, loaded), reader.count(),
      [&](ShardPlace place) { return HashOf(ShareOf(loaded, reader, place)); }, observations);
  Bundle bundle = calibrator.Lower(observations, InputSource::From(loaded.manifest.Calibration()));
  FinishBundle(loaded, reader, bundle);
  return bundle;
}

}  // namespace qsim::cli
