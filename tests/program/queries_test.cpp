// What an operation's description tells those who do not know the operation.
#include "golden/program/queries.h"
#include "tests/namespaces.h"

#include <gtest/gtest.h>

namespace qsim::testing {
namespace {

Op Requantized() {
  RequantizeOp op;
  op.output = "y";
  op.input = "x";
  op.scale = {{3, 4}, {5, 6}};
  op.zero = {7};
  return op;
}

Op Added() {
  ResidualAddOp op;
  op.a = "a";
  op.b = "b";
  op.a_multiplier = {3, 4};
  op.b_multiplier = {5};
  op.shift = 9;
  return op;
}

TEST(Queries, LinearLayersReadWeights) {
  GemmOp gemm;
  gemm.input = "x";
  gemm.weight = "w";
  gemm.bias = "b";
  gemm.weight_zero = {1, 2};
  gemm.acc.bits = 20;
  Op op = gemm;
  const auto linear = LinearOperandsOf(op);
  ASSERT_TRUE(linear);
  EXPECT_EQ(linear->input, "x");
  EXPECT_EQ(linear->weight, "w");
  EXPECT_EQ(linear->bias, "b");
  EXPECT_EQ(linear->WeightZero(1), 2);
  EXPECT_FALSE(IsProductOfTensors(op));
  AccumulatorOf(op)->bits = 32;
  EXPECT_EQ(std::get<GemmOp>(op).acc.bits, 32);

  EXPECT_TRUE(IsProductOfTensors(MatmulOp()));
  EXPECT_FALSE(LinearOperandsOf(MatmulOp()));
  EXPECT_FALSE(IsProductOfTensors(Requantized()));
  CausalConvOp convolution;  // reads the rows in front as well
  convolution.input = "x";
  convolution.past = "s";
  convolution.weight = "w";
  EXPECT_FALSE(LinearOperandsOf(convolution));
  EXPECT_FALSE(IsProductOfTensors(convolution));
  EXPECT_EQ(AccumulatorOf(Requantized()), nullptr);
  EXPECT_FALSE(LinearOperandsOf(EmbedOp()));
}

TEST(Queries, WhoComputesAndWhoReads) {
  Program program;
  RequantizeOp second = std::get<RequantizeOp>(Requantized());
  second.output = "z";
  program.ops = {Requantized(), second};
  EXPECT_EQ(ReadersOf(program, "x"), (std::vector<std::string>{"y", "z"}));
  EXPECT_TRUE(ReadersOf(program, "y").empty());
  EXPECT_EQ(ProducerOf(program, "z"), &program.ops[1]);
  EXPECT_EQ(ProducerOf(program, "x"), nullptr);
}

// The length of a run from the number of its elements.
TEST(Queries, ShapesOfARun) {
  TensorInfo info{"x", {6, 4}, DType::kInt8, {-128, 127}};
  EXPECT_EQ(ShapeOf(info, 24), (Shape{6, 4}));
  info.length_axes = {0};
  EXPECT_EQ(ShapeOf(info, 12), (Shape{3, 4}));
  info.shape = {2, 6, 6};
  info.length_axes = {1, 2};
  EXPECT_EQ(ShapeOf(info, 50), (Shape{2, 5, 5}));
}

TEST(Queries, SomeAlgorithmsFixTheirGrid) {
  SoftmaxOp softmax;
  softmax.params.resize(1);
  EXPECT_FALSE(SuitsAnyGrid(softmax));
  EXPECT_FALSE(SuitsAnyGrid(PatchifyOp()));
  EXPECT_TRUE(SuitsAnyGrid(Requantized()));
  EXPECT_TRUE(SuitsAnyGrid(LayernormOp()));
  EXPECT_TRUE(SuitsAnyGrid(GeluOp{{}, {}, GeluTableParams{{1, 2}}}));
}

TEST(Queries, IntegersOfARole) {
  const std::vector<Integers> zeros = IntegersOf(Requantized(), Role::kOutputZero);
  ASSERT_EQ(zeros.size(), 1U);
  EXPECT_EQ(zeros[0].field.name, "zero");
  EXPECT_EQ(zeros[0].values, std::vector<std::int64_t>{7});
  EXPECT_EQ(IntegersOf(Added(), Role::kInputZero).size(), 2U);
  EXPECT_TRUE(IntegersOf(Added(), Role::kTable).empty());
}

TEST(Queries, RatiosComeAndGo) {
  std::vector<RatioList> ratios = RatiosOf(Requantized());
  ASSERT_EQ(ratios.size(), 1U);
  EXPECT_FALSE(ratios[0].common_shift);
  EXPECT_EQ(ratios[0].values, (std::vector<Multiplier>{{3, 4}, {5, 6}}));
  ratios[0].values[1] = {8, 9};
  Op op = Requantized();
  SetRatios(ratios, op);
  EXPECT_EQ(RatiosOf(op)[0].values, ratios[0].values);

  op = Added();
  ratios = RatiosOf(op);
  ASSERT_EQ(ratios.size(), 2U);
  EXPECT_TRUE(ratios[1].common_shift);
  EXPECT_EQ(ratios[0].values, (std::vector<Multiplier>{{3, 9}, {4, 9}}));
  for (RatioList& list : ratios) {
    for (Multiplier& m : list.values) m = {2 * m.m, m.shift + 1};
  }
  SetRatios(ratios, op);
  EXPECT_EQ(std::get<ResidualAddOp>(op).shift, 10);
  EXPECT_EQ(std::get<ResidualAddOp>(op).a_multiplier, (std::vector<std::int32_t>{6, 8}));
  EXPECT_EQ(std::get<ResidualAddOp>(op).b_multiplier, std::vector<std::int32_t>{10});
  EXPECT_TRUE(RatiosOf(MatmulOp()).empty());
}

TEST(Queries, SchemesAreChoices) {
  RequantizeOp op;
  op.scheme = RequantScheme::kTfliteSingle;
  EXPECT_EQ(SchemeOf(op), RequantScheme::kTfliteSingle);
  EXPECT_EQ(SchemeOf(Added()), RequantScheme::kRoundShift);
}

}  // namespace
}  // namespace qsim::testing
