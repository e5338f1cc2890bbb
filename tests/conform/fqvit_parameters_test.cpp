// M, N and B of FQ-ViT's layer norm: by hand, and against the second derivation.
#include "sim/conform/fqvit_parameters.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "derivation/layernorm_rows.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Row = std::vector<std::int32_t>;
using Reals = std::vector<double>;

FqvitParameters Derive(const Row& x, const Reals& weight, const Reals& bias,
                       const Reals& out_scale = {1.0}) {
  return conform::DeriveFqvitParameters(x, Row(x.size(), 1), weight, bias, out_scale);
}

// {0, 2} has C sum(z^2) - sum(z)^2 = 4: D = C = 2, so that A = weight / out_scale.
FqvitParameters OfA(double a, double b = 0.0) { return Derive({0, 2}, {a, 1.0}, {a + b, 0.0}); }

TEST(FqvitParameters, MAndNByHand) {
  struct Expected {
    double a;
    std::int32_t m, n;
  };
  for (const Expected& e :
       {Expected{128.0, 128, 0}, Expected{std::nextafter(128.0, 0.0), 255, 1},
        Expected{255.75, 255, 0}, Expected{256.0, 255, 0}, Expected{1e9, 255, 0},
        Expected{1.0, 128, 7}, Expected{0.5, 128, 8}, Expected{std::nextafter(1.0, 0.0), 255, 8},
        Expected{-1.5, -192, 7}, Expected{-1.99, -254, 7}, Expected{std::ldexp(1.0, -24), 128, 31},
        Expected{std::ldexp(1.5, -25), 96, 31}, Expected{std::ldexp(1.9, -31), 1, 31},
        Expected{std::ldexp(1.9, -32), 0, 31}, Expected{0.0, 0, 31}, Expected{-5e-324, 0, 31}}) {
    const FqvitParameters row = OfA(e.a);
    EXPECT_EQ(row.m[0], e.m) << e.a;
    EXPECT_EQ(row.n[0], e.n) << e.a;
  }
}

TEST(FqvitParameters, BTiesToEven) {
  // weight 0: N = 31 and B = half_even(bias 2^31).
  const auto without_root = [](double halves) {
    return Derive({0, 5, 1}, {0, 1, 1}, {std::ldexp(halves, -32), 0, 0}).b[0];
  };
  EXPECT_EQ(without_root(-3), -2);
  EXPECT_EQ(without_root(-1), 0);
  EXPECT_EQ(without_root(1), 0);
  EXPECT_EQ(without_root(3), 2);
  EXPECT_EQ(without_root(std::nextafter(1.0, 2.0)), 1);
  EXPECT_EQ(without_root(std::nextafter(3.0, 2.0)), 1);
  EXPECT_EQ(without_root(std::nextafter(-1.0, -2.0)), -1);
  // {0, 2}: sum / D = 1, so that B = half_even(bias - weight) for N = 0, both with a root in
  // between.
  const auto with_root = [](double value) {
    return Derive({0, 2}, {200, 1}, {200 + value, 0}).b[0];
  };
  EXPECT_EQ(with_root(-1.5), -2);
  EXPECT_EQ(with_root(-0.5), 0);
  EXPECT_EQ(with_root(0.5), 0);
  EXPECT_EQ(with_root(1.5), 2);
  const auto negative = [](double value) {
    return Derive({0, 2}, {-200, 1}, {value - 200, 0}).b[0];
  };
  EXPECT_EQ(negative(-1.5), -2);
  EXPECT_EQ(negative(-0.5), 0);
  EXPECT_EQ(negative(0.5), 0);
  EXPECT_EQ(negative(1.5), 2);
}

// The code under test never takes a root of a non-square; the derivation takes it in 1,024 bits.
TEST(FqvitParameters, EqualsASecondDerivation) {
  testing::SeededRandom random;
  std::int64_t negative = 0, tiny = 0;
  for (int i = 0; i < 300; ++i) {
    const auto channels = static_cast<std::size_t>(random.Between(2, 24));
    Row x(channels), mask(channels);
    Reals weight(channels), bias(channels), out_scale(i % 2 == 0 ? 1 : channels);
    const auto uniform = [&](int exponent) {
      return std::ldexp(static_cast<double>(random.Between(-(1LL << 40), 1LL << 40)),
                        exponent - 40);
    };
    for (std::size_t c = 0; c < channels; ++c) {
      x[c] = static_cast<std::int32_t>(random.Between(-256, 255) * (i % 3 == 0 ? 100000 : 1));
      mask[c] = 1 << random.Between(0, 3);
      weight[c] =
          random.Between(0, 7) == 0 ? 0.0 : uniform(static_cast<int>(random.Between(-20, 4)));
      bias[c] = uniform(1);
    }
    for (double& s : out_scale)
      s = std::ldexp(static_cast<double>(random.Between(1, 1 << 20)), -25);
    x[0] = x[1] + 1;  // not constant
    mask[0] = mask[1];

    const FqvitParameters row = conform::DeriveFqvitParameters(x, mask, weight, bias, out_scale);
    const derivation::DerivedFqvit derived =
        derivation::DeriveFqvitParameters(x, mask, weight, bias, out_scale);
    EXPECT_EQ(row.m, derived.m);
    EXPECT_EQ(row.n, derived.n);
    EXPECT_EQ(row.b, derived.b);
    for (std::size_t c = 0; c < channels; ++c) {
      negative += row.m[c] < 0;
      tiny += row.n[c] == 31;
    }
  }
  EXPECT_GT(negative, 500);
  EXPECT_GT(tiny, 50);
}

TEST(FqvitParameters, UndefinedInputsThrow) {
  const auto bad = [](const Row& x, const Reals& weight, const Reals& bias, const Reals& scale) {
    EXPECT_THROW(Derive(x, weight, bias, scale), std::invalid_argument);
  };
  EXPECT_NO_THROW(Derive({0, 1}, {1, 1}, {0, 0}));
  bad({3, 3}, {1, 1}, {0, 0}, {1});  // constant
  bad({3}, {1}, {0}, {1});
  bad({0, 1}, {1}, {0, 0}, {1});
  bad({0, 1}, {1, 1}, {0}, {1});
  bad({0, 1, 2}, {1, 1, 1}, {0, 0, 0}, {1, 1});
  bad({0, 1}, {1, 1}, {0, 0}, {0});
  bad({0, 1}, {1, 1}, {0, 0}, {-1});
  bad({0, 1}, {1, NAN}, {0, 0}, {1});
  bad({0, 1}, {1, 1}, {0, INFINITY}, {1});
  bad({0, 1}, {1, 1}, {1e300, 0}, {1});  // B
}

}  // namespace
}  // namespace qsim::testing
