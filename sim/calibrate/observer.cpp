#include "sim/calibrate/observer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "sim/error.h"

namespace qsim {
namespace {

template <typename Function>
void ForEach(const ChannelLayout& layout, std::span<const float> image, Function f) {
  std::size_t element = 0;
  for (std::int64_t o = 0; o < layout.outer; ++o) {
    for (std::int64_t g = 0; g < layout.channels; ++g) {
      for (std::int64_t i = 0; i < layout.inner; ++i) {
        f(static_cast<std::size_t>(g), image[element++]);
      }
    }
  }
}

std::vector<RealRange> Styled(std::vector<RealRange> ranges, ObserverStyle style) {
  if (style == ObserverStyle::kPublished) return ranges;
  for (RealRange& range : ranges) range = {std::min(range.min, 0.0), std::max(range.max, 0.0)};
  return ranges;
}

// The extremes of each group.
class Extremes {
 public:
  explicit Extremes(const ChannelLayout& layout) : layout_(layout) { Reset(); }

  void Reset() {
    ranges_.assign(static_cast<std::size_t>(layout_.channels), {HUGE_VAL, -HUGE_VAL});
  }
  void Add(std::span<const float> image) {
    ForEach(layout_, image, [&](std::size_t group, float value) {
      const double x = static_cast<double>(value);
      ranges_[group].min = std::min(ranges_[group].min, x);
      ranges_[group].max = std::max(ranges_[group].max, x);
    });
  }
  const std::vector<RealRange>& ranges() const { return ranges_; }

 private:
  ChannelLayout layout_;
  std::vector<RealRange> ranges_;
};

class MinmaxObserver final : public Observer {
 public:
  MinmaxObserver(ChannelLayout layout, ObserverStyle style) : extremes_(layout), style_(style) {}

  void Add(std::span<const float> image) override { extremes_.Add(image); }
  void EndBatch() override {}

  std::vector<RealRange> Ranges() const override { return Styled(extremes_.ranges(), style_); }

 private:
  Extremes extremes_;
  ObserverStyle style_;
};

// Ranges of one batch each, smoothed between batches: r + sigma (c - r).
class Smoothing {
 public:
  Smoothing(double sigma, ObserverStyle style) : sigma_(sigma), style_(style) {}

  void Add(const std::vector<RealRange>& batch) {
    if (ranges_.empty()) {
      ranges_ = batch;
      return;
    }
    for (std::size_t g = 0; g < batch.size(); ++g) {
      ranges_[g].min += sigma_ * (batch[g].min - ranges_[g].min);
      ranges_[g].max += sigma_ * (batch[g].max - ranges_[g].max);
    }
  }

  std::vector<RealRange> Ranges() const { return Styled(ranges_, style_); }

 private:
  double sigma_;
  ObserverStyle style_;
  std::vector<RealRange> ranges_;
};

class EmaObserver final : public Observer {
 public:
  EmaObserver(ChannelLayout layout, double sigma, ObserverStyle style)
      : batch_(layout), smoothing_(sigma, style) {}

  void Add(std::span<const float> image) override { batch_.Add(image); }
  void EndBatch() override {
    smoothing_.Add(batch_.ranges());
    batch_.Reset();
  }
  std::vector<RealRange> Ranges() const override { return smoothing_.Ranges(); }

 private:
  Extremes batch_;
  Smoothing smoothing_;
};

// Per batch the quantiles alpha and 1 - alpha of each group (alpha = 1: its maximum and minimum).
class PercentileObserver final : public Observer {
 public:
  PercentileObserver(ChannelLayout layout, double alpha, double sigma, ObserverStyle style)
      : layout_(layout),
        alpha_(alpha),
        smoothing_(sigma, style),
        groups_(static_cast<std::size_t>(layout.channels)) {}

  void Add(std::span<const float> image) override {
    ForEach(layout_, image, [&](std::size_t group, float x) { groups_[group].push_back(x); });
  }
  void EndBatch() override {
    std::vector<RealRange> ranges;
    for (std::vector<float>& values : groups_) {
      const double low = Quantile(values, 1 - alpha_);
      ranges.push_back({low, Quantile(values, alpha_)});
      values.clear();
    }
    smoothing_.Add(ranges);
  }
  std::vector<RealRange> Ranges() const override { return smoothing_.Ranges(); }

 private:
  // Linear between the two nearest order statistics.
  static double Quantile(std::vector<float>& values, double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const double below = std::floor(position);
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), nth, values.end());
    const double lower = static_cast<double>(*nth);
    if (nth + 1 == values.end()) return lower;
    const double upper = static_cast<double>(*std::min_element(nth + 1, values.end()));
    return lower + (position - below) * (upper - lower);
  }

  ChannelLayout layout_;
  double alpha_;
  Smoothing smoothing_;
  std::vector<std::vector<float>> groups_;  // the values of the batch
};

