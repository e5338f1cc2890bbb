#include "sim/semantics/float_functions.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "sim/statistics/elementary.h"
#include "tests/namespaces.h"
#include "tests/support/every_target.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

double Wide(float x) { return static_cast<double>(x); }

// -0 and 0 are different bytes.
std::vector<std::uint32_t> BitsOf(const std::vector<float>& values) {
  std::vector<std::uint32_t> bits;
  for (const float v : values) bits.push_back(std::bit_cast<std::uint32_t>(v));
  return bits;
}

TEST(GeluEach, EqualsItsDefinitionOnFloatsOfEveryExponent) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 5003) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  // Densely where its pieces meet.
  for (const float edge : {0.46875F, 4.0F, 6.0F}) {
    for (int i = -2000; i < 2000; ++i) {
      const float near = edge * std::sqrt(2.0F) * (1 + static_cast<float>(i) * 0x1p-23F);
      x.insert(x.end(), {near, -near});
    }
  }
  std::vector<float> expected;
  for (const float v : x) expected.push_back(static_cast<float>(statistics::Gelu(Wide(v))));
  OnEveryTarget([&] {
    std::vector<float> out = x;
    GeluEach(out);
    EXPECT_EQ(BitsOf(out), BitsOf(expected));
  });
}

void CompareSoftmax(const std::vector<float>& scores) {
  const double largest = Wide(*std::max_element(scores.begin(), scores.end()));
  double sum = 0;
  for (const float x : scores) sum += Exp(Wide(x) - largest);
  std::vector<float> expected;
  for (const float x : scores) expected.push_back(static_cast<float>(Exp(Wide(x) - largest) / sum));
  OnEveryTarget([&] {
    std::vector<float> out(scores.size());
    SoftmaxRow(scores, out);
    EXPECT_EQ(BitsOf(out), BitsOf(expected)) << scores.size() << " scores";
  });
}

TEST(SoftmaxRow, EqualsItsDefinitionForEveryLength) {
  SeededRandom random;
  for (std::int64_t length = 1; length < 70; ++length) {
    std::vector<float> scores(static_cast<std::size_t>(length));
    const auto spread = static_cast<float>(random.Between(1, 300));
    for (float& x : scores)
      x = spread * static_cast<float>(random.Between(-1000000, 1000000)) / 1e6F;
    CompareSoftmax(scores);
  }
  // Around the smallest exponent that is not taken for 0, and where powers of two change.
  std::vector<float> edges = {0};
  for (int i = 0; i < 3000; ++i) edges.push_back(-700.0F + static_cast<float>(i - 1500) * 0x1p-13F);
  for (int i = 0; i < 20000; ++i) edges.push_back(-static_cast<float>(i) * 0.0375F);
  CompareSoftmax(edges);
  CompareSoftmax(std::vector<float>(33, -5.5F));
  CompareSoftmax({-std::numeric_limits<float>::max(), 0, std::numeric_limits<float>::max()});
}

TEST(LayerNormRows, EqualsItsDefinitionForEveryNumberOfRowsAndChannels) {
  SeededRandom random;
  const auto draw = [&] { return static_cast<float>(random.Between(-5000, 5000)) / 512.0F; };
  for (const std::size_t channels : {1U, 2U, 3U, 7U, 8U, 9U, 16U, 31U, 64U, 384U}) {
    for (const std::size_t rows : {1U, 2U, 7U, 8U, 9U, 17U}) {
      std::vector<float> x(rows * channels), gamma(channels), beta(channels), expected;
      for (auto* values : {&x, &gamma, &beta}) std::generate(values->begin(), values->end(), draw);
      const double eps = rows % 2 == 0 ? 1e-6 : 1e-12;
      for (std::size_t row = 0; row < rows; ++row) {
        const float* values = x.data() + row * channels;
        double sum = 0, squares = 0;
        for (std::size_t c = 0; c < channels; ++c) sum += Wide(values[c]);
        const double mean = sum / static_cast<double>(channels);
        for (std::size_t c = 0; c < channels; ++c)
          squares += (Wide(values[c]) - mean) * (Wide(values[c]) - mean);
        const double inverse = 1 / std::sqrt(squares / static_cast<double>(channels) + eps);
        for (std::size_t c = 0; c < channels; ++c) {
          expected.push_back(static_cast<float>(
              (Wide(values[c]) - mean) * inverse * Wide(gamma[c]) + Wide(beta[c])));
        }
      }
      OnEveryTarget([&] {
        std::vector<float> out(x.size());
        LayerNormRows(x, gamma, beta, eps, out);
        EXPECT_EQ(BitsOf(out), BitsOf(expected)) << rows << " rows of " << channels;
      });
    }
  }
}

}  // namespace
}  // namespace qsim::testing
