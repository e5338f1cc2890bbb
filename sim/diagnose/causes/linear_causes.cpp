#include "sim/diagnose/causes/linear_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/bias_causes.h"
#include "sim/diagnose/causes/weight_fit.h"
#include "sim/diagnose/causes/weight_shares.h"
#include "sim/diagnose/structure.h"
#include "sim/semantics/model_check.h"
#include "sim/statistics/median.h"

namespace qsim::diagnose {
namespace {

// What a healthy layer of 6 bits or more stays on the right side of.
constexpr double kAgreement = 0.8;     // of a row that stands for its weights
constexpr double kFactorNoise = 2.5;   // in place, beside that of the codes alone
constexpr double kGoodDb = 32;         // of a layer that needs no suspicion
constexpr double kBiasDb = 26;         // of a layer whose bias is right
constexpr double kStackedRange = 1.1;  // between stacked layers
constexpr double kFewBitsDb = 17;
constexpr double kExtremes = 0.06;     // share of codes at the ends of their range
constexpr double kColumnsDb = 32;      // of codes whose columns have a factor each
constexpr std::size_t kRowsShown = 8;  // that tell whether the weights are another layer's

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
    outputs_ = {"output channel", parts_, 1};
    const std::size_t parts = std::max<std::size_t>(1, parts_.size());
    if (node_.heads > 1) outputs_.heads = static_cast<std::size_t>(node_.heads) / parts;
    const network::Node& input = subject.model.At(node_.inputs[0]);
    inputs_ = {"input channel", {}, static_cast<std::size_t>(input.heads)};
    const auto* patches = std::get_if<network::Patches>(&input.function);
    if (patches == nullptr) return;
    const auto size = static_cast<std::size_t>(patches->size);
    const std::size_t colours = fit_.depth() / (size * size);
    inputs_ = {"pixel", {}, 1, 0, {colours, size, size}};
    for (std::size_t c = 0; colours > 1 && c < colours; ++c)
      inputs_.parts.push_back({c * size * size, size * size, fmt::format("colour {}", c)});
    images_ = std::get_if<ImageInputs>(&subject.inputs.data);
  }

  std::vector<Suspect> Find() {
    if (OtherStatistics() || ConstantOff() || CoarseGrid()) return std::move(found_);
    if (!bad_.empty()) {
      ExplainCodes();
    } else if (fit_.Noise() > kFactorNoise * fit_.NoiseAlone() && InPlaceDb() < kGoodDb) {
      ExplainFactors();
    } else if (!FewBits() && !Clamped(alive_) && !Stacked()) {
      OtherWeights();
    }
    if (found_.empty() && Db(fit_.Signal(), fit_.BiasNoise()) <= kBiasDb && !CopiedBiases())
      Tell(ExplainBiases(fit_, outputs_, OtherBiases()));
    return std::move(found_);
  }

 private:
  double InPlaceDb() const { return Db(fit_.Signal(), fit_.Noise() + fit_.BiasNoise()); }
  double AloneDb() const { return Db(fit_.Signal(), fit_.NoiseAlone()); }

