#include "sim/diagnose/causes/linear_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "sim/diagnose/causes/layout.h"
#include "sim/diagnose/causes/weight_fit.h"
#include "sim/diagnose/causes/weight_shares.h"
#include "sim/diagnose/structure.h"
#include "sim/semantics/model_check.h"

namespace qsim::diagnose {
namespace {

// What a healthy layer of 6 bits or more stays on the right side of.
constexpr double kAgreement = 0.8;     // of a row that stands for its weights
constexpr double kFactorNoise = 2.5;   // in place, beside that of the codes alone
constexpr double kGoodDb = 32;         // of a layer that needs no suspicion
constexpr double kBiasDb = 26;         // of a layer whose bias is right
constexpr double kStackedRange = 1.1;  // between stacked layers
constexpr double kFewBitsDb = 17;
constexpr double kExtremes = 0.06;  // share of codes at the ends of their range

class LayerCauses : CauseSearch {
 public:
  LayerCauses(const DiagnosisSubject& subject, const std::string& output,
              const network::Linear& layer, const std::vector<double>& power,
              const SharedRederivation& rederivation)
      : CauseSearch(subject, rederivation),
        fit_(subject.bundle, output, layer, power),
        node_(*subject.model.NodeOf(output)),
        parts_(PartsOf(subject.model, output)) {
    tensor_ = output;
    for (std::size_t n = 0; n < fit_.rows(); ++n) {
      if (!fit_.Alive(n)) continue;
      alive_.push_back(n);
      if (fit_.Row(n).both < 0 || fit_.Row(n).Agreement() < kAgreement) bad_.push_back(n);
    }
  }

  std::vector<Suspect> Find() {
    if (ConstantOff()) return std::move(found_);
    if (!bad_.empty()) {
      ExplainCodes();
    } else if (fit_.Noise() > kFactorNoise * fit_.NoiseAlone() && InPlaceDb() < kGoodDb) {
      ExplainFactors();
    } else if (!FewBits() && !Clamped(alive_) && !Stacked()) {
      OtherWeights();
    }
    if (found_.empty()) ExplainBias();
    return std::move(found_);
  }

 private:
  double InPlaceDb() const { return Db(fit_.Signal(), fit_.Noise() + fit_.BiasNoise()); }
  double AloneDb() const { return Db(fit_.Signal(), fit_.NoiseAlone()); }

  void Report(Cause cause, std::string text, std::vector<Evidence> evidence,
              std::optional<double> factor = std::nullopt) {
    evidence.insert(evidence.begin(), {{"weight QSNR alone", AloneDb(), "dB"},
                                       {"weight QSNR in place", InPlaceDb(), "dB"}});
    CauseSearch::Report(cause, std::move(text), std::move(evidence),
                        (fit_.Noise() + fit_.BiasNoise()) / fit_.Signal(), factor);
    AddRepair(
        "quantize the float weights anew, with a scale for each output channel, and take the "
        "multipliers behind it from the scales",
        [rederivation = rederivation_, tap = tensor_](Bundle& b) {
          rederivation->Requantize(tap, b);
        });
  }

  // Of the weights' section.
  void AddSettings(std::string text, std::vector<std::string> settings) {
    if (!node_.weight_section) return;
    for (std::string& setting : settings)
      setting = fmt::format("{}.{}", TextOf(*node_.weight_section), setting);
    CauseSearch::AddSettings(std::move(text), std::move(settings));
  }

  // ---- codes that are not those of the weights ----

  void ExplainCodes() {
    const auto dead = std::count_if(bad_.begin(), bad_.end(),
                                    [&](std::size_t n) { return fit_.Row(n).in_place <= 0; });
    if (static_cast<std::size_t>(dead) == bad_.size()) {
      Report(Cause::kUnexplained, fmt::format("{} holds nothing but zeros", Channels(bad_)),
             {{"empty output channels", static_cast<double>(dead), ""}});
    } else if (NegativesLost(fit_, bad_)) {
      Report(Cause::kUnsignedOnSigned,
             "the codes hold the positive weights only: an unsigned type on signed weights",
             {{"negative weights", 100 * NegativeShare(fit_, bad_), "%"}});
      AddSettings("make its weights signed", {"bit_type.signed=True", "bit_type.symmetric=True"});
    } else if (!Clamped(bad_) && !Permuted() && !Flipped()) {
      Report(Cause::kUnexplained,
             fmt::format("{} agree{} with no output channel of the float weights", Channels(bad_),
                         bad_.size() == 1 ? "s" : ""),
             {{"output channels at fault", static_cast<double>(bad_.size()), ""}});
    }
  }

