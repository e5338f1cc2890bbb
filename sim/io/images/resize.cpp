#include "sim/io/images/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <vector>

#include "sim/error.h"

namespace qsim::io {
namespace {

constexpr int kWeightBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);
// With weights whose absolute values sum to less, 255 times them and kHalf stay below 2^31.
constexpr std::int64_t kMaxWeightSum = std::int64_t{1} << (kWeightBits + 1);
constexpr std::int64_t kMaxSize = 16384;
constexpr double kMinCropPct = 0.01;

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

double Bilinear(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

// Keys' cubic convolution with a = -0.5.
double Bicubic(double x) {
  constexpr double kA = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((kA + 2.0) * x - (kA + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * kA;
  return 0.0;
}

// The weighted sums that give the outputs [begin, begin + count) of one axis.
struct AxisWeights {
  struct Output {
    std::int64_t first;   // input
    std::int64_t count;   // inputs
    std::size_t weights;  // where they begin
  };
  std::vector<Output> outputs;
  std::vector<std::int32_t> weights;
};

// The order of the floating-point operations decides about the last bit of a weight: it is
// Pillow's.
AxisWeights MakeWeights(std::int64_t in_size, std::int64_t out_size, ResizeFilter filter,
                        std::int64_t begin, std::int64_t count) {
  const auto function = filter == ResizeFilter::kBicubic ? Bicubic : Bilinear;
  // Pillow holds the box to be resized in floats.
  const double scale =
      static_cast<double>(static_cast<float>(in_size)) / static_cast<double>(out_size);
  const double filter_scale = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::kBicubic ? 2.0 : 1.0) * filter_scale;
  const double inverse = 1.0 / filter_scale;

  AxisWeights axis;
  axis.outputs.reserve(Index(count));
  std::vector<double> real;
  for (std::int64_t out = begin; out < begin + count; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const std::int64_t first =
        std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
    const std::int64_t last = std::min(static_cast<std::int64_t>(center + support + 0.5), in_size);
    real.clear();
    double sum = 0.0;
    for (std::int64_t in = first; in < last; ++in) {
      real.push_back(function((static_cast<double>(in) - center + 0.5) * inverse));
      sum += real.back();
    }
    axis.outputs.push_back({first, last - first, axis.weights.size()});
    std::int64_t magnitude = 0;
    for (double weight : real) {
      if (sum != 0.0) weight /= sum;
      const double fixed = weight * (1 << kWeightBits);
      axis.weights.push_back(static_cast<std::int32_t>(weight < 0 ? -0.5 + fixed : 0.5 + fixed));
      magnitude += std::abs(axis.weights.back());
    }
    if (magnitude > kMaxWeightSum) {
      throw InternalError(
          fmt::format("resize: the weights of output {} of {} inputs, {} outputs "
                      "sum to {}",
                      out, in_size, out_size, magnitude));
    }
  }
  return axis;
}

std::uint8_t Clip8(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

// The rows [top, top + rows) of the image, resampled along x.
Image Horizontal(const Image& image, const AxisWeights& axis, std::int64_t top, std::int64_t rows) {
  Image out{rows, static_cast<std::int64_t>(axis.outputs.size()), image.channels, {}};
  out.pixels.reserve(Index(rows * out.width * out.channels));
  for (std::int64_t y = top; y < top + rows; ++y) {
    const std::uint8_t* row = image.pixels.data() + y * image.width * image.channels;
    for (const AxisWeights::Output& output : axis.outputs) {
      const std::int32_t* weights = axis.weights.data() + output.weights;
      for (std::int64_t c = 0; c < image.channels; ++c) {
        const std::uint8_t* in = row + output.first * image.channels + c;
        std::int32_t sum = kHalf;
        for (std::int64_t i = 0; i < output.count; ++i) sum += in[i * image.channels] * weights[i];
        out.pixels.push_back(Clip8(sum));
      }
    }
  }
  return out;
}

// Resampled along y; row 0 of `image` is input `top` of the axis.
Image Vertical(const Image& image, const AxisWeights& axis, std::int64_t top) {
  Image out{static_cast<std::int64_t>(axis.outputs.size()), image.width, image.channels, {}};
  const std::int64_t stride = image.width * image.channels;
  out.pixels.reserve(Index(out.height * stride));
  std::vector<std::int32_t> sums(Index(stride));
  for (const AxisWeights::Output& output : axis.outputs) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (std::int64_t i = 0; i < output.count; ++i) {
      const std::int32_t weight = axis.weights[output.weights + Index(i)];
      const std::uint8_t* row = image.pixels.data() + (output.first - top + i) * stride;
      for (std::size_t x = 0; x < sums.size(); ++x) sums[x] += row[x] * weight;
    }
    for (std::int32_t sum : sums) out.pixels.push_back(Clip8(sum));
  }
  return out;
}

// Python's round(span / 2.0).
std::int64_t HalfToEven(std::int64_t span) {
  const std::int64_t floor = span / 2;
  return span % 2 == 0 ? floor : floor + floor % 2;
}

}  // namespace

Image ResizeWindow(const Image& image, std::int64_t width, std::int64_t height, ResizeFilter filter,
                   const ImageWindow& window) {
  if (image.width < 1 || image.height < 1 || window.left < 0 || window.top < 0 ||
      window.width < 1 || window.height < 1 || window.left > width - window.width ||
      window.top > height - window.height) {
    throw InternalError("resize: an empty image or a window outside the result");
  }
  const AxisWeights columns = MakeWeights(image.width, width, filter, window.left, window.width);
  const AxisWeights rows = MakeWeights(image.height, height, filter, window.top, window.height);
  // Neither end of the inputs ever moves backwards from one output to the next.
  const std::int64_t top = rows.outputs.front().first;
  const std::int64_t bottom = rows.outputs.back().first + rows.outputs.back().count;
  return Vertical(Horizontal(image, columns, top, bottom - top), rows, top);
}

Image Resize(const Image& image, std::int64_t width, std::int64_t height, ResizeFilter filter) {
  return ResizeWindow(image, width, height, filter, {0, 0, width, height});
}

void CheckResizeSpec(const ResizeSpec& spec) {
  if (spec.size < 1 || spec.size > kMaxSize) {
    throw InputError(fmt::format("image size: {}, expected 1..{}", spec.size, kMaxSize));
  }
  if (!(spec.crop_pct >= kMinCropPct && spec.crop_pct <= 1.0)) {
    throw InputError(fmt::format("crop_pct: {}, expected {}..1", spec.crop_pct, kMinCropPct));
  }
  if (spec.edge != 0 && (spec.edge < spec.size || spec.edge > kMaxSize)) {
    throw InputError(
        fmt::format("shorter side: {}, expected {}..{}", spec.edge, spec.size, kMaxSize));
  }
}

Image ResizeForModel(const Image& image, const ResizeSpec& spec) {
  CheckResizeSpec(spec);
  if (image.width == spec.size && image.height == spec.size) return image;
  const std::int64_t shorter =
      spec.edge != 0
          ? spec.edge
          : static_cast<std::int64_t>(std::floor(static_cast<double>(spec.size) / spec.crop_pct));
  const bool wide = image.height < image.width;
  const std::int64_t longer =
      wide ? shorter * image.width / image.height : shorter * image.height / image.width;
  const std::int64_t width = wide ? longer : shorter;
  const std::int64_t height = wide ? shorter : longer;
  return ResizeWindow(
      image, width, height, spec.filter,
      {HalfToEven(width - spec.size), HalfToEven(height - spec.size), spec.size, spec.size});
}

}  // namespace qsim::io
