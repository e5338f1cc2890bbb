#include "sim/calibrate/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "sim/calibrate/lower/lowering.h"
#include "sim/calibrate/observe/calibration.h"
#include "sim/calibrate/observe/observer.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/text/nearest_word.h"

namespace qsim {
namespace {

bool Wanted(const CalibrateOptions& options, std::int64_t block) {
  return options.blocks.empty() ||
         std::find(options.blocks.begin(), options.blocks.end(), block) != options.blocks.end();
}

void CheckScope(const VitModel& model, const CalibrateOptions& options) {
  if (options.scope != Scope::kModel) return;
  if (!options.blocks.empty()) {
    throw InputError("scope model chains every block: --blocks does not apply");
  }
  if (model.geometry.classes == 0) {
    throw InputError("scope model needs a head: the weights have no tensor 'head.weight'");
  }
}

// Drops what lies behind a tap.
void CutAfter(const std::string& tap, Bundle& bundle) {
  Program& program = bundle.program;
  const auto last = std::find_if(program.ops.begin(), program.ops.end(),
                                 [&](const Op& op) { return OutputOf(op) == tap; });
  if (last == program.ops.end()) {
    std::vector<std::string> names;
    for (const Op& op : program.ops) names.push_back(OutputOf(op));
    throw InputError(
        fmt::format("--until: no tap '{}' in this program; {}", tap, SuggestWord(tap, names)));
  }
  std::set<std::string> kept;
  for (auto op = program.ops.begin(); op != last + 1; ++op) {
    kept.insert(OutputOf(*op));
    for (const std::string& name : InputsOf(*op)) kept.insert(name);
    if (const auto* gemm = std::get_if<GemmOp>(&*op)) kept.insert({gemm->weight, gemm->bias});
    if (const auto* embed = std::get_if<EmbedOp>(&*op)) kept.insert(embed->position);
  }
  program.ops.erase(last + 1, program.ops.end());
  std::erase_if(program.inputs, [&](const std::string& name) { return !kept.contains(name); });
  std::erase_if(program.tensors, [&](const TensorInfo& t) { return !kept.contains(t.name); });
  std::erase_if(program.constants, [&](const auto& c) { return !kept.contains(c.first); });
  std::erase_if(bundle.scales, [&](const auto& s) { return !kept.contains(s.first); });
}

}  // namespace

std::string_view Name(Scope scope) {
  constexpr std::array<std::string_view, 3> kNames = {"attention", "block", "model"};
  return kNames[static_cast<std::size_t>(scope)];
}

std::optional<Scope> ScopeFromName(std::string_view name) {
  for (const Scope scope : {Scope::kAttention, Scope::kBlock, Scope::kModel}) {
    if (Name(scope) == name) return scope;
  }
  return std::nullopt;
}

Calibrator::Calibrator(const VitModel& model, const Config& config, const CalibrateOptions& options)
    : model_(model), config_(config), options_(options) {
  const std::int64_t depth = model.geometry.depth;
  config.CheckBlocks(static_cast<int>(depth));
  CheckScope(model, options);
  for (const std::string& note : config.notes()) {
    notes_.push_back({LoweringNote::Kind::kInfo, "config", note});
  }
  for (std::int64_t n = 0; n < depth; ++n) {
    if (!Wanted(options, n)) continue;
    BlockPlans plan;
    plan.block = n;
    plan.attention = PlanAttention(config, static_cast<int>(n), options.realise, notes_);
    if (options.scope != Scope::kAttention) {
      plan.mlp = PlanMlp(config, static_cast<int>(n), options.realise, notes_);
    }
    plan_.blocks.push_back(std::move(plan));
  }
  if (options.scope == Scope::kModel) plan_.ends = PlanEnds(config, options.realise, notes_);
}

void Calibrator::Observe(const CalibrationInputs& inputs, Observations& observations) const {
  ObserveInputs(model_, inputs, {options_.batch, options_.threads}, observations);
}

void Calibrator::LowerModel(const Observations& observations, const InputSource& source,
                            Bundle& bundle) const {
  Activation stream;
  for (const BlockPlans& plan : plan_.blocks) {
    const AttentionRanges ranges = observations.Attention(plan);
    if (plan.block == 0) {
      stream =
          LowerEmbedding(model_, *plan_.ends, ranges.input, source.mean, source.stddev, bundle);
    }
    const Activation residual1 = LowerAttention(model_, plan.block, plan.attention, ranges,
                                                options_.realise, bundle, &stream);
    stream = LowerMlp(model_, plan.block, *plan.mlp, observations.Mlp(plan), residual1, bundle);
  }
  LowerHead(model_, *plan_.ends, observations.Head(), stream, bundle);
}

void Calibrator::LowerBlocks(const Observations& observations, Bundle& bundle) const {
  for (const BlockPlans& plan : plan_.blocks) {
    const Activation residual1 = LowerAttention(
        model_, plan.block, plan.attention, observations.Attention(plan), options_.realise, bundle);
    if (plan.mlp) {
      LowerMlp(model_, plan.block, *plan.mlp, observations.Mlp(plan), residual1, bundle);
    }
  }
}

Bundle Calibrator::Lower(const Observations& observations, const InputSource& source) const {
  observations.RequireComplete(source.file);
  Bundle bundle;
  const Hardware hardware = config_.HardwareFor(-1);
  bundle.hardware = {hardware.array_rows, hardware.array_cols, hardware.multiplier_bits,
                     hardware.requant == RequantMode::kPowerOfTwo};
  bundle.notes = notes_;
  if (options_.scope == Scope::kModel) {
    LowerModel(observations, source, bundle);
  } else {
    LowerBlocks(observations, bundle);
  }
  if (!options_.until.empty()) CutAfter(options_.until, bundle);
  try {
    Validate(bundle.program);
  } catch (const ProgramError& error) {
    throw InputError(error.what());
  }
  bundle.contracts = config_.Contracts();
  bundle.provenance = {QSIM_VERSION, Sha256Hex(config_.Canonical()), model_.weights_hash,
                       bundle.contracts.Label(), bundle.contracts.Hash()};
  return bundle;
}

Bundle Calibrate(const VitModel& model, const Config& config, const CalibrationInputs& inputs,
                 const CalibrateOptions& options) {
  const Calibrator calibrator(model, config, options);
  Observations observations = calibrator.NoObservations();
  calibrator.Observe(inputs, observations);
  return calibrator.Lower(observations, inputs.source);
}

Bundle Calibrate(const VitModel& model, const Config& config, const ModelInputs& inputs,
                 const CalibrateOptions& options) {
  return Calibrate(model, config, CalibrationInputs::From(inputs), options);
}

}  // namespace qsim
