#include "sim/cosim/requantize_ports.h"

#include "golden/ops/require.h"

namespace qsim::cosim {
namespace {

bool RoundsTwice(RequantScheme scheme) {
  return scheme == RequantScheme::kTfliteDouble || scheme == RequantScheme::kTosaScale32Double;
}

// ITA's 2^-23, counted in units of 2^-S; below one unit it changes nothing.
std::int64_t ItaNudge(int shift) { return shift < 23 ? 0 : std::int64_t{1} << (shift - 23); }

}  // namespace

RequantizePorts PortsOf(const RequantizeParams& params) {
  CheckRequantizeParams(params);
  RequantizePorts ports{.rounding = EquivalentRounding(params.scheme, params.rounding),
                        .double_rounding = RoundsTwice(params.scheme)};
  const bool after_shift = LimitsOf(params.scheme).addend == AddendUse::kAfterShift;
  const bool one = params.scale.size() == 1 && params.zero.size() == 1 && params.addend.size() <= 1;
  for (std::int64_t c = 0; c < (one ? 1 : params.layout.channels); ++c) {
    const Multiplier scale = params.ScaleOf(c);
    const std::int32_t zero = params.ZeroOf(c);
    const std::int64_t addend = params.AddendOf(c);
    Require(params.scheme != RequantScheme::kTfliteDouble || scale.shift >= 31 ||
                std::int64_t{params.range.qmax} - zero <= INT32_MAX,
            "Requantize: the RTL has no saturation at 2^31 - 1");
    ports.scale.push_back(scale);
    ports.zero.push_back(after_shift ? static_cast<std::int32_t>(zero + addend) : zero);
    ports.addend.push_back(params.scheme == RequantScheme::kIta ? ItaNudge(scale.shift)
                           : after_shift                        ? 0
                                                                : addend);
  }
  return ports;
}

}  // namespace qsim::cosim
