// The YAML configuration: files, --set overrides, defaults. docs/formats.md, "Configuration".
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/contract.h"
#include "sim/config/defaults.h"
#include "sim/config/section.h"
#include "sim/config/sections.h"
#include "sim/config/settings.h"

namespace qsim::config {

// A tensor that files or --set give a section of its own.
struct OwnSection {
  int block = -1;                     // -1: in all blocks, or outside them
  const SectionKind* kind = nullptr;  // of the configuration's vocabulary
  std::string origin;
};

class Config {
 public:
  // Reads the files in order, in the words of a vocabulary; where several set the same key, the
  // later one wins and notes() says so. Throws InputError: "file:line: key
  // 'attn_q_out.bit_type.bit': unknown key; did you mean 'bits'?".
  static Config Load(const std::vector<std::filesystem::path>& files,
                     const Sections& sections = VitSections());
  static Config Defaults(const Sections& sections = VitSections()) { return Config(sections); }
  explicit Config(const Sections& sections = VitSections()) : sections_(sections) {}

  const Sections& sections() const { return sections_; }

  // One override "key=value", same keys and errors, "--set: key ..." for the place.
  void Set(std::string_view key_equals_value);

  // Checks what only the whole configuration can tell: blocks.N within 0..depth-1, and a Log2
  // softmax section that numerics.softmax does not contradict. Call it once, after Load and every
  // Set.
  void CheckBlocks(int depth) const;

  // Resolved values. block < 0: as for a block without keys of its own (and for sections
  // outside the blocks). Throws InternalError for a key that the vocabulary lacks.
  Section Get(int block, std::string_view key) const;
  Hardware HardwareFor(int block) const;
  Numerics NumericsFor(int block) const;

  // The static W8A8 family, where the key w8a8 is there.
  std::optional<W8a8> W8a8Family() const;

  std::vector<OwnSection> OwnSections() const;

  // The contracts that the resolved numerics amount to: the one that is named, or "default"; where
  // other keys change single choices, "custom", whose source says what.
  ModelContracts Contracts() const;

  // Every resolved value as text, one per line, in a fixed order; without origins, so that two
  // spellings of the same configuration hash alike.
  std::string Canonical() const;

  // Keys that several files set, and sections that another key overrules.
  std::vector<std::string> notes() const;

 private:
  void NoteResidualBits(std::vector<std::string>& notes) const;

  Sections sections_;
  Settings settings_;
};

}  // namespace qsim::config
