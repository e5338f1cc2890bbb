#include "sim/statistics/code_use.h"

#include <gtest/gtest.h>

#include "sim/error.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

IntTensor Bytes(const std::vector<std::int8_t>& values) {
  return {{static_cast<std::int64_t>(values.size())}, values};
}

TEST(CodeUse, CountsCodes) {
  CodeUse use({-128, 127});
  use.Add(Bytes({-64, -64, 0, 63}));
  EXPECT_EQ(use.min(), -64);
  EXPECT_EQ(use.max(), 63);
  EXPECT_DOUBLE_EQ(use.RangeShare(), 0.5);
  EXPECT_EQ(use.DistinctCodes(), 3);
  EXPECT_DOUBLE_EQ(*use.EntropyBits(), 1.5);
}

TEST(CodeUse, AFullRangeHasAllItsBits) {
  std::vector<std::int8_t> all;
  for (int v = -128; v < 128; ++v) all.push_back(static_cast<std::int8_t>(v));
  CodeUse use({-128, 127});
  use.Add(Bytes(all));
  EXPECT_EQ(use.RangeShare(), 1);
  EXPECT_EQ(use.DistinctCodes(), 256);
  EXPECT_DOUBLE_EQ(*use.EntropyBits(), 8);
}

TEST(CodeUse, AnySplitIsTheSame) {
  testing::SeededRandom random;
  for (int round = 0; round < 20; ++round) {
    CodeUse whole({-30000, 30000});
    CodeUse parts[3] = {CodeUse({-30000, 30000}), CodeUse({-30000, 30000}),
                        CodeUse({-30000, 30000})};
    for (int piece = 0; piece < 10; ++piece) {
      IntTensor tensor(DType::kInt16, {50});
      for (std::int16_t& v : tensor.As<std::int16_t>())
        v = static_cast<std::int16_t>(random.Between(-30000, 30000));
      whole.Add(tensor);
      parts[random.Between(0, 2)].Add(tensor);
    }
    parts[0].Merge(parts[2]);
    parts[0].Merge(parts[1]);
    EXPECT_EQ(parts[0].min(), whole.min());
    EXPECT_EQ(parts[0].max(), whole.max());
    EXPECT_EQ(parts[0].DistinctCodes(), whole.DistinctCodes());
    EXPECT_EQ(parts[0].EntropyBits(), whole.EntropyBits());
  }
}

TEST(CodeUse, WideRangesHaveExtremesOnly) {
  CodeUse use({-8388608, 8388607});
  use.Add(IntTensor({2}, std::vector<std::int32_t>{-4194304, 4194303}));
  EXPECT_DOUBLE_EQ(use.RangeShare(), 0.5);
  EXPECT_FALSE(use.DistinctCodes());
  EXPECT_FALSE(use.EntropyBits());
}

TEST(CodeUse, RefusesWhatItCannotCount) {
  CodeUse use({-8, 7});
  EXPECT_THROW(use.Add(Bytes({8})), InternalError);
  EXPECT_THROW(use.Merge(CodeUse({0, 15})), InternalError);
  EXPECT_EQ(use.RangeShare(), 0);
}

}  // namespace
}  // namespace qsim::testing
