#include "sim/calibrate/lower/grid_chooser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/calibrate/lower/given_grids.h"
#include "sim/calibrate/lower/score_check.h"
#include "sim/calibrate/lower/sequence_grids.h"
#include "sim/calibrate/lower/weight_chooser.h"
#include "sim/error.h"
#include "sim/semantics/gelu_lowering.h"
#include "sim/semantics/layernorm_lowering.h"
#include "sim/semantics/linear_lowering.h"
#include "sim/semantics/multiplier.h"
#include "sim/semantics/smoothing.h"
#include "sim/semantics/softmax_lowering.h"

namespace qsim::calibrate {
namespace {

double Extent(const RealRange& range, bool has_zero_point) {
  return has_zero_point ? range.max - range.min : std::max(-range.min, range.max);
}

// f_c = extent_c / largest extent: after division by it, every channel spans the same.
std::vector<double> Factors(const std::vector<RealRange>& channels, bool has_zero_point) {
  double largest = 0;
  for (const RealRange& range : channels)
    largest = std::max(largest, Extent(range, has_zero_point));
  std::vector<double> factors;
  for (const RealRange& range : channels) {
    const double extent = Extent(range, has_zero_point);
    // A (nearly) dead channel keeps a factor that its partner's weights can absorb.
    factors.push_back(largest == 0 ? 1.0 : std::max(extent / largest, 1.0 / 256));
  }
  return factors;
}

// The union of each group's channels, each times its factor.
std::vector<RealRange> ScaledUnion(const std::vector<RealRange>& channels,
                                   const std::vector<double>& factors, std::int64_t groups) {
  std::vector<RealRange> united(static_cast<std::size_t>(groups));
  for (std::size_t c = 0; c < channels.size(); ++c) {
    RealRange& group = united[c * united.size() / channels.size()];
    group.min = std::min(group.min, channels[c].min * factors[c]);
    group.max = std::max(group.max, channels[c].max * factors[c]);
  }
  return united;
}

class Chooser {
 public:
  Chooser(const Plan& plan, const Observations& observations, const InputSource& source,
          Realise realise, const GridsFile* given, std::vector<LoweringNote>& notes)
      : plan_(plan),
        observations_(observations),
        source_(source),
        realise_(realise),
        file_(given),
        given_(given, plan, realise),
        notes_(notes) {}

  Grids Run() {
    if (realise_ == Realise::kExact) RequireScores(plan_, observations_, file_);
    for (const NodePlan& plan : plan_.nodes()) {
      std::visit([&](const auto& function) { Choose(function, plan); }, plan.node->function);
    }
    // What one step hands to the next has the grid of both.
    for (const network::Carry& carry : plan_.network().carried) {
      if (plan_.Find(carry.input) == nullptr) continue;
      Activation past = grids_.at(carry.output);
      past.name = carry.input;
      grids_[past.name] = std::move(past);
    }
    for (const NodePlan& plan : plan_.nodes()) {
      if (const auto* layer = std::get_if<network::LayerNorm>(&plan.node->function))
        NoteGamma(*layer, plan);
      ChooseProducts(plan_, plan, source_, grids_, notes_);
      if (given_.Has(plan.Weights())) ReplaceWeights(plan);
    }
    NoteGiven();
    return std::move(grids_);
  }

 private:
  static bool PowerOfTwo(const NodePlan& plan) {
    return plan.hardware.requant == RequantMode::kPowerOfTwo;
  }
  const std::string& Name(const NodePlan& plan) const { return plan.node->name; }
  const Activation& Input(const NodePlan& plan, std::size_t index) const {
    return grids_.at(plan_.At(plan.inputs.at(index)).Tensor());
  }
  std::vector<RealRange> RangesOf(const NodePlan& plan) const {
    return observations_.Ranges(Name(plan));
  }

  // ---- by function ----

