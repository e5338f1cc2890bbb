#include "sim/calibrate/calibration.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "sim/parallel.h"

namespace qsim {
namespace {

constexpr std::int64_t kObserverBatch = 32;

// Groups of a [tokens, channels] tensor.
ChannelLayout TokenLayout(const VitGeometry& g, CalibrationMode mode, std::int64_t channels) {
  switch (mode) {
    case CalibrationMode::kChannelWise:
      return {g.tokens, channels, 1};
    case CalibrationMode::kHeadWise:
      return {g.tokens, channels / g.head_dim(), g.head_dim()};
    case CalibrationMode::kLayerWise:
      break;
  }
  return {1, 1, g.tokens * channels};
}

ChannelLayout ScoreLayout(const VitGeometry& g, CalibrationMode mode) {
  const std::int64_t per_head = g.tokens * g.tokens;
  if (mode == CalibrationMode::kHeadWise) return {1, g.heads, per_head};
  return {1, 1, g.heads * per_head};
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

FloatTensor ScaleColumns(const FloatTensor& x, const std::vector<double>& factors) {
  FloatTensor scaled = x;
  for (std::size_t i = 0; i < scaled.data.size(); ++i) {
    scaled.data[i] =
        static_cast<float>(static_cast<double>(x.data[i]) * factors[i % factors.size()]);
  }
  return scaled;
}

}  // namespace

// The observers of one block, by tensor name.
class Calibration::BlockObservers {
 public:
  BlockObservers(const VitGeometry& g, const AttentionPlan& plan, const MlpPlan* mlp,
                 std::int64_t mlp_hidden, std::vector<double> q_factor,
                 std::vector<double> k_factor)
      : factors_{{"attn_q_out", std::move(q_factor)}, {"attn_k_out", std::move(k_factor)}} {
    const auto add = [&](const char* name, const Section& section, std::int64_t channels) {
      observers_[name] =
          Observer::Make(section, TokenLayout(g, section.calibration_mode, channels));
    };
    add("input", plan.input, g.dim);
    add("norm1", plan.norm1, g.dim);
    if (plan.qkv_output.output_quant_enable) add("attn_qkv", plan.qkv_output, 3 * g.dim);
    add("attn_q_out", plan.q, g.dim);
    add("attn_k_out", plan.k, g.dim);
    add("attn_v_input", plan.v, g.dim);
    observers_["attn_kv_out"] =
        Observer::Make(plan.scores, ScoreLayout(g, plan.scores.calibration_mode));
    add("attn_v_out", plan.attention, g.dim);
    if (plan.proj_output.output_quant_enable) add("attn_proj", plan.proj_output, g.dim);
    add("residual1", plan.residual1, g.dim);
    if (mlp == nullptr) return;
    add("norm2", mlp->norm2, g.dim);
    add("mlp_fc1", mlp->fc1_output, mlp_hidden);
    add("mlp_gelu", mlp->gelu, mlp_hidden);
    if (mlp->fc2_output.output_quant_enable) add("mlp_fc2", mlp->fc2_output, g.dim);
    add("residual2", mlp->residual2, g.dim);
  }

  bool Wants(const std::string& name) const {
    return observers_.contains(name) || name == "intSoft";
  }

  // The values of one image as the observer should see them.
  FloatTensor Prepare(const std::string& name, const FloatTensor& value) const {
    const auto found = factors_.find(name);
    if (found == factors_.end() || found->second.empty()) return value;
    return ScaleColumns(value, found->second);
  }

  // The next image's values, of every tensor that is wanted.
  void Add(const std::map<std::string, FloatTensor>& taps) {
    for (const auto& [name, value] : taps) {
      if (name == "intSoft") {
        AddSoftmaxError(value.data);
      } else {
        observers_.at(name)->Add(value.data);
      }
    }
  }
  void EndBatch() {
    for (const auto& [name, observer] : observers_) observer->EndBatch();
  }

  std::vector<RealRange> Ranges(const std::string& name) const {
    const auto found = observers_.find(name);
    return found == observers_.end() ? std::vector<RealRange>{} : found->second->Ranges();
  }
  const std::array<double, 8>& softmax_error() const { return softmax_error_; }

 private:
  void AddSoftmaxError(std::span<const float> probabilities) {
    for (std::size_t j = 0; j < softmax_error_.size(); ++j) {
      const double steps = std::ldexp(1.0, 8 + static_cast<int>(j));
      double error = 0;
      for (const float p : probabilities) {
        const double x = static_cast<double>(p);
        const double d = x - std::min(std::floor(x * steps + 0.5), 255.0) / steps;
        error += d * d;
      }
      softmax_error_[j] += error;
    }
  }

