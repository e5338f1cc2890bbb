#include "sim/sweep/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "sim/config/config_yaml.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/io/files/limits.h"
#include "sim/io/yaml/yaml_document.h"
#include "sim/io/yaml/yaml_values.h"
#include "sim/text/nearest_word.h"
#include "sim/text/printable.h"

namespace qsim::sweep {
namespace {

constexpr std::string_view kEachBlock = "blocks.*.";
constexpr std::int64_t kMostPoints = 10'000;
constexpr std::int64_t kMostSettings = 10'000;  // of all choices, a key of each block one by one
constexpr std::int64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

// Steele, Lea and Flood's SplitMix64: its numbers are the same everywhere.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}

  // Uniform in 0..bound-1: values of the last, incomplete round are drawn again.
  std::int32_t Below(std::uint64_t bound) {
    const std::uint64_t incomplete = (0 - bound) % bound;
    std::uint64_t value = Next();
    while (value < incomplete) value = Next();
    return static_cast<std::int32_t>(value % bound);
  }

 private:
  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

class SpaceReader {
 public:
  SpaceReader(std::string file, const Config& base, int depth)
      : file_(std::move(file)), base_(base), base_yaml_(ConfigYaml(base, depth)), depth_(depth) {}

  [[noreturn]] void Fail(int line, const std::string& what) const {
    throw InputError(fmt::format("{}:{}: {}", file_, line, what));
  }

  void CheckKeys(const YamlNode& map, const std::vector<std::string>& words,
                 std::string_view place) const {
    for (const YamlEntry& entry : map.entries) {
      if (std::find(words.begin(), words.end(), entry.key) == words.end()) {
        Fail(entry.line, fmt::format("key '{}{}': unknown key; {}", place, Printable(entry.key),
                                     SuggestWord(entry.key, words)));
      }
    }
  }

  // An axis of the file: several axes where its keys are for each block.
  std::vector<SweepAxis> Axes(const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kMap) {
      Fail(node.line, fmt::format("axes: {} found; each axis is a map with key or keys, and values",
                                  node.Describe()));
    }
    CheckKeys(node, {"name", "key", "keys", "values", "choices"}, "axes.");
    const std::vector<Template> choices =
        node.Find("choices") ? Choices(node) : Products(node, Keys(node));
    const bool each_block = MentionsEachBlock(node, choices);
    if (each_block) {
      std::size_t settings = 0;
      for (const Template& choice : choices) settings += choice.settings.size();
      Count(node.line, settings * static_cast<std::size_t>(depth_ - 1));
    }
    const std::string name = Name(node, choices);
    std::vector<SweepAxis> axes;
    for (int block = 0; block < (each_block ? depth_ : 1); ++block) {
      SweepAxis axis;
      axis.name = ForBlock(name, block);
      if (each_block && axis.name == name) axis.name = fmt::format("blocks.{}.{}", block, name);
      axis.origin = fmt::format("{}:{}", file_, node.line);
      for (const Template& choice : choices) {
        SweepChoice made;
        made.label = choice.label;
        for (const std::string& setting : choice.settings) {
          made.settings.push_back(ForBlock(setting, block));
        }
        Try(made, choice.line);
        axis.choices.push_back(std::move(made));
      }
      axes.push_back(std::move(axis));
    }
    return axes;
  }

  std::int64_t Integer(const YamlNode& map, std::string_view key, std::int64_t least,
                       std::int64_t most) const {
    const YamlPtr node = map.Find(key);
    const auto value = AsInteger(*node);
    if (!value || *value < least || *value > most) {
      Fail(node->line, fmt::format("key '{}': {} is not a whole number in {}..{}", key,
                                   node->Describe(), least, most));
    }
    return *value;
  }

 private:
  // A choice whose settings may say `blocks.*`.
  struct Template {
    std::string label;
    std::vector<std::string> settings;
    int line = 0;
  };

  // More settings, each of which is tried when the space is read.
  void Count(int line, std::size_t settings) {
    settings_ += static_cast<std::int64_t>(settings);
    if (settings_ > Raised(kMostSettings)) {
      Fail(line, fmt::format("more than {} settings in the choices of all axes; {}",
                             Raised(kMostSettings), kRaisedBy));
    }
  }

