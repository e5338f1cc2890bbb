// A model's config.json, setting by setting. None passes unread: what nobody asks for, and is not
// known to change nothing, may be another function.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "sim/namespaces.h"

namespace qsim::network {

class ModelConfig {
 public:
  // Throws InputError as ReadConfiguration.
  explicit ModelConfig(std::filesystem::path path);
  // The object under a key, or an empty one.
  ModelConfig Inner(const std::string& key) const;

  // Whether a key is there and not null, which is the same as absent.
  bool States(const std::string& key) const;
  // Throw InputError naming the key: a value of another kind, one that must be there and is not.
  std::int64_t Positive(const std::string& key,
                        std::optional<std::int64_t> otherwise = std::nullopt) const;
  double Number(const std::string& key, double otherwise) const;
  bool Flag(const std::string& key, bool otherwise) const;
  std::string Word(const std::string& key, const std::string& otherwise) const;
  // Two numbers, the first not above the second.
  std::pair<double, double> Range(const std::string& key, double low, double high) const;
  // Of an eps: in [0, 1).
  double Eps(const std::string& key, double otherwise) const;

  // Throws InputError where a key has another value than the one that is covered, or null; the
  // message says `what` that would be.
  void Only(const std::string& key, const nlohmann::json& covered, std::string_view what) const;
  // Keys that change nothing that is computed.
  void Ignore(std::span<const std::string_view> keys) const;
  // Throws InputError naming a key that was neither read nor ignored.
  void Finish() const;

  [[noreturn]] void Fail(const std::string& key, const std::string& what) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  ModelConfig(std::filesystem::path path, std::string place, nlohmann::json json);
  // Null where it is not stated.
  const nlohmann::json& Value(const std::string& key) const;
  [[noreturn]] void FailKind(const std::string& key, const char* expected) const;

  std::filesystem::path path_;
  std::string place_;  // "ssm_cfg."
  nlohmann::json json_;
  mutable std::set<std::string, std::less<>> read_;
};

}  // namespace qsim::network