  void Choose(const network::Pixels&, const NodePlan& plan) { Set(plan, Pixels(plan)); }
  void Choose(const network::Patches&, const NodePlan& plan) { Set(plan, Pixels(plan)); }
  void Choose(const network::Tokens& tokens, const NodePlan& plan) {
    Set(plan, {Name(plan), {0, static_cast<std::int32_t>(tokens.vocabulary - 1)}, {1.0}, {0}, {}});
  }
  void Choose(const network::Past&, const NodePlan&) {}  // that of what is carried to it
  void Choose(const network::LastRows&, const NodePlan& plan) { Set(plan, Renamed(plan, 0)); }
  void Choose(const network::Embedding&, const NodePlan& plan) { Set(plan, Stream(plan)); }
  void Choose(const network::Activations&, const NodePlan& plan) { Set(plan, Stream(plan)); }
  void Choose(const network::Entry&, const NodePlan& plan) { Set(plan, Stream(plan)); }
  void Choose(const network::Positions&, const NodePlan& plan) { Set(plan, Stream(plan)); }

  void Choose(const network::Sum&, const NodePlan& plan) {
    std::optional<double> unit;
    if (PowerOfTwo(plan)) unit = Input(plan, 1).scale[0];
    Set(plan, Stream(plan, unit));
    if (!std::holds_alternative<network::Projection>(plan_.At(plan.inputs.at(0)).node->function))
      return;
    // The layer's own int8 step waited for the grid that it is added on.
    const NodePlan& layer = plan_.At(plan.inputs.at(0));
    if (!layer.section) return;
    Set(layer, Plain(layer, RangesOf(layer), grids_.at(plan.Tensor()).scale[0]));
  }

  void Choose(const network::LayerNorm& layer, const NodePlan& plan) {
    const Section& section = *plan.section;
    WarnClippedNegatives(Name(plan), section, RangesOf(plan));
    const std::size_t channels = layer.norm.gamma.size();
    const std::vector<double> factor = Smoothing(plan);
    const std::vector<RealRange> range =
        Expanded(factor.empty() ? RangesOf(plan) : Divided(plan, factor), channels);
    Activation out;
    out.name = Name(plan);
    out.range = RangeOf(section);
    const double unit = LayernormUnit(channels / static_cast<std::size_t>(layer.groups));
    const bool deeploy = IsDeeploy(layer, plan);
    std::vector<double> gamma = deeploy ? std::vector<double>() : EffectiveGamma(layer.norm);
    if (plan.inputs.size() > 1) {
      for (std::size_t c = 0; c < channels; ++c) gamma[c] *= Input(plan, 1).scale[c];
    }
    for (std::size_t c = 0; c < channels; ++c) {
      const double f = factor.empty() ? 1.0 : factor[c];
      double divided = QuantizationOf(range[c], out.range, section.has_zero_point).scale;
      double scale = divided * f;
      // gamma is given, so a power-of-two ratio leaves the output scale as the only choice; it is
      // absorbed into the next layer's weights like any channel_wise scale.
      if (PowerOfTwo(plan) && !deeploy) {
        scale = SnapUp(scale, unit * std::fabs(gamma[c]));
        divided = scale / f;
      }
      out.scale.push_back(scale);
      out.zero.push_back(ZeroPointFor(range[c], divided, out.range, section.has_zero_point));
    }
    Set(plan, std::move(out));
  }

  void Choose(const network::MeanRows& mean, const NodePlan& plan) {
    const NodePlan& input = plan_.At(plan.inputs.at(0));
    const std::vector<double> smoothing = Smoothing(input);
    const std::vector<RealRange> ranges =
        smoothing.empty() ? RangesOf(plan) : Divided(plan, smoothing);
    Activation out = Plain(plan, ranges);
    Scale(out, smoothing);
    if (PowerOfTwo(plan)) {
      const auto rows = static_cast<double>(input.node->shape[0] - mean.first);
      const std::vector<RealRange> each = Expanded(ranges, out.scale.size());
      for (std::size_t c = 0; c < out.scale.size(); ++c) {
        const double factor = smoothing.empty() ? 1 : smoothing[c];
        out.scale[c] = SnapUp(out.scale[c], Input(plan, 0).scale[c] / rows);
        out.zero[c] =
            ZeroPointFor(each[c], out.scale[c] / factor, out.range, plan.section->has_zero_point);
      }
    }
    Set(plan, std::move(out));
  }

