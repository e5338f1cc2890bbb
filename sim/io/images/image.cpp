#include "sim/io/images/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "sim/error.h"
#include "sim/io/files/input_file.h"
#include "sim/io/files/limits.h"
#include "sim/io/images/image_decoder.h"
#include "sim/text/printable.h"

namespace qsim::io {
namespace {

// No image within kMaxImagePixels needs more: 8 bytes per pixel and ample metadata.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 31;
constexpr std::size_t kSignatureBytes = 8;

std::uint8_t Luma(const std::uint8_t* rgb) {
  // ITU-R 601-2 in 16-bit fixed point; the weights sum to 2^16.
  const std::uint32_t sum = rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u;
  return static_cast<std::uint8_t>(sum >> 16);
}

// a b / 255, rounded, as Pillow computes it.
std::int32_t MulDiv255(std::int32_t a, std::int32_t b) {
  const std::int32_t product = a * b + 128;
  return ((product >> 8) + product) >> 8;
}

Image Convert(Image&& from, std::int64_t channels) {
  if (from.channels == channels) return std::move(from);
  Image to{from.height, from.width, channels, {}};
  const std::size_t pixels = static_cast<std::size_t>(from.height * from.width);
  to.pixels.resize(pixels * static_cast<std::size_t>(channels));
  const std::uint8_t* in = from.pixels.data();
  std::uint8_t* out = to.pixels.data();
  for (std::size_t i = 0; i < pixels; ++i) {
    std::uint8_t rgb[3] = {in[0], in[0], in[0]};
    if (from.channels == 3) std::copy_n(in, 3, rgb);
    if (from.channels == 4) {
      const std::int32_t white = 255 - in[3];
      for (int c = 0; c < 3; ++c) {
        rgb[c] = static_cast<std::uint8_t>(white - MulDiv255(in[c], white));
      }
    }
    if (channels == 1) {
      *out = Luma(rgb);
    } else {
      std::copy_n(rgb, 3, out);
    }
    in += from.channels;
    out += channels;
  }
  return to;
}

}  // namespace

void ThrowImageError(const std::filesystem::path& path, std::string_view what) {
  throw InputError(fmt::format("{}: {}", path.string(), Printable(what)));
}

void CheckImageSize(const std::filesystem::path& path, std::int64_t width, std::int64_t height) {
  if (width <= 0 || height <= 0) {
    ThrowImageError(path, fmt::format("image of {} x {} has no pixels", width, height));
  }
  if (height > Raised(kMaxImagePixels) / width) {
    ThrowImageError(path, fmt::format("image of {} x {} is too large: at most {} pixels (--limits)",
                                      width, height, Raised(kMaxImagePixels)));
  }
}

Image ReadImage(const std::filesystem::path& path, std::int64_t channels) {
  if (channels != 1 && channels != 3) {
    throw InternalError(fmt::format("ReadImage: {} channels, expected 1 or 3", channels));
  }
  const InputFile file(path);
  if (file.size() == 0) ThrowImageError(path, "is empty, expected a PNG or JPEG image");
  FileBytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kSignatureBytes)));
  file.ReadAt(0, bytes.data(), bytes.size());
  const bool png = IsPng(bytes);
  if (!png && !IsJpeg(bytes)) ThrowImageError(path, "is neither a PNG nor a JPEG image");
  if (file.size() > kMaxFileBytes) {
    ThrowImageError(path, fmt::format("{} bytes are too many for an image; at most {} are read",
                                      file.size(), kMaxFileBytes));
  }
  bytes.resize(static_cast<std::size_t>(file.size()));
  file.ReadAt(0, bytes.data(), bytes.size());
  return Convert(png ? DecodePng(path, bytes) : DecodeJpeg(path, bytes), channels);
}

}  // namespace qsim::io
