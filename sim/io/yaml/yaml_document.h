// A YAML file as a tree with line numbers, parsed strictly: one document, no duplicate keys,
// bounded size and depth. Keys of the root that begin with "x-" are left out. Aliases share their
// anchor's node; merge keys (<<) fill in keys that the map does not have itself.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/io/files/input_file.h"

namespace qsim::io {

struct YamlNode;
using YamlPtr = std::shared_ptr<const YamlNode>;

struct YamlEntry {
  std::string key;
  int line = 0;  // of the key, from 1
  YamlPtr value;
};

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  int line = 0;                    // from 1
  bool quoted = false;             // kScalar: '8' is text, 8 is a number
  bool anchored = false;           // &name stands in front
  std::string scalar;              // kScalar
  std::vector<YamlPtr> items;      // kSequence
  std::vector<YamlEntry> entries;  // kMap, in the file's order, keys unique

  // The value of a key, or null.
  YamlPtr Find(std::string_view key) const;
  // What a message calls it: "a map", "a list", "'8'", "nothing"; of a quoted number that, too.
  std::string Describe() const;
};

// Throws InputError ("file:line: ...").
YamlPtr ParseYaml(std::string_view text, std::string_view file_name);
// A file of more than `most_bytes` is refused: what a person writes is small.
inline constexpr std::uint64_t kLargestWrittenYaml = std::uint64_t{2} << 20;
YamlPtr LoadYaml(const std::filesystem::path& path, std::uint64_t most_bytes = kLargestWrittenYaml);
YamlPtr LoadYaml(const InputFile& file, std::uint64_t most_bytes = kLargestWrittenYaml);

}  // namespace qsim::io
