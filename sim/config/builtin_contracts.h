// The files of configs/contracts/ as text, so that the binary works without the source tree. The
// table is generated when the build is configured.
#pragma once

#include <span>
#include <string_view>

namespace qsim::config {

struct BuiltinContract {
  std::string_view name;
  std::string_view text;
};
extern const std::span<const BuiltinContract> kBuiltinContracts;

}  // namespace qsim::config