  // Many codes at the ends of the range, and the others right.
  bool Clamped(const std::vector<std::size_t>& rows) {
    const double share = ShareOfExtremes(fit_, rows);
    if (share < kExtremes || InPlaceDb() > 25) return false;
    Report(Cause::kClipping,
           "the weights are clipped: far too many codes lie at the ends of their range",
           {{"codes at the ends", 100 * share, "%"}});
    AddSettings("observe the whole range of its weights", {"observer_type=MinmaxObserver"});
    return true;
  }

  bool Flipped() {
    const bool flipped = std::all_of(bad_.begin(), bad_.end(), [&](std::size_t n) {
      return fit_.Row(n).both < 0 && fit_.Row(n).Agreement() >= kAgreement;
    });
    if (!flipped) return false;
    Report(Cause::kUnexplained,
           fmt::format("{} {} the wrong sign", Channels(bad_), bad_.size() == 1 ? "has" : "have"),
           {{"output channels at fault", static_cast<double>(bad_.size()), ""}});
    return true;
  }

  ChannelGroups OutputGroups() const {
    if (parts_.empty()) return {fit_.rows(), 1, ""};
    const std::size_t heads = static_cast<std::size_t>(node_.heads) / parts_.size();
    return {parts_[0].channels, std::max<std::size_t>(1, heads), NamesOf(parts_)};
  }

  bool Permuted() {
    constexpr double kMatch = 0.9;
    std::vector<std::size_t> from(fit_.rows());
    for (std::size_t n = 0; n < from.size(); ++n) from[n] = n;
    std::size_t matched = 0;
    for (const std::size_t n : bad_) {
      const WeightFit::Match match = fit_.BestMatch(n);
      if (match.correlation < kMatch) continue;
      from[n] = match.row;
      ++matched;
    }
    const network::Node& input = subject_.model.At(node_.inputs[0]);
    if (matched * 5 >= bad_.size() * 4) {
      Report(Cause::kHeadLayout, DescribeOrder(from, OutputGroups(), "output channel"),
             {{"output channels out of place", static_cast<double>(matched), ""}});
      return true;
    }
    if (bad_.size() * 2 < alive_.size()) return false;
    std::vector<std::size_t> columns(fit_.depth());
    matched = 0;
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const WeightFit::Match match = fit_.BestColumn(k);
      columns[k] = match.correlation < kMatch ? k : match.row;
      matched += match.correlation >= kMatch;
    }
    if (matched * 5 < columns.size() * 4) return Transposed();
    const ChannelGroups groups{fit_.depth(), static_cast<std::size_t>(input.heads), ""};
    Report(Cause::kHeadLayout, DescribeOrder(columns, groups, "input channel"),
           {{"input channels out of place", static_cast<double>(Misplaced(columns)), ""}});
    return true;
  }

  bool Transposed() {
    if (TransposedAgreement(fit_) < kAgreement) return false;
    Report(Cause::kHeadLayout, "the weights are transposed: [in, out] in place of [out, in]", {});
    return true;
  }

  // ---- codes of the weights, read through scales that are not theirs ----

