#include "sim/diagnose/causes/arithmetic_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "sim/diagnose/causes/multipliers.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim {
namespace {

// An operation is suspicious where it has more noise than it should by this factor, and more than
// this beside its signal: half a percent of a multiplier is neither.
constexpr double kNoiseRatio = 1.6;
constexpr double kSilentDb = 45;
constexpr double kNarrowDb = 33;
constexpr double kSameScale = 1e-3;

bool IsOfScores(const std::string& tensor) { return tensor.ends_with(".attn_kv_out"); }

// x0 of I-BERT's exponential; 0 of another one.
std::int32_t ExponentialOf(const SoftmaxParams& params) {
  return std::visit(
      [](const auto& p) -> std::int32_t {
        if constexpr (requires { p.exp; }) return p.exp.x0;
        return 0;
      },
      params);
}

class ArithmeticSearch {
 public:
  ArithmeticSearch(const DiagnosisSubject& subject, const Bundle& remade, const Probe& probe,
                   const SharedRelowering& relowering)
      : subject_(subject),
        remade_(remade),
        product_(remade),
        probe_(probe),
        relowering_(relowering) {}

  std::vector<Suspect> Find() {
    for (const Op& op : subject_.bundle.program.ops) {
      if (const auto* matmul = std::get_if<MatmulOp>(&op)) CheckProductScale(*matmul);
      if (const auto* requantize = std::get_if<RequantizeOp>(&op)) CheckColumns(*requantize);
      const auto step = probe_.steps.find(OutputOf(op));
      if (step == probe_.steps.end()) continue;
      const StepNoise& noise = step->second;
      if (noise.noise < kNoiseRatio * noise.remade || Db(noise.signal, noise.noise) > kSilentDb)
        continue;
      step_ = &noise;
      tap_ = OutputOf(op);
      const Op& good = *ProducerOf(remade_.program, tap_);
      std::visit([&](const auto& o) { Explain(o, std::get<std::decay_t<decltype(o)>>(good)); }, op);
    }
    return std::move(found_);
  }

 private:
  void Report(Cause cause, std::string text, std::vector<Evidence> evidence,
              std::optional<double> factor = std::nullopt) {
    Suspect suspect;
    suspect.suspicion.cause = cause;
    suspect.suspicion.tensor = tap_;
    suspect.suspicion.text = std::move(text);
    suspect.suspicion.evidence = std::move(evidence);
    if (step_ != nullptr) {
      suspect.suspicion.evidence.push_back(
          {"QSNR of the operation", Db(step_->signal, step_->noise), "dB"});
      suspect.suspicion.evidence.push_back(
          {"QSNR made anew", Db(step_->signal, step_->remade), "dB"});
      suspect.damage = step_->noise / std::max(step_->signal, 1e-300);
    }
    suspect.suspicion.repairs.push_back(RemakeRepair(
        relowering_, tap_, "take the operation's constants from the scales around it"));
    suspect.factor = factor;
    found_.push_back(std::move(suspect));
  }

  // ---- multipliers ----

  // 1/sqrt(head_dim) is part of the scores' ratio alone.
  std::optional<std::string> HeadDimFactor(double factor) const {
    const auto dim = static_cast<double>(subject_.model.input.dim);
    const auto heads = static_cast<double>(subject_.model.heads);
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
      if (std::fabs(factor / std::sqrt(d) / value - 1) < 0.02) return words;
    }
    return std::nullopt;
  }

  void ReportFactor(double factor, const std::string& what) {
    if (IsOfScores(tap_) || IsOfScores(tap_.substr(0, tap_.rfind('.')))) {
      if (const auto words = HeadDimFactor(factor)) {
        Report(Cause::kHeadDimScale,
               fmt::format("the scores are scaled by {} in place of 1 / sqrt(head_dim)", *words),
               {{"factor", factor, "x"}}, factor);
        return;
      }
    }
    Report(factor > 0 ? Cause::kScaleMismatch : Cause::kUnexplained,
           fmt::format("{} {:.3g} times what the scales around it ask for", what, factor),
           {{"factor", factor, "x"}}, factor);
  }