  std::string Text(const YamlNode& node, std::string_view what) const {
    const auto text = AsText(node);
    if (!text || text->empty()) {
      Fail(node.line,
           fmt::format("{}: {} found; a word or number expected", what, node.Describe()));
    }
    return *text;
  }

  const YamlNode& List(const YamlNode& axis, std::string_view key) const {
    const YamlPtr node = axis.Find(key);
    if (!node) Fail(axis.line, fmt::format("axes: '{}' is missing", key));
    if (node->kind != YamlNode::Kind::kSequence || node->items.empty()) {
      Fail(node->line,
           fmt::format(
               "key 'axes.{}': {} found; a list with at least one entry expected", key,
               node->kind == YamlNode::Kind::kSequence ? "an empty list" : node->Describe()));
    }
    return *node;
  }

  std::vector<std::string> Keys(const YamlNode& axis) const {
    const YamlPtr one = axis.Find("key");
    if (one && axis.Find("keys")) Fail(axis.line, "axes: give 'key' or 'keys', not both");
    if (one) return {Text(*one, "key 'axes.key'")};
    if (!axis.Find("keys")) {
      Fail(axis.line, "axes: an axis needs 'key' or 'keys' with 'values', or 'choices'");
    }
    std::vector<std::string> keys;
    for (const YamlPtr& item : List(axis, "keys").items) {
      keys.push_back(Text(*item, "key 'axes.keys'"));
    }
    return keys;
  }

  // Every key set to each of the values together.
  std::vector<Template> Products(const YamlNode& axis, const std::vector<std::string>& keys) {
    std::vector<Template> choices;
    for (const YamlPtr& item : List(axis, "values").items) {
      Count(item->line, keys.size());
      Template choice;
      choice.label = Text(*item, "key 'axes.values'");
      choice.line = item->line;
      for (const std::string& key : keys) {
        choice.settings.push_back(fmt::format("{}={}", key, choice.label));
      }
      choices.push_back(std::move(choice));
    }
    return choices;
  }

  // Maps from setting to value.
  std::vector<Template> Choices(const YamlNode& axis) {
    for (const char* other : {"key", "keys", "values"}) {
      if (axis.Find(other)) {
        Fail(axis.line, fmt::format("axes: 'choices' replaces '{}': give one or the other", other));
      }
    }
    std::vector<Template> choices;
    for (const YamlPtr& item : List(axis, "choices").items) {
      if (item->kind != YamlNode::Kind::kMap || item->entries.empty()) {
        Fail(item->line, fmt::format("key 'axes.choices': {} found; each choice is a map of "
                                     "settings, such as {{hardware.multiplier_bits: 12}}",
                                     item->Describe()));
      }
      Count(item->line, item->entries.size());
      Template choice;
      choice.line = item->line;
      for (const YamlEntry& entry : item->entries) {
        if (entry.key == "name") {
          choice.label = Text(*entry.value, "key 'axes.choices.name'");
          continue;
        }
        choice.settings.push_back(
            fmt::format("{}={}", entry.key, Text(*entry.value, "key 'axes.choices'")));
      }
      if (choice.settings.empty()) Fail(item->line, "axes: a choice without settings");
      if (choice.label.empty()) choice.label = fmt::format("{}", fmt::join(choice.settings, " "));
      choices.push_back(std::move(choice));
    }
    return choices;
  }

  bool MentionsEachBlock(const YamlNode& axis, const std::vector<Template>& choices) const {
    int with = 0;
    int all = 0;
    for (const Template& choice : choices) {
      for (const std::string& setting : choice.settings) {
        ++all;
        if (setting.starts_with(kEachBlock)) ++with;
      }
    }
    if (with != 0 && with != all) {
      Fail(axis.line, "axes: either every key of an axis begins with 'blocks.*.' or none");
    }
    return with != 0;
  }

  std::string Name(const YamlNode& axis, const std::vector<Template>& choices) const {
    if (const YamlPtr name = axis.Find("name")) return Text(*name, "key 'axes.name'");
    const std::string& first = choices.front().settings.front();
    std::string name = first.substr(0, first.find('='));
    if (axis.Find("choices")) return name + ", ...";
    const std::size_t keys = choices.front().settings.size();
    return keys == 1 ? name : fmt::format("{} and {} more", name, keys - 1);
  }

