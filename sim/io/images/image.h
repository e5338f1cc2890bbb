// PNG and JPEG files as pixels, equal in every pixel to what Pillow's
// Image.open(file).convert("RGB") or .convert("L") gives (Pillow 9.4; docs/formats.md,
// "Image folders").
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace qsim::io {

struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;         // 1: gray, 3: RGB
  std::vector<std::uint8_t> pixels;  // [height, width, channels]
};

// More pixels than these are refused before they are decoded, unless --limits raises it. Pillow
// refuses above 178956970; a progressive file takes 15 bytes for each.
inline constexpr std::int64_t kMaxImagePixels = 25'000'000;

// Decodes a file, whose content and not whose name says whether it is PNG or JPEG, to `channels`
// channels (1 or 3, else InternalError). Alpha is dropped, EXIF orientation and colour profiles are
// ignored. Throws InputError naming the file: unreadable, neither PNG nor JPEG, truncated, corrupt,
// without pixels, more than kMaxImagePixels.
Image ReadImage(const std::filesystem::path& path, std::int64_t channels);

}  // namespace qsim::io