  void Report(Cause cause, std::string text, std::vector<Evidence> evidence,
              std::optional<double> factor = std::nullopt) {
    evidence.insert(evidence.begin(), {{"own QSNR of the weights", AloneDb(), "dB"},
                                       {"QSNR in place", InPlaceDb(), "dB"}});
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

  void Tell(Story story) { Report(story.cause, std::move(story.text), std::move(story.evidence)); }

  // The pixels' mean and deviation that it is made for.
  bool OtherStatistics() {
    if (images_ == nullptr || InPlaceDb() > kGoodDb) return false;
    std::optional<Story> story = ExplainStatistics(fit_, *images_);
    if (!story) return false;
    Tell(std::move(*story));
    return true;
  }

  // Codes that leave out most of their range's, at the output channels at fault at least.
  bool CoarseGrid() {
    constexpr std::size_t kManyCodes = 16;  // of a row, which are not multiples by chance
    int common = 0;
    std::vector<std::size_t> coarse;
    std::set<std::int64_t> codes;
    for (const std::size_t n : alive_) {
      int of_row = 0;
      for (std::size_t k = 0; k < fit_.depth(); ++k)
        of_row = std::gcd(of_row, static_cast<int>(fit_.Code(n, k) - fit_.Code(n, 0)));
      if (of_row < 2 || fit_.depth() < kManyCodes) continue;
      coarse.push_back(n);
      common = std::gcd(common, of_row);
      for (std::size_t k = 0; k < fit_.depth(); ++k)
        codes.insert(static_cast<std::int64_t>(fit_.Code(n, k)));
    }
    if (common < 2 || !std::includes(coarse.begin(), coarse.end(), bad_.begin(), bad_.end()))
      return false;
    const std::string where =
        coarse.size() == alive_.size() ? "" : " at " + PlacesText(coarse, fit_.rows(), outputs_);
    Report(Cause::kTooFewBits,
           fmt::format("the codes{} lie {} apart, {} different ones from {} to {}: too few bits",
                       where, common, codes.size(), *codes.begin(), *codes.rbegin()),
           {{"distance of neighbouring codes", static_cast<double>(common), ""}});
    return true;
  }

  // ---- codes that are not those of the weights ----

  void ExplainCodes() {
    const auto dead = std::count_if(bad_.begin(), bad_.end(),
                                    [&](std::size_t n) { return fit_.Row(n).in_place <= 0; });
    if (static_cast<std::size_t>(dead) == bad_.size()) {
      Report(Cause::kConstants,
             fmt::format("nothing but zeros at {}", PlacesText(bad_, fit_.rows(), outputs_)),
             {{"empty output channels", static_cast<double>(dead), ""}});
      return;
    }
    if (NegativesLost(fit_, bad_)) {
      Report(Cause::kUnsignedOnSigned,
             "the codes hold the positive weights only: an unsigned type on signed weights",
             {{"negative weights", 100 * NegativeShare(fit_, bad_), "%"}});
      AddSettings("make its weights signed", {"bit_type.signed=True", "bit_type.symmetric=True"});
      return;
    }
    // What half a step costs does not make a row another one.
    const Tolerance rough{std::sqrt(1 / kAgreement - 1), 0, {}};
    const Kinship rows = KinshipOf(fit_.Rows(true), fit_.Rows(false), outputs_, rough);
    if (rows.kind == Kinship::Kind::kOrder) {
      Report(Cause::kHeadLayout, rows.Sentence("the weights", ""),
             {{"output channels out of place", static_cast<double>(Misplaced(rows.from)), ""}});
    } else if (rows.kind == Kinship::Kind::kNegated || rows.kind == Kinship::Kind::kZero) {
      Report(Cause::kConstants, rows.Sentence("the weights", ""),
             {{"output channels at fault", static_cast<double>(rows.at.size()), ""}});
    } else if (!ExplainColumns(rough) && !Clamped(bad_) && !AnotherLayers()) {
      Report(Cause::kUnexplained,
             fmt::format("the weights at {} agree with no output channel of the float weights",
                         PlacesText(bad_, fit_.rows(), outputs_)),
             {{"output channels at fault", static_cast<double>(bad_.size()), ""}});
    }
  }

  // Input channels in another order, missing, or with another sign or factor.
  bool ExplainColumns(const Tolerance& tolerance) {
    const Kinship columns = KinshipOf(fit_.Columns(true), fit_.Columns(false), inputs_, tolerance);
    switch (columns.kind) {
      case Kinship::Kind::kOrder:
        Report(Cause::kHeadLayout, columns.Sentence("the weights", ""),
               {{fmt::format("{}s out of place", inputs_.noun),
                 static_cast<double>(Misplaced(columns.from)), ""}});
        return true;
      case Kinship::Kind::kZero:
      case Kinship::Kind::kNegated:
        Report(Cause::kConstants, columns.Sentence("the weights", ""), {});
        return true;
      case Kinship::Kind::kScaled:
      case Kinship::Kind::kGroups:
        if (columns.at.size() == fit_.depth() && columns.kind == Kinship::Kind::kScaled)
          return false;                                          // of every row as well
        if (Clamped(bad_.empty() ? alive_ : bad_)) return true;  // about one factor of each as well
        Report(Cause::kScaleMismatch, columns.Sentence("the weights", "what they should be"), {});
        return true;
      default:
        return TransposedMatrix();
    }
  }

  bool TransposedMatrix() {
    if (TransposedAgreement(fit_) < kAgreement) return false;
    Report(Cause::kHeadLayout, "the weights are transposed: [in, out] in place of [out, in]", {});
    return true;
  }

  // The model's other layers of this size; of some rows.
  bool AnotherLayers() {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < bad_.size() && i < kRowsShown; ++i)
      shown.push_back(bad_[i * bad_.size() / std::min<std::size_t>(bad_.size(), kRowsShown)]);
    const auto some = [&](auto value) {
      Lines lines{{}, fit_.depth()};
      for (const std::size_t n : shown) {
        for (std::size_t k = 0; k < fit_.depth(); ++k) lines.values.push_back(value(n, k));
      }
      return lines;
    };
    std::vector<Foreign> others;
    ForEachOther([&](const std::string& name, const network::Linear& layer) {
      others.emplace_back(name, some([&](std::size_t n, std::size_t k) {
                            return static_cast<double>(layer.weight.data[n * fit_.depth() + k]);
                          }));
    });
    const Kinship kin = KinshipOf(
        some([&](std::size_t n, std::size_t k) { return fit_.InPlace(n, k); }),
        some([&](std::size_t n, std::size_t k) { return fit_.Weight(n, k); }), {}, {}, others);
    if (kin.kind != Kinship::Kind::kForeign) return false;
    Report(
        Cause::kConstants,
        fmt::format("the weights at {} are {}", PlacesText(bad_, fit_.rows(), outputs_), kin.text),
        {});
    return true;
  }

