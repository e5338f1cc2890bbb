// Layer norm and RMS norm of golden/ops, fast: equal to them bit for bit. docs/numerics.md
// section 6.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "golden/kernels/ratios.h"
#include "golden/ops/layernorm.h"
#include "golden/ops/rmsnorm.h"

namespace qsim::golden::kernels {

// Rows of one norm. Those for which 64 bits are not proven to hold, by their own values, are the
// specification's.
class LayernormRows {
 public:
  // For inputs within `input`.
  LayernormRows(const LayernormParams& params, QuantRange input, QuantRange range,
                std::int64_t channels);
  std::int64_t Row(std::span<const std::int32_t> x, std::span<std::int32_t> out);
  // Some row was.
  bool by_reference() const { return by_reference_; }

 private:
  // The parameters of ibert and ivit in common.
  struct Rooted {
    Ratios ratios;
    Alternate bias;
    std::int64_t largest_bias = 0, largest_m = 0;
  };
  template <typename Params>
  std::int64_t RootedRow(const Params& params, std::span<const std::int32_t> x,
                         std::span<std::int32_t> out);
  std::int64_t DeeployRow(const DeeployLayernormParams& params, std::span<const std::int32_t> x,
                          std::span<std::int32_t> out);

  const LayernormParams& params_;
  QuantRange range_;
  bool small_;  // squares of a row stay within 62 bits, x' within 25
  std::optional<Rooted> rooted_;
  bool by_reference_ = false;
  std::vector<std::int32_t> d_;
};

class RmsnormRows {
 public:
  // For inputs within `input`, and a gate within `gate`.
  RmsnormRows(const RmsnormParams& params, QuantRange input, QuantRange gate, QuantRange range,
              std::int64_t channels);
  // `gate` is empty or as long as the row.
  std::int64_t Row(std::span<const std::int32_t> x, std::span<const std::int32_t> gate,
                   std::span<std::int32_t> out);
  bool by_reference() const { return by_reference_; }

 private:
  const RmsnormParams& params_;
  QuantRange range_;
  bool small_;
  Ratios ratios_;
  std::int64_t largest_m_ = 0;
  bool by_reference_ = false;
  std::vector<std::int32_t> d_, gate_;
};

}  // namespace qsim::golden::kernels
