#include "sim/diagnose/causes/range_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/weight_shares.h"
#include "sim/diagnose/structure.h"
#include "sim/semantics/quantization.h"
#include "sim/statistics/median.h"

namespace qsim::diagnose {
namespace {

// Beyond what percentiles for 0.05 % of outliers, or 6 bits, do to a healthy tensor.
constexpr double kSuspiciousDb = 24;
constexpr double kWastefulDb = 30;  // a grid for other data shows earlier
constexpr double kClippedShare = 0.01;
constexpr double kNegativesLost = 0.5;   // clipped; the others are within a step of zero
constexpr double kCoverageShare = 0.25;  // clipped of the calibration inputs, beside these
constexpr double kWasteDb = 9;           // between a grid and the one that the data need
constexpr double kTailNoise = 2;         // clipped beside rounded, where clipping dominates
constexpr double kFewLevelsDb = 16;
constexpr double kFewCodes = 12;       // of a typical channel, beside one that needs them all
constexpr double kUnderflowDb = 16;    // of a normalisation, from its input's grid alone
constexpr double kUnderflowSteps = 3;  // standard deviation of a row

class RangeSearch : CauseSearch {
 public:
  RangeSearch(const DiagnosisSubject& subject, const Probe& probe,
              const SharedRederivation& rederivation, int threads)
      : CauseSearch(subject, rederivation), probe_(probe), threads_(threads) {}

  std::vector<Suspect> Find() {
    for (const auto& [output, input] : probe_.norms) CheckVariance(output, input);
    for (const auto& [name, use] : probe_.tensors) {
      if (underflown_.contains(name) || use.signal <= 0) continue;
      tensor_ = name;
      use_ = &use;
      const std::size_t before = found_.size();
      if (!IsFixed(name) && use.QsnrDb() < kWastefulDb) Explain();
      if (found_.size() == before && IsTail(use)) tails_.push_back(name);
    }
    for (const std::string& name : tails_) ReportTail(name);
    return std::move(found_);
  }

 private:
  // A few values beyond the range, with most of what the grid loses: looked at where the output
  // hears of it.
  bool IsTail(const TensorUse& use) const {
    return subject_.clipping_dominates && ProducerOf(subject_.bundle.program, tensor_) != nullptr &&
           use.clipped > kTailNoise * use.rounded;
  }

  void ReportTail(const std::string& name) {
    tensor_ = name;
    use_ = &probe_.tensors.at(name);
    const double reach = std::max(use_->Max(), -use_->Min());
    const bool high = use_->Max() >= -use_->Min();
    const bool others = tails_.size() > 1;
    const bool covered = subject_.calibration != nullptr ? CalibrationFits() : others;
    const std::string text = fmt::format(
        "its range ends at {:.3g}, and these data reach {:.3g}: {:.2g} % of the values are clipped",
        high ? GridMax() : GridMin(), high ? reach : -reach, 100 * use_->ClippedShare());
    Report(covered ? Cause::kCalibrationCoverage : ClippingCause(),
           covered ? text + "; it was calibrated on other data" : text,
           {{"clipped", 100 * use_->ClippedShare(), "%"},
            {"of the grid's noise", 100 * use_->clipped / (use_->clipped + use_->rounded), "%"}});
  }

  // What multiplies another tensor, or is made into it by a function.
  bool IsGate() const {
    const network::Node* node = subject_.model.NodeOf(tensor_);
    for (int steps = 0; node != nullptr && steps < 3; ++steps) {
      if (subject_.model.IsSecondFactor(*node)) return true;
      const std::vector<const network::Node*> readers = subject_.model.ReadersOf(*node);
      if (readers.size() != 1) return false;
      const network::Node& reader = *readers.front();
      if (Normalises(reader)) return reader.inputs.size() > 1 && reader.inputs[1] == node->name;
      if (!std::holds_alternative<network::Elementwise>(reader.function)) return false;
      node = &reader;
    }
    return false;
  }
  Cause ClippingCause() const { return IsGate() ? Cause::kGateSaturates : Cause::kClipping; }

  // Pixels are what they are, and some algorithms fix their output's grid.
  bool IsFixed(const std::string& name) const {
    const Op* op = ProducerOf(subject_.bundle.program, name);
    return op == nullptr ? !subject_.model.NodeOf(name)->compared : !SuitsAnyGrid(*op);
  }

