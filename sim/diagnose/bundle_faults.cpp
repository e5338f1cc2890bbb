#include "sim/diagnose/bundle_faults.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/multipliers.h"
#include "sim/diagnose/structure.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/quantization.h"

namespace qsim::diagnose {
namespace {

bool Has(const Victim& v, Role role) { return v.op != nullptr && !IntegersOf(*v.op, role).empty(); }
bool HasRatios(const Victim& v) { return v.op != nullptr && !RatiosOf(*v.op).empty(); }

// Calls change(list) for the parameters of one role that are lists of integers, or single ones.
template <typename Change>
void ForEachWith(Role role, Op& op, Change change) {
  ForEachParameterOf(op, [&]<typename T>(const Field& field, T& member) {
    if (field.role != role) return;
    if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
      change(member);
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      std::vector<std::int32_t> one = {member};
      change(one);
      member = one.front();
    }
  });
}

// The network's product behind scores; null for any other tensor.
const network::Product* ScoresOf(const Victim& v) {
  const auto* product = std::get_if<network::Product>(&v.node.function);
  return product != nullptr && product->transpose_rhs && HasRatios(v) ? product : nullptr;
}

// Whether an operation takes each channel of a tensor in a scale of its own: a linear layer, and a
// product that does not sum over them.
bool TakesChannels(const Victim& v, const std::string& reader) {
  const Op& op = *ProducerOf(v.bundle.program, reader);
  const auto* product = std::get_if<network::Product>(&v.model.NodeOf(reader)->function);
  return LinearOperandsOf(op) ||
         (product != nullptr && !product->transpose_rhs && InputsOf(op).back() == v.tensor);
}

}  // namespace

BundleFault ScaleMismatch() {
  return {HasRatios, [](const Victim& v) {
            std::vector<RatioList> ratios = RatiosOf(*v.op);
            for (Multiplier& m : ratios.front().values) {
              if (!ratios.front().common_shift && m.shift < 62) {
                ++m.shift;
              } else if (ratios.front().common_shift || std::abs(m.m) > 1) {
                m.m /= 2;
              }
            }
            SetRatios(ratios, *v.op);
          }};
}

BundleFault ZeroPointMismatch() {
  return {[](const Victim& v) { return HasRatios(v) && Has(v, Role::kOutputZero); },
          [](const Victim& v) {
            const QuantRange range = v.bundle.program.Tensor(v.tensor).range;
            const auto off =
                static_cast<std::int32_t>((std::int64_t{range.qmax} - range.qmin + 1) / 8);
            ForEachWith(Role::kOutputZero, *v.op, [off](std::vector<std::int32_t>& zeros) {
              for (std::int32_t& zero : zeros) zero += off;
            });
          }};
}

BundleFault HeadDimScale() {
  return {[](const Victim& v) { return ScoresOf(v) != nullptr; },
          [](const Victim& v) {
            const auto head_dim =
                static_cast<double>(v.model.At(v.node.inputs[0]).shape.back() / ScoresOf(v)->heads);
            const MultiplierLimits limits =
                MultiplierLimitsOf(SchemeOf(*v.op), v.bundle.hardware.multiplier_bits);
            std::vector<RatioList> ratios = RatiosOf(*v.op);
            for (Multiplier& m : ratios.front().values) {
              m = MultiplierFor(RealOf(m) / std::sqrt(head_dim), limits.bits, v.tensor,
                                limits.most_shift);
            }
            SetRatios(ratios, *v.op);
          }};
}

