#include "sim/io/images/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/error.h"
#include "tests/io/image_test_util.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::AllOf;
using testing::DamageCount;
using testing::ErrorOf;
using testing::ExpectSameImage;
using ::testing::HasSubstr;
using testing::ImageData;
using testing::LoadDamagedCopies;
using testing::ReadBytes;
using testing::ReadVector;
using testing::TempDir;
using testing::WriteBytes;

class ImageTest : public ::testing::Test {
 protected:
  std::string ErrorFor(const std::string& bytes) {
    WriteBytes(path_, bytes);
    return ErrorOf([&] { ReadImage(path_, 3); });
  }
  static std::string Sample(const std::string& name) {
    return ReadBytes(ImageData() / "decode" / name);
  }
  TempDir dir_;
  std::filesystem::path path_ = dir_.path() / "image";
};

// The first byte after the marker's own two.
std::size_t FindMarker(const std::string& jpeg, char marker) {
  const std::size_t at = jpeg.find(std::string("\xff") + marker);
  EXPECT_NE(at, std::string::npos);
  return at + 2;
}

TEST_F(ImageTest, EqualsPillow) {
  int png = 0;
  int jpeg = 0;
  for (const auto& path : testing::FilesBelow(ImageData() / "decode")) {
    if (path.extension() == ".npy") continue;
    ++(path.extension() == ".png" ? png : jpeg);
    for (const auto& [channels, suffix] : {std::pair{3, ".rgb.npy"}, std::pair{1, ".l.npy"}}) {
      const auto expected = path.parent_path() / (path.stem().string() + suffix);
      ExpectSameImage(ReadImage(path, channels), ReadVector(expected), expected.string());
    }
  }
  EXPECT_EQ(png, 33);
  EXPECT_EQ(jpeg, 15);
}

TEST_F(ImageTest, ContentDecidesNotTheName) {
  WriteBytes(dir_.path() / "a.jpeg", Sample("rgb8.png"));
  ExpectSameImage(ReadImage(dir_.path() / "a.jpeg", 3),
                  ReadVector(ImageData() / "decode" / "rgb8.rgb.npy"), "PNG named .jpeg");
}

TEST_F(ImageTest, NoImage) {
  EXPECT_THAT(ErrorFor(""), AllOf(HasSubstr(path_.string()), HasSubstr("is empty")));
  EXPECT_THAT(ErrorFor("P5 1 1 255\n0"), HasSubstr("is neither a PNG nor a JPEG image"));
  EXPECT_THAT(ErrorFor("\x89PNG"), HasSubstr("is neither a PNG nor a JPEG image"));
  EXPECT_THAT(ErrorOf([&] { ReadImage(dir_.path() / "absent.png", 3); }),
              HasSubstr("absent.png: cannot be opened"));
  EXPECT_THAT(ErrorOf([&] { ReadImage(dir_.path(), 3); }), HasSubstr("is a directory"));
  EXPECT_THROW(ReadImage(path_, 4), InternalError);
}

TEST_F(ImageTest, TruncatedPng) {
  const std::string bytes = Sample("picture_rgb.png");
  for (std::size_t length = 8; length < bytes.size(); length += 29) {
    EXPECT_THAT(ErrorFor(bytes.substr(0, length)), HasSubstr("the file is truncated")) << length;
  }
}

// Baseline files: whatever lacks a part of a row is an error, though libjpeg would fill it in.
TEST_F(ImageTest, TruncatedJpeg) {
  for (const char* name : {"ycc444.jpg", "gray.jpg", "ycc420_progressive.jpg", "cmyk_adobe.jpg"}) {
    const std::string bytes = Sample(name);
    for (std::size_t length = 3; length + 20 < bytes.size(); length += 41) {
      EXPECT_THAT(ErrorFor(bytes.substr(0, length)), HasSubstr("the file is truncated"))
          << name << " " << length;
    }
  }
}

TEST_F(ImageTest, CorruptPng) {
  std::string bytes = Sample("rgb8.png");
  bytes[bytes.find("IDAT") + 20] ^= 1;
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("cannot be decoded as PNG: IDAT: "));
}

TEST_F(ImageTest, WrongSizesPng) {
  std::string bytes = Sample("rgb8.png");
  bytes.replace(16, 8, std::string("\0\0\0\0\0\0\0\5", 8));
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("image of 0 x 5 has no pixels"));
  bytes.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));
  EXPECT_THAT(ErrorFor(bytes),
              HasSubstr("image of 16384 x 16384 is too large: at most 25000000 pixels"));
  bytes.replace(16, 8, std::string("\x7f\xff\xff\xff\x7f\xff\xff\xff", 8));
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("is too large"));
}

TEST_F(ImageTest, WrongSizesJpeg) {
  std::string bytes = Sample("gray.jpg");
  const std::size_t size = FindMarker(bytes, '\xc0') + 3;
  std::string none = bytes;
  none.replace(size, 2, std::string(2, '\0'));
  EXPECT_THAT(ErrorFor(none), HasSubstr("cannot be decoded as JPEG: Empty JPEG image"));
  bytes.replace(size, 4, "\xf0\xf0\xf0\xf0");
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("image of 61680 x 61680 is too large"));
}

TEST_F(ImageTest, TwoComponentJpeg) {
  // gray.jpg with a second component in its frame and scan headers.
  std::string bytes = Sample("gray.jpg");
  const std::size_t frame = FindMarker(bytes, '\xc0');
  bytes[frame + 1] = 14;
  bytes[frame + 7] = 2;
  bytes.insert(frame + 11, std::string("\2\x11\0", 3));
  const std::size_t scan = FindMarker(bytes, '\xda');
  bytes[scan + 1] = 10;
  bytes[scan + 2] = 2;
  bytes.insert(scan + 5, std::string("\2\0", 2));
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("JPEG image of 2 components, expected 1, 3 or 4"));
}

TEST_F(ImageTest, EndlessScansAreRefused) {
  std::string bytes = Sample("ycc420_progressive.jpg");
  const std::size_t scan = FindMarker(bytes, '\xda') - 2;
  const std::size_t next = bytes.find("\xff\xc4", scan);
  ASSERT_NE(next, std::string::npos);
  const std::string first = bytes.substr(scan, next - scan);
  std::string more;
  for (int i = 0; i < 600; ++i) more += first;
  bytes.insert(next, more);
  EXPECT_THAT(ErrorFor(bytes), HasSubstr("more than 500 scans"));
}

TEST_F(ImageTest, DamagedCopiesNeverCrash) {
  for (const char* name : {"palette4_interlaced.png", "graya16.png", "narrow.jpg"}) {
    const DamageCount count = LoadDamagedCopies(path_, Sample(name), [&] { ReadImage(path_, 3); });
    EXPECT_GT(count.rejected, 300u) << name;
  }
}

// Files of which libjpeg and libpng warn.
TEST_F(ImageTest, NothingIsPrinted) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  const std::string error = ErrorOf([&] {
    ReadImage(ImageData() / "decode" / "damaged.jpg", 3);
    ReadImage(ImageData() / "decode" / "early_end.jpg", 3);
    ReadImage(ImageData() / "decode" / "palette8.png", 3);
  });
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(error, "");
}

}  // namespace
}  // namespace qsim::testing
