// Weights, calibration data and a configuration to a bundle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/calibrate/bundle.h"
#include "sim/calibrate/plan.h"
#include "sim/config/config.h"
#include "sim/io/manifest.h"
#include "sim/model/vit_model.h"

namespace qsim {

// How much of the network the program holds.
//   kAttention  norm1 to residual1 of each block, each fed with the real activations that reach it
//   kBlock      norm1 to residual2 of each block, fed likewise
//   kModel      pixels (or token embeddings) to logits, chained in integers
enum class Scope : std::uint8_t { kAttention, kBlock, kModel };
std::string_view Name(Scope scope);  // "attention", "block", "model"
std::optional<Scope> ScopeFromName(std::string_view name);

struct CalibrateOptions {
  Scope scope = Scope::kAttention;
  std::string until;                 // a tap: the program ends there; empty: at its end
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
