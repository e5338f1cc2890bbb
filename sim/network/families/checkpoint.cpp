#include "sim/network/families/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "sim/error.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

// "", "module.", "module.model.": what all names begin with, up to a dot, the shortest first.
std::vector<std::string> CommonPrefixes(const std::vector<std::string>& names) {
  std::vector<std::string> prefixes = {""};
  if (names.empty()) return prefixes;
  const std::string& first = names.front();  // sorted: the last differs from it as early as any
  const auto end =
      std::mismatch(first.begin(), first.end(), names.back().begin(), names.back().end()).first;
  for (auto c = first.begin(); c != end; ++c) {
    if (*c == '.') prefixes.emplace_back(first.begin(), c + 1);
  }
  return prefixes;
}

std::string_view Behind(std::string_view prefix, std::string_view name) {
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

Shape Squeezed(Shape shape) {
  std::erase(shape, 1);
  return shape;
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& path, std::span<const NamingScheme> schemes,
                       std::string_view wanted)
    : file_(Safetensors::Open(path)) {
  const std::vector<std::string> names = file_.names();
  std::int64_t most = 0;
  for (const std::string& prefix : CommonPrefixes(names)) {
    for (const NamingScheme& scheme : schemes) {
      std::vector<std::string_view> bodies = {""};
      bodies.insert(bodies.end(), scheme.bodies.begin(), scheme.bodies.end());
      for (const std::string_view body : bodies) {
        const auto named = std::count_if(names.begin(), names.end(), [&](const auto& name) {
          return scheme.RuleOf(Behind(body, Behind(prefix, name))) != nullptr;
        });
        if (named <= most) continue;
        most = named;
        scheme_ = &scheme;
        prefix_ = prefix;
        body_ = body;
      }
    }
  }
  if (scheme_ == nullptr) {
    throw InputError(fmt::format("{}: holds no {}; its first tensor is '{}'", path.string(), wanted,
                                 names.empty() ? "" : Printable(names.front())));
  }
  for (const std::string& name : names) {
    const std::string_view inner = Behind(body_, Behind(prefix_, name));
    const NameRule* rule = scheme_->RuleOf(inner);
    if (rule == nullptr) {
      unknown_.push_back(name);
      continue;
    }
    rules_.insert(rule);
    const auto [at, is_new] = names_.emplace(*Ours(*rule, inner), name);
    if (is_new) continue;
    throw InputError(
        fmt::format("{}: tensors '{}' and '{}' are both '{}'; one of them is not of "
                    "this network",
                    path.string(), Printable(at->second), Printable(name), at->first));
  }
}

std::string Checkpoint::Stored(std::string_view ours) const {
  const auto found = names_.find(ours);
  if (found != names_.end()) return found->second;
  // As the file names its others of this kind, where it has any.
  std::string theirs(ours);
  bool is_first = true;
  for (const NameRule& rule : scheme_->rules) {
    const auto name = Theirs(rule, ours);
    const bool known = rules_.contains(&rule);
    if (!name || (!known && !is_first)) continue;
    theirs = *name;
    is_first = false;
    if (known) break;
  }
  const bool is_head = ours.starts_with("head") || ours.starts_with("lm_head");
  return prefix_ + (is_head ? "" : body_) + theirs;
}

Shape Checkpoint::ShapeOf(std::string_view ours) const {
  return Squeezed(file_.ShapeOf(Stored(ours)));
}

FloatTensor Checkpoint::Load(std::string_view ours, const Shape& shape) const {
  const std::string name = Stored(ours);
  if (!Has(ours) || ShapeOf(ours) != Squeezed(shape)) return file_.Load(name, shape);
  FloatTensor tensor = file_.Load(name);
  tensor.shape = shape;
  return tensor;
}

}  // namespace qsim::network
