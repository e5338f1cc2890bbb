// The two formats behind ReadImage. Both take the whole file, and report what is wrong with it as
// an InputError that names `path`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

#include "sim/io/images/image.h"
#include "sim/namespaces.h"

namespace qsim::io {

using FileBytes = std::vector<std::uint8_t>;

[[noreturn]] void ThrowImageError(const std::filesystem::path& path, std::string_view what);

// Throws InputError when the size has no or too many pixels.
void CheckImageSize(const std::filesystem::path& path, std::int64_t width, std::int64_t height);

bool IsPng(const FileBytes& bytes);
// 1 channel (gray) or 3 (RGB), alpha dropped.
Image DecodePng(const std::filesystem::path& path, const FileBytes& bytes);

bool IsJpeg(const FileBytes& bytes);
// 1 channel (gray), 3 (RGB), or 4: CMYK, 255 meaning full ink.
Image DecodeJpeg(const std::filesystem::path& path, const FileBytes& bytes);

}  // namespace qsim::io
