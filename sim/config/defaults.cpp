#include "sim/config/defaults.h"

#include <array>

#include "sim/error.h"

namespace qsim {
namespace {

struct DefaultRow {
  TensorRole role;
  CalibrationMode mode;
  int bits;
  bool is_signed;
};

constexpr CalibrationMode kLayer = CalibrationMode::kLayerWise;
constexpr CalibrationMode kChannel = CalibrationMode::kChannelWise;

// Everything else is the same for all tensors: symmetric, MinmaxObserver, Uniform (struct Section).
// The residual stream is 16 bits wide because every block adds to it and nothing is ever scaled
// back.
constexpr std::array<DefaultRow, kTensorRoles> kDefaults = {{
    {TensorRole::kPatchEmbedWeight, kChannel, 8, true},
    {TensorRole::kPatchEmbedOutput, kLayer, 8, true},
    {TensorRole::kEmbed, kLayer, 16, true},
    {TensorRole::kNorm1, kLayer, 8, true},
    {TensorRole::kAttnQkvWeight, kChannel, 8, true},
    {TensorRole::kAttnQkvOutput, kLayer, 8, true},
    {TensorRole::kAttnQOut, kLayer, 8, true},
    {TensorRole::kAttnKOut, kLayer, 8, true},
    {TensorRole::kAttnVInput, kLayer, 8, true},
    {TensorRole::kAttnKvOut, kLayer, 8, true},
    {TensorRole::kIntSoft, kLayer, 8, false},
    {TensorRole::kAttnVOut, kLayer, 8, true},
    {TensorRole::kAttnProjWeight, kChannel, 8, true},
    {TensorRole::kAttnProjOutput, kLayer, 8, true},
    {TensorRole::kResidual1, kLayer, 16, true},
    {TensorRole::kNorm2, kLayer, 8, true},
    {TensorRole::kMlpFc1Weight, kChannel, 8, true},
    {TensorRole::kMlpFc1Output, kLayer, 8, true},
    {TensorRole::kMlpGelu, kLayer, 8, true},
    {TensorRole::kMlpFc2Weight, kChannel, 8, true},
    {TensorRole::kMlpFc2Output, kLayer, 8, true},
    {TensorRole::kResidual2, kLayer, 16, true},
    {TensorRole::kNorm, kLayer, 8, true},
    {TensorRole::kHeadWeight, kChannel, 8, true},
    {TensorRole::kHeadOutput, kLayer, 8, true},
}};

}  // namespace

Section DefaultSection(TensorRole role) {
  for (const DefaultRow& row : kDefaults) {
    if (row.role != role) continue;
    Section section;
    section.calibration_mode = row.mode;
    section.bits = row.bits;
    section.is_signed = row.is_signed;
    return section;
  }
  throw InternalError("tensor role without defaults");
}

}  // namespace qsim