  // ---- the grid of the tensor at hand ----

  const TensorScale& Stated() const { return subject_.bundle.scales.at(tensor_); }
  QuantRange Codes() const { return subject_.bundle.program.Tensor(tensor_).range; }
  double Steps() const { return static_cast<double>(Codes().qmax) - Codes().qmin; }
  // The real numbers that the widest channel of the grid reaches.
  double GridMin() const {
    double least = 0;
    const Activation a = StatedActivation(subject_.bundle, tensor_);
    for (std::size_t c = 0; c < a.scale.size(); ++c)
      least = std::min(least, a.scale[c] * (static_cast<double>(a.range.qmin) - a.zero[c]));
    return least;
  }
  double GridMax() const {
    double most = 0;
    const Activation a = StatedActivation(subject_.bundle, tensor_);
    for (std::size_t c = 0; c < a.scale.size(); ++c)
      most = std::max(most, a.scale[c] * (static_cast<double>(a.range.qmax) - a.zero[c]));
    return most;
  }
  // One scale for the tensor, MinMax on these inputs, with the codes it has.
  double NeededScale(const TensorUse& use) const {
    return Symmetric() ? 2 * std::max(-use.Min(), use.Max()) / Steps()
                       : (use.Max() - use.Min()) / Steps();
  }
  bool Symmetric() const {
    const std::int32_t centre = (Codes().qmin + Codes().qmax + 1) / 2;
    const auto& zero = Stated().zero;
    return std::all_of(zero.begin(), zero.end(), [&](std::int32_t z) { return z == centre; });
  }
  // Q and K: their channels are summed over, so their scales are tied to each other.
  bool Contracted() const {
    const AttentionOperand operand = OperandOf(subject_.model, tensor_);
    return operand == AttentionOperand::kQuery || operand == AttentionOperand::kKey;
  }

  // Q's channels and K's have reciprocal scales there: what one of them loses, the other makes up
  // for in their product.
  bool Tied() const {
    const std::set<double> scales(Stated().scale.begin(), Stated().scale.end());
    return Contracted() && scales.size() > HeadsOf(subject_.model, tensor_);
  }

  void Explain() {
    if (use_->ClippedShare() > kClippedShare && use_->clipped > 2 * use_->rounded) {
      if (use_->QsnrDb() < kSuspiciousDb) ExplainClipping();
    } else if (use_->rounded > use_->clipped && !Tied()) {
      ExplainRounding();
    }
  }

  void Report(Cause cause, std::string text, std::vector<Evidence> evidence) {
    evidence.push_back({"QSNR of the tensor, quantized from float", use_->QsnrDb(), "dB"});
    CauseSearch::Report(cause, std::move(text), std::move(evidence),
                        (use_->clipped + use_->rounded) / use_->signal);
    AddRescaling(cause);
    const network::SectionKey* key = SectionOf(subject_.model, tensor_);
    if (key == nullptr || subject_.config == nullptr) return;
    const Section section = subject_.config->Get(key->block, key->key);
    switch (cause) {
      case Cause::kUnsignedOnSigned:
        if (!section.is_signed && !section.has_zero_point)
          Set("make its type signed", {"bit_type.signed=True", "bit_type.symmetric=True"});
        break;
      case Cause::kClipping:
      case Cause::kGateSaturates:
      case Cause::kZeroPointMismatch:
        if (section.observer != ObserverKind::kMinmax)
          Set("observe its whole range", {"observer_type=MinmaxObserver"});
        break;
      case Cause::kChannelOutliers:
        if (section.calibration_mode != CalibrationMode::kLayerWise)
          Set("give it one scale", {"calibration_mode=layer_wise"});
        break;
      case Cause::kTooFewBits:
        if (section.bits < 8) Set("give it 8 bits", {"bit_type.bits=8"});
        break;
      case Cause::kVarianceUnderflow:
        if (section.bits < 16) Set("give the residual stream 16 bits", {"bit_type.bits=16"});
        break;
      default:
        break;
    }
  }