  std::map<std::string, std::unique_ptr<Observer>> observers_;
  std::map<std::string, std::vector<double>> factors_;
  std::array<double, 8> softmax_error_{};
};

Calibration::Calibration(const VitModel& model, const ModelInputs& inputs, int threads)
    : reference_(model), model_(model), threads_(threads) {
  x_.resize(static_cast<std::size_t>(inputs.count()));
  ParallelFor(inputs.count(), threads_, [&](std::int64_t image, int) {
    x_[static_cast<std::size_t>(image)] = reference_.Embed(inputs, image);
  });
}

void Calibration::Advance(std::int64_t block) {
  ParallelFor(static_cast<std::int64_t>(x_.size()), threads_, [&](std::int64_t image, int) {
    FloatTensor& x = x_[static_cast<std::size_t>(image)];
    x = reference_.Block(block, x, {});
  });
}

void Calibration::Pass(std::int64_t block, BlockObservers& observers, bool advance) {
  const auto count = static_cast<std::int64_t>(x_.size());
  std::int64_t first = 0;
  while (first < count) {
    // Only a few images' tensors exist at once, however many make a batch.
    const std::int64_t batch_end = std::min(count, (first / kObserverBatch + 1) * kObserverBatch);
    const std::int64_t size = std::min<std::int64_t>(2 * threads_, batch_end - first);
    std::vector<std::map<std::string, FloatTensor>> taps(static_cast<std::size_t>(size));
    ParallelFor(size, threads_, [&](std::int64_t i, int) {
      auto& mine = taps[static_cast<std::size_t>(i)];
      FloatTensor& x = x_[static_cast<std::size_t>(first + i)];
      FloatTensor next =
          reference_.Block(block, x, [&](const std::string& name, const FloatTensor& value) {
            if (observers.Wants(name)) mine.emplace(name, observers.Prepare(name, value));
          });
      if (advance) x = std::move(next);
    });
    for (const auto& image : taps) observers.Add(image);
    first += size;
    if (first == batch_end) observers.EndBatch();
  }
}

AttentionRanges Calibration::Observe(std::int64_t block, const AttentionPlan& plan,
                                     const MlpPlan* mlp, MlpRanges* mlp_ranges) {
  const VitGeometry& g = model_.geometry;
  const std::int64_t hidden = model_.blocks[static_cast<std::size_t>(block)].fc1.out_features();
  AttentionRanges ranges;
  ranges.qk_factor.assign(static_cast<std::size_t>(g.dim), 1.0);
  AttentionPlan observed = plan;
  std::vector<double> q_factor;
  std::vector<double> k_factor;
  const bool q_wise = plan.q.calibration_mode == CalibrationMode::kChannelWise;
  const bool k_wise = plan.k.calibration_mode == CalibrationMode::kChannelWise;
  if (q_wise || k_wise) {
    BlockObservers first(g, plan, nullptr, hidden, {}, {});
    Pass(block, first, false);
    const Section& section = q_wise ? plan.q : plan.k;
    ranges.qk_factor =
        Factors(first.Ranges(q_wise ? "attn_q_out" : "attn_k_out"), section.has_zero_point);
    std::vector<double> inverse;
    for (double& f : ranges.qk_factor) {
      if (k_wise) f = 1 / f;
      inverse.push_back(1 / f);
    }
    q_factor = inverse;
    k_factor = ranges.qk_factor;
    (q_wise ? observed.q : observed.k).calibration_mode = CalibrationMode::kLayerWise;
  }
  BlockObservers observers(g, observed, mlp, hidden, std::move(q_factor), std::move(k_factor));
  Pass(block, observers, true);
  ranges.input = observers.Ranges("input");
  ranges.norm1 = observers.Ranges("norm1");
  ranges.qkv_output = observers.Ranges("attn_qkv");
  ranges.q = observers.Ranges("attn_q_out");
  ranges.k = observers.Ranges("attn_k_out");
  ranges.v = observers.Ranges("attn_v_input");
  ranges.scores = observers.Ranges("attn_kv_out");
  ranges.attention = observers.Ranges("attn_v_out");
  ranges.proj_output = observers.Ranges("attn_proj");
  ranges.residual1 = observers.Ranges("residual1");
  ranges.softmax_error = observers.softmax_error();
  if (mlp != nullptr) {
    mlp_ranges->norm2 = observers.Ranges("norm2");
    mlp_ranges->fc1 = observers.Ranges("mlp_fc1");
    mlp_ranges->gelu = observers.Ranges("mlp_gelu");
    mlp_ranges->fc2_output = observers.Ranges("mlp_fc2");
    mlp_ranges->residual2 = observers.Ranges("residual2");
  }
  return ranges;
}

HeadRanges Calibration::ObserveHead(const EndsPlan& plan) {
  const VitGeometry& g = model_.geometry;
  const auto norm = Observer::Make(plan.norm, TokenLayout(g, plan.norm.calibration_mode, g.dim));
  const auto logits = Observer::Make(LogitsSection(), {1, 1, g.classes});
  const auto count = static_cast<std::int64_t>(x_.size());
  for (std::int64_t first = 0; first < count; first += kObserverBatch) {
    const auto size = static_cast<std::size_t>(std::min(kObserverBatch, count - first));
    std::vector<FloatTensor> norms(size);
    std::vector<FloatTensor> outputs(size);
    ParallelFor(static_cast<std::int64_t>(size), threads_, [&](std::int64_t i, int) {
      const auto slot = static_cast<std::size_t>(i);
      outputs[slot] = reference_.Head(x_[static_cast<std::size_t>(first + i)],
                                      [&](const std::string& name, const FloatTensor& value) {
                                        if (name == "norm") norms[slot] = value;
                                      });
    });
    const auto observe = [](Observer& observer, const std::vector<FloatTensor>& tensors) {
      std::vector<std::span<const float>> images;
      for (const FloatTensor& tensor : tensors) images.emplace_back(tensor.data);
      observer.Observe(images);
    };
    observe(*norm, norms);
    observe(*logits, outputs);
  }
  return {norm->Ranges(), logits->Ranges()};
}

}  // namespace qsim
