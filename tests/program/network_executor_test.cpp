// The operations around the attention datapath: by hand, and against the formulas of
// docs/numerics.md, element by element.
#include <gtest/gtest.h>

#include <set>

#include "golden/program/accumulator_proof.h"
#include "golden/program/executor.h"
#include "tests/golden/oracle.h"
#include "tests/program/network_program.h"

namespace qsim::testing {
namespace {

using testing::kClasses;
using testing::kColors;
using testing::kDepth;
using testing::kDim;
using testing::kHeight;
using testing::kPatch;
using testing::kPatches;
using testing::kWidth;
using testing::NetworkInputs;
using testing::NetworkProgram;
using testing::OpNamed;

TEST(Executor, CutsAnImageIntoPatches) {
  Program program;
  program.tensors = {testing::Tensor("image", {2, 2, 4}, testing::kUint8Range),
                     testing::Tensor("patches", {2, 8}, testing::kUint8Range)};
  program.inputs = {"image"};
  program.ops = {PatchifyOp{"patches", "image", 2}};
  Validate(program);
  GoldenBackend backend;
  const IntTensor image({2, 2, 4}, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8,  //
                                                             11, 12, 13, 14, 15, 16, 17, 18});
  const TensorMap values = Execute(program, {{"image", image}}, 0, backend);
  EXPECT_EQ(values.at("patches").As<std::uint8_t>(),
            (std::vector<std::uint8_t>{1, 2, 5, 6, 11, 12, 15, 16,  //
                                       3, 4, 7, 8, 13, 14, 17, 18}));
}

TEST(Executor, AddsClassTokenAndPositions) {
  Program program;
  program.tensors = {{"a", {2, 2}, DType::kInt32, testing::AccumulatorRange(32)},
                     testing::Tensor("embed", {3, 2}, testing::kInt8Range)};
  program.inputs = {"a"};
  program.constants["position"] =
      IntTensor({3, 2}, std::vector<std::int32_t>{-128, 127, 10, -20, 65535, -65535});
  EmbedOp op;
  op.output = "embed";
  op.a = "a";
  op.position = "position";
  op.a_multiplier = {3, -5};
  op.b_multiplier = 2;
  op.shift = 2;
  op.out_zero = 1;
  program.ops = {op};
  Validate(program);
  GoldenBackend backend;
  RunStats stats;
  const IntTensor a({2, 2}, std::vector<std::int32_t>{6, 9, -43600, -26200});
  const TensorMap values = Execute(program, {{"a", a}}, 0, backend, &stats);
  // 38 / 4 = 9.5 -> 10; -85 / 4 = -21.25 -> -21; 270 / 4 = 67.5 -> 68; -70 / 4 = -17.5 -> -17; each
  // plus 1.
  EXPECT_EQ(values.at("embed").As<std::int8_t>(),
            (std::vector<std::int8_t>{-128, 127, 11, -20, 69, -16}));
  EXPECT_EQ(stats.saturated.at("embed"), 0);
  OpNamed<EmbedOp>(program, "embed").shift = 0;
  Execute(program, {{"a", a}}, 0, backend, &stats);
  EXPECT_EQ(stats.saturated.at("embed"), 1);  // of 271; the class token is not computed
}

TEST(Executor, AGemmCanReadTheFirstRowsOnly) {
  testing::SeededRandom random;
  Program program = NetworkProgram(random);
  GoldenBackend backend;
  const TensorMap inputs = NetworkInputs(random);
  const IntTensor first = Execute(program, inputs, 0, backend).at("logits");
  ASSERT_EQ(first.shape(), (Shape{1, kClasses}));
  OpNamed<GemmOp>(program, "logits").rows = 0;
  testing::TensorNamed(program, "logits").shape = {kPatches + 1, kClasses};
  Validate(program);
  const IntTensor all = Execute(program, inputs, 0, backend).at("logits");
  for (std::int64_t i = 0; i < kClasses; ++i) EXPECT_EQ(first.At(i), all.At(i));
}

// The proof bounds any row: it does not depend on how many of them are read.
TEST(AccumulatorProof, OfTheFirstRowsIsThatOfAllRows) {
  testing::SeededRandom random;
  Program program = NetworkProgram(random);
  const AccumulatorProof first = ProveAccumulators(program).back();
  EXPECT_EQ(first.tap, "logits");
  OpNamed<GemmOp>(program, "logits").rows = 0;
  const AccumulatorProof all = ProveAccumulators(program).back();
  EXPECT_EQ(first.range.min, all.range.min);
  EXPECT_EQ(first.range.max, all.range.max);
  EXPECT_EQ(first.bits_needed, all.bits_needed);
}

// One program's values by the formulas, in 128 bits.
class Reference {
 public:
  Reference(const Program& program, const TensorMap& values) : program_(program), values_(values) {}

