#include "sim/io/images/resize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "sim/error.h"
#include "tests/io/image_test_util.h"
#include "tests/io/io_test_util.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::ErrorOf;
using testing::ExpectSameImage;
using testing::FilesBelow;
using ::testing::HasSubstr;
using testing::ImageData;
using testing::ReadVector;
using testing::SeededRandom;
using testing::SplitAt;

ResizeFilter FilterNamed(const std::string& name) {
  EXPECT_TRUE(name == "bicubic" || name == "bilinear") << name;
  return name == "bicubic" ? ResizeFilter::kBicubic : ResizeFilter::kBilinear;
}

Image RandomImage(SeededRandom& random, std::int64_t width, std::int64_t height,
                  std::int64_t channels) {
  Image image{height, width, channels, {}};
  for (std::int64_t i = 0; i < width * height * channels; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(random.Between(0, 255)));
  }
  return image;
}

Image Crop(const Image& image, const ImageWindow& window) {
  Image out{window.height, window.width, image.channels, {}};
  for (std::int64_t y = window.top; y < window.top + window.height; ++y) {
    const auto row = image.pixels.begin() + (y * image.width + window.left) * image.channels;
    out.pixels.insert(out.pixels.end(), row, row + window.width * image.channels);
  }
  return out;
}

TEST(ResizeTest, EqualsPillow) {
  int compared = 0;
  int clipped = 0;
  for (const auto& path : FilesBelow(ImageData() / "resize")) {
    const std::vector<std::string> parts = SplitAt(path.filename().string(), '.');
    if (parts.size() != 4) continue;  // NAME.npy, an image to resize
    const Image source = ReadVector(path.parent_path() / (parts[0] + ".npy"));
    const std::vector<std::string> size = SplitAt(parts[2], 'x');
    const Image out =
        Resize(source, std::stoll(size.at(0)), std::stoll(size.at(1)), FilterNamed(parts[1]));
    ExpectSameImage(out, ReadVector(path), path.string());
    ++compared;
    if (parts[0] == "extremes") {
      for (std::uint8_t pixel : out.pixels) clipped += pixel == 0 || pixel == 255;
    }
  }
  EXPECT_EQ(compared, 64);
  EXPECT_GT(clipped, 0);
}

TEST(ResizeTest, ModelTransformEqualsPillow) {
  int compared = 0;
  for (const auto& path : FilesBelow(ImageData() / "model")) {
    // SOURCE.EXTENSION.FILTER.SIZE.PERMILLE.npy
    const std::vector<std::string> parts = SplitAt(path.filename().string(), '.');
    ASSERT_EQ(parts.size(), 6u) << path;
    const Image expected = ReadVector(path);
    const Image source =
        ReadImage(ImageData() / "decode" / (parts[0] + "." + parts[1]), expected.channels);
    const ResizeSpec spec{std::stoll(parts[3]), std::stod(parts[4]) / 1000, FilterNamed(parts[2])};
    ExpectSameImage(ResizeForModel(source, spec), expected, path.string());
    ++compared;
  }
  EXPECT_EQ(compared, 24);
}

TEST(ResizeTest, SameSizeIsAnIdentity) {
  SeededRandom random;
  for (const std::int64_t channels : {1, 3}) {
    for (const ResizeFilter filter : {ResizeFilter::kBicubic, ResizeFilter::kBilinear}) {
      for (int i = 0; i < 50; ++i) {
        const Image image =
            RandomImage(random, random.Between(1, 40), random.Between(1, 40), channels);
        ExpectSameImage(Resize(image, image.width, image.height, filter), image, "identity");
      }
    }
  }
}

