// Operations without a model of their own: a fault in one described field is named first.
#include <gtest/gtest.h>

#include <functional>

#include "derivation/arbitrary.h"
#include "golden/program/backend.h"
#include "sim/explain/op_models.h"
#include "sim/explain/search.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// What the other implementation computes is the golden operation after `fault`.
Explanation ExplainFault(const Program& program, const TensorMap& inputs,
                         const std::function<void(Program&)>& fault) {
  Program faulty = program;
  fault(faulty);
  GoldenBackend golden;
  const IntTensor actual = Execute(faulty, inputs, 0, golden).at("y");
  WideTensors wide;
  for (const auto& [name, tensor] : inputs) {
    WideTensor values = Widen(tensor);
    values.shape.insert(values.shape.begin(), 1);
    wide.emplace(name, std::move(values));
  }
  const std::vector<std::int64_t> values = Widen(actual).values;
  const OpModel op = MakeOpModel(program, program.ops.front(), wide, values);
  return Explain(*op.model, values, "y", op.golden);
}

struct Gated {
  Program program;
  TensorMap inputs;
  Gated() {
    SeededRandom random;
    const Shape shape = {40, 24};
    program.tensors = {{"x", shape, DType::kInt16, {-32768, 32767}},
                       {"g", shape, DType::kInt8, {-128, 127}},
                       {"y", shape, DType::kInt8, {-128, 127}}};
    program.inputs = {"x", "g"};
    std::vector<std::int16_t> x;
    std::vector<std::int8_t> g;
    for (std::int64_t i = 0; i < 40 * 24; ++i) {
      x.push_back(static_cast<std::int16_t>(random.Between(-3000, 3000)));
      g.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
    }
    inputs = {{"x", IntTensor(shape, x)}, {"g", IntTensor(shape, g)}};
    RmsnormOp op;
    op.output = "y";
    op.input = "x";
    op.gate = "g";
    op.params.input_zero = 60;
    op.params.gate_zero = -5;
    op.params.eps = 40'000'000;
    op.params.scale = {{37001, 44}};
    op.params.zero = {3};
    op.params.rounding = Rounding::kHalfUp;
    program.ops = {op};
    Validate(program);
  }
  Explanation Of(const std::function<void(RmsnormOp&)>& fault) const {
    return ExplainFault(program, inputs,
                        [&](Program& faulty) { fault(std::get<RmsnormOp>(faulty.ops.front())); });
  }
};

TEST(VariantRules, FaultsOfAGatedRmsnormAreNamed) {
  const Gated gated;
  const std::vector<std::pair<std::string, std::function<void(RmsnormOp&)>>> faults = {
      {"rounding=floor", [](RmsnormOp& op) { op.params.rounding = Rounding::kFloor; }},
      {"parameters=input_zero_ignored", [](RmsnormOp& op) { op.params.input_zero = 0; }},
      {"parameters=gate_zero_ignored", [](RmsnormOp& op) { op.params.gate_zero = 0; }},
      {"parameters=eps_missing", [](RmsnormOp& op) { op.params.eps = 0; }},
      {"parameters=zero_omitted", [](RmsnormOp& op) { op.params.zero = {0}; }},
      {"parameters=shift_plus_one", [](RmsnormOp& op) { ++op.params.scale[0].shift; }}};
  for (const auto& [id, fault] : faults) {
    const Explanation explanation = gated.Of(fault);
    ASSERT_EQ(explanation.verdict, Explanation::Verdict::kExplained) << id;
    EXPECT_EQ(explanation.findings[0].id, id);
    EXPECT_EQ(explanation.findings[0].explained, explanation.mismatches) << id;
    EXPECT_EQ(explanation.findings[0].broken, 0) << id;
  }
}

// An eps of another size is not searched for: every output bounds it.
TEST(VariantRules, AnotherEpsIsSolved) {
  const Gated gated;
  for (const std::int64_t eps : {4'000LL, 4'000'000LL, 41'000'000LL, 7'000'000'000LL}) {
    const Explanation explanation = gated.Of([&](RmsnormOp& op) { op.params.eps = eps; });
    ASSERT_EQ(explanation.verdict, Explanation::Verdict::kExplained) << eps;
    const Finding& best = explanation.findings[0];
    EXPECT_EQ(best.explained, explanation.mismatches) << best.phrase;
    EXPECT_EQ(best.broken, 0) << best.phrase;
    ASSERT_EQ(best.id.substr(0, 15), "parameters=eps_") << best.id;
    if (eps == 4'000) continue;  // none at all fits as well
    const std::int64_t solved = std::stoll(best.id.substr(15));
    EXPECT_LT(std::abs(solved - eps), eps / 50) << best.phrase;
  }
  Gated without;
  std::get<RmsnormOp>(without.program.ops.front()).params.eps = 0;
  const Explanation explanation = without.Of([](RmsnormOp& op) { op.params.eps = 40'000'000; });
  ASSERT_EQ(explanation.verdict, Explanation::Verdict::kExplained);
  EXPECT_NE(explanation.findings[0].phrase.find(" where there is none"), std::string::npos)
      << explanation.findings[0].phrase;
}

}  // namespace
}  // namespace qsim::testing
