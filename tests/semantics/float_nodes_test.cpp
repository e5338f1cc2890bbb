#include "sim/semantics/float_nodes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "sim/io/tensors/npy.h"
#include "sim/network/families/vit.h"
#include "tests/support/float_values.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

namespace fs = std::filesystem;

const fs::path kVectors = fs::path(QSIM_SOURCE_DIR) / "vectors";

// The taps of the shipped model for its first four evaluation images, computed by another program
// in double precision.
TEST(FloatReference, EqualsIndependentTapsWithin1e4OfTheLargestMagnitude) {
  const auto shared = testing::SharedDir();
  if (!shared) GTEST_SKIP() << "no ../shared beside the source tree and no QSIM_SHARED_DIR";
  const fs::path taps = *shared / "data/digits/float_taps";
  const Manifest manifest = Manifest::Load(kVectors);
  const network::Network model = network::LoadVit(manifest);
  const ModelInputs inputs = LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  std::int64_t compared = 0;
  double worst = 0;
  for (std::int64_t image = 0; image < 4; ++image) {
    for (const auto& [name, value] : testing::FloatValues(model, inputs, image)) {
      const fs::path path = taps / (name + ".npy");
      if (!name.starts_with("blocks.") || !fs::exists(path)) continue;
      const FloatTensor expected = ReadFloatNpy(path);
      float largest = 0;
      for (const float v : expected.data) largest = std::max(largest, std::fabs(v));
      const auto offset = static_cast<std::size_t>(image) * value.data.size();
      ASSERT_EQ(expected.data.size(), 4 * value.data.size()) << path;
      for (std::size_t i = 0; i < value.data.size(); ++i) {
        const double error = std::fabs(value.data[i] - expected.data[offset + i]) / largest;
        worst = std::max(worst, error);
        ASSERT_LE(error, 1e-4) << path << " element " << i;
      }
      compared += static_cast<std::int64_t>(value.data.size());
    }
  }
  EXPECT_EQ(compared, 4 * 4 * (17 * (64 * 9 + 256 * 2 + 64) + 2 * 2 * 17 * 17));
  std::cout << "largest error relative to a tensor's largest magnitude: " << worst << '\n';
}

TEST(FloatReference, ABlockDoesNotDependOnItsNeighboursInABatch) {
  const Manifest manifest = Manifest::Load(kVectors);
  const network::Network model = network::LoadVit(manifest);
  const ModelInputs inputs = LoadInputs(manifest, manifest.Evaluation(), InputUse::kEvaluation);
  const char* const tap = "blocks.0.residual2";
  const FloatTensor alone = testing::FloatValues(model, inputs, 1).at(tap);
  for (std::int64_t image = 0; image < 2; ++image) {
    const FloatTensor again = testing::FloatValues(model, inputs, image).at(tap);
    EXPECT_EQ(again.data == alone.data, image == 1);
  }
}

}  // namespace
}  // namespace qsim::testing
