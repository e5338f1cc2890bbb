// Weights, calibration data and a configuration to a bundle.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/calibrate/bundle.h"
#include "sim/calibrate/plan.h"
#include "sim/config/config.h"
#include "sim/io/manifest.h"
#include "sim/model/vit_model.h"

namespace qsim {

struct CalibrateOptions {
  std::vector<std::int64_t> blocks;  // ascending, unique; empty: all of the model's
  Realise realise = Realise::kExact;
  int threads = 1;
};

// The program of the chosen blocks, its scales and notes; without inputs. The result depends on
// neither the number of threads, the machine nor the compiler. Throws InputError; also when an
// accumulator is too narrow under policy `error`.
Bundle Calibrate(const VitModel& model, const Config& config, const ModelInputs& calibration,
                 const CalibrateOptions& options);

// Quantizes float values with a tensor's own scale, docs/numerics.md section 1. `values` is one
// image. *saturated, if not null, is increased by the number of elements that the clamp changed.
IntTensor QuantizeTensor(const FloatTensor& values, const TensorInfo& info,
                         const TensorScale& scale, std::int64_t* saturated = nullptr);

}  // namespace qsim
