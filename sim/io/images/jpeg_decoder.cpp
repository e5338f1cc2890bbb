// libjpeg's errors leave by longjmp. So everything it may jump over is libjpeg's own: the functions
// with a setjmp hold no object with a destructor, and memory belongs to their caller.
//
// What Pillow tolerates is tolerated: damage inside the compressed data that libjpeg only warns of,
// and a file that ends after its last row was decoded.
#include <cstddef>
#include <cstdio>  // jpeglib.h needs FILE and size_t

#include <jpeglib.h>

#include <jerror.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include <fmt/format.h>

#include "sim/error.h"
#include "sim/io/files/limits.h"
#include "sim/io/images/image_decoder.h"

namespace qsim::io {
namespace {

// A progressive file has about ten. Each may pass over the whole image, so that a small file with
// very many would take hours.
constexpr std::int64_t kMaxScans = 500;
constexpr std::int64_t kMaxScannedPixels = std::int64_t{1} << 29;

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  std::array<char, JMSG_LENGTH_MAX> message{};

  JpegReader() = default;
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

void OnError(j_common_ptr info) {
  JpegReader* reader = static_cast<JpegReader*>(info->client_data);
  info->err->format_message(info, reader->message.data());
  std::longjmp(reader->jump, 1);
}

void OnMessage(j_common_ptr) {}

void OnProgress(j_common_ptr info) {
  JpegReader* reader = static_cast<JpegReader*>(info->client_data);
  const std::int64_t pixels =
      std::max<std::int64_t>(std::int64_t{reader->info.image_width} * reader->info.image_height, 1);
  const std::int64_t most = std::min(kMaxScans, Raised(kMaxScannedPixels) / pixels + 1);
  if (reader->info.input_scan_number <= most) return;
  std::snprintf(reader->message.data(), reader->message.size(), "more than %d scans",
                static_cast<int>(most));
  std::longjmp(reader->jump, 1);
}

void OnSource(j_decompress_ptr) {}

// The whole file is in the buffer already: asking for more means that it is truncated.
boolean OnFill(j_decompress_ptr) { return FALSE; }

void OnSkip(j_decompress_ptr info, long bytes) {
  if (bytes <= 0) return;
  const std::size_t skipped = std::min(static_cast<std::size_t>(bytes), info->src->bytes_in_buffer);
  info->src->next_input_byte += skipped;
  info->src->bytes_in_buffer -= skipped;
}

bool Truncated(JpegReader& reader) {
  std::strncpy(reader.message.data(), "the file is truncated", reader.message.size() - 1);
  return false;
}

// False: reader.message says why. The same of the two below.
bool ReadHeader(JpegReader& reader, const std::uint8_t* bytes, std::size_t size) {
  if (setjmp(reader.jump)) return false;
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.info.client_data = &reader;
  reader.errors.error_exit = OnError;
  reader.errors.output_message = OnMessage;
  jpeg_create_decompress(&reader.info);
  reader.progress.progress_monitor = OnProgress;
  reader.info.progress = &reader.progress;
  reader.source.init_source = OnSource;
  reader.source.fill_input_buffer = OnFill;
  reader.source.skip_input_data = OnSkip;
  reader.source.resync_to_restart = jpeg_resync_to_restart;
  reader.source.term_source = OnSource;
  reader.source.next_input_byte = bytes;
  reader.source.bytes_in_buffer = size;
  reader.info.src = &reader.source;
  for (;;) {
    const int status = jpeg_read_header(&reader.info, FALSE);
    if (status == JPEG_SUSPENDED) return Truncated(reader);
    if (status == JPEG_HEADER_OK) return true;
  }
}

// The method and the upsampling of the chroma are libjpeg's defaults, as in Pillow.
bool Start(JpegReader& reader, J_COLOR_SPACE color_space) {
  if (setjmp(reader.jump)) return false;
  reader.info.out_color_space = color_space;
  return jpeg_start_decompress(&reader.info) != FALSE || Truncated(reader);
}

bool ReadPixels(JpegReader& reader, std::uint8_t* pixels, std::size_t stride) {
  if (setjmp(reader.jump)) return false;
  while (reader.info.output_scanline < reader.info.output_height) {
    JSAMPROW row = pixels + reader.info.output_scanline * stride;
    if (jpeg_read_scanlines(&reader.info, &row, 1) != 1) return Truncated(reader);
  }
  jpeg_finish_decompress(&reader.info);
  return true;
}

}  // namespace

bool IsJpeg(const FileBytes& bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff;
}

Image DecodeJpeg(const std::filesystem::path& path, const FileBytes& bytes) {
  JpegReader reader;
  const auto fail = [&] {
    ThrowImageError(path, fmt::format("cannot be decoded as JPEG: {}", reader.message.data()));
  };
  if (!ReadHeader(reader, bytes.data(), bytes.size())) fail();
  Image image{reader.info.image_height, reader.info.image_width, reader.info.num_components, {}};
  CheckImageSize(path, image.width, image.height);
  J_COLOR_SPACE color_space = JCS_GRAYSCALE;
  switch (image.channels) {
    case 1:
      break;
    case 3:
      color_space = JCS_RGB;
      break;
    case 4:
      color_space = JCS_CMYK;
      break;
    default:
      ThrowImageError(
          path, fmt::format("JPEG image of {} components, expected 1, 3 or 4", image.channels));
  }
  if (!Start(reader, color_space)) fail();
  const std::size_t stride = static_cast<std::size_t>(image.width * image.channels);
  image.pixels.resize(stride * static_cast<std::size_t>(image.height));
  if (!ReadPixels(reader, image.pixels.data(), stride)) fail();
  if (image.channels == 4) {
    // Adobe stores CMYK inverted, and Pillow takes every such file for Adobe's.
    for (std::uint8_t& ink : image.pixels) ink = static_cast<std::uint8_t>(255 - ink);
  }
  return image;
}

}  // namespace qsim::io
