// A weights file, whoever wrote it, read by our names (families/naming.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/io/tensors/safetensors.h"
#include "sim/network/families/naming.h"

namespace qsim::network {

class Checkpoint {
 public:
  // Takes the scheme of these, and the prefix of all names, under which most tensors have one of
  // our names. Throws InputError as Safetensors::Open, when no tensor has one (`wanted`: what the
  // file should hold), and when two tensors have the same one.
  Checkpoint(const std::filesystem::path& path, std::span<const NamingScheme> schemes,
             std::string_view wanted);

  const Safetensors& file() const { return file_; }
  const NamingScheme& scheme() const { return *scheme_; }
  // What stands in front of every name; empty or ends with a dot.
  const std::string& prefix() const { return prefix_; }

  // The file's tensors by our names, and those that have none, by the file's, sorted.
  const std::map<std::string, std::string, std::less<>>& names() const { return names_; }
  const std::vector<std::string>& unknown() const { return unknown_; }

  bool Has(std::string_view ours) const { return names_.contains(ours); }
  // The name that a tensor has, or would have, in this file.
  std::string Stored(std::string_view ours) const;
  // Without its axes of length 1: [1, T, C] is [T, C], and a 1x1 convolution a linear layer.
  Shape ShapeOf(std::string_view ours) const;
  // With that shape: the file's may have other axes of length 1. Throws InputError as
  // Safetensors::Load.
  FloatTensor Load(std::string_view ours, const Shape& shape) const;

 private:
  Safetensors file_;
  const NamingScheme* scheme_ = nullptr;
  std::string prefix_, body_;
  std::set<const NameRule*> rules_;  // by which the file's tensors are named
  std::map<std::string, std::string, std::less<>> names_;
  std::vector<std::string> unknown_;
};

}  // namespace qsim::network
