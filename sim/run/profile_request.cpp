#include "sim/run/profile_request.h"

#include <algorithm>
#include <optional>

#include "sim/network/network.h"
#include "sim/text/block_name.h"

namespace qsim::run {
namespace {

std::string WithoutSuffix(std::string tensor) {
  for (const std::string_view suffix : {network::kProductSuffix, network::kNarrowSuffix}) {
    if (tensor.ends_with(suffix)) tensor.resize(tensor.size() - suffix.size());
  }
  return tensor;
}

// The section that a tap or a weight belongs to: an accumulator's is that of the tap it becomes.
std::optional<Section> SectionOf(const Config& config, const std::string& tensor) {
  const BlockName name = SplitBlock(tensor);
  const std::string layer = WithoutSuffix(name.rest);
  const SectionKind* kind = config.sections().Find(layer);
  if (kind == nullptr) kind = config.sections().FindOfLayer(layer, Describes::kLinearOutput);
  if (kind == nullptr) return std::nullopt;
  return config.Get(static_cast<int>(name.number), kind->key);
}

}  // namespace

ProfileRequest RequestProfile(const Config* config, bool everything) {
  ProfileRequest request;
  request.costs = everything;
  request.requested = [everything, config](const std::string& name) {
    if (everything || config == nullptr) return everything;
    const std::optional<Section> section = SectionOf(*config, name);
    return section && section->enable_profiler;
  };
  request.weight_range = [config](const std::string& name) -> std::optional<QuantRange> {
    if (config == nullptr) return std::nullopt;
    const std::optional<Section> section = SectionOf(*config, name);
    if (!section) return std::nullopt;
    const int half = 1 << (section->bits - 1);
    return QuantRange{-half, half - 1};
  };
  return request;
}

bool AnyRequested(const ProfileRequest& request, const Program& program) {
  const auto requested = [&](const std::string& name) { return request.requested(name); };
  return std::any_of(program.tensors.begin(), program.tensors.end(),
                     [&](const TensorInfo& info) { return requested(info.name); }) ||
         std::any_of(program.constants.begin(), program.constants.end(),
                     [&](const auto& constant) { return requested(constant.first); });
}

}  // namespace qsim::run