TEST(ResizeTest, AWindowIsAPartOfTheWhole) {
  SeededRandom random;
  for (int i = 0; i < 300; ++i) {
    const Image image = RandomImage(random, random.Between(1, 60), random.Between(1, 60),
                                    random.Between(0, 1) == 0 ? 1 : 3);
    const std::int64_t width = random.Between(1, 90);
    const std::int64_t height = random.Between(1, 90);
    ImageWindow window;
    window.width = random.Between(1, width);
    window.height = random.Between(1, height);
    window.left = random.Between(0, width - window.width);
    window.top = random.Between(0, height - window.height);
    const ResizeFilter filter = i % 2 == 0 ? ResizeFilter::kBicubic : ResizeFilter::kBilinear;
    ExpectSameImage(ResizeWindow(image, width, height, filter, window),
                    Crop(Resize(image, width, height, filter), window), "window");
  }
}

// All weights of an output sum to one, whatever the sizes.
TEST(ResizeTest, FlatImagesStayFlat) {
  for (std::int64_t from = 1; from < 70; ++from) {
    for (std::int64_t to = 1; to < 70; ++to) {
      const Image image{1, from, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(from), 255)};
      for (const ResizeFilter filter : {ResizeFilter::kBicubic, ResizeFilter::kBilinear}) {
        const Image out = Resize(image, to, 1, filter);
        ASSERT_EQ(out.pixels, std::vector<std::uint8_t>(static_cast<std::size_t>(to), 255))
            << from << " to " << to;
      }
    }
  }
}

TEST(ResizeTest, ExtremeRatios) {
  // The resized image would have 18,600 million pixels; the window needs few of them.
  Image image{1, 300000, 1, std::vector<std::uint8_t>(300000, 77)};
  const Image out = ResizeForModel(image, ResizeSpec{});
  EXPECT_EQ(out.pixels, std::vector<std::uint8_t>(224 * 224, 77));
  EXPECT_EQ(Resize(image, 1, 1, ResizeFilter::kBicubic).pixels, std::vector<std::uint8_t>{77});
}

TEST(ResizeTest, AnImageOfTheModelsSizeStays) {
  SeededRandom random;
  const Image image = RandomImage(random, 32, 32, 3);
  ExpectSameImage(ResizeForModel(image, {32, 0.9, ResizeFilter::kBicubic}), image, "as it is");
  ExpectSameImage(ResizeForModel(image, {32, 1.0, ResizeFilter::kBicubic}), image, "as it is");
}

// The shorter side may be stated itself.
TEST(ResizeTest, AnEdgeStandsForItsCropPct) {
  SeededRandom random;
  const Image image = RandomImage(random, 50, 40, 3);
  ExpectSameImage(ResizeForModel(image, {28, 0.9, ResizeFilter::kBicubic, 32}),
                  ResizeForModel(image, {28, 0.875, ResizeFilter::kBicubic}), "32 of 28");
  EXPECT_THAT(ErrorOf([&] {
                ResizeForModel(image, {28, 0.9, ResizeFilter::kBicubic, 27});
              }),
              HasSubstr("shorter side: 27, expected 28..16384"));
}

TEST(ResizeTest, BadSpecs) {
  const Image image{1, 1, 1, {0}};
  const auto error = [&](std::int64_t size, double crop_pct) {
    return ErrorOf([&] { ResizeForModel(image, {size, crop_pct, ResizeFilter::kBicubic}); });
  };
  EXPECT_THAT(error(0, 0.9), HasSubstr("image size: 0, expected 1..16384"));
  EXPECT_THAT(error(16385, 0.9), HasSubstr("image size: 16385"));
  EXPECT_THAT(error(8, 0), HasSubstr("crop_pct: 0, expected 0.01..1"));
  EXPECT_THAT(error(8, 1.5), HasSubstr("crop_pct: 1.5"));
  EXPECT_THAT(error(8, std::numeric_limits<double>::quiet_NaN()), HasSubstr("crop_pct: nan"));
  EXPECT_THROW(Resize(image, 0, 1, ResizeFilter::kBicubic), InternalError);
}

}  // namespace
}  // namespace qsim::testing
