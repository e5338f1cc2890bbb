#include "sim/text/block_name.h"

#include <charconv>
#include <system_error>

#include "sim/namespaces.h"

namespace qsim::text {

BlockName SplitBlock(std::string_view name) {
  constexpr std::string_view kPrefix = "blocks.";
  constexpr std::string_view kOther = "layers.";
  static_assert(kPrefix.size() == kOther.size());
  const BlockName outside{-1, "", std::string(name)};
  if (!name.starts_with(kPrefix) && !name.starts_with(kOther)) return outside;
  std::int64_t number = -1;
  const char* const end = name.data() + name.size();
  const auto [dot, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
  if (error != std::errc() || number < 0 || end - dot < 2 || *dot != '.') return outside;
  return {number, std::string(name.data(), dot), std::string(dot + 1, end)};
}

}  // namespace qsim::text
