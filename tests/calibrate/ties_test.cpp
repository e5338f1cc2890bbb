// Values half way between two codes, of the shared case: each rule that a contract can choose, at
// an odd zero point, at one that is a tie itself, and without any.
#include <gtest/gtest.h>

#include "sim/semantics/mixed.h"
#include "tests/support/vectors.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using Codes = std::vector<std::int64_t>;

Codes FirstCodes(const std::string& name, std::size_t count, const std::string& rule,
                 std::vector<std::string> settings) {
  const std::filesystem::path folder = *SharedDir() / "cases" / "files_tie_zero_point" / name;
  settings.insert(settings.end(), {"embed.bit_type.bits=8", "numerics.quantize=" + rule});
  const Vectors vectors(folder);
  CalibrateOptions options;
  options.scope = Scope::kModel;
  const Bundle bundle = vectors.Calibrate(settings, options);
  const MixedExecutor mixed(bundle, vectors.model(), vectors.evaluation());
  const std::shared_ptr<const MixedTensor> quantized =
      mixed.OnGrid("embed", mixed.ExactInputs(0).at("embed")->real());
  Codes codes;
  for (std::size_t i = 0; i < count; ++i)
    codes.push_back(quantized->codes()->At(static_cast<std::int64_t>(i)));
  return codes;
}

TEST(Ties, AreRoundedAsTheContractSays) {
  const auto shared = SharedDir();
  if (!shared || !std::filesystem::is_directory(*shared / "cases" / "files_tie_zero_point"))
    GTEST_SKIP() << "no shared cases";
  const std::vector<std::string> unsigned_type = {"embed.bit_type.symmetric=False",
                                                  "embed.bit_type.name=uint8"};
  const char* const zero_first = "zero_then_half_even";
  const char* const onnx = "half_even_then_zero";
  const char* const tflite = "half_away_then_zero";
  // a: steps of 1, zero point 127; 0.5, 1.5, -0.5, 2.5, -1.5 and 0 behind the two ends.
  EXPECT_EQ(FirstCodes("a", 8, zero_first, unsigned_type),
            (Codes{0, 255, 128, 128, 126, 130, 126, 127}));
  EXPECT_EQ(FirstCodes("a", 8, onnx, unsigned_type), (Codes{0, 255, 127, 129, 127, 129, 125, 127}));
  EXPECT_EQ(FirstCodes("a", 8, tflite, unsigned_type),
            (Codes{0, 255, 128, 129, 126, 130, 125, 127}));
  // b: [-253, 257] in steps of 2, the zero point 126.5 rounded to 126; both ends are ties.
  EXPECT_EQ(FirstCodes("b", 2, zero_first, unsigned_type), (Codes{0, 254}));
  EXPECT_EQ(FirstCodes("b", 2, onnx, unsigned_type), (Codes{0, 254}));
  EXPECT_EQ(FirstCodes("b", 2, tflite, unsigned_type), (Codes{0, 255}));
  // c: steps of 0.5 without a zero point; 0.25, 0.75, 1.25, 1.75 and their negatives.
  for (const char* rule : {zero_first, onnx})
    EXPECT_EQ(FirstCodes("c", 9, rule, {}), (Codes{-128, 0, 2, 2, 4, 0, -2, -2, -4})) << rule;
  EXPECT_EQ(FirstCodes("c", 9, tflite, {}), (Codes{-128, 1, 2, 3, 4, -1, -2, -3, -4}));
}

}  // namespace
}  // namespace qsim::testing