  void Choose(const network::Projection&, const NodePlan& plan) {
    if (!plan.section) return;
    const std::vector<const NodePlan*> readers = plan_.ReadersOf(Name(plan));
    if (!readers.empty() && std::holds_alternative<network::Sum>(readers.front()->node->function) &&
        readers.front()->inputs.at(0) == Name(plan))
      return;
    Activation a = Plain(plan, RangesOf(plan));
    for (const NodePlan* reader : readers) {
      if (std::holds_alternative<network::Gelu>(reader->node->function))
        RaiseForGelu(reader->numerics.gelu, plan, a);
    }
    Set(plan, std::move(a));
  }

  // Where the algorithm has no constants for so fine a scale.
  void RaiseForGelu(GeluKind kind, const NodePlan& plan, Activation& a) {
    const double finest = FinestGeluInput(kind);
    if (a.scale[0] >= finest) return;
    Note(LoweringNote::Kind::kRaisedScale, a.name,
         fmt::format("scale {:.3g} raised to {:.3g}, the finest that GELU {} has constants for",
                     a.scale[0], finest, golden::Name(kind)));
    const std::int32_t zero =
        ZeroPointFor(RangesOf(plan)[0], finest, a.range, plan.section->has_zero_point);
    std::ranges::fill(a.scale, finest);
    std::ranges::fill(a.zero, zero);
  }

  void Choose(const network::Columns& columns, const NodePlan& plan) {
    if (IsView(plan_.network(), *plan.node)) return Set(plan, Slice(columns, plan));
    std::vector<RealRange> ranges = RangesOf(plan);
    std::vector<double> factor;
    for (const NodePlan* reader : plan_.ReadersOf(Name(plan))) {
      const auto* product = std::get_if<network::Product>(&reader->node->function);
      if (product != nullptr && product->transpose_rhs) Balance(plan, *reader, ranges, factor);
    }
    const std::vector<double> smoothing = Smoothing(plan);
    Activation a = Plain(plan, smoothing.empty() ? ranges : Divided(plan, smoothing));
    a.factor = std::move(factor);
    Scale(a, smoothing);
    Set(plan, plan.second_operand ? Recentred(std::move(a)) : std::move(a));
  }

  void Choose(const network::Product& product, const NodePlan& plan) {
    if (product.transpose_rhs) return ChooseScores(product, plan);
    const Activation& probabilities = Input(plan, 0);
    const Activation& values = Input(plan, 1);
    const NodePlan& rhs = plan_.At(plan.inputs.at(1));
    const std::vector<double> smoothing = Smoothing(rhs);
    Activation out =
        Plain(plan, smoothing.empty() ? RangesOf(plan) : Divided(plan, smoothing),
              values.scale[0] / (smoothing.empty() ? 1 : smoothing[0]) * probabilities.scale[0]);
    Scale(out, smoothing);
    Set(plan, std::move(out));
  }

  void Choose(const network::Softmax&, const NodePlan& plan) {
    const SoftmaxParams params =
        ScoresOf(plan.numerics.softmax, Input(plan, 0).scale[0], ExtraBitsOf(plan)).params;
    const SoftmaxDivision division = plan.numerics.softmax_division;
    const TensorScale scale = SoftmaxOutputScale(params, division);
    const bool log2 = scale.kind == TensorScale::Kind::kLog2;
    // The array sees a log2 code c as 2^(15 - c).
    Set(plan, {Name(plan),
               SoftmaxOutputRange(params, division),
               {log2 ? std::ldexp(1.0, -15) : scale.scale[0]},
               {scale.zero[0]},
               {}});
  }