  static std::string ForBlock(const std::string& setting, int block) {
    if (!setting.starts_with(kEachBlock)) return setting;
    return fmt::format("blocks.{}.{}", block, setting.substr(kEachBlock.size()));
  }

  // Applies the settings to a copy of the base.
  void Try(SweepChoice& choice, int line) const {
    constexpr std::string_view kPlace = "--set: ";
    Config copy = base_;
    for (const std::string& setting : choice.settings) {
      try {
        copy.Set(setting);
      } catch (const InputError& error) {
        const std::string what = error.what();
        Fail(line, what.starts_with(kPlace) ? what.substr(kPlace.size()) : what);
      }
    }
    choice.changes_base = ConfigYaml(copy, depth_) != base_yaml_;
  }

  std::string file_;
  const Config& base_;
  std::string base_yaml_;
  int depth_;
  std::int64_t settings_ = 0;  // of the axes so far
};

}  // namespace

SweepSpace SweepSpace::Load(const std::filesystem::path& file, const Config& base, int depth) {
  const YamlPtr root = LoadYaml(file);
  SpaceReader reader(file.string(), base, depth);
  if (root->kind != YamlNode::Kind::kMap) {
    reader.Fail(root->line,
                fmt::format("{} found; a search space is a map with 'axes'", root->Describe()));
  }
  reader.CheckKeys(*root, {"axes", "points", "seed"}, "");
  const YamlPtr axes = root->Find("axes");
  if (!axes || axes->kind != YamlNode::Kind::kSequence || axes->items.empty()) {
    reader.Fail(axes ? axes->line : root->line, "'axes' must be a list with at least one axis");
  }
  SweepSpace space;
  for (const YamlPtr& item : axes->items) {
    for (SweepAxis& axis : reader.Axes(*item)) space.axes_.push_back(std::move(axis));
  }
  if (root->Find("points")) space.points_ = reader.Integer(*root, "points", 1, Raised(kMostPoints));
  if (root->Find("seed")) {
    space.seed_ = static_cast<std::uint64_t>(reader.Integer(*root, "seed", 0, kUnbounded));
  }
  return space;
}

std::int64_t SweepSpace::size() const {
  std::int64_t size = 1;
  for (const SweepAxis& axis : axes_) {
    const auto choices = static_cast<std::int64_t>(axis.choices.size());
    if (size > kUnbounded / choices) return kUnbounded;
    size *= choices;
  }
  return size;
}

std::string SweepSpace::Hash() const {
  Sha256 hash;
  for (const SweepAxis& axis : axes_) {
    hash.Update("axis\n");
    for (const SweepChoice& choice : axis.choices) {
      hash.Update(fmt::format("{}\n", fmt::join(choice.settings, "\t")));
    }
  }
  return hash.Finish();
}

std::vector<SweepPoint> SweepSpace::Draw(std::int64_t wanted, std::uint64_t seed) const {
  std::vector<SweepPoint> points;
  SweepPoint point(axes_.size(), 0);
  if (size() <= wanted) {
    for (std::int64_t n = 0; n < size(); ++n) {
      points.push_back(point);
      for (std::size_t axis = axes_.size(); axis-- > 0;) {
        if (++point[axis] < static_cast<std::int32_t>(axes_[axis].choices.size())) break;
        point[axis] = 0;
      }
    }
    return points;
  }
  SplitMix random(seed);
  std::set<SweepPoint> drawn;
  while (static_cast<std::int64_t>(points.size()) < wanted) {
    for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
      point[axis] = random.Below(axes_[axis].choices.size());
    }
    if (drawn.insert(point).second) points.push_back(point);
  }
  return points;
}

std::vector<std::string> SweepSpace::ChangesOf(const SweepPoint& point) const {
  std::vector<std::string> changes;
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    const SweepChoice& choice = axes_[axis].choices[static_cast<std::size_t>(point[axis])];
    if (choice.changes_base) changes.push_back(axes_[axis].name + " " + choice.label);
  }
  return changes;
}

std::vector<std::string> SweepSpace::SettingsOf(const SweepPoint& point) const {
  std::vector<std::string> settings;
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    const SweepChoice& choice = axes_[axis].choices[static_cast<std::size_t>(point[axis])];
    settings.insert(settings.end(), choice.settings.begin(), choice.settings.end());
  }
  return settings;
}

}  // namespace qsim::sweep
