#include "sim/network/families/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "sim/error.h"
#include "sim/inputs/configuration_file.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

using Json = nlohmann::json;

constexpr std::int64_t kMost = 1 << 24;

// What libraries write beside the settings of a model: how it was trained, is loaded, or generates.
constexpr std::string_view kOfNoModel[] = {
    "add_cross_attention",
    "architectures",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "length_penalty",
    "max_length",
    "max_position_embeddings",
    "min_length",
    "model_type",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "problem_type",
    "pruned_heads",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "use_bfloat16",
    "use_cache",
};

}  // namespace

ModelConfig::ModelConfig(std::filesystem::path path)
    : ModelConfig(path, "", ReadConfiguration(path)) {}

ModelConfig::ModelConfig(std::filesystem::path path, std::string place, Json json)
    : path_(std::move(path)), place_(std::move(place)), json_(std::move(json)) {}

const Json& ModelConfig::Value(const std::string& key) const {
  static const Json kNull;
  read_.insert(key);
  const auto found = json_.find(key);
  return found == json_.end() ? kNull : *found;
}

bool ModelConfig::States(const std::string& key) const { return !Value(key).is_null(); }

void ModelConfig::Fail(const std::string& key, const std::string& what) const {
  throw InputError(
      fmt::format("{}: key '{}{}': {}", Printable(path_.string()), place_, Printable(key), what));
}

void ModelConfig::FailKind(const std::string& key, const char* expected) const {
  Fail(key, States(key) ? fmt::format("expected {}, got {}", expected, Printable(Value(key).dump()))
                        : fmt::format("is missing; it is {}", expected));
}

ModelConfig ModelConfig::Inner(const std::string& key) const {
  const Json& value = Value(key);
  if (!value.is_null() && !value.is_object()) FailKind(key, "an object");
  return {path_, place_ + key + ".", value.is_null() ? Json::object() : value};
}

std::int64_t ModelConfig::Positive(const std::string& key,
                                   std::optional<std::int64_t> otherwise) const {
  const Json& value = Value(key);
  if (value.is_null() && otherwise) return *otherwise;
  if (!value.is_number_integer() || value.get<double>() < 1 ||
      value.get<double>() > static_cast<double>(kMost))
    FailKind(key, "a positive integer");
  return value.get<std::int64_t>();
}

double ModelConfig::Number(const std::string& key, double otherwise) const {
  const Json& value = Value(key);
  if (value.is_null()) return otherwise;
  if (!value.is_number() || !std::isfinite(value.get<double>())) FailKind(key, "a number");
  return value.get<double>();
}

double ModelConfig::Eps(const std::string& key, double otherwise) const {
  const double eps = Number(key, otherwise);
  if (eps < 0 || eps >= 1) FailKind(key, "a number in [0, 1)");
  return eps;
}

bool ModelConfig::Flag(const std::string& key, bool otherwise) const {
  const Json& value = Value(key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) FailKind(key, "true or false");
  return value.get<bool>();
}

std::string ModelConfig::Word(const std::string& key, const std::string& otherwise) const {
  const Json& value = Value(key);
  if (value.is_null()) return otherwise;
  if (!value.is_string()) FailKind(key, "a name");
  return value.get<std::string>();
}

std::pair<double, double> ModelConfig::Range(const std::string& key, double low,
                                             double high) const {
  const Json& value = Value(key);
  if (value.is_null()) return {low, high};
  const bool pair =
      value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number();
  if (!pair || !(value[0].get<double>() <= value[1].get<double>()))
    FailKind(key, "two numbers, the lower limit and the upper");
  return {value[0].get<double>(), value[1].get<double>()};
}

void ModelConfig::Only(const std::string& key, const Json& covered, std::string_view what) const {
  const Json& value = Value(key);
  if (value.is_null() || value == covered) return;
  Fail(key, fmt::format("{}: {} is not supported", Printable(value.dump()), what));
}

void ModelConfig::Ignore(std::span<const std::string_view> keys) const {
  read_.insert(keys.begin(), keys.end());
}

void ModelConfig::Finish() const {
  Ignore(kOfNoModel);
  for (const auto& [key, value] : json_.items()) {
    if (value.is_null() || key.starts_with('_') || read_.contains(key)) continue;
    const auto nearest = NearestWord(key, {read_.begin(), read_.end()});
    Fail(key, nearest ? fmt::format("is not known, did you mean '{}'?", *nearest)
                      : "is not known: it may change what the model computes; take it out if it "
                        "does not");
  }
}

}  // namespace qsim::network
