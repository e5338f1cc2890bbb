#include "sim/network/families/activations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "sim/error.h"
#include "sim/statistics/elementary.h"
#include "sim/text/printable.h"

namespace qsim::network {
namespace {

struct Named {
  std::string_view name;
  double (*function)(double);  // null: the exact GELU, which has algorithms of its own
};
constexpr Named kActivations[] = {
    {"gelu", nullptr},          {"gelu_python", nullptr}, {"gelu_new", &TanhGelu},
    {"gelu_fast", &TanhGelu},   {"gelu_tanh", &TanhGelu}, {"gelu_pytorch_tanh", &TanhGelu},
    {"quick_gelu", &QuickGelu}, {"relu", &Relu},
};

}  // namespace

Function ActivationNamed(const std::string& name, const Manifest& manifest) {
  std::vector<std::string_view> names;
  for (const Named& known : kActivations) {
    if (known.name != name) {
      names.push_back(known.name);
      continue;
    }
    if (known.function == nullptr) return Gelu{};
    return Elementwise{{known.function}};
  }
  throw InputError(fmt::format("{}: activation '{}' is not supported; these are: {}",
                               manifest.Origin("activation"), Printable(name),
                               fmt::join(names, ", ")));
}

double TanhGelu(double x) {
  constexpr double kTwiceSqrt2OverPi = 1.5957691216057307117597842397375;
  return x / (1 + Exp(-kTwiceSqrt2OverPi * (x + 0.044715 * x * x * x)));
}

double QuickGelu(double x) { return x / (1 + Exp(-1.702 * x)); }

double Relu(double x) { return x > 0 ? x : 0; }

double Silu(double x) {
  const double e = Exp(-std::fabs(x));
  return x * (x < 0 ? e : 1) / (1 + e);
}

double Softplus(double x) {
  const double e = Exp(-std::fabs(x));
  // Where 1 + e has few digits of e, its series.
  const double rest = e < 1e-4 ? e * (1 - e * (0.5 - e / 3)) : Log(1 + e);
  return std::max(x, 0.0) + rest;
}

}  // namespace qsim::network
