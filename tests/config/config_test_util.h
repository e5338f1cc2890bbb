// Configurations written inline.
#pragma once

#include <string>
#include <vector>

#include "sim/config/config.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {

// Loads the texts as a.yaml, b.yaml, ... in this order.
inline Config LoadTexts(const std::vector<std::string>& texts,
                        const Sections& sections = VitSections()) {
  const TempDir dir;
  std::vector<std::filesystem::path> files;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    files.push_back(dir.path() / (std::string(1, static_cast<char>('a' + i)) + ".yaml"));
    WriteBytes(files.back(), texts[i]);
  }
  return Config::Load(files, sections);
}

inline Config LoadText(const std::string& text, const Sections& sections = VitSections()) {
  return LoadTexts({text}, sections);
}

}  // namespace qsim::testing