  void ExplainFactors() {
    std::vector<double> factors;
    std::vector<double> ranges;
    std::vector<double> stated;
    for (const std::size_t n : alive_) {
      factors.push_back(fit_.Row(n).Factor());
      ranges.push_back(LargestWeight(fit_, n));
      stated.push_back(fit_.RowScale(n));
    }
    const auto [least, most] = std::minmax_element(ranges.begin(), ranges.end());
    const double growth = std::sqrt(GrowthPower(fit_));
    std::vector<Evidence> evidence = {{"output range ratio", growth, "x"},
                                      {"range ratio between output channels", *most / *least, "x"}};
    const double centre = Median(factors);
    if (AllNear(factors, centre)) {
      Report(
          Cause::kScaleMismatch,
          fmt::format("every weight counts {:.3g} times: the scale stated for the accumulator or "
                      "the input is not the one that the codes were made with",
                      centre),
          std::move(evidence), centre);
      return;
    }
    if (ConstantInParts()) {
      for (const Evidence& e : PartRanges()) evidence.push_back(e);
      Report(AllNear(stated, Median(stated)) ? Cause::kStackedScale : Cause::kScaleMismatch,
             fmt::format("the codes of {} were made with a scale each and are read with another: "
                         "one scale decision for several matrices",
                         NamesOf(parts_)),
             std::move(evidence));
      return;
    }
    // Whether channels of small range are blown up to that of the others.
    const double correlation = LogCorrelation(factors, ranges);
    const auto off = std::count_if(factors.begin(), factors.end(),
                                   [](double f) { return std::fabs(f - 1) > 0.1; });
    evidence.push_back({"correlation of factor and range", correlation, ""});
    if (static_cast<std::size_t>(off) * 4 <= factors.size()) {
      Report(Cause::kScaleMismatch,
             fmt::format("{} output channels are read with scales that are not theirs", off),
             std::move(evidence));
    } else if (AllNear(stated, Median(stated)) || correlation < -0.9 || SharedScales()) {
      Report(Cause::kDoubleQuantization,
             fmt::format("codes made with a scale for each output channel are read through one "
                         "scale: the weight is quantized a second time, and outputs grow {:.1f} "
                         "times",
                         growth),
             std::move(evidence));
    } else {
      Report(Cause::kScaleMismatch, "the output channels are read with scales that are not theirs",
             std::move(evidence));
    }
  }

  // Codes that fill their range in every row, and a stated scale for many rows at once.
  bool SharedScales() const {
    std::set<double> stated;
    std::size_t full = 0;
    double largest = 0;
    for (const std::size_t n : alive_) largest = std::max(largest, fit_.LargestCode(n));
    for (const std::size_t n : alive_) {
      stated.insert(fit_.RowScale(n));
      full += fit_.LargestCode(n) > 0.95 * largest;
    }
    return stated.size() * 4 <= alive_.size() && full * 10 >= alive_.size() * 9;
  }

  // ---- stacked layers ----

  // The rows of a part that matter, each by one of its numbers.
  template <typename Number>
  std::vector<double> Of(const StackedPart& part, Number number) const {
    std::vector<double> numbers;
    for (const std::size_t n : alive_) {
      if (n >= part.first && n < part.first + part.channels) numbers.push_back(number(n));
    }
    return numbers;
  }

  bool ConstantInParts() const {
    return !parts_.empty() &&
           std::all_of(parts_.begin(), parts_.end(), [&](const StackedPart& part) {
             const auto factors = Of(part, [&](std::size_t n) { return fit_.Row(n).Factor(); });
             return AllNear(factors, Median(factors));
           });
  }

  std::vector<Evidence> PartRanges() const {
    std::vector<Evidence> ranges;
    for (const StackedPart& part : parts_) {
      const auto largest = Of(part, [&](std::size_t n) { return LargestWeight(fit_, n); });
      ranges.push_back({"range of " + part.name,
                        largest.empty() ? 0 : *std::max_element(largest.begin(), largest.end()),
                        ""});
    }
    return ranges;
  }

  // One scale for all stacked layers, though their ranges differ.
  bool Stacked() {
    if (parts_.empty()) return false;
    std::vector<double> stated;
    for (const std::size_t n : alive_) stated.push_back(fit_.RowScale(n));
    const auto [low, high] = std::minmax_element(stated.begin(), stated.end());
    if (*high > *low * (1 + 1e-9)) return false;
    std::vector<Evidence> evidence = PartRanges();
    const auto [least, most] =
        std::minmax_element(evidence.begin(), evidence.end(),
                            [](const Evidence& a, const Evidence& b) { return a.value < b.value; });
    if (least->value <= 0 || most->value < kStackedRange * least->value) return false;
    const double ratio = most->value / least->value;
    evidence.push_back({"scale ratio between " + NamesOf(parts_), ratio, "x"});
    Report(Cause::kStackedScale,
           fmt::format("one weight scale serves {}, whose ranges differ {:.2f} times",
                       NamesOf(parts_), ratio),
           std::move(evidence));
    return true;
  }

