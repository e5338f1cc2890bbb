// By which names libraries store a network's tensors: a table for each, from their name to the one
// by which its family asks. Of a vision transformer those are timm's, with queries, keys and values
// apart.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace qsim::network {

// In both: '#' stands for the block's number. In theirs: '%' for a number that says nothing (of a
// chunk of blocks); a final '*' for "weight" or "bias", which ours keeps.
struct NameRule {
  std::string_view theirs;
  std::string_view ours;
};

struct NamingScheme {
  std::string_view owner;  // whose: "timm"
  std::span<const NameRule> rules;
  // What stands in front of every name but the head's where the model has one; may be empty.
  std::span<const std::string_view> bodies = {};

  // The rule by which they name a tensor, or null.
  const NameRule* RuleOf(std::string_view theirs) const;
};

// A name that fits one side of a rule, on its other side; nothing where it does not fit.
std::optional<std::string> Ours(const NameRule& rule, std::string_view theirs);
std::optional<std::string> Theirs(const NameRule& rule, std::string_view ours);

// Of vision transformers. The first is the one whose names are taken as they are.
std::span<const NamingScheme> NamingSchemes();

}  // namespace qsim::network
