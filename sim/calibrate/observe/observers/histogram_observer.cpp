#include "sim/calibrate/observe/observers/histogram_observer.h"

#include "sim/error.h"

namespace qsim::calibrate {
namespace {

// Channels are many and see few values each.
constexpr std::int32_t kHalfBinsOfSeveral = 512;

std::int32_t HalfBins(const ChannelLayout& layout, std::int32_t requested) {
  if (requested > 0) return requested;
  return layout.channels == 1 ? DoublingHistogram::kDefaultHalfBins : kHalfBinsOfSeveral;
}

}  // namespace

HistogramObserver::HistogramObserver(const ChannelLayout& layout, ObserverStyle style,
                                     std::int32_t half_bins)
    : Observer(layout),
      style_(style),
      histograms_(groups(), DoublingHistogram(HalfBins(layout, half_bins))) {}

void HistogramObserver::AddValues(std::span<const float> values, const ChannelLayout& layout) {
  ranges_.clear();
  if (layout.inner == 1) {
    ForEach(layout, values, [&](std::size_t group, float x) { histograms_[group].Add(x); });
    return;
  }
  const auto run = static_cast<std::size_t>(layout.inner);
  for (std::size_t begin = 0; begin < values.size(); begin += run) {
    histograms_[begin / run % groups()].Add(values.subspan(begin, run));
  }
}

std::vector<RealRange> HistogramObserver::Ranges() const {
  if (ranges_.empty()) {
    for (const DoublingHistogram& histogram : histograms_)
      ranges_.push_back(Styled(RangeOfGroup(histogram), style_));
  }
  return ranges_;
}

ObserverState HistogramObserver::State() const {
  ObserverState state;
  for (const DoublingHistogram& histogram : histograms_) {
    state.histograms.push_back(histogram.state());
  }
  return state;
}

void HistogramObserver::MergeState(const ObserverState& state) {
  if (state.histograms.size() != groups() || !state.extremes.empty()) {
    throw InputError("not a histogram for each of its groups");
  }
  ranges_.clear();
  for (std::size_t g = 0; g < groups(); ++g) {
    const DoublingHistogram histogram = DoublingHistogram::FromState(state.histograms[g]);
    if (histogram.count() == 0) throw InputError("a histogram of no values");
    if (histogram.half_bins() != histograms_[g].half_bins()) {
      throw InputError("a histogram of another number of bins");
    }
    histograms_[g].Merge(histogram);
  }
}

}  // namespace qsim::calibrate
