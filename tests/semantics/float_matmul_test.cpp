#include "sim/semantics/float_matmul.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include "tests/namespaces.h"
#include "tests/support/every_target.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

std::vector<float> Random(std::int64_t count, SeededRandom& random) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& v : values) v = static_cast<float>(random.Between(-1000, 1000)) / 128.0F;
  return values;
}

// One shape: every element is the sum that a loop over k makes, and nothing beside it is written.
void Compare(std::int64_t m, std::int64_t n, std::int64_t k, bool transposed, bool biased,
             SeededRandom& random) {
  const std::int64_t a_stride = k + 3, out_stride = n + 2;
  const std::vector<float> a = Random(m * a_stride, random);
  const std::vector<float> b = Random(k * n, random);
  const std::vector<float> bias = Random(biased ? n : 0, random);
  const StridedMatrix right =
      transposed ? StridedMatrix{b.data(), 1, k} : StridedMatrix{b.data(), n, 1};
  std::vector<float> expected(static_cast<std::size_t>(m * out_stride), -1.0F);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (std::int64_t l = 0; l < k; ++l)
        sum += a[static_cast<std::size_t>(i * a_stride + l)] *
               right.data[l * right.down + j * right.right];
      if (biased) sum += bias[static_cast<std::size_t>(j)];
      expected[static_cast<std::size_t>(i * out_stride + j)] = sum;
    }
  }
  OnEveryTarget([&] {
    std::vector<float> out(expected.size(), -1.0F);
    FloatMatmul(a.data(), a_stride, right, bias, m, n, k, out.data(), out_stride);
    EXPECT_EQ(out, expected) << m << " x " << n << " x " << k << (transposed ? ", transposed" : "");
  });
}

TEST(FloatMatmul, EqualsASumWithKAscendingForEveryShape) {
  SeededRandom random;
  // Rows and columns around each number that is computed together, sums of one and of none.
  for (const std::int64_t m : {1, 2, 3, 5, 7, 8, 9, 15, 23}) {
    for (const std::int64_t n : {1, 3, 4, 7, 8, 15, 16, 17, 33, 47, 48, 49, 100})
      Compare(m, n, random.Between(0, 40), n % 2 == 1, m % 2 == 1, random);
  }
  for (int i = 0; i < 60; ++i)
    Compare(random.Between(1, 70), random.Between(1, 130), random.Between(1, 300), i % 2 == 0,
            i % 3 == 0, random);
}

}  // namespace
}  // namespace qsim::testing
