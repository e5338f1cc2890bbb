#include "sim/calibrate/observe/observations.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "sim/error.h"

namespace qsim {
namespace {

// `groups` of a [tokens, channels] tensor are equal runs of channels; of [heads, tokens, tokens]
// scores, heads.
ChannelLayout LayoutOf(const Shape& shape, std::int64_t groups) {
  if (groups == 1) return {1, 1, ElementCount(shape)};
  if (shape.size() == 3) return {1, groups, shape[1] * shape[2]};
  return {shape[0], groups, shape[1] / groups};
}

std::int64_t GroupsOf(const Section& section, std::int64_t channels, std::int64_t heads) {
  switch (section.calibration_mode) {
    case CalibrationMode::kChannelWise:
      return channels;
    case CalibrationMode::kHeadWise:
      return heads;
    case CalibrationMode::kLayerWise:
      break;
  }
  return 1;
}

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

bool ChannelWise(const Section& section) {
  return section.calibration_mode == CalibrationMode::kChannelWise;
}

// Factors between Q and K come from the channels of one; the other's range follows from its own
// channels, so that both are seen by channel.
Section ByChannel(Section section) {
  section.calibration_mode = CalibrationMode::kChannelWise;
  return section;
}

}  // namespace

std::array<double, 8> SoftmaxErrors(const FloatTensor& probabilities) {
  std::array<double, 8> errors{};
  for (std::size_t j = 0; j < errors.size(); ++j) {
    const double steps = std::ldexp(1.0, 8 + static_cast<int>(j));
    for (const float p : probabilities.data) {
      const double x = static_cast<double>(p);
      // x is not negative: the cast is a floor.
      const double code = static_cast<double>(static_cast<std::int32_t>(x * steps + 0.5));
      const double d = x - std::min(code, 255.0) / steps;
      errors[j] += d * d;
    }
  }
  return errors;
}

// ---- TensorObservers ----

void TensorObservers::Observe(const std::string& name, const Section& section,
                              std::int64_t channels, std::int64_t heads) {
  const std::int64_t groups = GroupsOf(section, channels, heads);
  tensors_[name] = {section, groups, Observer::Make(section, LayoutOf({1, channels}, groups))};
}

void TensorObservers::ObserveScores(const Section& section, std::int64_t heads) {
  const std::int64_t groups = GroupsOf(section, heads, heads);
  tensors_["attn_kv_out"] = {section, groups,
                             Observer::Make(section, LayoutOf({heads, 1, 1}, groups))};
}

void TensorObservers::Add(const std::string& name, const FloatTensor& value) {
  const Tensor& tensor = tensors_.at(name);
  tensor.observer->Add(value.data, LayoutOf(value.shape, tensor.groups));
}

void TensorObservers::EndBatch() {
  for (const auto& [name, tensor] : tensors_) tensor.observer->EndBatch();
}

std::vector<RealRange> TensorObservers::Ranges(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? std::vector<RealRange>{} : found->second.observer->Ranges();
}

std::vector<std::string> TensorObservers::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors_) names.push_back(name);
  return names;
}

// ---- Observations ----

Observations::Observations(const VitModel& model, const NetworkPlan& plan)
    : geometry_(model.geometry) {
  const VitGeometry& g = geometry_;
  for (const BlockPlans& block : plan.blocks) {
    TensorObservers& tensors = blocks_[block.block].tensors;
    const AttentionPlan& a = block.attention;
    const auto observe = [&](const char* name, const Section& section, std::int64_t channels) {
      tensors.Observe(name, section, channels, g.heads * channels / g.dim);
    };
    observe("input", a.input, g.dim);
    observe("norm1", a.norm1, g.dim);
    if (a.qkv_output.output_quant_enable) observe("attn_qkv", a.qkv_output, 3 * g.dim);
    const bool factors = ChannelWise(a.q) || ChannelWise(a.k);
    observe("attn_q_out", factors ? ByChannel(a.q) : a.q, g.dim);
    observe("attn_k_out", factors ? ByChannel(a.k) : a.k, g.dim);
    observe("attn_v_input", a.v, g.dim);
    tensors.ObserveScores(a.scores, g.heads);
    observe("attn_v_out", a.attention, g.dim);
    if (a.proj_output.output_quant_enable) observe("attn_proj", a.proj_output, g.dim);
    observe("residual1", a.residual1, g.dim);
    if (!block.mlp) continue;
    const MlpPlan& mlp = *block.mlp;
    const std::int64_t hidden =
        model.blocks[static_cast<std::size_t>(block.block)].fc1.out_features();
    observe("norm2", mlp.norm2, g.dim);
    tensors.Observe("mlp_fc1", mlp.fc1_output, hidden, 1);
    tensors.Observe("mlp_gelu", mlp.gelu, hidden, 1);
    if (mlp.fc2_output.output_quant_enable) observe("mlp_fc2", mlp.fc2_output, g.dim);
    observe("residual2", mlp.residual2, g.dim);
  }
  if (!plan.ends) return;
  head_.emplace();
  head_->Observe("norm", plan.ends->norm, g.dim, 1);
  head_->Observe("logits", LogitsSection(), g.classes, 1);
}

