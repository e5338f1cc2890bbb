#include "sim/conform/requant_rtl.h"

#include <algorithm>
#include <stdexcept>

namespace qsim::conform {
namespace {

bool FitsInt32(std::int64_t value) { return value >= INT32_MIN && value <= INT32_MAX; }

}  // namespace

std::optional<CaseTensors> RunRequantRtl(const RequantRtlRun& run, Backend& rtl) {
  if (!std::all_of(run.v.begin(), run.v.end(), FitsInt32)) return std::nullopt;
  if (run.zero < -65536 || run.zero > 65536) return std::nullopt;
  std::vector<Multiplier> scale;
  for (const auto& [m, shift] : run.multipliers) {
    if (!FitsInt32(m) || !FitsInt32(shift)) return std::nullopt;
    scale.push_back({static_cast<std::int32_t>(m), static_cast<int>(shift)});
  }
  const std::vector<std::int32_t> zero = {static_cast<std::int32_t>(run.zero)};
  const RequantizeParams params{.layout = run.layout,
                                .scale = scale,
                                .zero = zero,
                                .rounding = run.rounding,
                                .range = run.range,
                                .scheme = run.scheme,
                                .addend = run.addend};
  try {
    CheckRequantizeParams(params);
  } catch (const std::invalid_argument&) {
    return std::nullopt;
  }
  std::vector<std::int32_t> v(run.v.size()), y(run.v.size());
  std::transform(run.v.begin(), run.v.end(), v.begin(),
                 [](std::int64_t value) { return static_cast<std::int32_t>(value); });
  if (!v.empty()) {
    rtl.Requantize({.tap = "y"}, v, std::max<std::int64_t>(RowsOf(run.shape).width, 1), params, y);
  }
  CaseTensors computed;
  computed.emplace("y", MakeCaseTensor(run.shape, y));
  return computed;
}

}  // namespace qsim::conform