  // True where the multipliers explain what is wrong.
  bool ExplainRatios(const MultiplierFit& fit, const std::string& what) {
    if (fit.healthy()) return false;
    if (fit.bits <= kNarrowBits && fit.rounded) {
      if (Db(step_->signal, step_->noise) > kNarrowDb) return true;  // narrow, but wide enough
      Report(Cause::kNarrowMultiplier,
             fmt::format("{} of {} bits: ratios of scales are off by up to {:.1f} %", what,
                         fit.bits, 100 * fit.largest_error),
             {{"multiplier bits", static_cast<double>(fit.bits), ""},
              {"largest error", 100 * fit.largest_error, "%"}});
      AddWidthSetting();
      return true;
    }
    if (fit.uniform) {
      ReportFactor(fit.centre, what + " are");
      return true;
    }
    Report(Cause::kScaleMismatch,
           fmt::format("{} of {} channels are not the ratios of the scales around them: {:.3g} to "
                       "{:.3g} times",
                       what, fit.off, fit.least, fit.most),
           {{"channels at fault", static_cast<double>(fit.off), ""},
            {"smallest factor", fit.least, "x"},
            {"largest factor", fit.most, "x"}});
    return true;
  }

  void AddWidthSetting() {
    if (subject_.config == nullptr || subject_.bundle.hardware.multiplier_bits >= 16) return;
    Repair wider;
    wider.text = "give the multipliers 16 bits";
    wider.settings = {"hardware.multiplier_bits=16"};
    auto& repairs = found_.back().suspicion.repairs;
    repairs.insert(repairs.begin(), std::move(wider));
  }

  void ReportZero(std::int64_t actual, std::int64_t wanted, const std::string& whose) {
    Report(Cause::kZeroPointMismatch,
           fmt::format("the zero point of {} is {}, the scales beside it say {}", whose, actual,
                       wanted),
           {{"zero point off by", static_cast<double>(actual - wanted), ""}});
  }

  // True where a list of zero points explains what is wrong.
  bool ExplainZeros(const std::vector<std::int32_t>& actual,
                    const std::vector<std::int32_t>& wanted, const std::string& whose) {
    const std::size_t count = std::max(actual.size(), wanted.size());
    for (std::size_t c = 0; c < count; ++c) {
      const std::int32_t a = actual[actual.size() == 1 ? 0 : c];
      const std::int32_t w = wanted[wanted.size() == 1 ? 0 : c];
      if (a == w) continue;
      ReportZero(a, w, count == 1 ? whose : fmt::format("{}, channel {}", whose, c));
      return true;
    }
    return false;
  }

  // ---- operations ----

  void Explain(const RequantizeOp& op, const RequantizeOp& good) {
    if (ExplainZeros(op.zero, good.zero, "the output")) return;
    if (ExplainZeros({op.input_zero}, {good.input_zero}, "the input")) return;
    if (ExplainRatios(FitMultipliers(op.scale, good.scale), "its multipliers")) return;
    Unexplained();
  }

  void Explain(const ResidualAddOp& op, const ResidualAddOp& good) {
    if (ExplainZeros({op.out_zero}, {good.out_zero}, "the output")) return;
    if (ExplainZeros({op.a_zero}, {good.a_zero}, "the branch")) return;
    if (ExplainZeros({op.b_zero}, {good.b_zero}, "the stream")) return;
    const MultiplierFit a = FitMultipliers(WithShift(op.a_multiplier, op.shift),
                                           WithShift(good.a_multiplier, good.shift));
    const MultiplierFit b = FitMultipliers(WithShift(op.b_multiplier, op.shift),
                                           WithShift(good.b_multiplier, good.shift));
    // A shift that is off moves both products by one factor; narrow ones share their shift as well.
    if (a.uniform && b.uniform && !a.healthy() && !b.healthy() &&
        std::fabs(a.centre / b.centre - 1) < 0.01) {
      ReportFactor(a.centre, "both its multipliers are");
      return;
    }
    const bool a_first = !a.healthy() && (b.healthy() || a.bits <= kNarrowBits || !a.uniform);
    if (a_first && ExplainRatios(a, "the multipliers of its branch")) return;
    if (ExplainRatios(b, "the multipliers of its stream")) return;
    if (ExplainRatios(a, "the multipliers of its branch")) return;
    Unexplained();
  }

  void Explain(const EmbedOp& op, const EmbedOp& good) {
    if (ExplainZeros({op.out_zero}, {good.out_zero}, "the output")) return;
    if (ExplainRatios(FitMultipliers(WithShift(op.a_multiplier, op.shift),
                                     WithShift(good.a_multiplier, good.shift)),
                      "the multipliers of its patches"))
      return;
    if (ExplainRatios(FitMultipliers(WithShift({op.b_multiplier}, op.shift),
                                     WithShift({good.b_multiplier}, good.shift)),
                      "the multipliers of its positions"))
      return;
    Report(Cause::kUnexplained, "its positions are not those of the model", {});
  }