// The same values in as few bits; of products that share a shift the smallest may become 0.
BundleFault NarrowMultiplier() {
  return {HasRatios, [](const Victim& v) {
            constexpr int kBits = 2;
            constexpr int kBitsOfSeveral = 3;
            const int most_shift = LimitsOf(SchemeOf(*v.op)).max_shift;
            std::vector<RatioList> ratios = RatiosOf(*v.op);
            double most = 0;
            for (const RatioList& list : ratios) {
              for (const Multiplier& m : list.values)
                most = std::max(most, std::fabs(static_cast<double>(m.m)));
            }
            const int dropped = std::max(0, std::ilogb(most / MaxMultiplier(kBitsOfSeveral)) + 1);
            for (RatioList& list : ratios) {
              for (Multiplier& m : list.values) {
                const double fewer = std::ldexp(static_cast<double>(m.m), -dropped);
                m = list.common_shift ? Multiplier{static_cast<std::int32_t>(std::nearbyint(fewer)),
                                                   m.shift - dropped}
                                      : MultiplierFor(RealOf(m), kBits, v.tensor, most_shift);
              }
            }
            SetRatios(ratios, *v.op);
          }};
}

BundleFault ChannelOutliers() {
  return {[](const Victim& v) {
            if (v.op == nullptr || AccumulatorOf(*v.op) != nullptr) return false;
            bool by_channel = false;
            ForEachParameterOf(*v.op, [&](const Field& field, const auto& /*member*/) {
              by_channel = by_channel || field.axis == Axis::kChannel;
            });
            const std::vector<std::string> readers = ReadersOf(v.bundle.program, v.tensor);
            return by_channel && !readers.empty() &&
                   std::all_of(readers.begin(), readers.end(),
                               [&](const std::string& reader) { return TakesChannels(v, reader); });
          },
          [](const Victim& v) {
            constexpr double kOutlier = 16;
            Activation grid = StatedUnits(v.bundle, v.tensor);
            for (std::size_t c = 0; c < grid.scale.size(); ++c) {
              if (c % 4 != 0) grid.scale[c] *= kOutlier;
            }
            v.rederivation.Regrid(std::move(grid), v.bundle);
          }};
}

BundleFault VarianceUnderflow() {
  return {[](const Victim& v) {
            const std::vector<std::string> readers = ReadersOf(v.bundle.program, v.tensor);
            return std::any_of(readers.begin(), readers.end(), [&](const std::string& reader) {
              return Normalises(*v.model.NodeOf(reader));
            });
          },
          [](const Victim& v) {
            constexpr double kSteps = 2;  // that the largest value is away from zero
            Activation grid = StatedUnits(v.bundle, v.tensor);
            const double coarser = (grid.range.qmax - grid.zero[0]) / kSteps;
            for (double& s : grid.scale) s *= coarser;
            v.rederivation.Regrid(std::move(grid), v.bundle);
          }};
}

BundleFault TableOfRelu() {
  return {[](const Victim& v) { return Has(v, Role::kTable); },
          [](const Victim& v) {
            const Activation in = StatedActivation(v.bundle, InputsOf(*v.op).front());
            const Activation out = StatedActivation(v.bundle, v.tensor);
            ForEachWith(Role::kTable, *v.op, [&](std::vector<std::int32_t>& table) {
              for (std::size_t i = 0; i < table.size(); ++i) {
                const double x =
                    in.scale[0] * (in.range.qmin + static_cast<double>(i) - in.zero[0]);
                table[i] = Quantize(std::max(x, 0.0), {out.scale[0], out.zero[0]}, out.range);
              }
            });
          }};
}

// Of an algorithm that fixes its output's grid: its constants follow from the input's scale alone.
BundleFault CoarseConstants() {
  return {[](const Victim& v) {
            return v.op != nullptr && !SuitsAnyGrid(*v.op) && Has(v, Role::kCoefficient);
          },
          [](const Victim& v) {
            constexpr double kCoarser = 4;
            TensorScale& input = v.bundle.scales.at(InputsOf(*v.op).front());
            const TensorScale stated = input;
            for (double& s : input.scale) s *= kCoarser;
            v.rederivation.Derive({v.tensor}, v.bundle);
            input = stated;
          }};
}

}  // namespace qsim::diagnose
