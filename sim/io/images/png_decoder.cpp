// libpng leaves by longjmp. So everything it may jump over is libpng's own: the functions with a
// setjmp hold no object with a destructor, and memory belongs to their caller.
#include <fmt/format.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstring>
#include <new>

#include "sim/error.h"
#include "sim/io/images/image_decoder.h"

namespace qsim::io {
namespace {

constexpr std::size_t kPngSignatureBytes = 8;
constexpr std::size_t kIhdrEnd = 24;  // of its width and height; IHDR is the first chunk

struct PngReader {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const std::uint8_t* next = nullptr;
  std::size_t left = 0;
  std::array<char, 128> message{};

  PngReader() = default;
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void OnError(png_structp png, png_const_charp message) {
  PngReader* reader = static_cast<PngReader*>(png_get_error_ptr(png));
  std::strncpy(reader->message.data(), message, reader->message.size() - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}

void OnRead(png_structp png, png_bytep out, std::size_t bytes) {
  PngReader* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (bytes > reader->left) png_error(png, "the file is truncated");
  std::memcpy(out, reader->next, bytes);
  reader->next += bytes;
  reader->left -= bytes;
}

// False: reader.message says why. The same of the two below.
bool ReadHeader(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader, OnRead);
  png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Pillow gives an index beyond the palette a meaning.
  png_set_check_for_invalid_index(reader.png, 0);
  png_read_info(reader.png, reader.info);
  return true;
}

// To one byte per channel; 16-bit gray, which Pillow clips instead of scaling, keeps two.
bool SetTransformations(PngReader& reader) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_packing(reader.png);
  png_set_strip_alpha(reader.png);
  if (png_get_color_type(reader.png, reader.info) != PNG_COLOR_TYPE_GRAY) {
    png_set_strip_16(reader.png);
  }
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool ReadPixels(PngReader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

std::vector<std::uint8_t> ExpandGray(const std::vector<std::uint8_t>& raw, int depth) {
  if (depth == 16) {
    std::vector<std::uint8_t> gray(raw.size() / 2);
    for (std::size_t i = 0; i < gray.size(); ++i) {
      gray[i] = raw[2 * i] != 0 ? std::uint8_t{255} : raw[2 * i + 1];
    }
    return gray;
  }
  const int white = (1 << depth) - 1;
  std::vector<std::uint8_t> gray(raw.size());
  std::transform(raw.begin(), raw.end(), gray.begin(),
                 [&](std::uint8_t v) { return static_cast<std::uint8_t>(v * (255 / white)); });
  return gray;
}

std::vector<std::uint8_t> ExpandPalette(const PngReader& reader,
                                        const std::vector<std::uint8_t>& raw) {
  // Pillow's palettes begin as a gray ramp, of which the file's replaces the front.
  std::array<png_color, 256> palette;
  for (std::size_t i = 0; i < palette.size(); ++i) {
    const png_byte gray = static_cast<png_byte>(i);
    palette[i] = png_color{gray, gray, gray};
  }
  png_colorp entries = nullptr;
  int count = 0;
  if (png_get_PLTE(reader.png, reader.info, &entries, &count) != 0) {
    std::copy_n(entries, std::min(count, 256), palette.begin());
  }
  std::vector<std::uint8_t> rgb(raw.size() * 3);
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const png_color color = palette[raw[i]];
    rgb[3 * i] = color.red;
    rgb[3 * i + 1] = color.green;
    rgb[3 * i + 2] = color.blue;
  }
  return rgb;
}

std::int64_t BigEndian32(const std::uint8_t* bytes) {
  return std::int64_t{bytes[0]} << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

}  // namespace

bool IsPng(const FileBytes& bytes) {
  return bytes.size() >= kPngSignatureBytes && png_sig_cmp(bytes.data(), 0, kPngSignatureBytes) == 0;
}

Image DecodePng(const std::filesystem::path& path, const FileBytes& bytes) {
  // Before libpng, whose message about a size of 0 would be "Invalid IHDR data".
  if (bytes.size() >= kIhdrEnd) {
    CheckImageSize(path, BigEndian32(&bytes[16]), BigEndian32(&bytes[20]));
  }
  PngReader reader;
  reader.next = bytes.data();
  reader.left = bytes.size();
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, OnError, OnWarning);
  if (reader.png != nullptr) reader.info = png_create_info_struct(reader.png);
  if (reader.info == nullptr) throw std::bad_alloc();
  const auto fail = [&] {
    ThrowImageError(path, fmt::format("cannot be decoded as PNG: {}", reader.message.data()));
  };

  if (!ReadHeader(reader)) fail();
  Image image{png_get_image_height(reader.png, reader.info),
              png_get_image_width(reader.png, reader.info),
              1,
              {}};
  CheckImageSize(path, image.width, image.height);
  const int depth = png_get_bit_depth(reader.png, reader.info);
  const int color_type = png_get_color_type(reader.png, reader.info);
  if (!SetTransformations(reader)) fail();

  const std::size_t stride = png_get_rowbytes(reader.png, reader.info);
  std::vector<std::uint8_t> raw(stride * static_cast<std::size_t>(image.height));
  std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = raw.data() + y * stride;
  if (!ReadPixels(reader, rows.data())) fail();

  switch (color_type) {
    case PNG_COLOR_TYPE_GRAY:
      image.pixels = depth == 8 ? std::move(raw) : ExpandGray(raw, depth);
      break;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      image.pixels = std::move(raw);
      break;
    case PNG_COLOR_TYPE_PALETTE:
      image.channels = 3;
      image.pixels = ExpandPalette(reader, raw);
      break;
    default:
      image.channels = 3;
      image.pixels = std::move(raw);
  }
  return image;
}

}  // namespace qsim::io
