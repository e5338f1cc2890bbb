#include "sim/network/families/position_grid.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace qsim::network {
namespace {

// Keys' cubic convolution.
double Cubic(double a, double x) {
  x = std::fabs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

struct Tap {
  std::int64_t from = 0;
  double weight = 0;
};
using Taps = std::vector<std::vector<Tap>>;  // by output

// PyTorch's upsample_bicubic2d: four neighbours, a = -0.75, the edge repeated.
Taps PlainTaps(std::int64_t side, std::int64_t to, bool align_corners) {
  const auto in = static_cast<double>(side), out = static_cast<double>(to);
  const double scale = align_corners ? (to > 1 ? (in - 1) / (out - 1) : 0) : in / out;
  Taps taps(static_cast<std::size_t>(to));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const auto at = static_cast<double>(i);
    const double x = align_corners ? scale * at : scale * (at + 0.5) - 0.5;
    const double first = std::floor(x);
    for (int k = -1; k <= 2; ++k) {
      const std::int64_t from = static_cast<std::int64_t>(first) + k;
      taps[i].push_back({std::clamp<std::int64_t>(from, 0, side - 1), Cubic(-0.75, x - first - k)});
    }
  }
  return taps;
}

// _upsample_bicubic2d_aa, Pillow's filter: a = -0.5, wider where the grid shrinks.
Taps AntialiasedTaps(std::int64_t side, std::int64_t to) {
  const double scale = static_cast<double>(side) / static_cast<double>(to);
  const double wide = std::max(scale, 1.0);
  Taps taps(static_cast<std::size_t>(to));
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const double center = scale * (static_cast<double>(i) + 0.5);
    const auto first =
        std::max<std::int64_t>(static_cast<std::int64_t>(center - 2 * wide + 0.5), 0);
    const auto last = std::min(static_cast<std::int64_t>(center + 2 * wide + 0.5), side);
    double sum = 0;
    for (std::int64_t from = first; from < last; ++from) {
      const double weight = Cubic(-0.5, (static_cast<double>(from) - center + 0.5) / wide);
      taps[i].push_back({from, weight});
      sum += weight;
    }
    for (Tap& tap : taps[i]) tap.weight /= sum;
  }
  return taps;
}

}  // namespace

GridResampling ResamplingOf(const NamingScheme& scheme) {
  if (scheme.owner == "torchvision") return {false, true, "torchvision"};
  if (scheme.owner == "timm") return {true, false, "timm"};
  return {false, false, "transformers"};
}

FloatTensor ResampleGrid(const FloatTensor& grid, std::int64_t side, std::int64_t to,
                         const GridResampling& how) {
  const Taps taps =
      how.antialias ? AntialiasedTaps(side, to) : PlainTaps(side, to, how.align_corners);
  const std::int64_t channels = grid.shape.back();
  FloatTensor out{{to * to, channels}, {}};
  for (const std::vector<Tap>& rows : taps) {
    for (const std::vector<Tap>& columns : taps) {
      for (std::int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        for (const Tap& row : rows) {
          double along = 0;
          for (const Tap& column : columns) {
            const std::int64_t from = (row.from * side + column.from) * channels + c;
            along += column.weight * static_cast<double>(grid.data[static_cast<std::size_t>(from)]);
          }
          sum += row.weight * along;
        }
        out.data.push_back(static_cast<float>(sum));
      }
    }
  }
  return out;
}

}  // namespace qsim::network
