#include "sim/semantics/float_functions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "sim/statistics/elementary.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/semantics/float_functions.cpp"
#include <hwy/foreach_target.h>
// After it: what is compiled for each instruction set.
#include <hwy/highway.h>

#include "sim/statistics/elementary-inl.h"

HWY_BEFORE_NAMESPACE();
namespace qsim::semantics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
namespace elementary = statistics::HWY_NAMESPACE;

using Doubles = hn::ScalableTag<double>;
using Floats = hn::Rebind<float, Doubles>;  // as many as there are doubles in a vector

void SoftmaxRow(std::span<const float> scores, std::span<float> out) {
  const Doubles d;
  const Floats f;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t whole = scores.size() - scores.size() % lanes;
  float largest = scores[0];
  if (whole > 0) {
    auto most = hn::LoadU(f, scores.data());
    for (std::size_t i = lanes; i < whole; i += lanes)
      most = hn::Max(most, hn::LoadU(f, scores.data() + i));
    largest = hn::GetLane(hn::MaxOfLanes(f, most));
  }
  for (std::size_t i = whole; i < scores.size(); ++i) largest = std::max(largest, scores[i]);
  std::vector<double> e(scores.size());
  const auto offset = hn::Set(d, static_cast<double>(largest));
  for (std::size_t i = 0; i < whole; i += lanes) {
    const auto x = hn::PromoteTo(d, hn::LoadU(f, scores.data() + i));
    hn::StoreU(elementary::ExpOf(d, hn::Sub(x, offset)), d, e.data() + i);
  }
  for (std::size_t i = whole; i < scores.size(); ++i)
    e[i] = Exp(static_cast<double>(scores[i]) - static_cast<double>(largest));
  double sum = 0;
  for (const double value : e) sum += value;
  const auto sums = hn::Set(d, sum);
  for (std::size_t i = 0; i < whole; i += lanes)
    hn::StoreU(hn::DemoteTo(f, hn::Div(hn::LoadU(d, e.data() + i), sums)), f, out.data() + i);
  for (std::size_t i = whole; i < e.size(); ++i) out[i] = static_cast<float>(e[i] / sum);
}

// Each row's sum is a chain of additions: those of several rows run side by side.
constexpr std::size_t kChains = 8;

void LayerNormRows(std::span<const float> x, std::span<const float> gamma,
                   std::span<const float> beta, double eps, std::span<float> out) {
  const Doubles d;
  const Floats f;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t channels = gamma.size();
  const std::size_t whole = channels - channels % lanes;
  const auto count = static_cast<double>(channels);
  const std::size_t rows = x.size() / channels;
  for (std::size_t first = 0; first < rows; first += kChains) {
    std::array<const float*, kChains> row{};
    // Beyond the last row: that row again.
    for (std::size_t r = 0; r < kChains; ++r)
      row[r] = x.data() + std::min(first + r, rows - 1) * channels;
    std::array<double, kChains> mean{}, squares{};
    for (std::size_t c = 0; c < channels; ++c) {
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kChains; ++r) mean[r] += static_cast<double>(row[r][c]);
    }
    for (double& m : mean) m = m / count;
    for (std::size_t c = 0; c < channels; ++c) {
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kChains; ++r) {
        const double distance = static_cast<double>(row[r][c]) - mean[r];
        squares[r] += distance * distance;
      }
    }
    for (std::size_t r = 0; r < std::min(kChains, rows - first); ++r) {
      const double inverse_std = 1 / std::sqrt(squares[r] / count + eps);
      float* const to = out.data() + (first + r) * channels;
      const auto means = hn::Set(d, mean[r]);
      const auto factor = hn::Set(d, inverse_std);
      for (std::size_t c = 0; c < whole; c += lanes) {
        const auto distance = hn::Sub(hn::PromoteTo(d, hn::LoadU(f, row[r] + c)), means);
        const auto scaled =
            hn::Mul(hn::Mul(distance, factor), hn::PromoteTo(d, hn::LoadU(f, gamma.data() + c)));
        const auto y = hn::Add(scaled, hn::PromoteTo(d, hn::LoadU(f, beta.data() + c)));
        hn::StoreU(hn::DemoteTo(f, y), f, to + c);
      }
      for (std::size_t c = whole; c < channels; ++c) {
        const double distance = static_cast<double>(row[r][c]) - mean[r];
        to[c] = static_cast<float>(distance * inverse_std * static_cast<double>(gamma[c]) +
                                   static_cast<double>(beta[c]));
      }
    }
  }
}

void GeluEach(std::span<float> x) {
  const Doubles d;
  const Floats f;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t whole = x.size() - x.size() % lanes;
  for (std::size_t i = 0; i < whole; i += lanes) {
    const auto y = elementary::GeluOf(d, hn::PromoteTo(d, hn::LoadU(f, x.data() + i)));
    hn::StoreU(hn::DemoteTo(f, y), f, x.data() + i);
  }
  for (std::size_t i = whole; i < x.size(); ++i)
    x[i] = static_cast<float>(statistics::Gelu(static_cast<double>(x[i])));
}

}  // namespace qsim::semantics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace qsim::semantics {
namespace {

HWY_EXPORT(SoftmaxRow);
HWY_EXPORT(LayerNormRows);
HWY_EXPORT(GeluEach);

}  // namespace

void SoftmaxRow(std::span<const float> scores, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(SoftmaxRow)(scores, out);
}

void LayerNormRows(std::span<const float> x, std::span<const float> gamma,
                   std::span<const float> beta, double eps, std::span<float> out) {
  HWY_DYNAMIC_DISPATCH(LayerNormRows)(x, gamma, beta, eps, out);
}

void GeluEach(std::span<float> x) { HWY_DYNAMIC_DISPATCH(GeluEach)(x); }

}  // namespace qsim::semantics
#endif
