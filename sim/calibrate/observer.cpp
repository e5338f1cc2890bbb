#include "sim/calibrate/observer.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "sim/error.h"

namespace qsim {
namespace {

using Images = std::span<const std::span<const float>>;

template <typename Function>
void ForEach(const ChannelLayout& layout, Images images, Function f) {
  for (const std::span<const float> image : images) {
    std::size_t element = 0;
    for (std::int64_t o = 0; o < layout.outer; ++o) {
      for (std::int64_t g = 0; g < layout.channels; ++g) {
        for (std::int64_t i = 0; i < layout.inner; ++i) {
          f(static_cast<std::size_t>(g), static_cast<double>(image[element++]));
        }
      }
    }
  }
}

std::vector<RealRange> Styled(std::vector<RealRange> ranges, ObserverStyle style) {
  if (style == ObserverStyle::kPublished) return ranges;
  for (RealRange& range : ranges) range = {std::min(range.min, 0.0), std::max(range.max, 0.0)};
  return ranges;
}

std::vector<RealRange> BatchMinMax(const ChannelLayout& layout, Images images) {
  std::vector<RealRange> ranges(static_cast<std::size_t>(layout.channels), {HUGE_VAL, -HUGE_VAL});
  ForEach(layout, images, [&](std::size_t group, double x) {
    ranges[group].min = std::min(ranges[group].min, x);
    ranges[group].max = std::max(ranges[group].max, x);
  });
  return ranges;
}

class MinmaxObserver final : public Observer {
 public:
  MinmaxObserver(ChannelLayout layout, ObserverStyle style) : layout_(layout), style_(style) {}

  void Observe(Images images) override {
    const std::vector<RealRange> batch = BatchMinMax(layout_, images);
    if (ranges_.empty()) {
      ranges_ = batch;
      return;
    }
    for (std::size_t g = 0; g < batch.size(); ++g) {
      ranges_[g].min = std::min(ranges_[g].min, batch[g].min);
      ranges_[g].max = std::max(ranges_[g].max, batch[g].max);
    }
  }

  std::vector<RealRange> Ranges() const override { return Styled(ranges_, style_); }

 private:
  ChannelLayout layout_;
  ObserverStyle style_;
  std::vector<RealRange> ranges_;
};

// Per batch the quantiles alpha and 1 - alpha of each group (alpha = 1: its maximum and minimum),
// smoothed between batches: r + sigma (c - r). Percentile and Ema observers.
class SmoothedObserver final : public Observer {
 public:
  SmoothedObserver(ChannelLayout layout, double alpha, double sigma, ObserverStyle style)
      : layout_(layout), alpha_(alpha), sigma_(sigma), style_(style) {}

  void Observe(Images images) override {
    const std::vector<RealRange> batch =
        alpha_ < 1 ? Quantiles(images) : BatchMinMax(layout_, images);
    if (ranges_.empty()) {
      ranges_ = batch;
      return;
    }
    for (std::size_t g = 0; g < batch.size(); ++g) {
      ranges_[g].min += sigma_ * (batch[g].min - ranges_[g].min);
      ranges_[g].max += sigma_ * (batch[g].max - ranges_[g].max);
    }
  }

  std::vector<RealRange> Ranges() const override { return Styled(ranges_, style_); }

 private:
  std::vector<RealRange> Quantiles(Images images) const {
    std::vector<std::vector<double>> groups(static_cast<std::size_t>(layout_.channels));
    ForEach(layout_, images, [&](std::size_t group, double x) { groups[group].push_back(x); });
    std::vector<RealRange> ranges;
    for (std::vector<double>& values : groups) {
      const double low = Quantile(values, 1 - alpha_);
      ranges.push_back({low, Quantile(values, alpha_)});
    }
    return ranges;
  }

  // Linear between the two nearest order statistics.
  static double Quantile(std::vector<double>& values, double q) {
    const double position = q * static_cast<double>(values.size() - 1);
    const double below = std::floor(position);
    const auto nth = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), nth, values.end());
    const double lower = *nth;
    if (nth + 1 == values.end()) return lower;
    const double upper = *std::min_element(nth + 1, values.end());
    return lower + (position - below) * (upper - lower);
  }

  ChannelLayout layout_;
  double alpha_;
  double sigma_;
  ObserverStyle style_;
  std::vector<RealRange> ranges_;
};

// FQ-ViT's Omse: of the ranges times 1, 0.99, ... 0.11, the first with the least squared error of
// quantizing the last batch. One factor serves all groups, as published.
class OmseObserver final : public Observer {
 public:
  OmseObserver(ChannelLayout layout, QuantRange q, bool has_zero_point, ObserverStyle style)
      : layout_(layout), q_(q), has_zero_point_(has_zero_point), minmax_(layout, style) {}

  void Observe(Images images) override {
    minmax_.Observe(images);
    last_batch_.clear();
    for (const auto image : images) last_batch_.emplace_back(image.begin(), image.end());
  }

  std::vector<RealRange> Ranges() const override {
    constexpr int kTrials = 90;
    const std::vector<RealRange> full = minmax_.Ranges();
    std::vector<std::span<const float>> images(last_batch_.begin(), last_batch_.end());
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
      ForEach(layout_, images, [&](std::size_t g, double x) {
        const Quantization& z = quantization[g];
        const double d = x - z.scale * (Quantize(x, z, q_) - z.zero);
        error += d * d;
      });
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
      return std::make_unique<SmoothedObserver>(layout, section.percentile_alpha,
                                                section.percentile_sigma, style);
    case ObserverKind::kEma:
      return std::make_unique<SmoothedObserver>(layout, 1.0, section.percentile_sigma, style);
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
