#include "sim/inputs/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/io/image_test_util.h"
#include "tests/io/io_test_util.h"

namespace qsim::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::ImageData;
using testing::ReadBytes;
using testing::ReadVector;
using testing::TempDir;
using testing::WriteBytes;

class ImageFolderTest : public ::testing::Test {
 protected:
  void Put(const std::string& name, const std::string& sample) {
    PutBytes(name, ReadBytes(ImageData() / "decode" / sample));
  }
  void PutBytes(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories((root_ / name).parent_path());
    WriteBytes(root_ / name, bytes);
  }
  void PutThreeClasses() {
    Put("dog/b.PNG", "rgb8.png");
    Put("dog/a.jpeg", "ycc420.jpg");
    Put("Cat/x.JpG", "gray.jpg");
    Put("bird/1.png", "gray8.png");
  }
  std::string Error(std::int64_t channels = 3, ResizeSpec spec = {}) {
    return ErrorOf([&] { ImageFolder(root_, channels, spec); });
  }
  TempDir dir_;
  std::filesystem::path root_ = dir_.path() / "images";
};

TEST_F(ImageFolderTest, OrderAndLabels) {
  PutThreeClasses();
  PutBytes(".git/config", "hidden folders are no classes");
  PutBytes("dog/.DS_Store", "hidden files are no images");
  PutBytes("README", "files beside the class folders are left alone");
  const ImageFolder folder(root_, 3, {16, 0.9, ResizeFilter::kBicubic});
  EXPECT_THAT(folder.classes(), ElementsAre("Cat", "bird", "dog"));
  EXPECT_EQ(folder.class_count(), 3);
  ASSERT_EQ(folder.size(), 4);
  const char* paths[] = {"Cat/x.JpG", "bird/1.png", "dog/a.jpeg", "dog/b.PNG"};
  const std::int64_t labels[] = {0, 1, 2, 2};
  for (std::int64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(folder.Path(i), root_ / paths[i]);
    EXPECT_EQ(folder.Label(i), labels[i]);
    const LoadedImage image = folder.Load(i);
    EXPECT_EQ(image.path, root_ / paths[i]);
    EXPECT_EQ(image.label, labels[i]);
    EXPECT_EQ(image.pixels.dtype(), DType::kUint8);
    EXPECT_THAT(image.pixels.shape(), ElementsAre(3, 16, 16));
  }
}

TEST_F(ImageFolderTest, PixelsAreTheTransformedOnesChannelsFirst) {
  Put("c/a.png", "picture_rgb.png");
  Put("d/b.png", "picture_gray.png");
  const ImageFolder folder(root_, 3, {32, 0.9, ResizeFilter::kBicubic});
  const Image expected = ReadVector(ImageData() / "model" / "picture_rgb.png.bicubic.32.900.npy");
  const IntTensor pixels = folder.Load(0).pixels;
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < 32 * 32; ++i) {
      ASSERT_EQ(pixels.At(c * 32 * 32 + i), expected.pixels[static_cast<std::size_t>(i * 3 + c)]);
    }
  }
  const IntTensor gray = ImageFolder(root_, 1, {32, 0.9, ResizeFilter::kBicubic}).Load(1).pixels;
  EXPECT_THAT(gray.shape(), ElementsAre(1, 32, 32));
  EXPECT_EQ(gray.As<std::uint8_t>(),
            ReadVector(ImageData() / "model" / "picture_gray.png.bicubic.32.900.npy").pixels);
}

TEST_F(ImageFolderTest, ClassesFile) {
  PutThreeClasses();
  PutBytes("classes.txt", "dog\r\nfish\nbird\nCat");
  const ImageFolder folder(root_, 3, {});
  EXPECT_THAT(folder.classes(), ElementsAre("dog", "fish", "bird", "Cat"));
  EXPECT_EQ(folder.class_count(), 4);
  EXPECT_EQ(folder.Path(0), root_ / "Cat/x.JpG");
  EXPECT_EQ(folder.Label(0), 3);
  EXPECT_EQ(folder.Label(1), 2);
  EXPECT_EQ(folder.Label(2), 0);
}

TEST_F(ImageFolderTest, BadClassesFile) {
  PutThreeClasses();
  PutBytes("classes.txt", "dog\nbird\n");
  EXPECT_THAT(Error(), AllOf(HasSubstr("classes.txt"), HasSubstr("class folder 'Cat'")));
  PutBytes("classes.txt", "dog\nbird\nCat\nbird\n");
  EXPECT_THAT(Error(), HasSubstr("line 4 repeats 'bird' of line 2"));
  PutBytes("classes.txt", "dog\n\nbird\nCat\n");
  EXPECT_THAT(Error(), HasSubstr("line 2 is empty"));
  PutBytes("classes.txt", "");
  EXPECT_THAT(Error(), HasSubstr("no line names the class folder"));
}

TEST_F(ImageFolderTest, AnUnreadableImageIsNamedAndTheOthersLoad) {
  PutThreeClasses();
  PutBytes("dog/bad.png", "not a picture");
  const ImageFolder folder(root_, 3, {});
  ASSERT_EQ(folder.size(), 5);
  for (std::int64_t i = 0; i < folder.size(); ++i) {
    const std::string error = ErrorOf([&] { folder.Load(i); });
    if (folder.Path(i).filename() == "bad.png") {
      EXPECT_THAT(error, AllOf(HasSubstr("dog/bad.png"), HasSubstr("is neither a PNG nor a JPEG")));
    } else {
      EXPECT_EQ(error, "");
    }
  }
}

TEST_F(ImageFolderTest, BadLayouts) {
  EXPECT_THAT(Error(), AllOf(HasSubstr(root_.string()), HasSubstr("is not a folder")));
  std::filesystem::create_directories(root_);
  EXPECT_THAT(Error(), AllOf(HasSubstr(root_.string()), HasSubstr("has no class folders")));
  Put("dog/a.png", "rgb8.png");
  std::filesystem::create_directories(root_ / "cat");
  EXPECT_THAT(Error(), HasSubstr("images/cat: has no images"));
  Put("cat/a.png", "rgb8.png");
  EXPECT_EQ(Error(), "");
  PutBytes("cat/notes.txt", "");
  EXPECT_THAT(Error(), HasSubstr("images/cat/notes.txt: is not an image"));
  std::filesystem::remove(root_ / "cat/notes.txt");
  Put("cat/more/b.png", "rgb8.png");
  EXPECT_THAT(Error(), HasSubstr("images/cat/more: a folder within a class folder"));
  std::filesystem::remove_all(root_ / "cat");
  Put("stray.jpg", "gray.jpg");
  EXPECT_THAT(Error(), HasSubstr("images/stray.jpg: an image outside the class folders"));
}

TEST_F(ImageFolderTest, BadParameters) {
  PutThreeClasses();
  EXPECT_THAT(Error(4), HasSubstr("image files give 1 or 3 channels, the model takes 4"));
  EXPECT_THAT(Error(3, {0, 0.9, ResizeFilter::kBicubic}), HasSubstr("image size: 0"));
}

}  // namespace
}  // namespace qsim::testing
