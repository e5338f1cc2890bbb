// Random and extreme products, and their way through a backend.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cosim/rtl_backend.h"
#include "tests/cosim/oracle.h"
#include "tests/test_support.h"

namespace qsim::cosim {

inline void PrintTo(const ArrayShape& shape, std::ostream* out) { *out << ToString(shape); }

inline std::string ShapeName(const ::testing::TestParamInfo<ArrayShape>& param) {
  return "a" + ToString(param.param);
}

enum class LhsKind { kInt8, kUint8, kCode };

// Uniform operands; int8 rhs, zero points on the sides that may have one.
inline oracle::Product RandomProduct(testing::SeededRandom& random, LhsKind kind, std::int64_t m,
                                     std::int64_t k, std::int64_t n) {
  oracle::Product p;
  p.m = m;
  p.k = k;
  p.n = n;
  const int low = kind == LhsKind::kInt8 ? -128 : 0;
  const int high = kind == LhsKind::kInt8 ? 127 : kind == LhsKind::kUint8 ? 255 : 16;
  for (std::int64_t i = 0; i < m * k; ++i) {
    p.lhs.push_back(static_cast<int>(random.Between(low, high)));
  }
  for (std::int64_t i = 0; i < k * n; ++i) {
    p.rhs.push_back(static_cast<int>(random.Between(-128, 127)));
  }
  if (kind == LhsKind::kCode) p.mode = OperandMode::kShift;
  return p;
}

inline void AddZeroPoints(testing::SeededRandom& random, oracle::Product& p, bool per_column) {
  if (p.mode == OperandMode::kMultiply) {
    p.lhs_zero = static_cast<std::int32_t>(random.Between(-128, 255));
  }
  for (std::int64_t i = 0; i < (per_column ? p.n : 1); ++i) {
    p.rhs_zero.push_back(static_cast<std::int32_t>(random.Between(-128, 127)));
  }
}

inline void AddBias(testing::SeededRandom& random, oracle::Product& p, std::int32_t magnitude) {
  for (std::int64_t i = 0; i < p.n; ++i) {
    p.bias.push_back(static_cast<std::int32_t>(random.Between(-magnitude, magnitude)));
  }
}

inline bool IsUnsigned(const oracle::Product& p) {
  for (const int value : p.lhs) {
    if (value > 127) return true;
  }
  return p.mode == OperandMode::kShift;
}

template <typename T>
std::vector<T> Narrow(const std::vector<int>& values) {
  std::vector<T> narrow;
  narrow.reserve(values.size());
  for (const int value : values) narrow.push_back(static_cast<T>(value));
  return narrow;
}

inline std::vector<std::int32_t> RunOn(Backend& backend, const oracle::Product& p,
                                       const OpId& id = {"product"}) {
  const auto rhs = Narrow<std::int8_t>(p.rhs);
  const auto signed_lhs = Narrow<std::int8_t>(IsUnsigned(p) ? std::vector<int>() : p.lhs);
  const auto unsigned_lhs = Narrow<std::uint8_t>(IsUnsigned(p) ? p.lhs : std::vector<int>());
  LhsView lhs = MatrixView<const std::int8_t>{signed_lhs.data(), p.m, p.k, p.k, 1};
  if (IsUnsigned(p)) {
    lhs = MatrixView<const std::uint8_t>{unsigned_lhs.data(), p.m, p.k, p.k, 1};
  }
  GemmParams params;
  params.bias = p.bias;
  params.lhs_zero = p.lhs_zero;
  params.rhs_zero = p.rhs_zero;
  params.mode = p.mode;
  params.acc = p.acc;
  std::vector<std::int32_t> out(static_cast<std::size_t>(p.m * p.n), -1);
  backend.Gemm(id, lhs, {rhs.data(), p.k, p.n, p.n, 1}, params, {out.data(), p.m, p.n, p.n, 1},
               nullptr);
  return out;
}

}  // namespace qsim::cosim