// FQ-ViT's Omse: of the ranges times 1, 0.99, ... 0.11, the first with the least squared error of
// quantizing the last batch. One factor serves all groups, as published.
class OmseObserver final : public Observer {
 public:
  OmseObserver(ChannelLayout layout, QuantRange q, bool has_zero_point, ObserverStyle style)
      : layout_(layout), q_(q), has_zero_point_(has_zero_point), minmax_(layout, style) {}

  void Add(std::span<const float> image) override {
    minmax_.Add(image);
    if (batch_ended_) last_batch_.clear();
    batch_ended_ = false;
    last_batch_.emplace_back(image.begin(), image.end());
  }
  void EndBatch() override { batch_ended_ = true; }

  std::vector<RealRange> Ranges() const override {
    constexpr int kTrials = 90;
    const std::vector<RealRange> full = minmax_.Ranges();
    std::vector<RealRange> best = full;
    double least = HUGE_VAL;
    for (int trial = 0; trial < kTrials; ++trial) {
      const double factor = 1.0 - 0.01 * trial;
      std::vector<RealRange> ranges;
      std::vector<Quantization> quantization;
      for (const RealRange& range : full) {
        ranges.push_back({range.min * factor, range.max * factor});
        quantization.push_back(QuantizationOf(ranges.back(), q_, has_zero_point_));
      }
      double error = 0;
      for (const std::vector<float>& image : last_batch_) {
        ForEach(layout_, image, [&](std::size_t g, float value) {
          const Quantization& z = quantization[g];
          const double x = static_cast<double>(value);
          const double d = x - z.scale * (Quantize(x, z, q_) - z.zero);
          error += d * d;
        });
      }
      if (error < least) {
        least = error;
        best = std::move(ranges);
      }
    }
    return best;
  }

 private:
  ChannelLayout layout_;
  QuantRange q_;
  bool has_zero_point_;
  MinmaxObserver minmax_;
  std::vector<std::vector<float>> last_batch_;
  bool batch_ended_ = false;
};

}  // namespace

QuantRange RangeOf(const Section& section) {
  if (section.is_signed) {
    const std::int32_t half = 1 << (section.bits - 1);
    return {-half, half - 1};
  }
  return {0, (1 << section.bits) - 1};
}

std::int32_t ZeroPointFor(RealRange range, double scale, QuantRange q, bool has_zero_point) {
  if (!has_zero_point) return 0;
  const double zero = static_cast<double>(q.qmin) - std::nearbyint(range.min / scale);
  return static_cast<std::int32_t>(
      std::clamp(zero, static_cast<double>(q.qmin), static_cast<double>(q.qmax)));
}

Quantization QuantizationOf(RealRange range, QuantRange q, bool has_zero_point) {
  const double steps = static_cast<double>(q.qmax) - static_cast<double>(q.qmin);
  double scale = 0;
  if (has_zero_point) {
    scale = (range.max - range.min) / steps;
  } else if (q.qmin < 0) {
    scale = std::max(-range.min, range.max) / (steps / 2);
  } else {
    scale = range.max / static_cast<double>(q.qmax);
  }
  scale = std::max(scale, kMinScale);
  return {scale, ZeroPointFor(range, scale, q, has_zero_point)};
}

std::int32_t Quantize(double x, Quantization quantization, QuantRange range,
                      std::int64_t* saturated) {
  const double q = std::nearbyint(x / quantization.scale + static_cast<double>(quantization.zero));
  const double clamped =
      std::clamp(q, static_cast<double>(range.qmin), static_cast<double>(range.qmax));
  if (saturated != nullptr && clamped != q) ++*saturated;
  return static_cast<std::int32_t>(clamped);
}

bool Observer::IsAvailable(ObserverKind kind) {
  return kind != ObserverKind::kKl && kind != ObserverKind::kPtf;
}

std::unique_ptr<Observer> Observer::Make(const Section& section, ChannelLayout layout,
                                         ObserverStyle style) {
  switch (section.observer) {
    case ObserverKind::kMinmax:
      return std::make_unique<MinmaxObserver>(layout, style);
    case ObserverKind::kPercentile:
      return std::make_unique<PercentileObserver>(layout, section.percentile_alpha,
                                                  section.percentile_sigma, style);
    case ObserverKind::kEma:
      return std::make_unique<EmaObserver>(layout, section.percentile_sigma, style);
    case ObserverKind::kOmse:
      return std::make_unique<OmseObserver>(
          layout, RangeOf(section), section.has_zero_point || style == ObserverStyle::kPublished,
          style);
    case ObserverKind::kKl:
    case ObserverKind::kPtf:
      break;
  }
  throw InternalError(std::string(Name(section.observer)) + " is not available");
}

}  // namespace qsim
