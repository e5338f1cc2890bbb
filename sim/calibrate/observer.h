// Range estimators: from the values a tensor takes on calibration data to a scale and a zero point.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "golden/ops/requantize.h"
#include "sim/config/config.h"
#include "sim/io/float_tensor.h"

namespace qsim {

// real = scale * (q - zero)
struct Quantization {
  double scale = 1;
  std::int32_t zero = 0;
  bool operator==(const Quantization&) const = default;
};

// The real range a tensor's integers should cover. Always contains 0, so that 0 has a code.
struct RealRange {
  double min = 0;
  double max = 0;
  bool constant_zero() const { return min == 0 && max == 0; }
};

// Scales are at least this, as in FQ-ViT's observers.
inline constexpr double kMinScale = 1.0 / (1 << 23);

// The integers of a section: signed [-2^(n-1), 2^(n-1)-1] or unsigned [0, 2^n-1].
QuantRange RangeOf(const Section& section);

// Symmetric, signed:   s = max|x| / ((qmax - qmin) / 2), z = 0: the largest value saturates by
// design. Symmetric, unsigned: s = max / qmax, z = 0: negative values clip to 0. With a zero point:
// s = (max - min) / (qmax - qmin), z = clamp(qmin - half_even(min / s), qmin, qmax).
Quantization QuantizationOf(RealRange range, QuantRange q, bool has_zero_point);

// A zero point for a scale that was chosen otherwise (power-of-two mode, snapped score scales).
std::int32_t ZeroPointFor(RealRange range, double scale, QuantRange q, bool has_zero_point);

// clamp(half_even(x / s + z), qmin, qmax), docs/numerics.md section 1.
// *saturated, if not null, is incremented when the clamp changed the value.
std::int32_t Quantize(double x, Quantization quantization, QuantRange range,
                      std::int64_t* saturated = nullptr);

// Whether a range is widened to contain 0, so that 0 has a code and a symmetric range has no zero
// point; or is the publication's own. FQ-ViT's Omse uses the formula with a zero point for every
// type.
enum class ObserverStyle : std::uint8_t { kContainsZero, kPublished };

// Estimates one range per group of a tensor's elements. Groups follow `layout` (channel = group).
class Observer {
 public:
  // Observers that the configuration knows and this version does not have yet.
  static bool IsAvailable(ObserverKind kind);
  // Throws InternalError for one that is not available: the plan has rejected it.
  static std::unique_ptr<Observer> Make(const Section& section, ChannelLayout layout,
                                        ObserverStyle style = ObserverStyle::kContainsZero);
  virtual ~Observer() = default;

  // The tensor's values for the next image: layout.size() elements.
  virtual void Add(std::span<const float> image) = 0;
  // The images since the last call are one batch: a fixed number of them whatever the run's own
  // batch is (kObserverBatch), since percentiles and smoothing depend on it.
  virtual void EndBatch() = 0;
  void Observe(std::span<const std::span<const float>> batch) {
    for (const std::span<const float> image : batch) Add(image);
    EndBatch();
  }

  // One range per group. At least one batch must have been observed.
  virtual std::vector<RealRange> Ranges() const = 0;
};

inline constexpr std::int64_t kObserverBatch = 32;

}  // namespace qsim
