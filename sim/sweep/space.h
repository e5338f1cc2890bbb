// What a sweep tries: axes of settings, and the points that are drawn from their product.
// docs/sweep.md, "The search space".
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/config.h"

namespace qsim::sweep {

// One choice of an axis: the settings it makes, as for --set.
struct SweepChoice {
  std::string label;                  // "PercentileObserver": what a table calls it
  std::vector<std::string> settings;  // "KEY.observer_type=PercentileObserver"
  bool changes_base = false;          // whether the base configuration says otherwise
};

struct SweepAxis {
  std::string name;  // "KEY.observer_type"
  std::vector<SweepChoice> choices;
  std::string origin;  // "space.yaml:12"
};

// A point: the choice taken on each axis.
using SweepPoint = std::vector<std::int32_t>;

class SweepSpace {
 public:
  // Reads a search space; `blocks.*` in a key makes one axis for each of `depth` blocks. Every
  // choice is tried on a copy of `base`, so that a key or value that no configuration would take is
  // refused here. Throws InputError ("space.yaml:7: ...").
  static SweepSpace Load(const std::filesystem::path& file, const Config& base, int depth);

  const std::vector<SweepAxis>& axes() const { return axes_; }
  // What the file says under `points` and `seed`, if anything.
  std::optional<std::int64_t> points() const { return points_; }
  std::uint64_t seed() const { return seed_; }
  // The number of points of the whole product; 2^63 - 1 where there are more.
  std::int64_t size() const;
  // SHA-256 of axes and choices.
  std::string Hash() const;

  // The whole product in order, the last axis fastest, where it has at most `wanted` points;
  // otherwise that many different ones, drawn uniformly with a generator of this seed.
  std::vector<SweepPoint> Draw(std::int64_t wanted, std::uint64_t seed) const;

  std::vector<std::string> SettingsOf(const SweepPoint& point) const;
  // For a person: "axis choice" of every axis whose choice changes the base configuration.
  std::vector<std::string> ChangesOf(const SweepPoint& point) const;

 private:
  std::vector<SweepAxis> axes_;
  std::optional<std::int64_t> points_;
  std::uint64_t seed_ = 1;
};

}  // namespace qsim::sweep