  template <typename Visit>
  void ForEachOther(Visit visit) const {
    for (const network::Node& node : subject_.model.nodes()) {
      const auto* other = std::get_if<network::Projection>(&node.function);
      if (other == nullptr || &node == &node_) continue;
      if (other->layer.weight.shape !=
          Shape{static_cast<std::int64_t>(fit_.rows()), static_cast<std::int64_t>(fit_.depth())}) {
        continue;
      }
      visit(AccumulatorName(node), other->layer);
    }
  }

  // The integers that another layer has in the program.
  bool CopiedBiases() {
    constexpr std::size_t kLeast = 8;
    const auto stored = [&](const std::string& tensor) -> const std::vector<std::int32_t>* {
      const Op* op = ProducerOf(subject_.bundle.program, tensor);
      const auto linear = op == nullptr ? std::nullopt : LinearOperandsOf(*op);
      if (!linear) return nullptr;
      return &subject_.bundle.program.Constant(linear->bias).As<std::int32_t>();
    };
    const std::vector<std::int32_t>& own = *stored(tensor_);
    if (own.size() < kLeast || std::set<std::int32_t>(own.begin(), own.end()).size() < kLeast)
      return false;
    for (const Op& op : subject_.bundle.program.ops) {
      const auto* other = stored(OutputOf(op));
      if (other == nullptr || other == &own || *other != own) continue;
      Report(Cause::kConstants,
             fmt::format("the stored biases are those of '{}', code for code", OutputOf(op)), {});
      return true;
    }
    return false;
  }

  std::vector<Foreign> OtherBiases() const {
    std::vector<Foreign> others;
    for (const network::Node& node : subject_.model.nodes()) {
      const auto* other = std::get_if<network::Projection>(&node.function);
      if (other == nullptr || &node == &node_ || other->layer.bias.size() != fit_.rows()) continue;
      const std::string name = AccumulatorName(node);
      if (ProducerOf(subject_.bundle.program, name) == nullptr) continue;
      Lines lines;
      for (const float b : rederivation_->LayerOf(name).bias)
        lines.values.push_back(static_cast<double>(b));
      others.emplace_back(name, std::move(lines));
    }
    return others;
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
          fmt::format("every weight counts {} times: the scale stated for the accumulator or the "
                      "input is not the one that the codes were made with",
                      FactorText(centre)),
          std::move(evidence), centre);
      return;
    }
    if (Clamped(alive_)) return;
    const Tolerance fine{0.1, 0, {}};
    if (Db(fit_.Signal(), fit_.NoiseAlone()) < kColumnsDb && ExplainColumns(fine)) return;
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
    std::vector<std::size_t> off;
    double smallest = 1, largest = 1;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      if (std::fabs(factors[i] - 1) <= 0.1) continue;
      off.push_back(alive_[i]);
      smallest = std::min(smallest, factors[i]);
      largest = std::max(largest, factors[i]);
    }
    evidence.push_back({"correlation of factor and range", correlation, ""});
    if (off.size() * 4 <= factors.size()) {
      const std::string places = PlacesText(off, fit_.rows(), outputs_);
      const double one = fit_.Row(off.front()).Factor();
      const bool same = std::all_of(off.begin(), off.end(), [&](std::size_t n) {
        return std::fabs(fit_.Row(n).Factor() / one - 1) < 0.04;
      });
      Report(Cause::kScaleMismatch,
             same ? fmt::format("the weights are {} times what they should be at {}: the scale "
                                "there is not theirs",
                                FactorText(one), places)
                  : fmt::format("the scales at {} are not those of the weights there, which count "
                                "{} to {} times",
                                places, FactorText(smallest), FactorText(largest)),
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
    if (share < 0.005 || ExplainColumns({0.1, 0, {}})) return;
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

  WeightFit fit_;
  const network::Node& node_;
  std::vector<StackedPart> parts_;
  Places outputs_, inputs_;
  const ImageInputs* images_ = nullptr;  // whose pixels it reads
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
