#include "sim/calibrate/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/calibrate/lower/lowering.h"
#include "sim/calibrate/lower/score_check.h"
#include "sim/calibrate/observe/calibration.h"
#include "sim/error.h"
#include "sim/io/files/hash.h"
#include "sim/semantics/softmax_lowering.h"
#include "sim/text/nearest_word.h"

namespace qsim::calibrate {
namespace {

// Inputs that are looked at first, and how many make that worth it.
constexpr std::int64_t kFirstLook = 2;
constexpr std::int64_t kWorthAFirstLook = 8;

void CheckScope(const CalibrateOptions& options) {
  if (options.scope == Scope::kModel && !options.blocks.empty())
    throw InputError("scope model chains every block: --blocks does not apply");
}

// What only the whole configuration can tell is checked before anything is planned.
const Config& Checked(const network::Network& network, const Config& config,
                      const CalibrateOptions& options) {
  config.CheckBlocks(static_cast<int>(network.depth()));
  CheckScope(options);
  return config;
}

// Drops what lies behind a tap.
void CutAfter(const std::string& tap, Bundle& bundle) {
  Program& program = bundle.program;
  const auto last = std::find_if(program.ops.begin(), program.ops.end(),
                                 [&](const Op& op) { return OutputOf(op) == tap; });
  if (last == program.ops.end()) {
    std::vector<std::string> names;
    for (const Op& op : program.ops) names.push_back(OutputOf(op));
    if (std::ranges::find(program.inputs, tap) != program.inputs.end()) {
      throw InputError(fmt::format(
          "--until: '{}' is what this program begins with, so that nothing of it is computed; the "
          "first tap behind it is '{}'",
          tap, names.front()));
    }
    throw InputError(
        fmt::format("--until: no tap '{}' in this program; {}", tap, SuggestWord(tap, names)));
  }
  std::set<std::string> kept;
  for (auto op = program.ops.begin(); op != last + 1; ++op) {
    kept.insert(OutputOf(*op));
    for (const std::string& name : InputsOf(*op)) kept.insert(name);
    for (const std::string& name : ConstantsOf(*op)) kept.insert(name);
  }
  // What the kept ones carry on is computed from what they read.
  program.ops.erase(
      std::remove_if(last + 1, program.ops.end(),
                     [&](const Op& op) {
                       return std::ranges::none_of(program.carried, [&](const Carried& carried) {
                         return carried.output == OutputOf(op) && kept.contains(carried.input);
                       });
                     }),
      program.ops.end());
  std::erase_if(program.carried, [&](const Carried& c) { return !kept.contains(c.input); });
  for (const Carried& carried : program.carried) kept.insert({carried.output, carried.initial});
  std::erase_if(program.inputs, [&](const std::string& name) { return !kept.contains(name); });
  std::erase_if(program.tensors, [&](const TensorInfo& t) { return !kept.contains(t.name); });
  std::erase_if(program.constants, [&](const auto& c) { return !kept.contains(c.first); });
  std::erase_if(bundle.scales, [&](const auto& s) { return !kept.contains(s.first); });
}

}  // namespace

Calibrator::Calibrator(const network::Network& network, const Config& config,
                       const CalibrateOptions& options)
    : network_(network),
      config_(Checked(network, config, options)),
      options_(options),
      plan_(network, config, {options.scope, options.blocks}, options.realise) {}

void Calibrator::Observe(const CalibrationInputs& inputs, Observations& observations) const {
  if (inputs.count >= kWorthAFirstLook && options_.realise == Realise::kExact) FirstLook(inputs);
  ObserveInputs(network_, inputs, {options_.batch, options_.threads}, observations);
}

// What a few inputs already rule out is said before all of them are run.
void Calibrator::FirstLook(const CalibrationInputs& inputs) const {
  const bool limited = std::ranges::any_of(plan_.nodes(), [](const NodePlan& node) {
    return std::holds_alternative<network::Softmax>(node.node->function) &&
           !TakesAnyScale(node.numerics.softmax);
  });
  if (!limited) return;
  CalibrationInputs first = inputs;
  first.count = kFirstLook;
  Observations seen(plan_);
  ObserveInputs(network_, first, {kFirstLook, options_.threads}, seen);
  RequireScores(plan_, seen, options_.grids ? &*options_.grids : nullptr, /*growing=*/true);
}

Bundle Calibrator::Lower(const Observations& observations, const InputSource& source) const {
  observations.RequireComplete(source.file);
  Bundle bundle;
  const Hardware hardware = config_.HardwareFor(-1);
  bundle.hardware = {hardware.array_rows, hardware.array_cols, hardware.multiplier_bits,
                     hardware.requant == RequantMode::kPowerOfTwo};
  bundle.notes = plan_.notes();
  constexpr double kDark = 32;
  if (!source.mean.empty() && observations.input_range.max < kDark) {
    bundle.notes.push_back(
        {LoweringNote::Kind::kInfo, "inputs",
         fmt::format("the largest pixel of the calibration images is {}; images of 0..1 or 0..16 "
                     "must be scaled to the 0..255 of uint8",
                     observations.input_range.max)});
  }
  const Grids grids = ChooseGrids(plan_, observations, source, options_.realise,
                                  options_.grids ? &*options_.grids : nullptr, bundle.notes);
  DeriveOptions options;
  options.means = [&](const std::string& node) { return observations.Means(node); };
  Derive(plan_, grids, source, bundle, options);
  if (!options_.until.empty()) CutAfter(options_.until, bundle);
  try {
    Validate(bundle.program);
  } catch (const ProgramError& error) {
    throw InputError(error.what());
  }
  bundle.contracts = config_.Contracts();
  bundle.provenance = {QSIM_VERSION, Sha256Hex(config_.Canonical()), network_.weights_hash,
                       bundle.contracts.Label(), bundle.contracts.Hash()};
  return bundle;
}

Bundle Calibrate(const network::Network& network, const Config& config,
                 const CalibrationInputs& inputs, const CalibrateOptions& options) {
  const Calibrator calibrator(network, config, options);
  Observations observations = calibrator.NoObservations();
  calibrator.Observe(inputs, observations);
  return calibrator.Lower(observations, inputs.source);
}

Bundle Calibrate(const network::Network& network, const Config& config, const ModelInputs& inputs,
                 const CalibrateOptions& options) {
  return Calibrate(network, config, CalibrationInputs::From(inputs), options);
}

}  // namespace qsim::calibrate