void Observations::IncludeInputs(std::int64_t count, const RealRange& range) {
  input_range = inputs == 0 ? range
                            : RealRange{std::min(input_range.min, range.min),
                                        std::max(input_range.max, range.max)};
  inputs += count;
}

void Observations::ForEachTensor(
    const std::function<void(const std::string&, const TensorObservers&, const std::string&)>& f)
    const {
  for (const auto& [block, observations] : blocks_) {
    for (const std::string& name : observations.tensors.names()) {
      f(fmt::format("blocks.{}.{}", block, name), observations.tensors, name);
    }
  }
  if (!head_) return;
  for (const std::string& name : head_->names()) f(name, *head_, name);
}

void Observations::RequireComplete(const std::string& file) const {
  std::vector<std::string> missing;
  ForEachTensor(
      [&](const std::string& full, const TensorObservers& tensors, const std::string& name) {
        if (!tensors.observer(name).observed()) missing.push_back(full);
      });
  if (!missing.empty()) {
    throw InputError(fmt::format(
        "no statistics for {}: calibration never saw a value of {}, so no scale can be chosen",
        fmt::join(missing, ", "), missing.size() == 1 ? "it" : "them"));
  }
  if (input_range.min == input_range.max) {
    throw InputError(
        fmt::format("{}{}every value of the calibration input is the same ({}); no range can be "
                    "calibrated from it",
                    file, file.empty() ? "" : ": ", input_range.min));
  }
}

AttentionRanges Observations::Attention(const BlockPlans& plan) const {
  const BlockObservations& block = blocks_.at(plan.block);
  const TensorObservers& tensors = block.tensors;
  AttentionRanges ranges;
  ranges.input = tensors.Ranges("input");
  ranges.norm1 = tensors.Ranges("norm1");
  ranges.qkv_output = tensors.Ranges("attn_qkv");
  ranges.q = tensors.Ranges("attn_q_out");
  ranges.k = tensors.Ranges("attn_k_out");
  ranges.v = tensors.Ranges("attn_v_input");
  ranges.scores = tensors.Ranges("attn_kv_out");
  ranges.attention = tensors.Ranges("attn_v_out");
  ranges.proj_output = tensors.Ranges("attn_proj");
  ranges.residual1 = tensors.Ranges("residual1");
  for (std::size_t j = 0; j < ranges.softmax_error.size(); ++j) {
    ranges.softmax_error[j] = block.softmax_error[j].ToDouble();
  }
  ranges.qk_factor.assign(static_cast<std::size_t>(geometry_.dim), 1.0);
  const Section& q = plan.attention.q;
  const Section& k = plan.attention.k;
  if (!ChannelWise(q) && !ChannelWise(k)) return ranges;
  const std::vector<double> factors =
      ChannelWise(q) ? Factors(ranges.q, q.has_zero_point) : Factors(ranges.k, k.has_zero_point);
  std::vector<double> inverse;
  for (const double f : factors) inverse.push_back(1 / f);
  // Q is divided by qk_factor, K multiplied.
  ranges.qk_factor = ChannelWise(q) ? factors : inverse;
  const auto groups = [&](const Section& section) {
    return section.calibration_mode == CalibrationMode::kHeadWise ? geometry_.heads : 1;
  };
  ranges.q = ScaledUnion(ranges.q, ChannelWise(q) ? inverse : factors, groups(q));
  ranges.k = ScaledUnion(ranges.k, ChannelWise(q) ? factors : inverse, groups(k));
  return ranges;
}

MlpRanges Observations::Mlp(const BlockPlans& plan) const {
  const TensorObservers& tensors = blocks_.at(plan.block).tensors;
  return {tensors.Ranges("norm2"), tensors.Ranges("mlp_fc1"), tensors.Ranges("mlp_gelu"),
          tensors.Ranges("mlp_fc2"), tensors.Ranges("residual2")};
}

HeadRanges Observations::Head() const { return {head_->Ranges("norm"), head_->Ranges("logits")}; }

}  // namespace qsim
