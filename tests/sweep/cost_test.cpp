#include "sim/sweep/cost.h"
#include "tests/namespaces.h"

#include <gtest/gtest.h>

#include <limits>

namespace qsim::testing {
namespace {

// A program of one requantizer per channel, of 3-bit weights and multipliers of 11 bits.
Bundle OneLayer() {
  Bundle bundle;
  Program& p = bundle.program;
  p.tensors = {
      {"x", {2, 4}, DType::kInt8, {-128, 127}},
      {"fc",
       {2, 3},
       DType::kInt32,
       {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()}},
      {"y", {2, 3}, DType::kInt8, {-128, 127}}};
  p.inputs = {"x"};
  IntTensor weight(DType::kInt8, {3, 4});
  weight.As<std::int8_t>()[5] = 3;
  weight.As<std::int8_t>()[6] = -4;
  p.constants.emplace("fc.weight", weight);
  p.constants.emplace("fc.bias", IntTensor(DType::kInt32, {3}));
  GemmOp gemm;
  gemm.output = "fc";
  gemm.input = "x";
  gemm.weight = "fc.weight";
  gemm.bias = "fc.bias";
  p.ops.emplace_back(gemm);
  RequantizeOp requantize;
  requantize.output = "y";
  requantize.input = "fc";
  requantize.axis = ChannelAxis::kLast;
  requantize.scale = {{1027, 10}, {-2047, 12}, {1, 3}};
  requantize.zero = {0};
  p.ops.emplace_back(requantize);
  for (const TensorInfo& info : p.tensors) {
    bundle.scales[info.name] = {TensorScale::Kind::kLinear, ChannelAxis::kNone, {1.0}, {0}};
  }
  return bundle;
}

TEST(ProgramCost, CountsFromTheProgram) {
  Bundle bundle = OneLayer();
  Validate(bundle.program);
  const ProgramCost cost = CostOf(bundle);
  EXPECT_EQ(cost.multiplier_width, 11);
  EXPECT_EQ(cost.weight_bits, 12 * 3 + 3 * 32);

  auto& requantize = std::get<RequantizeOp>(bundle.program.ops[1]);
  for (Multiplier& m : requantize.scale) m.m = 1;
  const ProgramCost narrow = CostOf(bundle);
  EXPECT_EQ(narrow.multiplier_width, 1);
  EXPECT_EQ(cost.table_bits - narrow.table_bits, 3 * (11 - 1));
  // One requantizer for all channels needs fewer entries.
  requantize.axis = ChannelAxis::kNone;
  requantize.scale.resize(1);
  EXPECT_LT(CostOf(bundle).table_bits, narrow.table_bits);
}

}  // namespace
}  // namespace qsim::testing
