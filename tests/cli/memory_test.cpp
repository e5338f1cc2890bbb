// What memory depends on: the model, not the number of images.
#include <gtest/gtest.h>

#include "tests/cli/process.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;
using testing::kSourceDir;

#ifdef QSIM_SANITIZED_MEMORY
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

class Memory : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer keeps what has been freed";
  }

  void Write(const std::vector<std::string>& geometry) const {
    std::vector<std::string> arguments = {"vectors"};
    arguments.insert(arguments.end(), geometry.begin(), geometry.end());
    const auto result = testing::RunProgram(QSIM_RANDOM_VIT, arguments, sandbox_.path());
    ASSERT_EQ(result.exit_status, 0) << result.err;
  }

  // In megabytes, with two threads.
  double Peak(std::vector<std::string> arguments) const {
    for (const char* name : {"attn_config", "block_config", "mlp_config", "model_config"}) {
      arguments.insert(arguments.end(),
                       {"--config", (kSourceDir / "configs" / name).string() + ".yaml"});
    }
    arguments.insert(arguments.end(), {"--input", "vectors", "--threads", "2"});
    const auto result = testing::RunQsim(arguments, sandbox_.path());
    EXPECT_EQ(result.exit_status, 0) << result.err;
    return static_cast<double>(result.peak_kilobytes) / 1024;
  }

  testing::TempDir sandbox_;
};

// All tensors of an image, float and integer, are 17 MB.
TEST_F(Memory, RunKeepsAPartOfABlockForEachThread) {
  Write({"image=64", "patch=8", "dim=192", "heads=3", "depth=4", "hidden=768", "classes=10",
         "calibration=2", "evaluation=5"});
  const auto run = [&](const char* images) {
    return Peak({"run", "--scope", "model", "--rtl", "off", "--images", images, "--output", "out"});
  };
  const double two = run("2");
  EXPECT_LT(run("5"), two + 8);
  // 1.8 million weights in float and int8 are 9 MB; the libraries take 20.
  EXPECT_LT(two, 50);
}

// A batch of 32 images' tensors of one block is 16 MB.
TEST_F(Memory, CalibrationKeepsAFewImagesOfABatch) {
  Write({"image=64", "patch=8", "dim=96", "heads=3", "depth=1", "hidden=384", "classes=10",
         "calibration=36", "evaluation=1"});
  EXPECT_LT(Peak({"calibrate", "--scope", "model", "--output", "out"}), 22);
}

// 4096 images are 48 MB of pixels, and as much again for each tensor of a block.
TEST_F(Memory, CalibrationIsFlatInTheNumberOfImages) {
  const auto peak = [&](const char* calibration) {
    Write({"image=64", "patch=32", "dim=64", "heads=1", "depth=2", "hidden=64", "classes=10",
           calibration, "evaluation=1"});
    return Peak({"calibrate", "--scope", "model", "--output", "out"});
  };
  const double few = peak("calibration=256");
  EXPECT_LT(peak("calibration=4096"), few + 4);  // what the allocator's arenas of threads leave
}

// 2000 images are 24 MB of pixels.
TEST_F(Memory, EvalIsFlatInTheNumberOfImages) {
  Write({"image=64", "patch=32", "dim=16", "heads=1", "depth=1", "hidden=16", "classes=10",
         "calibration=4", "evaluation=2000"});
  const double few = Peak({"eval", "--images", "100"});
  EXPECT_LT(Peak({"eval"}), few + 8);
}

}  // namespace
}  // namespace qsim::testing
