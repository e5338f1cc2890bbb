// Whole programs, for their outputs alone: sums that nobody looks at go straight through what reads
// them, on every instruction set, and nothing may tell.
#include <gtest/gtest.h>

#include <string_view>

#include "golden/kernels/fast_backend.h"
#include "golden/kernels/instruction_set.h"
#include "golden/program/executor.h"
#include "tests/support/vectors.h"

namespace qsim::testing {
namespace {

class WholePrograms : public ::testing::TestWithParam<std::vector<std::string>> {};

TEST_P(WholePrograms, EndAlikeOnEveryBackend) {
  const Vectors vectors = Vectors::Shipped();
  CalibrateOptions options;
  options.scope = Scope::kModel;
  Bundle bundle = vectors.Calibrate(GetParam(), options);
  constexpr std::int64_t kImages = 3;
  AddBundleInputs(bundle, vectors.model(), vectors.evaluation(), kImages, 1);
  const std::set<std::string> kept = {OutputOf(bundle.program.ops.back()), "blocks.1.norm1",
                                      "blocks.2.mlp_fc1"};
  for (const std::string& name : kept) ASSERT_NE(bundle.program.FindTensor(name), nullptr) << name;
  std::vector<TensorMap> expected;
  const auto run = [&](Backend& backend, std::int64_t image) {
    TensorMap inputs;
    for (const std::string& name : bundle.program.inputs)
      inputs.emplace(name, SliceImage(bundle.inputs.at(name), image));
    return ExecuteForOutputs(bundle.program, inputs, image, backend, kept);
  };
  GoldenBackend golden;
  for (std::int64_t i = 0; i < kImages; ++i) expected.push_back(run(golden, i));
  for (const std::string& name : kept) ASSERT_TRUE(expected.front().contains(name)) << name;
  const std::string_view own = kernels::InstructionSet();
  for (const std::string_view set : kernels::InstructionSets()) {
    kernels::UseInstructionSet(set);
    FastBackend fast(bundle.program);
    for (std::int64_t i = 0; i < kImages; ++i)
      EXPECT_EQ(run(fast, i), expected[static_cast<std::size_t>(i)]) << set << ", image " << i;
    EXPECT_TRUE(fast.ByReference().empty()) << fast.ByReference().front();
  }
  kernels::UseInstructionSet(own);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, WholePrograms,
    ::testing::Values(
        std::vector<std::string>{}, std::vector<std::string>{"numerics.contract=tosa"},
        std::vector<std::string>{"numerics.softmax=log_int"},
        std::vector<std::string>{"numerics.softmax=table", "numerics.softmax_division=after"},
        std::vector<std::string>{"hardware.acc_bits=17", "hardware.acc_policy=saturate"},
        std::vector<std::string>{"hardware.acc_bits=17", "hardware.acc_policy=wrap"},
        std::vector<std::string>{"numerics.gelu=shiftgelu", "numerics.layernorm=ivit"},
        std::vector<std::string>{"mlp_gelu.smooth=0.5"},
        std::vector<std::string>{"mlp_gelu.outlier_channels=0.01"}));

}  // namespace
}  // namespace qsim::testing
