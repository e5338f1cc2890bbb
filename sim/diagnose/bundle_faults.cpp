#include "sim/diagnose/bundle_faults.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/semantics/quantization.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim {
namespace {

bool IsScores(const std::string& tensor) { return tensor.ends_with(".attn_kv_out"); }

bool HasMultipliers(const std::string&, const Op* op, const Bundle&) {
  if (op == nullptr) return false;
  if (const auto* norm = std::get_if<LayernormOp>(op))
    return KindOf(norm->params) != LayernormKind::kDeeploy;
  return std::holds_alternative<RequantizeOp>(*op) || std::holds_alternative<ResidualAddOp>(*op);
}

// The members of an operation's description with one role.
template <typename Change>
void ForEachWith(Role role, Op& op, Change change) {
  std::visit(
      [&](auto& o) {
        ForEachParameter(o, [&]<typename T>(const Field& field, T& member) {
          if constexpr (requires { change(member); }) {
            if (field.role == role) change(member);
          }
        });
      },
      op);
}

void Halve(std::vector<Multiplier>& scale) {
  for (Multiplier& s : scale) {
    if (s.shift < 62) {
      ++s.shift;
    } else {
      s.m = s.m / 2 == 0 ? s.m : s.m / 2;
    }
  }
}

// The same value in as few bits.
void Narrow(std::vector<Multiplier>& scale, int most_shift) {
  constexpr int kBits = 2;
  for (Multiplier& s : scale) {
    s = MultiplierFor(std::ldexp(static_cast<double>(s.m), -s.shift), kBits, "", most_shift);
  }
}

// Of the two products, which share a shift; the smallest multipliers may become 0.
void NarrowPair(ResidualAddOp& add) {
  constexpr int kBits = 3;
  double most = 0;
  for (const auto* side : {&add.a_multiplier, &add.b_multiplier}) {
    for (const std::int32_t m : *side) most = std::max(most, std::fabs(static_cast<double>(m)));
  }
  const int dropped = std::max(0, std::ilogb(most / MaxMultiplier(kBits)) + 1);
  for (auto* side : {&add.a_multiplier, &add.b_multiplier}) {
    for (std::int32_t& m : *side) {
      m = static_cast<std::int32_t>(std::nearbyint(std::ldexp(static_cast<double>(m), -dropped)));
    }
  }
  add.shift -= dropped;
}

}  // namespace

std::vector<std::string> BundleFault::Candidates(const Bundle& bundle) const {
  std::vector<std::string> names;
  for (const TensorInfo& info : bundle.program.tensors) {
    const Op* op = ProducerOf(bundle.program, info.name);
    if (applies(info.name, op, bundle)) names.push_back(info.name);
  }
  return names;
}

BundleFault ScaleMismatch() {
  return {HasMultipliers, [](const std::string& tensor, const Relowering&, Bundle& bundle) {
            Op& op = *ProducerOf(bundle.program, tensor);
            ForEachWith(Role::kMultiplier, op, Halve);
            // Of two operands' multipliers the first.
            if (auto* add = std::get_if<ResidualAddOp>(&op)) {
              for (std::int32_t& m : add->a_multiplier) m /= 2;
            }
          }};
}

BundleFault ZeroPointMismatch() {
  return {HasMultipliers, [](const std::string& tensor, const Relowering&, Bundle& bundle) {
            const QuantRange range = bundle.program.Tensor(tensor).range;
            const auto off =
                static_cast<std::int32_t>((std::int64_t{range.qmax} - range.qmin + 1) / 8);
            Op& op = *ProducerOf(bundle.program, tensor);
            ForEachWith(Role::kOutputZero, op, [off](std::int32_t& zero) { zero += off; });
            ForEachWith(Role::kOutputZero, op, [off](std::vector<std::int32_t>& zeros) {
              for (std::int32_t& zero : zeros) zero += off;
            });
          }};
}

BundleFault HeadDimScale() {
  return {[](const std::string& tensor, const Op* op, const Bundle&) {
            return op != nullptr && std::holds_alternative<RequantizeOp>(*op) && IsScores(tensor);
          },
          [](const std::string& tensor, const Relowering&, Bundle& bundle) {
            auto& op = std::get<RequantizeOp>(*ProducerOf(bundle.program, tensor));
            const auto& matmul =
                std::get<MatmulOp>(*ProducerOf(std::as_const(bundle.program), op.input));
            const double head_dim =
                static_cast<double>(bundle.program.Tensor(matmul.lhs).shape.back() / matmul.heads);
            const MultiplierLimits limits =
                MultiplierLimitsOf(op.scheme, bundle.hardware.multiplier_bits);
            for (Multiplier& s : op.scale) {
              const double r = std::ldexp(static_cast<double>(s.m), -s.shift);
              s = MultiplierFor(r / std::sqrt(head_dim), limits.bits, tensor, limits.most_shift);
            }
          }};
}

