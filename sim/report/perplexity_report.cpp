#include "sim/report/perplexity_report.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "sim/report/json_values.h"
#include "sim/text/text_util.h"

namespace qsim::report {
namespace {

using Json = nlohmann::ordered_json;
using Bits = std::optional<double> SequenceBits::*;

struct Executor {
  const char* key;
  const char* text;
  Bits bits;
  std::optional<Estimate> PerplexitySummary::*of;
};
constexpr Executor kExecutors[] = {
    {"float", "float", &SequenceBits::reference, &PerplexitySummary::reference},
    {"ideal", "ideal fake quantization", &SequenceBits::ideal, &PerplexitySummary::ideal},
    {"integer", "integer", &SequenceBits::integer, &PerplexitySummary::integer},
};

struct Pair {
  const char* key;
  const char* text;
  Bits value, against;
};
constexpr Pair kPairs[] = {
    {"integer_float", "integer against float", &SequenceBits::integer, &SequenceBits::reference},
    {"ideal_float", "ideal against float", &SequenceBits::ideal, &SequenceBits::reference},
    {"integer_ideal", "integer against ideal", &SequenceBits::integer, &SequenceBits::ideal},
};

Estimate Times(const Estimate& e, double factor) {
  return {e.value * factor, e.low * factor, e.high * factor};
}

std::string IntervalText(const Estimate& e, int digits) {
  const std::string value = fmt::format("{:.{}f}", e.value, digits);
  if (!std::isfinite(e.low)) return value;
  return value + fmt::format(" ({:.{}f} to {:.{}f})", e.low, digits, e.high, digits);
}

Json EstimateJson(const Estimate& e) {
  return {{"value", JsonNumber(e.value)}, {"interval95", {JsonNumber(e.low), JsonNumber(e.high)}}};
}

}  // namespace

PerplexitySummary Summarise(std::vector<SequenceBits> sequences) {
  PerplexitySummary s;
  std::vector<double> tokens;
  for (const SequenceBits& sequence : sequences) {
    s.tokens += sequence.tokens;
    tokens.push_back(static_cast<double>(sequence.tokens));
  }
  const auto all = [&](Bits bits) {
    std::vector<double> values;
    for (const SequenceBits& sequence : sequences) values.push_back((sequence.*bits).value());
    return values;
  };
  const SequenceBits& first = sequences.front();
  for (const Executor& executor : kExecutors) {
    if (first.*executor.bits) s.*executor.of = RatioEstimate(all(executor.bits), tokens);
  }
  for (const Pair& pair : kPairs) {
    if (!(first.*pair.value) || !(first.*pair.against)) continue;
    const std::vector<double> against = all(pair.against);
    std::vector<double> more = all(pair.value);
    for (std::size_t i = 0; i < more.size(); ++i) more[i] -= against[i];
    s.differences.push_back({pair.key, pair.text, RatioEstimate(more, tokens),
                             Times(RatioEstimate(more, against), 100)});
  }
  s.sequences = std::move(sequences);
  return s;
}

std::string LineOf(const SequenceBits& bits) {
  return Json{bits.tokens, OrNull(bits.reference), OrNull(bits.ideal), OrNull(bits.integer)}.dump();
}

std::optional<SequenceBits> ParseSequenceBits(std::int64_t index, const std::string& line) {
  try {
    const Json json = Json::parse(line);
    SequenceBits bits;
    bits.index = index;
    bits.tokens = json.at(0).get<std::int64_t>();
    for (std::size_t i = 0; i < std::size(kExecutors); ++i) {
      const Json& value = json.at(i + 1);
      if (!value.is_null()) bits.*kExecutors[i].bits = value.get<double>();
    }
    return bits;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

std::string FormatPerplexity(const PerplexitySummary& s, bool verbose) {
  std::string text =
      fmt::format("{}, {} predicted\n{:>38}{:>14}\n",
                  CountInputs(static_cast<std::int64_t>(s.sequences.size()), true),
                  Count(s.tokens, "token", "tokens"), "bits per token", "perplexity");
  for (const Executor& executor : kExecutors) {
    const std::optional<Estimate>& bits = s.*executor.of;
    if (!bits) continue;
    text += fmt::format("  {:<24}{:>12.5f}{:>14.4f}\n", executor.text, bits->value,
                        std::exp2(bits->value));
  }
  if (!s.differences.empty()) {
    text += fmt::format("with 95 % intervals, paired by sequence\n{:>38}{:>28}\n", "bits per token",
                        "%");
  }
  for (const BitsDifference& d : s.differences) {
    text += fmt::format("  {:<22}{:<32}{}\n", d.text, IntervalText(d.bits, 5),
                        IntervalText(d.percent, 3));
  }
  if (!verbose) return text;
  text += fmt::format("{:>10}{:>12}{:>12}{:>12}\n", "tokens", "float", "ideal", "integer");
  for (const SequenceBits& sequence : s.sequences) {
    text += fmt::format("{:>10}", sequence.tokens);
    for (const Executor& executor : kExecutors) {
      const std::optional<double>& bits = sequence.*executor.bits;
      text += bits ? fmt::format("{:>12.5f}", *bits / static_cast<double>(sequence.tokens))
                   : fmt::format("{:>12}", "-");
    }
    text += fmt::format("  {}\n", sequence.name);
  }
  return text;
}

std::string PerplexityJsonText(const PerplexitySummary& s) {
  Json json = {{"sequences", s.sequences.size()}, {"tokens", s.tokens}};
  for (const char* key : {"bits_per_token", "perplexity", "differences"})
    json[key] = Json::object();
  for (const Executor& executor : kExecutors) {
    const std::optional<Estimate>& bits = s.*executor.of;
    if (!bits) continue;
    json["bits_per_token"][executor.key] = JsonNumber(bits->value);
    json["perplexity"][executor.key] = JsonNumber(std::exp2(bits->value));
  }
  for (const BitsDifference& d : s.differences)
    json["differences"][d.key] = {{"bits", EstimateJson(d.bits)},
                                  {"percent", EstimateJson(d.percent)}};
  json["per_sequence"] = Json::array();
  for (const SequenceBits& sequence : s.sequences) {
    Json entry = {{"name", sequence.name}, {"tokens", sequence.tokens}};
    for (const Executor& executor : kExecutors) {
      const std::optional<double>& bits = sequence.*executor.bits;
      if (bits) entry[executor.key] = JsonNumber(*bits / static_cast<double>(sequence.tokens));
    }
    json["per_sequence"].push_back(std::move(entry));
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace qsim::report