  std::int64_t Patch(std::int64_t i) const {
    const std::int64_t patch = i / kDepth;
    const std::int64_t columns = kWidth / kPatch;
    const std::int64_t y = patch / columns * kPatch + i % (kPatch * kPatch) / kPatch;
    const std::int64_t x = patch % columns * kPatch + i % kPatch;
    const std::int64_t color = i % kDepth / (kPatch * kPatch);
    return At("image", color * kHeight * kWidth + y * kWidth + x);
  }
  std::int64_t Embed(std::int64_t i) const {
    const auto& op = Find<EmbedOp>("embed");
    const std::int64_t position = program_.Constant("embed.position").At(i);
    if (i < kDim) return position;
    const auto c = static_cast<std::size_t>(i % kDim);
    const Int128 sum =
        Int128{At("patch_embed", i - kDim)} * op.a_multiplier[op.a_multiplier.size() == 1 ? 0 : c] +
        Int128{position} * op.b_multiplier;
    return testing::OracleRequantize(sum, op.shift, op.out_zero, op.rounding,
                                     program_.Tensor("embed").range)
        .y;
  }
  std::int64_t Gelu(std::int64_t i) const {
    const auto& op = Find<GeluOp>("gelu");
    const std::int64_t x = At("fc1", i);
    if (const auto* lookup = std::get_if<GeluTableParams>(&op.params))
      return lookup->table.at(static_cast<std::size_t>(x - program_.Tensor("fc1").range.qmin));
    const auto& ibert = std::get<GeluIbertParams>(op.params);
    const std::int64_t centred = x - ibert.input_zero;
    const std::int64_t magnitude = centred < 0 ? -centred : centred;
    std::int64_t parabola = ibert.c;
    if (magnitude < -ibert.b) parabola += (magnitude + ibert.b) * (magnitude + ibert.b);
    const Int128 erf = testing::OracleDivide(centred < 0    ? -parabola
                                             : centred == 0 ? 0
                                                            : parabola,
                                             Int128{1} << ibert.n, Rounding::kFloor);
    return testing::OracleRequantize(centred * (erf + ibert.shift_int) * ibert.scale.m,
                                     ibert.scale.shift, ibert.zero, ibert.rounding,
                                     testing::kInt8Range)
        .y;
  }
  std::int64_t Logit(std::int64_t i) const {
    std::int64_t acc = program_.Constant("logits.bias").At(i);
    for (std::int64_t k = 0; k < kDim; ++k)
      acc += At("gelu", k) * program_.Constant("logits.weight").At(i * kDim + k);
    return acc;
  }

 private:
  std::int64_t At(const std::string& name, std::int64_t i) const { return values_.at(name).At(i); }
  template <typename T>
  const T& Find(const std::string& output) const {
    for (const Op& op : program_.ops) {
      if (OutputOf(op) == output) return std::get<T>(op);
    }
    throw std::logic_error("no operation computes " + output);
  }

  const Program& program_;
  const TensorMap& values_;
};

TEST(Executor, NetworkEqualsTheFormulasElementByElement) {
  testing::SeededRandom random;
  std::map<std::string, std::set<std::int64_t>> seen;
  for (const testing::NetworkProgramOptions& options : testing::AllNetworkOptions()) {
    for (int repeat = 0; repeat < 4; ++repeat) {
      const Program program = NetworkProgram(random, options);
      ASSERT_NO_THROW(Validate(program));
      GoldenBackend backend;
      const TensorMap values = Execute(program, NetworkInputs(random), 0, backend);
      ASSERT_EQ(values.size(), program.tensors.size());
      const Reference reference(program, values);
      const auto check = [&](const std::string& name, auto formula) {
        const IntTensor& tensor = values.at(name);
        for (std::int64_t i = 0; i < tensor.size(); ++i) {
          EXPECT_EQ(tensor.At(i), (reference.*formula)(i)) << name << " element " << i;
          seen[name].insert(tensor.At(i));
        }
      };
      check("patches", &Reference::Patch);
      check("embed", &Reference::Embed);
      check("gelu", &Reference::Gelu);
      check("logits", &Reference::Logit);
    }
  }
  static_assert(kColors > 1 && kHeight != kWidth);
  for (const auto& [name, values] : seen) EXPECT_GT(values.size(), 100u) << name;
}

}  // namespace
}  // namespace qsim::testing
