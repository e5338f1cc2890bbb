#include "sim/calibrate/observe/observer.h"

#include "sim/calibrate/observe/observers/ema_observer.h"
#include "sim/calibrate/observe/observers/histogram_kl_observer.h"
#include "sim/calibrate/observe/observers/histogram_omse_observer.h"
#include "sim/calibrate/observe/observers/histogram_percentile_observer.h"
#include "sim/calibrate/observe/observers/kl_observer.h"
#include "sim/calibrate/observe/observers/minmax_observer.h"
#include "sim/calibrate/observe/observers/omse_observer.h"
#include "sim/calibrate/observe/observers/percentile_observer.h"
#include "sim/calibrate/observe/observers/ptf_observer.h"
#include "sim/error.h"

namespace qsim::calibrate {

std::unique_ptr<Observer> Observer::Make(const Section& section, ChannelLayout layout,
                                         ObserverStyle style) {
  switch (section.observer) {
    case ObserverKind::kMinmax:
      return std::make_unique<MinmaxObserver>(layout, style);
    case ObserverKind::kPercentile:
      return std::make_unique<PercentileObserver>(section, layout, style);
    case ObserverKind::kEma:
      return std::make_unique<EmaObserver>(section, layout, style);
    case ObserverKind::kOmse:
      return std::make_unique<OmseObserver>(section, layout, style);
    case ObserverKind::kKl:
      return std::make_unique<KlObserver>(section, layout, style);
    case ObserverKind::kPtf:
      return std::make_unique<PtfObserver>(section, layout, style);
    case ObserverKind::kHistogramPercentile:
      return std::make_unique<HistogramPercentileObserver>(section, layout, style);
    case ObserverKind::kHistogramKl:
      return std::make_unique<HistogramKlObserver>(section, layout, style);
    case ObserverKind::kHistogramOmse:
      return std::make_unique<HistogramOmseObserver>(section, layout, style);
  }
  throw InternalError("unknown observer");
}

bool Observer::IsMergeable(ObserverKind kind) {
  switch (kind) {
    case ObserverKind::kMinmax:
    case ObserverKind::kHistogramPercentile:
    case ObserverKind::kHistogramKl:
    case ObserverKind::kHistogramOmse:
      return true;
    case ObserverKind::kPercentile:
    case ObserverKind::kEma:
    case ObserverKind::kOmse:
    case ObserverKind::kKl:
    case ObserverKind::kPtf:
      return false;
  }
  throw InternalError("unknown observer");
}

void Observer::Add(std::span<const float> values, const ChannelLayout& layout) {
  if (layout.channels != layout_.channels ||
      static_cast<std::int64_t>(values.size()) != layout.size()) {
    throw InternalError("values that do not have their layout");
  }
  if (values.empty()) return;
  observed_ = true;
  AddValues(values, layout);
}

ObserverState Observer::State() const {
  throw InternalError("this observer has no state to merge");
}

void Observer::MergeState(const ObserverState&) {
  throw InternalError("this observer cannot be merged");
}

void Observer::Merge(const ObserverState& state) {
  MergeState(state);
  observed_ = true;
}

}  // namespace qsim::calibrate
