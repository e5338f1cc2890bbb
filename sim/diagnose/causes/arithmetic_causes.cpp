#include "sim/diagnose/causes/arithmetic_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/constant_causes.h"
#include "sim/diagnose/causes/multipliers.h"
#include "sim/diagnose/causes/table_causes.h"
#include "sim/semantics/model_check.h"
#include "sim/text/text_util.h"

namespace qsim::diagnose {
namespace {

// An operation is suspicious where it has more noise than it should by this factor, which is larger
// where the signal is that far above the noise and its multipliers are as they should be.
constexpr double kNoiseRatio = 1.6;
constexpr double kSilentDb = 45, kSilentRatio = 100;
constexpr double kDifferentRatio = 0.02;
constexpr double kNarrowDb = 33;
constexpr double kSameScale = 1e-3;

class ArithmeticSearch : CauseSearch {
 public:
  ArithmeticSearch(const DiagnosisSubject& subject, const Bundle& remade, const Probe& probe,
                   const SharedRederivation& rederivation)
      : CauseSearch(subject, rederivation), remade_(remade), product_(remade), probe_(probe) {
    for (Rewiring& other : RewiringsOf(subject.bundle.program, subject.model))
      rewired_[other.tensor] = std::move(other.text);
  }

  std::vector<Suspect> Find() {
    for (const Op& op : subject_.bundle.program.ops) {
      tensor_ = OutputOf(op);
      const auto found = probe_.steps.find(tensor_);
      const StepNoise* const step = found == probe_.steps.end() ? nullptr : &found->second;
      if (const auto other = rewired_.find(tensor_); other != rewired_.end()) {
        step_ = step;
        ReportWiring(other->second);
        continue;
      }
      step_ = nullptr;
      if (IsProductOfTensors(op)) CheckProductScale();
      CheckColumns(op);
      if (step == nullptr) continue;
      step_ = step;
      if (Overflows(op)) continue;
      const Op& good = *ProducerOf(remade_.program, tensor_);
      const bool loud = StepDb() <= kSilentDb || RatiosDiffer(op, good);
      if (step_->noise < (loud ? kNoiseRatio : kSilentRatio) * step_->remade) continue;
      Explain(op, good);
    }
    ReportOverflow();
    return std::move(found_);
  }

 private:
  double StepDb() const { return Db(step_->signal, step_->noise); }

  void Report(Cause cause, std::string text, std::vector<Evidence> evidence,
              std::optional<double> factor = std::nullopt) {
    double damage = 0;
    if (step_ != nullptr) {
      evidence.push_back({"QSNR of the operation", StepDb(), "dB"});
      evidence.push_back({"QSNR made anew", Db(step_->signal, step_->remade), "dB"});
      damage = step_->noise / std::max(step_->signal, 1e-300);
    }
    CauseSearch::Report(cause, std::move(text), std::move(evidence), damage, factor);
    AddRepair("take the operation's constants from the scales around it",
              [rederivation = rederivation_, tap = tensor_](Bundle& b) {
                rederivation->Derive({tap}, b);
              });
  }

  void ReportWiring(const std::string& text) {
    Report(Cause::kWrongInput, text, {});
    if (step_ == nullptr) found_.back().damage = 1;
    found_.back().suspicion.repairs.back().text = "read what the network has there";
  }

  // By the roles of the parameters, whatever the operation is.
  void Explain(const Op& op, const Op& good) {
    if (const auto is = InputsOf(op), should = InputsOf(good); is != should) {
      return ReportWiring(fmt::format("reads '{}' where the scales around it ask for '{}'",
                                      fmt::join(is, "', '"), fmt::join(should, "', '")));
    }
    const Remaking of = {subject_, remade_, *rederivation_, tensor_, op, good};
    if (ExplainZeros(op, good, Role::kOutputZero) || ExplainZeros(op, good, Role::kInputZero) ||
        ExplainRatios(of)) {
      return;
    }
    if (auto table = ExplainTable(of)) return Tell(std::move(table->story), table->factor);
    if (ExplainEps(op, good)) return;
    if (auto story = ExplainConstants(of)) return Tell(std::move(*story));
    if (ExplainNarrow(of)) return;
    if (StepDb() > kSilentDb) return;  // by roundings of its multipliers
    Report(Cause::kUnexplained, "it computes something else than the operation it stands for", {});
  }