  void Choose(const network::Elementwise& function, const NodePlan& plan) {
    if (IsDecay(plan)) return Set(plan, FractionsGrid(plan));
    if (function.parts.empty()) return ChooseSeen(plan);
    // A scale for each part, of what was observed of its channels.
    const std::vector<RealRange> seen = RangesOf(plan);
    std::vector<RealRange> ranges;
    for (const std::int64_t width : function.parts) {
      const auto first = seen.begin() + static_cast<std::ptrdiff_t>(ranges.size());
      RealRange part = *first;
      for (auto range = first; range != first + width; ++range)
        part = {std::min(part.min, range->min), std::max(part.max, range->max)};
      ranges.insert(ranges.end(), static_cast<std::size_t>(width), part);
    }
    Set(plan, Plain(plan, ranges));
  }

  // ---- sequences ----

  void Choose(const network::CausalConvolution&, const NodePlan& plan) { ChooseSeen(plan); }
  void Choose(const network::Multiply&, const NodePlan& plan) { ChooseSeen(plan); }
  void Choose(const network::Scaled&, const NodePlan& plan) { ChooseSeen(plan); }
  void Choose(const network::Recurrence&, const NodePlan& plan) { ChooseSeen(plan); }
  // From what was seen, with the factors that the section smooths by.
  void ChooseSeen(const NodePlan& plan) {
    const std::vector<double> smoothing = Smoothing(plan);
    Activation out = Plain(plan, smoothing.empty() ? RangesOf(plan) : Divided(plan, smoothing));
    Scale(out, smoothing);
    Set(plan, std::move(out));
  }

  bool IsDecay(const NodePlan& plan) const {
    const std::vector<const NodePlan*> readers = plan_.ReadersOf(Name(plan));
    return std::any_of(readers.begin(), readers.end(), [&](const NodePlan* reader) {
      const bool recurrence = std::holds_alternative<network::Recurrence>(reader->node->function);
      return recurrence && reader->inputs.at(3) == Name(plan);
    });
  }
  void Choose(const network::FinalState&, const NodePlan& plan) {
    Set(plan, StateGrid(plan, RangesOf(plan), Input(plan, 0), Input(plan, 1)));
  }

  // The grid of one of the node's inputs, under its own name.
  Activation Renamed(const NodePlan& plan, std::size_t input) const {
    Activation grid = Input(plan, input);
    grid.name = plan.node->name;
    return grid;
  }
  Activation Slice(const network::Columns& columns, const NodePlan& plan) const {
    Activation grid = Renamed(plan, 0);
    const auto cut = [&](auto& values) {
      values.erase(values.begin(), values.begin() + columns.first);
      values.resize(static_cast<std::size_t>(plan.node->shape.back()));
    };
    cut(grid.scale);
    cut(grid.zero);
    return grid;
  }

  void Choose(const network::Gelu&, const NodePlan& plan) {
    const std::vector<double> smoothing = Smoothing(plan);
    const std::vector<RealRange> ranges =
        smoothing.empty() ? RangesOf(plan) : Divided(plan, smoothing);
    Activation out = Plain(plan, ranges);
    if (PowerOfTwo(plan) && (plan.wide_first || plan.numerics.gelu != GeluKind::kTable)) {
      const double unit = GeluUnit(plan.numerics.gelu, Input(plan, 0).scale[0]);
      for (double& s : out.scale) s = SnapUp(s, unit);
      for (std::int32_t& z : out.zero)
        z = ZeroPointFor(ranges[0], out.scale[0], out.range, plan.section->has_zero_point);
    }
    Scale(out, smoothing);
    Set(plan, std::move(out));
  }

  // ---- smoothing ----

  // The factors of the channels of a tensor that its section smooths; none otherwise.
  std::vector<double> Smoothing(const NodePlan& plan) const {
    if (plan.smoothed_into.empty()) return {};
    std::vector<network::Linear> layers;
    for (const network::Node* layer : plan.smoothed_into)
      layers.push_back(LayerOf(plan_.network(), *layer, source_));
    std::vector<double> factors = SmoothingFactors(RangesOf(plan), layers, plan.section->smooth,
                                                   plan.section->outlier_channels);
    if (PowerOfTwo(plan)) {
      for (double& f : factors) f = SnapUp(f, 1);
    }
    return factors;
  }

