#include "sim/calibrate/observe/shard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "sim/calibrate/observe/shard_records.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/json_text.h"
#include "sim/text/number.h"
#include "sim/text/printable.h"

namespace qsim::calibrate {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "qsim calibration shard";
constexpr std::int64_t kVersion = 3;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 31;

[[noreturn]] void Fail(const std::filesystem::path& file, const std::string& what) {
  throw InputError(fmt::format("{}: {}", file.string(), what));
}

Json ToJson(const Observations& observations) {
  Json softmax = Json::object();
  Json tensors = Json::object();
  Json means = Json::object();
  for (const Observed& seen : observations.tensors()) {
    for (const FixedMean& mean : seen.means) {
      means[seen.node->name].push_back({mean.above.whole(), mean.above.fraction(),
                                        mean.below.whole(), mean.below.fraction(), mean.count});
    }
    if (seen.observer != nullptr) {
      tensors[seen.node->name] = StateToJson(seen.observer->State());
      continue;
    }
    for (const FixedSum& sum : seen.softmax_error) {
      softmax[seen.node->name].push_back({sum.whole(), sum.fraction()});
    }
  }
  Json all = {{"softmax_error", softmax}, {"tensors", tensors}};
  if (!means.empty()) all["means"] = means;
  return all;
}

// The body of a shard whose checksum is right.
Json ReadShard(const std::filesystem::path& file) {
  const std::string text = ReadTextFile(file, kMostBytes, "a calibration shard");
  const Json json = ParseJson(text, file.string());
  if (!json.is_object() || json.value("format", Json()) != kFormat) {
    Fail(
        file,
        "not a calibration shard, or cut off; expected a file that `qsim calibrate --shard` wrote");
  }
  if (json.value("version", Json()) != kVersion) {
    Fail(file, fmt::format("a calibration shard of version {}; this qsim reads version {}",
                           Printable(json.value("version", Json()).dump()), kVersion));
  }
  const Json body = json.value("body", Json());
  if (json.value("sha256", Json()) != Sha256Hex(body.dump())) {
    Fail(file, "damaged: its content does not have the checksum that it states; write it again");
  }
  return body;
}

void CheckIdentity(const std::filesystem::path& file, const Json& theirs,
                   const ShardIdentity& identity) {
  for (const auto& [what, value] : identity) {
    const std::string found = theirs.value(what, std::string());
    if (found == value) continue;
    Fail(file, fmt::format("made with another {}: {}, but this calibration has {}", what,
                           found.empty() ? "none" : Printable(found), value));
  }
}

void Add(const Json& body, Observations& observations) {
  const Json& inputs = body.at("inputs");
  const RealRange range = {inputs.at("min").get<double>(), inputs.at("max").get<double>()};
  const Json& tensors = body.at("tensors");
  for (Observed& seen : observations.tensors()) {
    const std::string& name = seen.node->name;
    for (std::size_t c = 0; c < seen.means.size(); ++c) {
      const Json& mean = body.at("means").at(name).at(c);
      const auto part = [&](std::size_t i) { return mean.at(i).get<std::uint64_t>(); };
      seen.means[c].Add(FixedMean{FixedSum(part(0), part(1)), FixedSum(part(2), part(3)),
                                  mean.at(4).get<std::int64_t>()});
    }
    if (seen.observer == nullptr) {
      const Json& sums = body.at("softmax_error").at(name);
      for (std::size_t j = 0; j < seen.softmax_error.size(); ++j) {
        seen.softmax_error[j].Add(
            FixedSum(sums.at(j).at(0).get<std::uint64_t>(), sums.at(j).at(1).get<std::uint64_t>()));
      }
      continue;
    }
    try {
      seen.observer->Merge(StateFromJson(tensors.at(name)));
    } catch (const InputError& error) {
      throw InputError(fmt::format("{}: {}", name, error.what()));
    }
  }
  observations.IncludeInputs(inputs.at("count").get<std::int64_t>(), range);
}

// Which file has each of 1..count; throws unless each is there exactly once.
class Roll {
 public:
  void Call(const std::filesystem::path& file, ShardPlace place) {
    if (files_.empty()) count_ = place.count;
    if (place.count != count_) {
      Fail(file, fmt::format("one of {} shards, but {} is one of {}", place.count,
                             files_.begin()->second.string(), count_));
    }
    if (const auto [same, is_new] = files_.try_emplace(place.index, file); !is_new) {
      throw InputError(fmt::format("--merge: shard {} of {} is given twice: {} and {}", place.index,
                                   count_, same->second.string(), file.string()));
    }
  }
  void RequireAll() const {
    std::vector<std::int64_t> missing;
    for (std::int64_t i = 1; i <= count_; ++i) {
      if (!files_.contains(i)) missing.push_back(i);
    }
    if (missing.empty()) return;
    throw InputError(fmt::format("--merge: shard{} {} of {} missing; every one of them is needed",
                                 missing.size() == 1 ? "" : "s", fmt::join(missing, ", "), count_));
  }