  // Settings of the tensor's section, where it has one.
  void Set(std::string text, std::vector<std::string> settings) {
    const network::SectionKey* key = SectionOf(subject_.model, tensor_);
    if (key == nullptr) return;
    for (std::string& setting : settings) setting = fmt::format("{}.{}", TextOf(*key), setting);
    AddSettings(std::move(text), std::move(settings));
  }

  // ---- values that do not fit ----

  void ExplainClipping() {
    const auto count = static_cast<double>(use_->count);
    const double negative = static_cast<double>(use_->negative) / count;
    const double data = use_->Max() - use_->Min();
    const double grid = GridMax() - GridMin();
    const std::vector<Evidence> evidence = {
        {"clipped high", 100 * static_cast<double>(use_->high) / count, "%"},
        {"clipped low", 100 * static_cast<double>(use_->low) / count, "%"},
        {"negative values", 100 * negative, "%"},
        {"range of the data beside that of the type", data / grid, "x"}};
    const bool no_negatives = -GridMin() < 0.02 * GridMax();
    if (no_negatives && static_cast<double>(use_->low) > kNegativesLost * negative * count) {
      Report(Cause::kUnsignedOnSigned,
             fmt::format("an unsigned type without a zero point on signed data: {:.0f} % of the "
                         "values are negative and become 0",
                         100 * negative),
             evidence);
      return;
    }
    if (CalibrationFits()) {
      Report(Cause::kCalibrationCoverage,
             fmt::format("the range fits the calibration inputs and clips {:.1f} % of these: the "
                         "calibration does not cover the data",
                         100 * use_->ClippedShare()),
             evidence);
      return;
    }
    const bool one_sided = std::min(use_->high, use_->low) * 20 < std::max(use_->high, use_->low);
    if (one_sided && grid > 0.8 * data) {
      Report(Cause::kZeroPointMismatch,
             fmt::format("the range [{:.3g}, {:.3g}] is wide enough for the data in [{:.3g}, "
                         "{:.3g}], but lies elsewhere: its zero point is off",
                         GridMin(), GridMax(), use_->Min(), use_->Max()),
             evidence);
      return;
    }
    const Cause cause = ClippingCause();
    Report(
        cause,
        fmt::format("{}the range [{:.3g}, {:.3g}] clips {:.1f} % of the data in [{:.3g}, {:.3g}]",
                    cause == Cause::kGateSaturates ? "the gate saturates: " : "", GridMin(),
                    GridMax(), 100 * use_->ClippedShare(), use_->Min(), use_->Max()),
        evidence);
  }

  // Whether the grid is right for the calibration inputs.
  bool CalibrationFits() {
    if (subject_.calibration == nullptr) return false;
    if (!calibrated_) calibrated_ = RunProbe(subject_, *subject_.calibration, {}, {}, threads_);
    const TensorUse& use = calibrated_->tensors.at(tensor_);
    return use.ClippedShare() < kCoverageShare * use_->ClippedShare() &&
           use.QsnrDb() > use_->QsnrDb() + 4;
  }

  // ---- steps that are too coarse ----

  void ExplainRounding() {
    const double needed = NeededScale(*use_);
    const double step = needed * needed / 12 * static_cast<double>(use_->count);
    const double waste = Db(use_->rounded, step);
    const double grid = GridMax() - GridMin();
    const double data = use_->Max() - use_->Min();
    const auto& scale = Stated().scale;
    const auto [finest, coarsest] = std::minmax_element(scale.begin(), scale.end());
    std::vector<Evidence> evidence = {
        {"range of the type beside that of the data", grid / data, "x"},
        {"scale ratio between channels", *coarsest / *finest, "x"},
        {"noise that one scale for these data would save", waste, "dB"}};
    if (waste > kWasteDb) {
      Report(
          Cause::kChannelOutliers,
          scale.size() > 1
              ? fmt::format("scales for each of {} channels chase outliers: most are far coarser "
                            "than the data need, and one scale would lose {:.0f} dB less",
                            scale.size(), waste)
              : fmt::format("the scale chases an outlier: its range is {:.3g} times that of the "
                            "data",
                            grid / data),
          std::move(evidence));
      return;
    }
    if (Steps() < 64) {
      if (use_->QsnrDb() > kFewLevelsDb) return;
      Report(Cause::kTooFewBits, fmt::format("{:.0f} steps are too few for its values", Steps()),
             {{"steps", Steps(), ""}});
      return;
    }
    std::vector<double> extents;
    for (std::size_t c = 0; c < use_->channel_max.size(); ++c)
      extents.push_back(std::max(-use_->channel_min[c], use_->channel_max[c]));
    std::sort(extents.begin(), extents.end());
    const double typical = extents[extents.size() / 2];
    // The tensor's QSNR says little: most of the signal is the outlier's own.
    if (typical <= 0 || extents.back() < 16 * typical || typical > kFewCodes * *coarsest) return;
    evidence.push_back({"largest channel beside the typical one", extents.back() / typical, "x"});
    Report(Cause::kChannelOutliers,
           fmt::format("one scale serves channels that differ {:.0f} times: most use a few codes",
                       extents.back() / typical),
           std::move(evidence));
    Set("give each channel a scale of its own", {"calibration_mode=channel_wise"});
  }