  // What is observed of the channels, divided by their factors, in the groups of the section.
  std::vector<RealRange> Divided(const NodePlan& plan, const std::vector<double>& factors) const {
    std::vector<double> inverse;
    for (const double f : factors) inverse.push_back(1 / f);
    const bool head_wise = plan.section->calibration_mode == CalibrationMode::kHeadWise;
    return ScaledUnion(RangesOf(plan), inverse, head_wise ? plan.node->heads : 1);
  }

  static void Scale(Activation& grid, const std::vector<double>& factors) {
    for (std::size_t c = 0; c < factors.size(); ++c) grid.scale[c] *= factors[c];
  }

  // ---- pieces ----

  void Set(const NodePlan& plan, Activation a) {
    if (given_.Has(a.name)) chosen_[a.name] = a;
    given_.Replace(plan, a, notes_);
    grids_[a.name] = std::move(a);
  }

  // Never silent: a grid that a calibration would not have chosen.
  void NoteGiven() {
    for (const auto& [name, chosen] : chosen_) {
      const Activation given = Recentred(grids_.at(name));
      const Activation own = Recentred(chosen);
      if (given.scale != own.scale || given.zero != own.zero || given.factor != own.factor ||
          given.rounding != own.rounding)
        Note(LoweringNote::Kind::kInfo, name, "its grid is that of " + given_.file());
    }
  }

  static Activation Pixels(const NodePlan& plan) {
    const std::size_t channels = plan.input ? 1 : static_cast<std::size_t>(plan.node->shape.back());
    return {plan.node->name,
            {0, 255},
            std::vector<double>(channels, 1.0 / 255),
            std::vector<std::int32_t>(channels, 0),
            {}};
  }

  // From observed ranges, one for each group of channels; in power-of-two mode every scale is unit
  // * 2^n.
  Activation Plain(const NodePlan& plan, const std::vector<RealRange>& ranges,
                   std::optional<double> unit = std::nullopt) {
    const Section& section = *plan.section;
    const auto channels = static_cast<std::size_t>(
        plan.node->shape.size() == 2 ? plan.node->shape.back() : plan.node->shape.front());
    Activation a;
    a.name = plan.Tensor();
    a.range = RangeOf(section);
    WarnClippedNegatives(a.name, section, ranges);
    std::vector<double> scales;
    for (const RealRange& range : ranges) {
      scales.push_back(QuantizationOf(range, a.range, section.has_zero_point).scale);
    }
    if (PowerOfTwo(plan)) {
      const double u = unit.value_or(std::ranges::max(scales));
      for (double& s : scales) s = SnapUp(s, u);
    }
    std::vector<std::int32_t> zeros;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      zeros.push_back(ZeroPointFor(ranges[i], scales[i], a.range, section.has_zero_point));
    }
    a.scale = Expanded(scales, channels);
    a.zero = Expanded(zeros, channels);
    return a;
  }

  // Of the residual stream; channel_wise: factors 1, 2, ... 128 over a common base.
  Activation Stream(const NodePlan& plan, std::optional<double> unit = std::nullopt) {
    Activation a = Plain(plan, RangesOf(plan), unit);
    if (!ChannelWise(*plan.section)) return a;
    double base = std::max(std::ranges::min(a.scale), std::ranges::max(a.scale) / 128);
    if (unit && PowerOfTwo(plan)) base = SnapUp(base, *unit);
    for (double& s : a.scale) s = SnapUp(std::max(s, base), base);
    return a;
  }

  void WarnClippedNegatives(const std::string& name, const Section& section,
                            const std::vector<RealRange>& ranges) {
    if (section.is_signed || section.has_zero_point) return;
    const bool negative =
        std::any_of(ranges.begin(), ranges.end(), [](const RealRange& r) { return r.min < 0; });
    if (negative) {
      Note(LoweringNote::Kind::kInfo, name,
           "unsigned and symmetric has zero point 0, so the data's negative values clip to 0; for "
           "codes around 128 say symmetric: False, for int8 signed: True");
    }
  }

