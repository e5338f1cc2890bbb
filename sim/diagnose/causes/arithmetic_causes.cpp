#include "sim/diagnose/causes/arithmetic_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "golden/program/queries.h"
#include "sim/diagnose/causes/multipliers.h"
#include "sim/semantics/model_check.h"

namespace qsim::diagnose {
namespace {

// An operation is suspicious where it has more noise than it should by this factor, and more than
// this beside its signal: half a percent of a multiplier is neither.
constexpr double kNoiseRatio = 1.6;
constexpr double kSilentDb = 45;
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
      if (step_->noise < kNoiseRatio * step_->remade || StepDb() > kSilentDb) continue;
      Explain(op, *ProducerOf(remade_.program, tensor_));
    }
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
    if (ExplainZeros(op, good, Role::kOutputZero) || ExplainZeros(op, good, Role::kInputZero) ||
        ExplainRatios(op, good) || ExplainTable(op, good) || ExplainAccumulator(op, good) ||
        ExplainEps(op, good) || ExplainConstants(op, good)) {
      return;
    }
    Report(Cause::kUnexplained, "it computes something else than the operation it stands for", {});
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

  void ReportFactor(double factor, const std::string& what) {
    const auto words = HeadDimFactor(factor);
    if (words) {
      Report(Cause::kHeadDimScale,
             fmt::format("the scores are scaled by {} in place of 1 / sqrt(head_dim)", *words),
             {{"factor", factor, "x"}}, factor);
    } else {
      Report(factor > 0 ? Cause::kScaleMismatch : Cause::kUnexplained,
             fmt::format("{} {:.3g} times what the scales around it ask for", what, factor),
             {{"factor", factor, "x"}}, factor);
    }
  }