  void Tell(Story story, std::optional<double> factor = std::nullopt) {
    Report(story.cause, std::move(story.text), std::move(story.evidence), factor);
  }

  // ---- multipliers ----

  // The divisor of the scores is part of their ratio alone.
  std::optional<std::string> HeadDimFactor(double factor) const {
    const network::Node& node = *subject_.model.NodeOf(tensor_);
    const auto* product = std::get_if<network::Product>(&node.function);
    if (product == nullptr || !product->transpose_rhs) return std::nullopt;
    const auto dim = static_cast<double>(subject_.model.At(node.inputs[0]).shape.back());
    const auto heads = static_cast<double>(product->heads);
    const double d = dim / heads;
    const std::array<std::pair<double, const char*>, 9> candidates = {
        {{1 / d, "1 / head_dim"},
         {1, "1 (no factor at all)"},
         {1 / std::sqrt(dim), "1 / sqrt(dim)"},
         {1 / dim, "1 / dim"},
         {std::sqrt(d), "sqrt(head_dim)"},
         {d, "head_dim"},
         {1 / std::sqrt(heads), "1 / sqrt(heads)"},
         {1 / heads, "1 / heads"},
         {1 / std::sqrt(2 * d), "1 / sqrt(2 head_dim)"}}};
    for (const auto& [value, words] : candidates) {
      if (std::fabs(factor / product->divisor / value - 1) < 0.02) return words;
    }
    return std::nullopt;
  }

  // By more than rounding them does, which may leave the smallest of a list few bits.
  static bool RatiosDiffer(const Op& op, const Op& good) {
    const std::vector<MultiplierFit> fits = FitsOf(op, good);
    return std::any_of(fits.begin(), fits.end(), [](const MultiplierFit& fit) {
      return fit.largest_error > kDifferentRatio && !fit.rounded;
    });
  }

  // Of each list of multipliers.
  static std::vector<MultiplierFit> FitsOf(const Op& op, const Op& good) {
    const std::vector<RatioList> actual = RatiosOf(op);
    const std::vector<RatioList> wanted = RatiosOf(good);
    std::vector<MultiplierFit> fits;
    for (std::size_t i = 0; i < std::min(actual.size(), wanted.size()); ++i)
      fits.push_back(FitMultipliers(actual[i].values, wanted[i].values));
    return fits;
  }

  void ReportFactor(double factor, const std::string& what) {
    const auto words = HeadDimFactor(factor);
    if (words) {
      Report(Cause::kHeadDimScale,
             fmt::format("the scores are scaled by {} in place of 1 / sqrt(head_dim)", *words),
             {{"factor", factor, "x"}}, factor);
    } else {
      Report(factor > 0 ? Cause::kScaleMismatch : Cause::kUnexplained,
             fmt::format("{} {} times what the scales around it ask for", what, FactorText(factor)),
             {{"factor", factor, "x"}}, factor);
    }
  }

  bool ExplainRatios(const Remaking& of) {
    const std::vector<MultiplierFit> fits = FitsOf(of.op, of.good);
    const auto all = [&](auto property) { return std::all_of(fits.begin(), fits.end(), property); };
    // A shift that is off moves all products by one factor; narrow ones share their shift as well.
    if (fits.size() > 1 && all([&](const MultiplierFit& fit) {
          return fit.uniform && !fit.healthy() &&
                 std::fabs(fit.centre / fits.back().centre - 1) < 0.01;
        })) {
      ReportFactor(fits.front().centre, "all its multipliers are");
      return true;
    }
    std::vector<std::string> operands = InputsOf(of.op);
    for (std::string& name : ConstantsOf(of.op)) operands.push_back(std::move(name));
    if (auto story = ExplainExchange(of, operands)) {
      Tell(std::move(*story));
      return true;
    }
    const auto explain = [&](std::size_t i) {
      const std::string what = fits.size() == 1
                                   ? "its multipliers"
                                   : fmt::format("the multipliers of '{}'", operands.at(i));
      return ExplainFit(of, i, fits[i], what);
    };
    // Those that are at fault whatever the others are; then the others, the last one first.
    for (std::size_t i = 0; i + 1 < fits.size(); ++i) {
      const bool alone = std::all_of(fits.begin(), fits.end(), [&](const MultiplierFit& fit) {
        return &fit == &fits[i] || fit.healthy();
      });
      if ((alone || fits[i].bits <= kNarrowBits || !fits[i].uniform) && explain(i)) return true;
    }
    for (std::size_t i = fits.size(); i-- > 0;) {
      if (explain(i)) return true;
    }
    return false;
  }