  // channel_wise Q or K: reciprocal factors f_c are moved between the rows of the weights. Q is
  // divided by them and K multiplied; the one that asked for it has one scale then.
  void Balance(const NodePlan& operand, const NodePlan& product, std::vector<RealRange>& ranges,
               std::vector<double>& factor) const {
    const NodePlan& q = plan_.At(product.inputs.at(0));
    const NodePlan& k = plan_.At(product.inputs.at(1));
    if (!ChannelWise(*q.section) && !ChannelWise(*k.section)) return;
    const NodePlan& asking = ChannelWise(*q.section) ? q : k;
    const std::vector<double> of_asking = Factors(RangesOf(asking), asking.section->has_zero_point);
    std::vector<double> inverse;
    for (const double f : of_asking) inverse.push_back(1 / f);
    const std::vector<double>& qk = &asking == &q ? of_asking : inverse;
    const bool head_wise = operand.section->calibration_mode == CalibrationMode::kHeadWise;
    ranges = ScaledUnion(ranges, &operand == &asking ? inverse : of_asking,
                         head_wise ? operand.node->heads : 1);
    factor = qk;
    if (&operand == &k) {
      for (double& f : factor) f = 1 / f;
    }
  }

  // ---- scores ----

  void ChooseScores(const network::Product& product, const NodePlan& plan) {
    const auto heads = static_cast<std::size_t>(product.heads);
    const NodePlan* softmax = SoftmaxOf(plan_, plan);
    Activation scores;
    scores.name = Name(plan);
    scores.range = RangeOf(*plan.section);
    const std::vector<RealRange> range = Expanded(RangesOf(plan), heads);
    for (std::size_t h = 0; h < heads; ++h) {
      double scale = QuantizationOf(range[h], scores.range, plan.section->has_zero_point).scale;
      if (softmax != nullptr) scale = ForExponential(*softmax, plan, scale, h);
      scores.scale.push_back(scale);
      scores.zero.push_back(
          ZeroPointFor(range[h], scale, scores.range, plan.section->has_zero_point));
    }
    const std::string& lhs = plan.inputs.at(0);
    given_.RequireReciprocal(grids_.at(lhs), Input(plan, 1));
    Set(plan, std::move(scores));
    if (PowerOfTwo(plan)) SnapToScores(product, plan, grids_.at(Name(plan)));
  }

  // One head's scores, never finer than what was observed.
  double ForExponential(const NodePlan& softmax, const NodePlan& plan, double observed,
                        std::size_t head) {
    const SoftmaxKind kind = softmax.numerics.softmax;
    const auto choice = semantics::ChooseScores(kind, observed, 0);
    if (choice) return choice->scale;
    const double coarsest = CoarsestScores(kind, 0).scale;
    // Else its grid is given: RequireScores.
    if (realise_ == Realise::kNearest) {
      Note(LoweringNote::Kind::kSubstitution, Name(plan),
           fmt::format("head {}: scores need a scale of {:.3g}, and softmax {} takes at most "
                       "{:.4g}: clipped",
                       head, observed, golden::Name(kind), coarsest));
    }
    return coarsest;
  }

  // j of an output scale 2^-(8 + j): the one with the least error in calibration.
  int ExtraBitsOf(const NodePlan& softmax) const {
    if (!HasExtraBits(softmax.numerics.softmax) || DividesAfter(softmax)) return 0;
    const Observed* seen = observations_.Find(Name(softmax));
    if (seen == nullptr) throw InternalError(Name(softmax) + " was not observed");
    SoftmaxErrors errors{};
    for (std::size_t j = 0; j < errors.size(); ++j) errors[j] = seen->softmax_error[j].ToDouble();
    return static_cast<int>(std::min_element(errors.begin(), errors.end()) - errors.begin());
  }

