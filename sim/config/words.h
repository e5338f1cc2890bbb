// The words of the configuration files, each table the only place that spells them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/config/section.h"
#include "sim/config/settings.h"

namespace qsim {

template <typename T>
struct Word {
  std::string_view text;
  T value;
};

inline constexpr Word<CalibrationMode> kCalibrationModeWords[] = {
    {"layer_wise", CalibrationMode::kLayerWise},
    {"channel_wise", CalibrationMode::kChannelWise},
    {"head_wise", CalibrationMode::kHeadWise},
};
inline constexpr Word<ObserverKind> kObserverWords[] = {
    {"MinmaxObserver", ObserverKind::kMinmax},
    {"PercentileObserver", ObserverKind::kPercentile},
    {"EmaObserver", ObserverKind::kEma},
    {"OmseObserver", ObserverKind::kOmse},
    {"KLObserver", ObserverKind::kKl},
    {"PtfObserver", ObserverKind::kPtf},
    {"HistogramPercentileObserver", ObserverKind::kHistogramPercentile},
    {"HistogramKLObserver", ObserverKind::kHistogramKl},
    {"HistogramOmseObserver", ObserverKind::kHistogramOmse},
};
// Older files say Affine for Uniform. The first word of a value is its name.
inline constexpr Word<QuantMethod> kQuantMethodWords[] = {
    {"Uniform", QuantMethod::kUniform},
    {"Log2", QuantMethod::kLog2},
    {"Affine", QuantMethod::kUniform},
};
inline constexpr Word<RequantMode> kRequantModeWords[] = {
    {"multiplier", RequantMode::kMultiplier},
    {"power_of_two", RequantMode::kPowerOfTwo},
};
inline constexpr Word<WeightGranularity> kWeightGranularityWords[] = {
    {"per_tensor", WeightGranularity::kPerTensor},
    {"per_channel", WeightGranularity::kPerChannel},
};
inline constexpr Word<LayernormKind> kLayernormWords[] = {
    {"ibert", LayernormKind::kIbert},
    {"ivit", LayernormKind::kIvit},
    {"rq_layernorm", LayernormKind::kDeeploy},
};
inline constexpr Word<GeluKind> kGeluWords[] = {
    {"table", GeluKind::kTable},         {"ibert", GeluKind::kIbert},
    {"shiftgelu", GeluKind::kShiftGelu}, {"ita", GeluKind::kIta},
    {"deeploy", GeluKind::kDeeploy},
};
inline constexpr Word<SoftmaxKind> kSoftmaxWords[] = {
    {"ibert_rn", SoftmaxKind::kIbertRn}, {"ibert", SoftmaxKind::kIbert},
    {"log_int", SoftmaxKind::kLogInt},   {"shiftmax", SoftmaxKind::kShiftmax},
    {"ita", SoftmaxKind::kIta},          {"ita_streaming", SoftmaxKind::kItaStreaming},
    {"tflite", SoftmaxKind::kTflite},    {"deeploy_isoftmax", SoftmaxKind::kDeeploy},
};
inline constexpr Word<AccPolicy> kAccPolicyWords[] = {
    {"error", AccPolicy::kError},
    {"wrap", AccPolicy::kWrap},
    {"saturate", AccPolicy::kSaturate},
};
inline constexpr Word<Rounding> kRoundingWords[] = {
    {"half_up", Rounding::kHalfUp},         {"half_away", Rounding::kHalfAway},
    {"half_even", Rounding::kHalfEven},     {"floor", Rounding::kFloor},
    {"toward_zero", Rounding::kTowardZero},
};
inline constexpr Word<GlobalSection> kGlobalSectionWords[] = {
    {"outputs", GlobalSection::kOutputs}, {"weight", GlobalSection::kWeight},
    {"norm", GlobalSection::kNorm},       {"activation", GlobalSection::kActivation},
    {"intsoft", GlobalSection::kIntsoft},
};

// Known, and why no program can hold it.
inline constexpr std::string_view kFutureLayernormWords[] = {"fqvit"};

}  // namespace qsim
