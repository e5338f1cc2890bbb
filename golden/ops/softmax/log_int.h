// FQ-ViT's log-int-softmax: probabilities as powers of two. docs/numerics.md section 5.4.
//
// Source: QIntSoftmax of FQ-ViT (Lin et al., IJCAI 2022, arXiv:2111.13824).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "golden/ops/int128.h"
#include "golden/ops/softmax/ibert_exp.h"

namespace qsim::golden {

struct LogIntSoftmaxParams {
  static constexpr std::string_view kName = "log_int";
  static constexpr std::string_view kExponential =
      "d = max(x - rowmax, n x0); q = floor(d / x0); r = d - q x0\n"
      "e = max(0, (r (r + b) + c) << (n - q))";
  static constexpr std::string_view kLargest = "c 2^n";
  static constexpr std::string_view kFormula =
      "R = half_even(sum(e) / e); L = floor(log2 R), up at 1.5\n"
      "y = min(L, 2^code_bits): 2^-y, and 2^code_bits is 0";
  IbertExp exp = {};
  int code_bits = 4;  // 1..8
  bool operator==(const LogIntSoftmaxParams&) const = default;

  template <typename Self, typename Visitor>
  static void Fields(Self& self, Visitor&& v) {
    v(Field{"exp", Role::kGroup}, self.exp);
    v(Field{"act16_multiplier", Role::kCoefficient, 32, true, Axis::kHead}, Fixed<0>{});
    v(Field{"act16_shift", Role::kCoefficient, 8, false, Axis::kHead}, Fixed<0>{});
    v(Field{"extra_bits", Role::kCoefficient, 8, false, Axis::kHead}, Fixed<0>{});
    v(Field{"code_bits", Role::kCoefficient, 8, false, Axis::kHead}, self.code_bits);
  }
};

// Throws std::invalid_argument where a parameter is out of its range.
void CheckLogIntSoftmax(const LogIntSoftmaxParams& params);

// Equations 5.11 and 5.12 of a ratio sum / exp_int that is at least 1: the code of an element whose
// exponential is exp_int >= 0.
std::int32_t LogIntCode(Int128 sum, std::int64_t exp_int, int code_bits);

// One row, 1..65536 scores. out: code k in 0 .. 2^code_bits - 1 stands for the probability 2^-k,
// 2^code_bits for 0. exp_int: empty or as long as the row. Parameters must have passed
// CheckLogIntSoftmax.
void LogIntSoftmax(std::span<const std::int32_t> scores, const LogIntSoftmaxParams& params,
                   std::span<std::int32_t> out, std::span<std::int64_t> exp_int);

}  // namespace qsim::golden
