#include "sim/config/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/config/settings.h"
#include "sim/error.h"

namespace qsim::config {
namespace {

// `norm` is a section of the global format only where that is used.
bool IsReserved(std::string_view key) {
  const std::string_view top = key.substr(0, key.find('.'));
  const auto global = FromName<GlobalSection>(top);
  return (global && *global != GlobalSection::kNorm) || top == "hardware" || top == "numerics" ||
         top == "blocks" || top == "w8a8";
}

}  // namespace

std::string_view SectionKind::Layer() const {
  const bool of_layer = IsWeight() || describes == Describes::kLinearOutput;
  return std::string_view(key).substr(0, of_layer ? key.rfind('.') : key.size());
}

Sections::Sections(std::vector<SectionKind> kinds)
    : kinds_(std::make_shared<const std::vector<SectionKind>>(std::move(kinds))) {
  for (const SectionKind& kind : *this) {
    const auto hides = [&](const SectionKind& other) {
      return &other != &kind && (other.key == kind.key || other.key.starts_with(kind.key + "."));
    };
    if (kind.key.empty() || IsReserved(kind.key) || std::any_of(begin(), end(), hides)) {
      throw InternalError(fmt::format("a section cannot have the key '{}'", kind.key));
    }
  }
}

const SectionKind* Sections::Find(std::string_view key) const {
  const auto found =
      std::find_if(begin(), end(), [&](const SectionKind& kind) { return kind.key == key; });
  return found == end() ? nullptr : &*found;
}

const SectionKind& Sections::At(std::string_view key) const {
  if (const SectionKind* kind = Find(key)) return *kind;
  throw InternalError(fmt::format("no section has the key '{}'", key));
}

const SectionKind* Sections::FindOfLayer(std::string_view layer, Describes describes) const {
  const auto found = std::find_if(begin(), end(), [&](const SectionKind& kind) {
    return kind.describes == describes && kind.Layer() == layer;
  });
  return found == end() ? nullptr : &*found;
}

}  // namespace qsim::config
