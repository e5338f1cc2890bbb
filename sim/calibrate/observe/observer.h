// Range estimators: from the values a tensor takes on calibration data to the range its integers
// should cover. docs/calibration.md gives each one's formula and source.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/semantics/quantization.h"
#include "sim/statistics/doubling_histogram.h"

namespace qsim::calibrate {

// Whether a range is widened to contain 0, so that 0 has a code and a symmetric range has no zero
// point; or is the publication's own. FQ-ViT's Omse and Ptf use the formula with a zero point for
// every type.
enum class ObserverStyle : std::uint8_t { kContainsZero, kPublished };

// All that a mergeable observer has seen: one or the other, one entry for each group.
struct ObserverState {
  std::vector<RealRange> extremes;
  std::vector<DoublingHistogram::State> histograms;
};

// Estimates one range per group of a tensor's elements. Groups follow a layout (channel = group).
// Values are finite.
class Observer {
 public:
  static std::unique_ptr<Observer> Make(const Section& section, ChannelLayout layout,
                                        ObserverStyle style = ObserverStyle::kContainsZero);
  // Whether such observers can be merged, and depend on neither the order nor the batches of what
  // they see.
  static bool IsMergeable(ObserverKind kind);

  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer() = default;

  // The tensor's values for the next input: layout.size() elements. Inputs may differ in length;
  // the second form gives this one's own layout, with the same number of groups.
  void Add(std::span<const float> values) { Add(values, layout_); }
  void Add(std::span<const float> values, const ChannelLayout& layout);
  // The inputs since the last call are one batch. Only observers that are not mergeable depend on
  // where a batch ends.
  virtual void EndBatch() {}
  void Observe(std::span<const std::span<const float>> batch) {
    for (const std::span<const float> values : batch) Add(values);
    EndBatch();
  }

  // Whether there is anything that a range could come from.
  bool observed() const { return observed_; }
  // One range per group. At least one batch must have been observed.
  virtual std::vector<RealRange> Ranges() const = 0;

  // ---- mergeable observers only; InternalError for others ----
  virtual ObserverState State() const;
  // Adds what another observer of the same section and layout has seen. Throws InputError, without
  // a file's name, for a state that no such observer has.
  void Merge(const ObserverState& state);

 protected:
  explicit Observer(const ChannelLayout& layout) : layout_(layout) {}
  std::size_t groups() const { return static_cast<std::size_t>(layout_.channels); }

 private:
  virtual void AddValues(std::span<const float> values, const ChannelLayout& layout) = 0;
  virtual void MergeState(const ObserverState& state);

  ChannelLayout layout_;
  bool observed_ = false;
};

}  // namespace qsim::calibrate