  bool NarrowHardware() const { return subject_.bundle.hardware.multiplier_bits < 16; }

  void ReportNarrow(const MultiplierFit& fit, const std::string& what) {
    Report(Cause::kNarrowMultiplier,
           fmt::format("{} of {} bits: ratios of scales are off by up to {:.2g} %", what, fit.bits,
                       100 * fit.largest_error),
           {{"multiplier bits", static_cast<double>(fit.bits), ""},
            {"largest error", 100 * fit.largest_error, "%"}});
    if (NarrowHardware())
      AddSettings("give the multipliers 16 bits", {"hardware.multiplier_bits=16"});
  }

  // Where nothing else explains the noise of a wide stream.
  bool ExplainNarrow(const Remaking& of) {
    MultiplierFit worst;
    for (const MultiplierFit& fit : FitsOf(of.op, of.good)) {
      if (fit.rounded && fit.largest_error > worst.largest_error) worst = fit;
    }
    if (!NarrowHardware() || worst.largest_error == 0) return false;
    ReportNarrow(worst, "its multipliers");
    return true;
  }

  // True where the multipliers explain what is wrong.
  bool ExplainFit(const Remaking& of, std::size_t list, const MultiplierFit& fit,
                  const std::string& what) {
    if (fit.healthy()) return false;
    // Where shifts are common, the smallest of a list has few bits, however wide the others are.
    if (fit.rounded && (fit.bits <= kNarrowBits || NarrowHardware())) {
      // Narrow, but wide enough, unless it is of a wide stream.
      if (StepDb() > kNarrowDb && step_->noise < kSilentRatio * step_->remade) return true;
      ReportNarrow(fit, what);
    } else if (fit.uniform && std::fabs(fit.centre - 1) > kHealthyRatio) {
      ReportFactor(fit.centre, what + " are");
    } else {
      Tell(ExplainRatioList(of, list, what));
    }
    return true;
  }

  // ---- the other parameters ----

  bool ExplainZeros(const Op& op, const Op& good, Role role) {
    const std::vector<Integers> actual = IntegersOf(op, role);
    const std::vector<Integers> wanted = IntegersOf(good, role);
    const std::vector<std::string> inputs = InputsOf(op);
    // An operation may have a zero point for an input that it does not read: 0, as wanted.
    for (std::size_t i = 0; i < std::min(actual.size(), wanted.size()); ++i) {
      const std::vector<std::int64_t>& a = actual[i].values;
      const std::vector<std::int64_t>& w = wanted[i].values;
      const std::size_t count = std::max(a.size(), w.size());
      std::string whose = role == Role::kOutputZero                  ? "the output"
                          : i >= inputs.size() || actual.size() == 1 ? "the input"
                                                                     : "'" + inputs[i] + "'";
      for (std::size_t c = 0; c < count; ++c) {
        const std::int64_t is = EntryFor(a, c);
        const std::int64_t should = EntryFor(w, c);
        if (is == should) continue;
        if (count > 1) whose += fmt::format(", channel {}", c);
        Report(
            Cause::kZeroPointMismatch,
            fmt::format("the zero point of {} is {}, {} too {}: the scales beside it say {}", whose,
                        is, std::llabs(is - should), is > should ? "large" : "small", should),
            {{"zero point off by", static_cast<double>(is - should), ""}});
        return true;
      }
    }
    return false;
  }