  bool ExplainRatios(const Op& op, const Op& good) {
    const std::vector<RatioList> actual = RatiosOf(op);
    const std::vector<RatioList> wanted = RatiosOf(good);
    std::vector<MultiplierFit> fits;
    for (std::size_t i = 0; i < actual.size(); ++i)
      fits.push_back(FitMultipliers(actual[i].values, wanted[i].values));
    const auto all = [&](auto property) { return std::all_of(fits.begin(), fits.end(), property); };
    // A shift that is off moves all products by one factor; narrow ones share their shift as well.
    if (fits.size() > 1 && all([&](const MultiplierFit& fit) {
          return fit.uniform && !fit.healthy() &&
                 std::fabs(fit.centre / fits.back().centre - 1) < 0.01;
        })) {
      ReportFactor(fits.front().centre, "all its multipliers are");
      return true;
    }
    std::vector<std::string> operands = InputsOf(op);
    for (std::string& name : ConstantsOf(op)) operands.push_back(std::move(name));
    const auto explain = [&](std::size_t i) {
      return ExplainFit(fits[i], fits.size() == 1
                                     ? "its multipliers"
                                     : fmt::format("the multipliers of '{}'", operands.at(i)));
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

  // True where the multipliers explain what is wrong.
  bool ExplainFit(const MultiplierFit& fit, const std::string& what) {
    if (fit.healthy()) return false;
    if (fit.bits <= kNarrowBits && fit.rounded) {
      if (StepDb() > kNarrowDb) return true;  // narrow, but wide enough
      Report(Cause::kNarrowMultiplier,
             fmt::format("{} of {} bits: ratios of scales are off by up to {:.1f} %", what,
                         fit.bits, 100 * fit.largest_error),
             {{"multiplier bits", static_cast<double>(fit.bits), ""},
              {"largest error", 100 * fit.largest_error, "%"}});
      if (subject_.bundle.hardware.multiplier_bits < 16)
        AddSettings("give the multipliers 16 bits", {"hardware.multiplier_bits=16"});
    } else if (fit.uniform) {
      ReportFactor(fit.centre, what + " are");
    } else {
      Report(Cause::kScaleMismatch,
             fmt::format("{} of {} channels are not the ratios of the scales around them: {:.3g} "
                         "to {:.3g} times",
                         what, fit.off, fit.least, fit.most),
             {{"channels at fault", static_cast<double>(fit.off), ""},
              {"smallest factor", fit.least, "x"},
              {"largest factor", fit.most, "x"}});
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
        Report(Cause::kZeroPointMismatch,
               fmt::format("the zero point of {} is {}, the scales beside it say {}", whose, is,
                           should),
               {{"zero point off by", static_cast<double>(is - should), ""}});
        return true;
      }
    }
    return false;
  }

  // What a table gives for every code of its input, less the output's zero point: of each column
  // that has a table of its own in the program's operation or in the good one.
  std::vector<std::int64_t> TableValues(const Op& op, const Op& is, const Op& good) const {
    std::vector<std::int64_t> values;
    const TensorScale& out = subject_.bundle.scales.at(tensor_);
    const auto* table = std::get_if<TableOp>(&op);
    if (table == nullptr) {
      values = IntegersOf(op, Role::kTable).front().values;
      for (std::int64_t& v : values) v -= out.zero[0];
      return values;
    }
    const QuantRange range = subject_.bundle.program.Tensor(table->input).range;
    const std::int64_t codes = std::int64_t{range.qmax} - range.qmin + 1;
    const auto &first = std::get<TableOp>(is).table_of, &second = std::get<TableOp>(good).table_of;
    std::set<std::pair<std::int32_t, std::int32_t>> seen;
    for (std::size_t c = 0; c < std::max({first.size(), second.size(), std::size_t{1}}); ++c) {
      const auto of = [c](const auto& tables) { return tables.empty() ? 0 : tables.at(c); };
      if (!seen.emplace(of(first), of(second)).second) continue;
      for (std::int64_t code = 0; code < codes; ++code) {
        values.push_back(
            std::int64_t{TableValue(code, table->TableOf(c, codes), table->step_bits)} -
            out.At(c).zero);
      }
    }
    return values;
  }

  // y = factor f(x) + offset over the codes of the input.
  bool ExplainTable(const Op& op, const Op& good) {
    if (IntegersOf(op, Role::kTable).empty() || op == good) return false;
    const std::vector<std::int64_t> table = TableValues(op, op, good);
    const std::vector<std::int64_t> wanted = TableValues(good, op, good);
    if (table == wanted) return false;
    const auto count = static_cast<double>(table.size());
    double y = 0, g = 0, yg = 0, gg = 0, yy = 0;
    for (std::size_t i = 0; i < table.size(); ++i) {
      const auto a = static_cast<double>(table[i]);
      const auto b = static_cast<double>(wanted.at(i));
      y += a;
      g += b;
      yg += a * b;
      gg += b * b;
      yy += a * a;
    }
    const double variance = gg - g * g / count;
    const double factor = variance > 0 ? (yg - y * g / count) / variance : 0;
    const double offset = (y - factor * g) / count;
    const double rest = yy - y * y / count - factor * (yg - y * g / count);
    const std::vector<Evidence> evidence = {{"factor", factor, "x"}, {"offset", offset, ""}};
    // A true line leaves the roundings of two tables: two steps at most.
    if (rest > 2 * count) {
      Report(Cause::kUnexplained, "its table is not the function's, up to a factor and an offset",
             evidence);
    } else if (std::fabs(offset) > 2) {
      Report(Cause::kZeroPointMismatch,
             fmt::format("its table has an output zero point {:.1f} steps off", offset), evidence);
    } else {
      Report(
          Cause::kScaleMismatch,
          fmt::format("its table's outputs are {:.3g} times those of the output's scale", factor),
          evidence, factor);
    }
    return true;
  }

  bool ExplainAccumulator(const Op& op, const Op& good) {
    const Accumulator* acc = AccumulatorOf(op);
    if (acc == nullptr || *acc == *AccumulatorOf(good)) return false;
    Report(Cause::kUnexplained,
           fmt::format("its accumulator of {} bits overflows (policy {})", acc->bits,
                       Name(acc->policy)),
           {{"accumulator bits", static_cast<double>(acc->bits), ""}});
    found_.back().suspicion.repairs.clear();
    const std::string text = "give the accumulator 32 bits";
    AddRepair(text, [tap = tensor_](Bundle& b) { WidenAccumulator(tap, b.program); });
    AddSettings(text, {"hardware.acc_bits=32"});
    return true;
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

  bool ExplainConstants(const Op& op, const Op& good) {
    for (const Role role : {Role::kAddend, Role::kCoefficient}) {
      const std::vector<Integers> actual = IntegersOf(op, role);
      const std::vector<Integers> wanted = IntegersOf(good, role);
      for (std::size_t i = 0; i < std::min(actual.size(), wanted.size()); ++i) {
        const std::vector<std::int64_t>& a = actual[i].values;
        const std::vector<std::int64_t>& w = wanted[i].values;
        if (a == w) continue;
        const bool by_channel = actual[i].field.axis == Axis::kChannel;
        Report(role == Role::kAddend ? Cause::kZeroPointMismatch
               : by_channel          ? Cause::kScaleMismatch
                                     : Cause::kUnexplained,
               a.size() == 1 && w.size() == 1
                   ? fmt::format("its {} is {}, the scales around it ask for {}",
                                 actual[i].field.name, a[0], w[0])
                   : fmt::format("its {} is not the one that the scales around it ask for",
                                 actual[i].field.name),
               {});
        return true;
      }
    }
    for (const std::string& name : ConstantsOf(op)) {
      const IntTensor& is = subject_.bundle.program.Constant(name);
      const IntTensor& should = remade_.program.Constant(name);
      if (is == should) continue;
      if (std::holds_alternative<MultiplyOp>(op)) {
        ReportFactors(name, is, should);
        return true;
      }
      Report(Cause::kUnexplained, fmt::format("its '{}' is not the one of the model", name), {});
      return true;
    }
    return false;
  }

  // The factors of columns.
  void ReportFactors(const std::string& name, const IntTensor& is, const IntTensor& should) {
    std::int64_t off = 0, zero = 0;
    double both = 0, squares = 0;
    for (std::int64_t c = 0; c < is.size(); ++c) {
      off += is.At(c) != should.At(c);
      zero += is.At(c) == 0 && should.At(c) != 0;
      both += static_cast<double>(is.At(c)) * static_cast<double>(should.At(c));
      squares += static_cast<double>(should.At(c)) * static_cast<double>(should.At(c));
    }
    const bool dropped = zero == off;
    Report(Cause::kScaleMismatch,
           dropped ? fmt::format("{} of {} factors in '{}' are 0 where the model has some: what it "
                                 "scales is dropped there",
                                 zero, is.size(), name)
                   : fmt::format("{} of {} factors in '{}' are not the model's: {:.3g} times them "
                                 "on the average",
                                 off, is.size(), name, both / std::max(squares, 1.0)),
           {{"factors off", 100 * static_cast<double>(off) / static_cast<double>(is.size()), "%"}});
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
