// A share of a calibration: what its observers have seen, as a file. docs/formats.md, "Calibration
// shard".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sim/calibrate/observe/observations.h"
#include "sim/io/files/atomic_file.h"
#include "sim/io/files/identity.h"

namespace qsim::calibrate {

// What every shard of one calibration has in common, as text: "configuration" to its hash, ...
using ShardIdentity = Identity;

struct ShardPlace {
  std::int64_t index = 1;  // 1..count
  std::int64_t count = 1;  // 1..kMostShards

  // The contiguous share of so many inputs: all shards together are all of them.
  std::int64_t First(std::int64_t inputs) const { return inputs * (index - 1) / count; }
  std::int64_t End(std::int64_t inputs) const { return inputs * index / count; }
};
inline constexpr std::int64_t kMostShards = 4096;

// "2/5". Throws InputError.
ShardPlace ParseShard(const std::string& text);

// Throws InputError that names every section whose observer cannot be merged.
void RequireMergeable(const Observations& observations);

// The hash of the contents of a place's inputs.
using ShardInputs = std::function<std::string(ShardPlace place)>;

// Writes what a share has seen, and commits; every observer is mergeable.
void SaveShard(AtomicFile& file, const ShardIdentity& identity, ShardPlace place,
               const std::string& inputs_hash, const Observations& observations);

// Adds all shards of a calibration. Throws InputError, naming the file: one that is not a shard, is
// damaged or of another version; that another configuration, model or scope made (the first
// difference is named); shards that are missing, or there twice; inputs other than `inputs` in all,
// or of other contents than `hash_of` tells.
void MergeShards(const std::vector<std::filesystem::path>& files, const ShardIdentity& identity,
                 std::int64_t inputs, const ShardInputs& hash_of, Observations& observations);

}  // namespace qsim::calibrate