  void Explain(const LayernormOp& op, const LayernormOp& good) {
    std::visit(
        [&](const auto& params) {
          const auto& right = std::get<std::decay_t<decltype(params)>>(good.params);
          if constexpr (requires { params.scale; }) {
            ExplainNorm(params, right);
          } else {
            Unexplained();
          }
        },
        op.params);
  }

  template <typename Params>
  void ExplainNorm(const Params& op, const Params& good) {
    if (ExplainZeros(op.zero, good.zero, "the output")) return;
    if (ExplainRatios(FitMultipliers(op.scale, good.scale), "its multipliers")) return;
    if (op.bias != good.bias) {
      Report(Cause::kZeroPointMismatch, "its biases are not beta in steps of gamma", {});
      return;
    }
    if (op.input_shift != good.input_shift) {
      Report(Cause::kScaleMismatch, "its shifts are not the factors of the stream's channels", {});
      return;
    }
    Unexplained();
  }

  void Explain(const MatmulOp& op, const MatmulOp& good) {
    if (ExplainZeros(op.lhs_zero, good.lhs_zero, op.lhs)) return;
    if (ExplainZeros(op.rhs_zero, good.rhs_zero, op.rhs)) return;
    if (ExplainAccumulator(op.acc, good.acc)) return;
    Unexplained();
  }

  void Explain(const GeluOp& op, const GeluOp& good) {
    std::visit(
        [&](const auto& params) {
          ExplainGelu(params, std::get<std::decay_t<decltype(params)>>(good.params));
        },
        op.params);
  }

  template <typename Params>
  void ExplainGelu(const Params& op, const Params& good) {
    if (ExplainZeros({op.zero}, {good.zero}, "the output")) return;
    if constexpr (requires { op.input_zero; }) {
      if (ExplainZeros({op.input_zero}, {good.input_zero}, "the input")) return;
    }
    if (ExplainRatios(FitMultipliers({op.scale}, {good.scale}), "its multiplier")) return;
    Unexplained();
  }

