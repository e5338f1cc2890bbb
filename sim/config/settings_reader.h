// The configuration's schema: walks a YAML tree, checks every key and value, and stores them as
// Settings.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/sections.h"
#include "sim/config/setting_names.h"
#include "sim/config/settings.h"
#include "sim/io/yaml/yaml_document.h"

namespace qsim::config {

// Reads one source: a file, or one --set. A dotted key means the same as nested maps.
class SettingsReader {
 public:
  // `file` is empty for --set.
  SettingsReader(Settings& settings, const Sections& sections, std::string file);

  void ReadDocument(const YamlNode& root);
  void ReadOverride(std::string_view key, const YamlNode& value);

 private:
  enum class PlaceKind : std::uint8_t {
    kRoot,
    kBlocks,
    kBlock,
    kLayer,  // the part of a key before a dot
    kSection,
    kBitType,
    kHardware,
    kNumerics,
    kW8a8,
  };
  struct Place {
    PlaceKind kind = PlaceKind::kRoot;
    std::string path;  // as written, with the dots
    int block = -1;
    std::string layer = {};  // of kLayer: the key so far
    SectionSettings* section = nullptr;
    bool is_softmax = false;        // Log2 is allowed
    bool is_linear_output = false;  // output_quant_enable is allowed
    bool is_weight = false;         // bias_correction and rounding are allowed
  };
  // What one source says about one bit_type; `name` must not contradict it.
  struct BitType {
    SectionSettings* section = nullptr;
    std::string path;
    int name_line = 0;
    std::optional<std::string> name;
    std::optional<int> bits;
    std::optional<bool> is_signed;
    std::optional<bool> symmetric;
  };
  struct Leaf {
    std::string path;
    const YamlNode& node;
    int line;
  };

  void Read(const Place& place, std::string_view key, const YamlNode& node, int line);
  // The place that a key opens, or nullopt when the key is a value or unknown.
  std::optional<Place> Enter(const Place& place, const std::string& key, int line);
  std::optional<Place> EnterRoot(const Place& place, const std::string& key, int line);
  // A section of the vocabulary, or the layer of several.
  std::optional<Place> EnterSection(const Place& place, const std::string& key, int line);
  Place EnterBlock(const Place& blocks, const std::string& key, int line);
  Place SectionPlace(const Place& parent, const std::string& key, SectionSettings& section,
                     int line);
  std::vector<std::string> KeysOf(const Place& place) const;
  // " (attn_qkv.output, ...)": a section that the vocabulary describes so, preferably of a block.
  std::string Example(Describes describes, std::string_view more) const;

  // False when the place has no such key.
  bool ReadValue(const Place& place, const std::string& key, const Leaf& leaf);
  bool ReadSectionValue(const Place& place, const std::string& key, const Leaf& leaf);
  bool ReadBitTypeValue(const Place& place, const std::string& key, const Leaf& leaf);
  bool ReadHardwareValue(const Place& place, const std::string& key, const Leaf& leaf);
  bool ReadNumericsValue(const Place& place, const std::string& key, const Leaf& leaf);
  bool ReadW8a8Value(const std::string& key, const Leaf& leaf);
  void RequireWeight(const Place& place, const Leaf& leaf) const;
  RequantRule ReadRequantRule(const Leaf& leaf) const;
  void ReadContract(const Place& place, const Leaf& leaf);
  void FinishNames();

  template <typename T>
  void Assign(Optional<T>& slot, T value, const Leaf& leaf);
  int Integer(const Leaf& leaf, int least, int most) const;
  double Real(const Leaf& leaf, double above, double most) const;
  double Share(const Leaf& leaf) const;  // in 0..1
  bool Boolean(const Leaf& leaf) const;
  template <typename T>
  T OneOf(const Leaf& leaf, std::string_view what) const;

  Origin OriginAt(int line) const;
  [[noreturn]] void Fail(const std::string& path, int line, const std::string& what) const;

  Settings& settings_;
  const Sections& sections_;
  std::string file_;
  bool norm_is_global_ = false;
  std::set<std::string, std::less<>> seen_;
  std::map<std::string, BitType, std::less<>> bit_types_;
};

}  // namespace qsim::config