  // s_q s_k / divisor / s_scores = 2^-S, and s_scores is tied to the exponential's constants: s_q
  // gives way.
  void SnapToScores(const network::Product& product, const NodePlan& plan,
                    const Activation& scores) {
    const NodePlan& lhs = plan_.At(plan.inputs.at(0));
    const std::string& name = plan.inputs.at(0);
    Activation& q = given_.Has(name) ? chosen_.at(name) : grids_.at(name);
    const Activation& k = Input(plan, 1);
    const std::size_t channels = q.scale.size();
    const std::size_t heads = scores.scale.size();
    std::vector<RealRange> observed = RangesOf(lhs);
    std::vector<double> ignored;
    Balance(lhs, plan, observed, ignored);
    const std::vector<RealRange> range = Expanded(observed, channels);
    const bool head_wise = lhs.section->calibration_mode == CalibrationMode::kHeadWise;
    const bool one_scale =
        !head_wise && plan.section->calibration_mode == CalibrationMode::kLayerWise;
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t from = one_scale ? 0 : c;
      const double unit = scores.scale[from * heads / channels] * product.divisor / k.scale[from];
      q.scale[c] = SnapUp(q.scale[c], unit);
      q.zero[c] = ZeroPointFor(range[c], q.scale[c], q.range, lhs.section->has_zero_point);
    }
    if (!one_scale && !head_wise) {
      Note(LoweringNote::Kind::kInfo, q.name,
           "requant: power_of_two with head_wise scores makes the scale per head");
    }
  }

  // ---- weights ----

  void ReplaceWeights(const NodePlan& plan) {
    Activation& grid = grids_.at(plan.Weights());
    const Activation& chosen = chosen_[grid.name] = grid;
    given_.Replace(plan, grid, notes_);
    std::erase_if(notes_, [&](const LoweringNote& note) {
      return note.tensor == plan.Products() && note.kind == LoweringNote::Kind::kRaisedScale &&
             grid.scale != chosen.scale;
    });
    const RealLayer layer =
        RealLayerOf(plan_, plan, LayerOf(plan_.network(), *plan.node, source_), grids_);
    for (std::size_t n = 0; n < grid.scale.size(); ++n) {
      std::vector<LoweringNote> raised;
      const double scale = RaisedForBias(layer, static_cast<std::int64_t>(n), 1, grid.scale[n],
                                         BiasLimit(plan.hardware.acc), raised);
      given_.Require(grid, grid.scale[n], scale, "the bias must fit the accumulator", notes_);
    }
    grids_[plan.Products()] = ProductsGrid(plan_, plan, grids_);
  }

  // ---- layer norms ----

  // The one layer norm whose gamma is no multiplier.
  static bool IsDeeploy(const network::LayerNorm& layer, const NodePlan& plan) {
    return layer.centred && plan.numerics.layernorm == LayernormKind::kDeeploy;
  }

  void NoteGamma(const network::LayerNorm& layer, const NodePlan& plan) {
    if (IsDeeploy(layer, plan)) return;
    const network::Norm& norm = layer.norm;
    std::vector<std::size_t> raised;
    const std::vector<double> gamma = EffectiveGamma(norm, &raised);
    for (const std::size_t c : raised) {
      Note(LoweringNote::Kind::kRaisedScale, Name(plan),
           fmt::format("channel {}: gamma {:.3g} raised to {:.3g}, so that its bias fits (a "
                       "nearly dead channel)",
                       c, norm.gamma[c], std::fabs(gamma[c])));
    }
    if (PowerOfTwo(plan) && plan.section->calibration_mode == CalibrationMode::kLayerWise) {
      Note(LoweringNote::Kind::kInfo, Name(plan),
           "requant: power_of_two makes the output scale per channel (gamma times a power of "
           "two), absorbed into the next layer's weights");
    }
  }

  void Note(LoweringNote::Kind kind, const std::string& tensor, std::string text) {
    notes_.push_back({kind, tensor, std::move(text)});
  }

  const Plan& plan_;
  const Observations& observations_;
  const InputSource& source_;
  Realise realise_;
  const GridsFile* file_;  // may be null
  GivenGrids given_;
  std::vector<LoweringNote>& notes_;
  Grids grids_;
  Grids chosen_;  // what the file's grids replace
};

}  // namespace

Grids ChooseGrids(const Plan& plan, const Observations& observations, const InputSource& source,
                  Realise realise, const GridsFile* given, std::vector<LoweringNote>& notes) {
  return Chooser(plan, observations, source, realise, given, notes).Run();
}

}  // namespace qsim::calibrate
