// The sections that a configuration can have: the vocabulary of one family of networks, as data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/scope.h"
#include "sim/config/section.h"

namespace qsim::config {

// What a section describes, as far as the rules of a configuration ask.
enum class Describes : std::uint8_t { kWeight, kLinearOutput, kNorm, kSoftmax, kTensor };

// Which networks of the family have it: every one; all but a few, which end before it; a few.
enum class Presence : std::uint8_t { kEvery, kMost, kFew };

struct SectionKind {
  // "attn_q_out", "attn_qkv.weight": as configurations name it, and as a program names the tensor,
  // or the layer before the dot.
  std::string key;
  Describes describes = Describes::kTensor;
  bool is_per_block = true;         // else the network has it once
  Scope scope = Scope::kAttention;  // the smallest whose programs have the tensor
  // The tensor of a program whose grid the section decides, without its block; empty where there is
  // none: weights, and what an algorithm fixes.
  std::string tensor = {};
  // Without configuration. Everything else is the same for all sections (struct Section).
  CalibrationMode granularity = CalibrationMode::kLayerWise;
  int bits = 8;
  bool is_signed = true;
  bool is_stream = false;     // member of the residual stream: hardware.residual_bits is its width
  bool enters_block = false;  // the stream that enters a block is this tensor, and has its section
  bool stays_wide = false;    // w8a8.wide_bits leaves it as wide as it is
  bool absorbed = false;      // layers alone read it, so that they can absorb factors: w8a8.smooth

  Presence presence = Presence::kEvery;

  bool operator==(const SectionKind&) const = default;
  bool IsWeight() const { return describes == Describes::kWeight; }
  // "attn_qkv" of "attn_qkv.weight": a layer, its weights and its output come together.
  std::string_view Layer() const;
};

// An ordered list of kinds. Copies share it, and references to its kinds last as long as any copy.
class Sections {
 public:
  // Throws InternalError for a key that is there twice, that is a part of another, or that
  // means something else in every configuration.
  explicit Sections(std::vector<SectionKind> kinds);

  auto begin() const { return kinds_->begin(); }
  auto end() const { return kinds_->end(); }

  const SectionKind* Find(std::string_view key) const;  // null: unknown
  // Throws InternalError for an unknown key.
  const SectionKind& At(std::string_view key) const;
  // The weight or the output of a linear layer, or null.
  const SectionKind* FindOfLayer(std::string_view layer, Describes describes) const;

 private:
  std::shared_ptr<const std::vector<SectionKind>> kinds_;
};

}  // namespace qsim::config