BundleFault NarrowMultiplier() {
  return {
      HasMultipliers, [](const std::string& tensor, const Relowering&, Bundle& bundle) {
        Op& op = *ProducerOf(bundle.program, tensor);
        const auto* requantize = std::get_if<RequantizeOp>(&op);
        const int most_shift = requantize == nullptr ? 62 : LimitsOf(requantize->scheme).max_shift;
        ForEachWith(Role::kMultiplier, op,
                    [most_shift](std::vector<Multiplier>& scale) { Narrow(scale, most_shift); });
        if (auto* add = std::get_if<ResidualAddOp>(&op)) NarrowPair(*add);
      }};
}

BundleFault ChannelOutliers() {
  return {[](const std::string& tensor, const Op* op, const Bundle&) {
            if (op == nullptr) return false;
            for (const char* tap : {".norm1", ".norm2", ".attn_v_input", ".attn_v_out"}) {
              if (tensor.ends_with(tap)) return true;
            }
            return false;
          },
          [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
            constexpr double kOutlier = 16;
            const Activation a = StatedActivation(bundle, tensor);
            StatedGrid grid = {a.range, a.scale, a.zero};
            for (std::size_t c = 0; c < grid.scale.size(); ++c) {
              if (c % 4 != 0) grid.scale[c] *= kOutlier;
            }
            relowering.Rescale(tensor, std::move(grid), bundle);
          }};
}

BundleFault VarianceUnderflow() {
  return {
      [](const std::string& tensor, const Op*, const Bundle& bundle) {
        const std::vector<std::string> readers = ReadersOf(bundle.program, tensor);
        return std::any_of(readers.begin(), readers.end(), [&](const std::string& reader) {
          return std::holds_alternative<LayernormOp>(*ProducerOf(bundle.program, reader));
        });
      },
      [](const std::string& tensor, const Relowering& relowering, Bundle& bundle) {
        constexpr double kSteps = 2;  // that the largest value is away from zero
        const Activation a = StatedActivation(bundle, tensor);
        const double coarser = (a.range.qmax - a.zero[0]) / kSteps;
        StatedGrid grid = {a.range, bundle.scales.at(tensor).scale, bundle.scales.at(tensor).zero};
        for (double& s : grid.scale) s *= coarser;
        relowering.Rescale(tensor, std::move(grid), bundle);
      }};
}

BundleFault GeluOfRelu() {
  return {[](const std::string&, const Op* op, const Bundle&) {
            const auto* gelu = op == nullptr ? nullptr : std::get_if<GeluOp>(op);
            return gelu != nullptr && KindOf(gelu->params) == GeluKind::kTable;
          },
          [](const std::string& tensor, const Relowering&, Bundle& bundle) {
            auto& op = std::get<GeluOp>(*ProducerOf(bundle.program, tensor));
            const Activation in = StatedActivation(bundle, op.input);
            const Activation out = StatedActivation(bundle, tensor);
            std::vector<std::int32_t>& table = std::get<GeluTableParams>(op.params).table;
            for (std::size_t i = 0; i < table.size(); ++i) {
              const double x = in.scale[0] * (in.range.qmin + static_cast<double>(i) - in.zero[0]);
              table[i] = Quantize(std::max(x, 0.0), {out.scale[0], out.zero[0]}, out.range);
            }
          }};
}

BundleFault SoftmaxConstants() {
  return {[](const std::string&, const Op* op, const Bundle&) {
            return op != nullptr && std::holds_alternative<SoftmaxOp>(*op);
          },
          [](const std::string& tensor, const Relowering&, Bundle& bundle) {
            auto& op = std::get<SoftmaxOp>(*ProducerOf(bundle.program, tensor));
            const Activation scores = StatedActivation(bundle, op.input);
            for (std::size_t h = 0; h < op.params.size(); ++h) {
              SoftmaxParams& p = op.params[h];
              const SoftmaxKind kind = KindOf(p);
              const int extra_bits = ExtraBits(p);
              const auto choice = ChooseScores(kind, 4 * scores.scale[h], extra_bits);
              p = choice ? choice->params : CoarsestScores(kind, extra_bits).params;
            }
          }};
}

}  // namespace qsim
