// Resampling equal in every pixel to Pillow's Image.resize (src/libImaging/Resample.c), and the
// evaluation transform that timm builds on it (timm/data/transforms_factory.py,
// transforms_imagenet_eval, crop_mode "center"; torchvision's Resize and CenterCrop).
#pragma once

#include <cstdint>

#include "sim/io/images/image.h"
#include "sim/namespaces.h"

namespace qsim::io {

enum class ResizeFilter : std::uint8_t { kBilinear, kBicubic };

// Sizes >= 1. Antialiased: where the image shrinks, the filter widens. Two passes, horizontal then
// vertical, each with weights of 22 fractional bits and 8-bit results. The same size is an
// identity.
Image Resize(const Image& image, std::int64_t width, std::int64_t height, ResizeFilter filter);

struct ImageWindow {
  std::int64_t left = 0;
  std::int64_t top = 0;
  std::int64_t width = 0;
  std::int64_t height = 0;
};

// The window (not empty, within width x height) of Resize(image, width, height, filter); only what
// it needs is computed.
Image ResizeWindow(const Image& image, std::int64_t width, std::int64_t height, ResizeFilter filter,
                   const ImageWindow& window);

struct ResizeSpec {
  std::int64_t size = 224;  // pixels per side of the result, 1..16384
  double crop_pct = 0.9;    // 0.01..1; timm's default for ViT, 0.875 elsewhere
  ResizeFilter filter = ResizeFilter::kBicubic;
  std::int64_t edge = 0;  // the shorter side before the crop, at least `size`; 0: by crop_pct
};

// Throws InputError for a value outside the ranges above.
void CheckResizeSpec(const ResizeSpec& spec);

// Resizes the shorter side to `edge`, or to floor(size / crop_pct), and crops size x size from the
// centre. An image that is size x size already stays as it is, whatever crop_pct says. Throws as
// CheckResizeSpec.
Image ResizeForModel(const Image& image, const ResizeSpec& spec);

}  // namespace qsim::io
