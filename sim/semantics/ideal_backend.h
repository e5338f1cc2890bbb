// Ideal fake quantization: every tensor keeps the program's own scale and zero point, and
// everything between two tensors is real arithmetic: exact ratios, softmax, layernorm and GELU.
// What these bits could give at best.
#pragma once

#include <map>
#include <string>

#include "golden/program/backend.h"
#include "sim/bundle/bundle.h"
#include "sim/network/network.h"

namespace qsim {

// A backend like any other: its tensors hold codes, so executor, taps and metrics are shared.
// Products of codes are exact in integers, with accumulators that neither wrap nor saturate below
// 32 bits.
class IdealBackend final : public Backend {
 public:
  // Bundle and model must outlive the backend; the model supplies gamma, beta and eps.
  IdealBackend(const Bundle& bundle, const network::Network& model);

  void Gemm(const OpId& id, const LhsView& lhs, MatrixView<const std::int8_t> rhs,
            const GemmParams& params, MatrixView<std::int32_t> out, AccRange* seen) override;
  std::int64_t Requantize(const OpId& id, std::span<const std::int32_t> in, std::int64_t row_length,
                          const RequantizeParams& params, std::span<std::int32_t> out) override;
  std::int64_t ResidualAdd(const OpId& id, std::span<const std::int32_t> a,
                           std::span<const std::int32_t> b, std::int64_t row_length,
                           const ResidualAddParams& params, std::span<std::int32_t> out) override;
  std::int64_t Softmax(const OpId& id, std::span<const std::int32_t> scores,
                       const SoftmaxParams& params, std::span<std::int32_t> out) override;
  std::int64_t Layernorm(const OpId& id, std::span<const std::int32_t> x,
                         const LayernormParams& params, std::span<std::int32_t> out) override;
  std::int64_t Gelu(const OpId& id, std::span<const std::int32_t> x, const GeluParams& params,
                    std::span<std::int32_t> out) override;

 private:
  const Op& OpOf(std::string_view tap) const { return *ops_.at(std::string(tap)); }
  const TensorScale& ScaleOf(const std::string& tensor) const { return bundle_.scales.at(tensor); }

  const Bundle& bundle_;
  std::map<std::string, const Op*> ops_;               // by output
  std::map<std::string, const network::Norm*> norms_;  // by output
  GoldenBackend golden_;
};

}  // namespace qsim