  // Notes a product whose accumulator is all that differs, and changes some of its sums.
  bool Overflows(const Op& op) {
    const Op& good = *ProducerOf(remade_.program, tensor_);
    if (AccumulatorOf(op) == nullptr || *AccumulatorOf(op) == *AccumulatorOf(good)) return false;
    Op wide = op;
    *AccumulatorOf(wide) = *AccumulatorOf(good);
    if (!(wide == good)) return false;
    if (step_->other > 0) overflowing_.emplace_back(tensor_, *step_);
    return true;
  }

  // One suspicion, of the product that loses most.
  void ReportOverflow() {
    if (overflowing_.empty()) return;
    const auto worst = std::max_element(
        overflowing_.begin(), overflowing_.end(), [](const auto& a, const auto& b) {
          return a.second.noise * b.second.signal < b.second.noise * a.second.signal;
        });
    tensor_ = worst->first;
    const StepNoise step = worst->second;
    const Accumulator& acc = *AccumulatorOf(*ProducerOf(subject_.bundle.program, tensor_));
    std::vector<Evidence> evidence = {{"accumulator bits", static_cast<double>(acc.bits), ""}};
    std::vector<std::string> tensors;
    for (const auto& [tensor, noise] : overflowing_) {
      evidence.push_back(
          {fmt::format("of {}", tensor), 100 * noise.other / noise.elements, "% of the sums"});
      tensors.push_back(tensor);
    }
    CauseSearch::Report(
        Cause::kOverflow,
        fmt::format("accumulators of {} bits overflow (policy {}) in {}, here in {:.2g} % of the "
                    "sums",
                    acc.bits, Name(acc.policy),
                    Count(static_cast<std::int64_t>(tensors.size()), "product", "products"),
                    100 * step.other / step.elements),
        std::move(evidence), step.noise / std::max(step.signal, 1e-300));
    const std::string text = "give the accumulators 32 bits";
    AddRepair(text, [tensors](Bundle& b) {
      for (const std::string& tensor : tensors) WidenAccumulator(tensor, b.program);
    });
    AddSettings(text, {"hardware.acc_bits=32"});
  }

  bool ExplainEps(const Op& op, const Op& good) {
    const std::vector<Integers> actual = IntegersOf(op, Role::kEpsilon);
    if (actual.empty()) return false;
    const std::int64_t is = actual.front().values[0];
    const std::vector<Integers> wanted = IntegersOf(good, Role::kEpsilon);
    if (wanted.empty() || is == wanted.front().values[0]) return false;
    const std::int64_t should = wanted.front().values[0];
    const network::Node& node = *subject_.model.NodeOf(tensor_);
    const double eps = std::get<network::LayerNorm>(node.function).norm.eps;
    // Of the least row, in real numbers.
    const std::vector<double>& deviation = probe_.norms.at(tensor_).deviation;
    const std::vector<double>& scale = subject_.bundle.scales.at(InputsOf(op).front()).scale;
    const double least = *std::min_element(deviation.begin(), deviation.end()) *
                         *std::min_element(scale.begin(), scale.end());
    const std::string what =
        is == 0 ? fmt::format("the model's eps of {:.3g} is left out", eps)
                : fmt::format("its eps is {:.3g} times the model's {:.3g}",
                              static_cast<double>(is) / static_cast<double>(should), eps);
    Report(Cause::kNormEps,
           fmt::format("{}: {} in place of {} beside its sum of squares", what, is, should),
           {{"eps over the smallest variance of a row", 100 * eps / std::max(least * least, 1e-300),
             "%"}});
    const ModelContracts& contracts = subject_.bundle.contracts;
    const auto own = contracts.blocks.find(node.block);
    const NumericsContract& contract =
        own == contracts.blocks.end() ? contracts.model : own->second;
    if (contract.numerics.layernorm_eps != LayernormEps::kIgnore) return true;
    found_.back().by_contract = true;
    found_.back().suspicion.repairs.clear();
    const std::string text = "add eps to the sums of squares";
    AddRepair(text, [rederivation = rederivation_](Bundle& b) { AddEps(*rederivation, b); });
    std::vector<std::string> settings = {"numerics.layernorm_eps=add"};
    for (const auto& [block, other] : contracts.blocks)
      settings.push_back(fmt::format("blocks.{}.numerics.layernorm_eps=add", block));
    AddSettings(text, std::move(settings));
    return true;
  }