  // ---- normalisations ----

  void CheckVariance(const std::string& output, const NormInput& in) {
    const double middle = Median(in.deviation);
    if (middle > kUnderflowSteps || Db(in.signal, in.noise) > kUnderflowDb) return;
    tensor_ = InputsOf(*ProducerOf(subject_.bundle.program, output)).front();
    use_ = &probe_.tensors.at(tensor_);
    // All zeros: what made the steps so coarse is said of the tensor itself.
    if (std::max(use_->Max(), -use_->Min()) < Stated().scale[0]) return;
    underflown_.insert(tensor_);
    Report(
        Cause::kVarianceUnderflow,
        fmt::format(
            "the rows of '{}' deviate by {:.2g} steps from their mean: the integer variance "
            "is almost nothing",
            tensor_, middle),
        {{"standard deviation", middle, ""},
         {"QSNR of the layer norm, from its input's steps alone", Db(in.signal, in.noise), "dB"}});
    Suspect& suspect = found_.back();
    suspect.suspicion.tensor = output;
    suspect.damage = std::max(suspect.damage, in.noise / in.signal);
  }

  // A grid for these data: signed and symmetric, MinMax.
  void AddRescaling(Cause cause) {
    const int bits = cause == Cause::kVarianceUnderflow
                         ? 16
                         : std::max(8, static_cast<int>(std::lround(std::log2(Steps() + 1))));
    const auto half = static_cast<std::int32_t>(1 << (bits - 1));
    Activation grid{tensor_, {-half, half - 1}, {}, {0}, {}};
    const double extent = std::max(-use_->Min(), use_->Max());
    grid.scale = {std::max(extent / (half - 0.5), kMinScale)};
    if (IsFixed(tensor_)) {
      // The scales that an algorithm has are a power of two apart.
      grid = StatedUnits(subject_.bundle, tensor_);
      const double more = std::exp2(std::ceil(std::log2(std::max(extent / GridMax(), 1.0))));
      for (double& s : grid.scale) s *= more;
    }
    if (Contracted() && Stated().scale.size() > 1) {
      const Activation a = StatedActivation(subject_.bundle, tensor_);
      grid.scale = StatedUnits(subject_.bundle, tensor_).scale;
      grid.factor = StatedUnits(subject_.bundle, tensor_).factor;
      double most = 0;
      for (std::size_t c = 0; c < a.scale.size(); ++c) {
        const double reach = std::max(-use_->channel_min[c], use_->channel_max[c]);
        most = std::max(most, reach / (half - 0.5) / a.scale[c]);
      }
      for (double& s : grid.scale) s *= most;
    }
    AddRepair("give it the range of these inputs, and take the integers around it from there",
              [rederivation = rederivation_, grid](Bundle& bundle) {
                rederivation->Regrid(grid, bundle);
              });
  }

  const Probe& probe_;
  int threads_;
  std::optional<Probe> calibrated_;
  std::set<std::string> underflown_;  // inputs of normalisations that are explained
  std::vector<std::string> tails_;    // tensors of which a few values are beyond the range
  const TensorUse* use_ = nullptr;
};

}  // namespace

std::vector<Suspect> RangeCauses(const DiagnosisSubject& subject, const Probe& probe,
                                 const SharedRederivation& rederivation, int threads) {
  return RangeSearch(subject, probe, rederivation, threads).Find();
}

}  // namespace qsim::diagnose