  // y = f GELU(x) + o over the codes of the input.
  void ExplainGelu(const GeluTableParams& op, const GeluTableParams& good) {
    const std::int32_t zero = subject_.bundle.scales.at(tap_).zero[0];
    const auto count = static_cast<double>(op.table.size());
    double y = 0, g = 0, yg = 0, gg = 0, yy = 0;
    for (std::size_t i = 0; i < op.table.size(); ++i) {
      const double a = op.table[i] - zero;
      const double b = good.table[i] - zero;
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
      Report(Cause::kUnexplained, "its table is not GELU's, up to a factor and an offset",
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
  }

  void Explain(const SoftmaxOp& op, const SoftmaxOp& good) {
    std::vector<Evidence> evidence;
    std::string text = "its constants are not those of the scores' scale";
    const std::int32_t x0 = ExponentialOf(op.params.front());
    const std::int32_t good_x0 = ExponentialOf(good.params.front());
    if (ExtraBits(op.params.front()) != ExtraBits(good.params.front())) {
      text = "its output has another scale than the one that is stated";
    } else if (x0 != 0 && x0 != good_x0) {
      const double ratio = static_cast<double>(good_x0) / static_cast<double>(x0);
      text = fmt::format("its constants are those of scores {:.3g} times as coarse", ratio);
      evidence.push_back({"scale ratio", ratio, "x"});
    }
    Report(Cause::kUnexplained, text, std::move(evidence));
  }

  void Explain(const GemmOp& op, const GemmOp& good) { ExplainAccumulator(op.acc, good.acc); }
  // What has no parameter to get wrong.
  template <typename Other>
  void Explain(const Other&, const Other&) {}

  void Unexplained() {
    Report(Cause::kUnexplained, "it computes something else than the operation it stands for", {});
  }

  bool ExplainAccumulator(const Accumulator& acc, const Accumulator& good) {
    if (acc == good) return false;
    Report(
        Cause::kUnexplained,
        fmt::format("its accumulator of {} bits overflows (policy {})", acc.bits, Name(acc.policy)),
        {{"accumulator bits", static_cast<double>(acc.bits), ""}});
    Repair& repair = found_.back().suspicion.repairs.front();
    repair.text = "give the accumulator 32 bits";
    repair.change = [tap = tap_](Bundle& bundle) {
      Op& op = *ProducerOf(bundle.program, tap);
      if (auto* gemm = std::get_if<GemmOp>(&op)) gemm->acc.bits = 32;
      if (auto* matmul = std::get_if<MatmulOp>(&op)) matmul->acc.bits = 32;
      for (TensorInfo& info : bundle.program.tensors) {
        if (info.name == tap) info.range = {INT32_MIN, INT32_MAX};
      }
    };
    if (subject_.config == nullptr) return true;
    Repair wider;
    wider.text = repair.text;
    wider.settings = {"hardware.acc_bits=32"};
    auto& repairs = found_.back().suspicion.repairs;
    repairs.insert(repairs.begin(), std::move(wider));
    return true;
  }

  // ---- what only names and stated scales can tell ----

  void CheckColumns(const RequantizeOp& op) {
    const std::int64_t width = subject_.bundle.program.Tensor(op.output).shape.back();
    std::int64_t wanted = 0;
    if (op.output.ends_with(".attn_k_out")) wanted = width;
    if (op.output.ends_with(".attn_v_input")) wanted = 2 * width;
    if (op.first_column == wanted) return;
    step_ = nullptr;
    tap_ = op.output;
    Report(Cause::kHeadLayout,
           fmt::format("it reads the columns of its input from {} on, and its own begin at {}",
                       op.first_column, wanted),
           {{"first column", static_cast<double>(op.first_column), ""}});
    Suspect& suspect = found_.back();
    suspect.damage = 1;
    suspect.suspicion.repairs = {
        {"read its own columns",
         {},
         [relowering = relowering_, tap = tap_, wanted](Bundle& bundle) {
           std::get<RequantizeOp>(*ProducerOf(bundle.program, tap)).first_column = wanted;
           relowering->Remake(tap, bundle);
         }}};
  }

  // The accumulator's stated scale is the product of its operands'.
  void CheckProductScale(const MatmulOp& op) {
    relowering_->Remake(op.output, product_);
    const Activation stated = StatedActivation(subject_.bundle, op.output);
    const Activation wanted = StatedActivation(product_, op.output);
    std::vector<double> factors;
    for (std::size_t c = 0; c < stated.scale.size(); ++c)
      factors.push_back(wanted.scale[c] / stated.scale[c]);
    const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
    if (*least > 1 - kSameScale && *most < 1 + kSameScale) return;
    step_ = nullptr;
    tap_ = op.output;
    if (*most < *least * (1 + kSameScale)) {
      ReportFactor(1 / factors.front(), "its stated scale is");
    } else {
      Report(Cause::kScaleMismatch, "its stated scale is not the product of its operands'",
             {{"smallest factor", *least, "x"}, {"largest factor", *most, "x"}});
    }
    Suspect& suspect = found_.back();
    const double off = std::max(std::fabs(1 - *least), std::fabs(1 - *most));
    suspect.damage = off * off;
    suspect.suspicion.repairs = {
        {"state the product of its operands' scales, and take the multipliers behind it from there",
         {},
         [relowering = relowering_, tap = tap_](Bundle& bundle) {
           relowering->Remake(tap, bundle);
           for (const std::string& reader : ReadersOf(bundle.program, tap))
             relowering->Remake(reader, bundle);
         }}};
  }

  const DiagnosisSubject& subject_;
  const Bundle& remade_;
  Bundle product_;  // in which accumulators get the scales that their operands give them
  const Probe& probe_;
  SharedRelowering relowering_;
  const StepNoise* step_ = nullptr;
  std::string tap_;
  std::vector<Suspect> found_;
};

}  // namespace

std::set<std::string> DifferingOperations(const Bundle& bundle, const Bundle& remade) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < bundle.program.ops.size(); ++i) {
    const Op& op = bundle.program.ops[i];
    const auto* embed = std::get_if<EmbedOp>(&op);
    const bool other_positions = embed != nullptr && !(bundle.program.Constant(embed->position) ==
                                                       remade.program.Constant(embed->position));
    if (!(op == remade.program.ops[i]) || other_positions) names.insert(OutputOf(op));
  }
  return names;
}

std::vector<Suspect> ArithmeticCauses(const DiagnosisSubject& subject, const Bundle& remade,
                                      const Probe& probe, const SharedRelowering& relowering) {
  return ArithmeticSearch(subject, remade, probe, relowering).Find();
}

}  // namespace qsim