  // ---- what only the network and stated scales can tell ----

  void CheckColumns(const Op& op) {
    const auto* columns = std::get_if<network::Columns>(&subject_.model.NodeOf(tensor_)->function);
    const std::vector<Integers> sizes = IntegersOf(op, Role::kSize);
    if (columns == nullptr || sizes.empty() || sizes[0].values[0] == columns->first) return;
    const std::int64_t wanted = columns->first;
    Report(Cause::kHeadLayout,
           fmt::format("it reads the columns of its input from {} on, and its own begin at {}",
                       sizes[0].values[0], wanted),
           {{"first column", static_cast<double>(sizes[0].values[0]), ""}});
    found_.back().damage = 1;
    found_.back().suspicion.repairs.clear();
    AddRepair("read its own columns", [rederivation = rederivation_, tap = tensor_](
                                          Bundle& bundle) { rederivation->Derive({tap}, bundle); });
  }

  // The accumulator's stated scale is the product of its operands'.
  void CheckProductScale() {
    rederivation_->Derive({tensor_}, product_);
    const Activation stated = StatedActivation(subject_.bundle, tensor_);
    const Activation wanted = StatedActivation(product_, tensor_);
    std::vector<double> factors;
    for (std::size_t c = 0; c < stated.scale.size(); ++c)
      factors.push_back(wanted.scale[c] / stated.scale[c]);
    const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
    if (*least > 1 - kSameScale && *most < 1 + kSameScale) return;
    if (*most < *least * (1 + kSameScale)) {
      ReportFactor(1 / factors.front(), "its stated scale is");
    } else {
      Report(Cause::kScaleMismatch, "its stated scale is not the product of its operands'",
             {{"smallest factor", *least, "x"}, {"largest factor", *most, "x"}});
    }
    const double off = std::max(std::fabs(1 - *least), std::fabs(1 - *most));
    found_.back().damage = off * off;
    found_.back().suspicion.repairs.clear();
    AddRepair(
        "state the product of its operands' scales, and take the multipliers behind it from there",
        [rederivation = rederivation_, tap = tensor_](Bundle& bundle) {
          std::vector<std::string> tensors = ReadersOf(bundle.program, tap);
          tensors.insert(tensors.begin(), tap);
          rederivation->Derive(tensors, bundle);
        });
  }

  const Bundle& remade_;
  Bundle product_;  // in which accumulators get the scales that their operands give them
  const Probe& probe_;
  const StepNoise* step_ = nullptr;
  std::map<std::string, std::string> rewired_;  // what to say of it, by output
  std::vector<std::pair<std::string, StepNoise>> overflowing_;
};

}  // namespace

void AskForEps(ModelContracts& contracts) {
  contracts.model.numerics.layernorm_eps = LayernormEps::kAdd;
  for (auto& [block, contract] : contracts.blocks)
    contract.numerics.layernorm_eps = LayernormEps::kAdd;
}

void AddEps(const Rederivation& rederivation, Bundle& bundle) {
  AskForEps(bundle.contracts);
  std::vector<std::string> norms;
  for (const Op& op : bundle.program.ops) {
    if (!IntegersOf(op, Role::kEpsilon).empty()) norms.push_back(OutputOf(op));
  }
  rederivation.Derive(norms, bundle);
}

std::set<std::string> DifferingOperations(const Bundle& bundle, const Bundle& remade) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < bundle.program.ops.size(); ++i) {
    const Op& op = bundle.program.ops[i];
    const std::vector<std::string> constants = ConstantsOf(op);
    const bool other_constants =
        !LinearOperandsOf(op) &&
        std::any_of(constants.begin(), constants.end(), [&](const std::string& name) {
          return !(bundle.program.Constant(name) == remade.program.Constant(name));
        });
    if (!(op == remade.program.ops[i]) || other_constants) names.insert(OutputOf(op));
  }
  return names;
}

std::vector<Suspect> ArithmeticCauses(const DiagnosisSubject& subject, const Bundle& remade,
                                      const Probe& probe, const SharedRederivation& rederivation) {
  return ArithmeticSearch(subject, remade, probe, rederivation).Find();
}

}  // namespace qsim::diagnose
