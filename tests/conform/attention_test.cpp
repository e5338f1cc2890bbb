// Whole blocks: ITA's attention, and two networks that other people quantized, imported as
// programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/conform/step_program.h"
#include "sim/error.h"
#include "tests/conform/run_cases.h"

namespace qsim::testing {
namespace {

TEST(AttentionConform, ItaMultiHeadAttention) {
  testing::ExpectCasesConform("attention", "ita_mha");
}
TEST(AttentionConform, CompactTransformerBlock) {
  testing::ExpectCasesConform("attention", "icct_block");
}
TEST(AttentionConform, DeeployAttention) {
  testing::ExpectCasesConform("attention", "deeploy_attention");
}

// Every published intermediate is a tensor of one validated program, accumulators proven.
TEST(AttentionConform, TheBlockIsAProgram) {
  const auto dirs = testing::CaseDirs("attention", "icct_block");
  if (dirs.empty()) GTEST_SKIP() << "no conformance data";
  const ConformCase c = ConformCase::Load(dirs.front());
  const ImportedNetwork network = ImportSteps(c);
  Validate(network.program);
  EXPECT_EQ(c.outputs().size(), 31U);
  for (const auto& [name, tensor] : c.outputs()) {
    EXPECT_TRUE(network.tensors.contains(name)) << name;
  }
  std::set<std::string_view> kinds;
  for (const Op& op : network.program.ops) kinds.insert(KindName(op));
  EXPECT_THAT(kinds, ::testing::ElementsAre("add", "gelu", "gemm", "layernorm", "matmul",
                                            "requantize", "softmax"));
}

}  // namespace
}  // namespace qsim::testing
