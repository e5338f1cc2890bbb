#include "golden/program/backend.h"
#include "tests/namespaces.h"

#include <gtest/gtest.h>

#include <vector>

namespace qsim::testing {
namespace {

// The golden backend is the operations, call by call. What is no call of a backend, an operation
// runs itself: tests/program/executor_test.cpp.
TEST(GoldenBackend, ForwardsToTheOperations) {
  GoldenBackend backend;
  const OpId id{.tap = "blocks.0.attn_qkv"};
  const std::vector<std::int8_t> s = {1, -2, 3, 4};
  const std::vector<std::uint8_t> u = {200, 2, 3, 4};
  std::vector<std::int32_t> got(4), expected(4);
  const MatrixView<const std::int8_t> rhs{s.data(), 2, 2, 2, 1};
  const MatrixView<const std::uint8_t> lhs{u.data(), 2, 2, 2, 1};
  AccRange seen;
  backend.Gemm(id, lhs, rhs, {}, {got.data(), 2, 2, 2, 1}, &seen);
  Gemm(lhs, rhs, {}, {expected.data(), 2, 2, 2, 1});
  EXPECT_EQ(got, expected);
  EXPECT_EQ(seen.max, 206);
  backend.Gemm(id, rhs, rhs, {}, {got.data(), 2, 2, 2, 1}, nullptr);
  Gemm(rhs, rhs, {}, {expected.data(), 2, 2, 2, 1});
  EXPECT_EQ(got, expected);

  const std::vector<std::int32_t> a = {1000, -70000, 5, 0}, b = {7, 8, 9, 10}, zero = {3};
  const std::vector<Multiplier> scale = {{3, 4}};
  const RequantizeParams requantize{.layout = {1, 1, 4}, .scale = scale, .zero = zero};
  EXPECT_EQ(backend.Requantize(id, a, 2, requantize, got), Requantize(a, requantize, expected));
  EXPECT_EQ(got, expected);

  const std::vector<std::int32_t> m = {5};
  const ResidualAddParams residual{
      .layout = {1, 1, 4}, .a_multiplier = m, .b_multiplier = m, .shift = 3};
  EXPECT_EQ(backend.ResidualAdd(id, a, b, 2, residual, got), ResidualAdd(a, b, residual, expected));
  EXPECT_EQ(got, expected);
}

}  // namespace
}  // namespace qsim::testing
