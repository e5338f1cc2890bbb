#include "sim/calibrate/observe/shard_records.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sim/error.h"

namespace qsim::calibrate {
namespace {

using Json = nlohmann::json;

std::int64_t Integer(const Json& json) {
  // A larger unsigned number would turn into a negative one.
  if (!json.is_number_integer() ||
      (json.is_number_unsigned() &&
       json.get<std::uint64_t>() >
           static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))) {
    throw InputError("an integer of 64 bits expected");
  }
  return json.get<std::int64_t>();
}

std::int32_t SmallInteger(const Json& json) {
  const std::int64_t value = Integer(json);
  if (value < std::numeric_limits<std::int32_t>::min() ||
      value > std::numeric_limits<std::int32_t>::max()) {
    throw InputError("an integer of 32 bits expected");
  }
  return static_cast<std::int32_t>(value);
}

float SinglePrecision(const Json& json) {
  const double value = json.get<double>();
  if (!(std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max()))) {
    throw InputError("a float32 expected");
  }
  return static_cast<float>(value);
}

}  // namespace

Json StateToJson(const ObserverState& state) {
  if (state.histograms.empty()) {
    Json extremes = Json::array();
    for (const RealRange& range : state.extremes) extremes.push_back({range.min, range.max});
    return {{"extremes", std::move(extremes)}};
  }
  Json histograms = Json::array();
  for (const DoublingHistogram::State& h : state.histograms) {
    histograms.push_back({{"half_bins", h.half_bins},
                          {"exponent", h.exponent},
                          {"min", static_cast<double>(h.min)},
                          {"max", static_cast<double>(h.max)},
                          {"first", h.first},
                          {"counts", h.counts}});
  }
  return {{"histograms", std::move(histograms)}};
}

ObserverState StateFromJson(const Json& json) {
  ObserverState state;
  if (json.contains("extremes")) {
    for (const Json& range : json.at("extremes")) {
      state.extremes.push_back({range.at(0).get<double>(), range.at(1).get<double>()});
    }
    return state;
  }
  for (const Json& h : json.at("histograms")) {
    DoublingHistogram::State& histogram = state.histograms.emplace_back();
    histogram.half_bins = SmallInteger(h.at("half_bins"));
    histogram.exponent = SmallInteger(h.at("exponent"));
    histogram.min = SinglePrecision(h.at("min"));
    histogram.max = SinglePrecision(h.at("max"));
    histogram.first = Integer(h.at("first"));
    for (const Json& count : h.at("counts")) histogram.counts.push_back(Integer(count));
  }
  return state;
}

}  // namespace qsim::calibrate