 private:
  std::int64_t count_ = 0;
  std::map<std::int64_t, std::filesystem::path> files_;
};

}  // namespace

ShardPlace ParseShard(const std::string& text) {
  const std::string_view all = text;
  const std::size_t slash = std::min(all.find('/'), all.size());
  const auto index = ParseNumber<std::int64_t>(all.substr(0, slash));
  const auto count = ParseNumber<std::int64_t>(all.substr(std::min(slash + 1, all.size())));
  if (!index || !count || *index < 1 || *index > *count || *count > kMostShards) {
    throw InputError(
        fmt::format("--shard: '{}' is not a shard; give i/n with 1 <= i <= n <= {}, such as 1/5",
                    Printable(text), kMostShards));
  }
  return {*index, *count};
}

void RequireMergeable(const Observations& observations) {
  // The same section serves many blocks.
  std::map<std::pair<std::string, std::string>, std::vector<std::string>> sections;
  std::vector<std::pair<std::string, std::string>> order;
  for (const Observed& seen : observations.tensors()) {
    if (seen.observer == nullptr || Observer::IsMergeable(seen.section.observer)) continue;
    const network::Node& node = *seen.node;
    const std::string prefix = node.block < 0 ? "" : fmt::format("blocks.{}.", node.block);
    const std::pair<std::string, std::string> key = {
        node.name.substr(prefix.size()),
        fmt::format("{}, {}", Name(seen.section.observer), seen.section.origin)};
    if (!sections.contains(key)) order.push_back(key);
    sections[key].push_back(node.block < 0 ? "" : std::to_string(node.block));
  }
  if (order.empty()) return;
  std::vector<std::string> texts;
  for (const auto& key : order) {
    std::string blocks;
    for (const std::string& block : sections[key]) {
      if (!block.empty()) blocks += (blocks.empty() ? "" : ",") + block;
    }
    texts.push_back(blocks.empty()
                        ? fmt::format("{} ({})", key.first, key.second)
                        : fmt::format("blocks.{}.{} ({})", blocks, key.first, key.second));
  }
  throw InputError(fmt::format(
      "--shard: these depend on the order of batches and cannot be merged: {}; use MinmaxObserver, "
      "HistogramPercentileObserver, HistogramKLObserver or HistogramOmseObserver",
      fmt::join(texts, "; ")));
}

void SaveShard(AtomicFile& file, const ShardIdentity& identity, ShardPlace place,
               const std::string& inputs_hash, const Observations& observations) {
  Json body = ToJson(observations);
  for (const auto& [part, value] : identity) body["identity"][part] = value;
  body["shard"] = place.index;
  body["shards"] = place.count;
  body["inputs"] = {{"count", observations.inputs},
                    {"sha256", inputs_hash},
                    {"min", observations.input_range.min},
                    {"max", observations.input_range.max}};
  const std::string checksum = Sha256Hex(body.dump());
  const Json json = {
      {"format", kFormat}, {"version", kVersion}, {"sha256", checksum}, {"body", std::move(body)}};
  file.Write(json.dump() + "\n");
  file.Commit();
}

void MergeShards(const std::vector<std::filesystem::path>& files, const ShardIdentity& identity,
                 std::int64_t inputs, const ShardInputs& hash_of, Observations& observations) {
  Roll roll;
  for (const std::filesystem::path& file : files) {
    const Json body = ReadShard(file);
    try {
      CheckIdentity(file, body.at("identity"), identity);
      const ShardPlace place = {body.at("shard").get<std::int64_t>(),
                                body.at("shards").get<std::int64_t>()};
      if (place.count < 1 || place.count > kMostShards || place.index < 1 ||
          place.index > place.count) {
        Fail(file, fmt::format("shard {} of {} cannot be", place.index, place.count));
      }
      roll.Call(file, place);
      const auto count = body.at("inputs").at("count").get<std::int64_t>();
      if (count != place.End(inputs) - place.First(inputs)) {
        Fail(file, fmt::format("shard {} of {} has seen {} inputs, but {} of the {} calibration "
                               "inputs are its share",
                               place.index, place.count, count,
                               place.End(inputs) - place.First(inputs), inputs));
      }
    } catch (const Json::exception& error) {
      Fail(file, fmt::format("not a complete calibration shard: {}", error.what()));
    }
  }
  roll.RequireAll();
  for (const std::filesystem::path& file : files) {
    try {
      const Json body = ReadShard(file);
      const ShardPlace place = {body.at("shard").get<std::int64_t>(),
                                body.at("shards").get<std::int64_t>()};
      if (body.at("inputs").at("sha256").get<std::string>() != hash_of(place)) {
        throw InputError(
            fmt::format("made with other calibration inputs than shard {} of {} has "
                        "now; write it again",
                        place.index, place.count));
      }
      Add(body, observations);
    } catch (const Json::exception& error) {
      Fail(file, fmt::format("not a complete calibration shard: {}", error.what()));
    } catch (const InputError& error) {
      Fail(file, error.what());
    }
  }
}

}  // namespace qsim::calibrate
