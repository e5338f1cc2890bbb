#include "sim/calibrate/calibrate.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/calibrate/calibration.h"
#include "sim/calibrate/lowering.h"
#include "sim/calibrate/observer.h"
#include "sim/error.h"
#include "sim/io/hash.h"

namespace qsim {
namespace {

// The scheme and rounding of every operation, as text: what "bit-exact" refers to.
std::string ContractText(const Program& program) {
  std::string text = "qsim numerics 1\n";
  for (const Op& op : program.ops) {
    text += fmt::format("{} {}", OutputOf(op), KindName(op));
    if (const auto* r = std::get_if<RequantizeOp>(&op))
      text += fmt::format(" {}", Name(r->rounding));
    if (const auto* r = std::get_if<ResidualAddOp>(&op))
      text += fmt::format(" {}", Name(r->rounding));
    if (const auto* l = std::get_if<LayernormOp>(&op))
      text += fmt::format(" ibert {}", Name(l->rounding));
    if (const auto* s = std::get_if<SoftmaxOp>(&op))
      text += fmt::format(" {}", Name(s->params[0].kind));
    if (const auto* g = std::get_if<GemmOp>(&op)) {
      text += fmt::format(" {} {}", g->acc.bits, Name(g->acc.policy));
    }
    if (const auto* m = std::get_if<MatmulOp>(&op)) {
      text += fmt::format(" {} {} {}", m->acc.bits, Name(m->acc.policy), Name(m->mode));
    }
    text += '\n';
  }
  return text;
}

bool Wanted(const CalibrateOptions& options, std::int64_t block) {
  return options.blocks.empty() ||
         std::find(options.blocks.begin(), options.blocks.end(), block) != options.blocks.end();
}

}  // namespace

Bundle Calibrate(const VitModel& model, const Config& config, const ModelInputs& calibration,
                 const CalibrateOptions& options) {
  const std::int64_t depth = model.geometry.depth;
  config.CheckBlocks(static_cast<int>(depth));
  Bundle bundle;
  const Hardware hardware = config.HardwareFor(-1);
  bundle.hardware = {hardware.array_rows, hardware.array_cols, hardware.multiplier_bits,
                     hardware.requant == RequantMode::kPowerOfTwo};
  for (const std::string& note : config.notes()) {
    bundle.notes.push_back({LoweringNote::Kind::kInfo, "config", note});
  }
  // Every plan is checked before the first of them costs time.
  std::vector<AttentionPlan> plans;
  for (std::int64_t n = 0; n < depth; ++n) {
    if (Wanted(options, n)) {
      plans.push_back(PlanAttention(config, static_cast<int>(n), options.realise, bundle.notes));
    }
  }
  const std::int64_t last = options.blocks.empty() ? depth - 1 : options.blocks.back();
  Calibration observations(model, calibration, options.threads);
  auto plan = plans.begin();
  for (std::int64_t n = 0; n <= last; ++n) {
    if (Wanted(options, n)) {
      const AttentionRanges ranges = observations.Observe(n, *plan);
      LowerAttention(model, n, *plan, ranges, options.realise, bundle);
      ++plan;
    }
    if (n < last) observations.Advance(n);
  }
  try {
    Validate(bundle.program);
  } catch (const ProgramError& error) {
    throw InputError(error.what());
  }
  bundle.provenance = {QSIM_VERSION, Sha256Hex(config.Canonical()), model.weights_hash,
                       Sha256Hex(ContractText(bundle.program))};
  return bundle;
}

IntTensor QuantizeTensor(const FloatTensor& values, const TensorInfo& info,
                         const TensorScale& scale, std::int64_t* saturated) {
  IntTensor tensor(info.dtype, info.shape);
  const std::size_t groups = scale.scale.size();
  const std::size_t zeros = scale.zero.size();
  // One scale and zero point in all, per last-axis channel, or per first-axis slice.
  const std::size_t inner = scale.axis == ChannelAxis::kFirst
                                ? values.data.size() / static_cast<std::size_t>(info.shape.front())
                                : 1;
  const std::size_t channels = static_cast<std::size_t>(
      scale.axis == ChannelAxis::kNone
          ? 1
          : (scale.axis == ChannelAxis::kFirst ? info.shape.front() : info.shape.back()));
  std::visit(
      [&](auto& storage) {
        using T = typename std::decay_t<decltype(storage)>::value_type;
        for (std::size_t i = 0; i < storage.size(); ++i) {
          const std::size_t c = i / inner % channels;
          const Quantization q = {scale.scale[groups == 1 ? 0 : c], scale.zero[zeros == 1 ? 0 : c]};
          storage[i] = static_cast<T>(
              Quantize(static_cast<double>(values.data[i]), q, info.range, saturated));
        }
      },
      tensor.storage());
  return tensor;
}

}  // namespace qsim