  bool FewBits() {
    double largest = 0;
    for (const std::size_t n : alive_) largest = std::max(largest, fit_.LargestCode(n));
    if (largest > 16 || AloneDb() > kFewBitsDb) return false;
    Report(Cause::kTooFewBits,
           fmt::format("the weights use codes up to {} only: too few bits", largest),
           {{"largest code", largest, ""}});
    AddSettings("give its weights 8 bits", {"bit_type.bits=8"});
    return true;
  }

  // Weights beyond half a step of their codes, where those are not at the ends of the range.
  void OtherWeights() {
    if (InPlaceDb() > kGoodDb) return;
    const double share = ShareOfOtherCodes(fit_, alive_);
    if (share < 0.005) return;
    Report(Cause::kUnexplained,
           fmt::format("{:.1f} % of the codes are not those of the float weights", 100 * share),
           {{"codes at fault", 100 * share, "%"}});
  }

  // Every weight of a row off by one number: the zero point of the weights.
  bool ConstantOff() {
    if (InPlaceDb() > kGoodDb) return false;
    const double share = ShareOfConstants(fit_, alive_);
    if (share < 0.9) return false;
    Report(Cause::kZeroPointMismatch,
           "the weights are off by one number in each output channel: by their zero point",
           {{"noise that a constant explains", 100 * share, "%"}});
    return true;
  }

  // ---- biases ----

  void ExplainBias() {
    if (Db(fit_.Signal(), fit_.BiasNoise()) > kBiasDb) return;
    double all = 0, rest_of_zero = 0, in_place = 0, exact = 0, both = 0, sums = 0;
    std::vector<double> off;
    for (std::size_t n = 0; n < fit_.rows(); ++n) {
      off.push_back(fit_.BiasInPlace(n) - fit_.Bias(n));
      double sum = 0;
      for (std::size_t k = 0; k < fit_.depth(); ++k) sum += fit_.InPlace(n, k);
      all += off[n] * off[n];
      both += off[n] * sum;
      sums += sum * sum;
      in_place += fit_.BiasInPlace(n) * fit_.BiasInPlace(n);
      exact += fit_.Bias(n) * fit_.Bias(n);
    }
    rest_of_zero = sums > 0 ? all - both * both / sums : all;
    const std::vector<Evidence> evidence = {
        {"bias off by", std::sqrt(all / static_cast<double>(off.size())), ""},
        {"bias", std::sqrt(exact / static_cast<double>(off.size())), ""}};
    if (rest_of_zero < 0.1 * all) {
      Report(Cause::kZeroPointMismatch, "the biases are off as if the input had another zero point",
             evidence);
    } else if (in_place < 1e-3 * exact) {
      Report(Cause::kUnexplained, "the bias is missing", evidence);
    } else {
      Report(Cause::kZeroPointMismatch, "the biases are not those of the layer", evidence);
    }
  }

  std::string Channels(const std::vector<std::size_t>& rows) const {
    if (rows.size() == 1) return fmt::format("output channel {}", rows[0]);
    return fmt::format("{} of {} output channels", rows.size(), fit_.rows());
  }

  WeightFit fit_;
  const network::Node& node_;
  std::vector<StackedPart> parts_;
  std::vector<std::size_t> alive_, bad_;
};

}  // namespace

std::vector<Suspect> LinearCauses(const DiagnosisSubject& subject, const Probe& probe,
                                  const SharedRederivation& rederivation) {
  std::vector<Suspect> suspects;
  std::set<std::string> rewired;  // their weights stand for nothing that they read
  for (const Rewiring& other : RewiringsOf(subject.bundle.program, subject.model))
    rewired.insert(other.tensor);
  for (const Op& op : subject.bundle.program.ops) {
    const std::string& output = OutputOf(op);
    if (!LinearOperandsOf(op) || rewired.contains(output)) continue;
    const network::Linear layer = rederivation->LayerOf(output);
    LayerCauses causes(subject, output, layer, probe.column_power.at(output), rederivation);
    for (Suspect& suspect : causes.Find()) suspects.push_back(std::move(suspect));
  }
  return suspects;
}

}  // namespace qsim::diagnose
