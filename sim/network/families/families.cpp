#include "sim/network/families/families.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "sim/inputs/configuration_file.h"
#include "sim/io/tensors/safetensors.h"
#include "sim/network/families/gla.h"
#include "sim/network/families/mamba2.h"
#include "sim/network/families/vit.h"

namespace qsim::network {
namespace {

struct Family {
  std::string_view model_type;
  std::string_view own_tensor;  // a part of a name that no other family has
  Network (*load)(const Manifest&);
};
constexpr Family kFamilies[] = {
    {"gla", ".attn.gk_proj.", &LoadGla},
    {"mamba2", ".mixer.A_log", &LoadMamba2},
};

// Null: of none of them.
const Family* FamilyOf(const Manifest& manifest) {
  if (!manifest.config.empty()) {
    const nlohmann::json config = ReadConfiguration(manifest.config);
    const auto type = config.find("model_type");
    for (const Family& family : kFamilies) {
      if (type != config.end() && *type == nlohmann::json(family.model_type)) return &family;
    }
  }
  const std::vector<std::string> names = Safetensors::Open(manifest.model).names();
  for (const Family& family : kFamilies) {
    const bool has = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name.find(family.own_tensor) != std::string::npos;
    });
    if (has) return &family;
  }
  return nullptr;
}

}  // namespace

Network LoadNetwork(const Manifest& manifest) {
  const Family* family = FamilyOf(manifest);
  return family == nullptr ? LoadVit(manifest) : family->load(manifest);
}

bool IsVisionTransformer(const Manifest& manifest) { return FamilyOf(manifest) == nullptr; }

}  // namespace qsim::network
