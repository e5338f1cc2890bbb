// Operations without a model of their own: a fault in one described field is named first.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "derivation/arbitrary.h"
#include "golden/program/backend.h"
#include "sim/explain/explain_report.h"
#include "sim/explain/op_models.h"
#include "sim/explain/search.h"
#include "tests/namespaces.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

// As of one image.
WideTensors WideOf(const TensorMap& inputs) {
  WideTensors wide;
  for (const auto& [name, tensor] : inputs) {
    WideTensor values = Widen(tensor);
    values.shape.insert(values.shape.begin(), 1);
    wide.emplace(name, std::move(values));
  }
  return wide;
}

// What the other implementation computes is the golden operation after `fault`.
Explanation ExplainFault(const Program& program, const TensorMap& inputs,
                         const std::function<void(Program&)>& fault) {
  Program faulty = program;
  fault(faulty);
  GoldenBackend golden;
  const IntTensor actual = Execute(faulty, inputs, 0, golden).at("y");
  const WideTensors wide = WideOf(inputs);
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

// A softmax in I-BERT's numbers; what its inner steps are is written here once more.
struct Attention {
  static constexpr std::int64_t kHeads = 2, kRows = 60, kColumns = 30;
  Program program;
  TensorMap inputs;
  IbertRnSoftmaxParams params;
  Attention() {
    SeededRandom random;
    const Shape shape = {kHeads, kRows, kColumns};
    program.tensors = {{"x", shape, DType::kInt8, {-128, 127}},
                       {"y", shape, DType::kUint8, {0, 255}}};
    program.inputs = {"x"};
    std::vector<std::int8_t> x;
    for (std::int64_t i = 0; i < kHeads * kRows * kColumns; ++i)
      x.push_back(static_cast<std::int8_t>(random.Between(-128, 127)));
    inputs = {{"x", IntTensor(shape, x)}};
    params.exp = {-34, 135, 6980, 20};
    params.act16_multiplier = 1200000000;
    params.act16_shift = 48;
    params.extra_bits = 2;
    SoftmaxOp op;
    op.output = "y";
    op.input = "x";
    op.params = {params};
    program.ops = {op};
    Validate(program);
  }
  using Row = std::vector<std::int64_t>;
  // distance(row, i), then y(e, sum).
  Explanation Of(const std::function<std::int64_t(const Row&, std::size_t)>& largest,
                 const std::function<std::int64_t(std::int64_t, std::int64_t)>& y) const {
    const std::vector<std::int64_t> x = Widen(inputs.at("x")).values;
    std::vector<std::int64_t> actual;
    for (std::size_t from = 0; from < x.size(); from += kColumns) {
      const Row row(x.begin() + static_cast<std::ptrdiff_t>(from),
                    x.begin() + static_cast<std::ptrdiff_t>(from + kColumns));
      Row e;
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < row.size(); ++i) {
        e.push_back(IbertExp16(params, std::max<std::int64_t>(largest(row, i) - row[i], 0)));
        sum += e.back();
      }
      for (const std::int64_t one : e) actual.push_back(std::min<std::int64_t>(y(one, sum), 255));
    }
    WideTensor wide = Widen(inputs.at("x"));
    wide.shape.insert(wide.shape.begin(), 1);
    const OpModel op = MakeOpModel(program, program.ops.front(), {{"x", wide}}, actual);
    return Explain(*op.model, actual, "y", op.golden);
  }
};

std::int64_t OfRow(const Attention::Row& row, std::size_t) {
  return *std::max_element(row.begin(), row.end());
}

// Behind floor(2^32 / sum), rounded.
std::int64_t Rest(std::int64_t e, std::int64_t factor) {
  return (e * factor + (std::int64_t{1} << 21)) >> 22;
}

TEST(VariantRules, InnerStepsOfASoftmaxAreNamed) {
  const Attention attention;
  const auto expect = [](const Explanation& e, const std::string& id) {
    ASSERT_EQ(e.verdict, Explanation::Verdict::kExplained) << ExplanationText(e);
    EXPECT_EQ(e.findings[0].id, id) << ExplanationText(e);
    EXPECT_EQ(e.explained, e.mismatches) << ExplanationText(e);
    EXPECT_EQ(e.broken, 0);
  };
  const auto golden = [](std::int64_t e, std::int64_t sum) {
    return Rest(e, (std::int64_t{1} << 32) / sum);
  };
  EXPECT_EQ(attention.Of(OfRow, golden).verdict, Explanation::Verdict::kEqual);
  expect(attention.Of(OfRow,
                      [](std::int64_t e, std::int64_t sum) {
                        return (e * ((std::int64_t{1} << 32) / sum)) >> 22;
                      }),
         "steps=last_floor");
  expect(attention.Of(OfRow,
                      [](std::int64_t e, std::int64_t sum) {
                        return (e * ((std::int64_t{1} << 22) / sum) + (1 << 11)) >> 12;
                      }),
         "steps=reciprocal_of_2_22");
  expect(attention.Of(
             [](const Attention::Row& row, std::size_t i) {
               const auto first = row.begin() + static_cast<std::ptrdiff_t>(i / 8 * 8);
               return *std::max_element(first,
                                        first + std::min<std::ptrdiff_t>(8, row.end() - first));
             },
             golden),
         "steps=maximum_of_tiles_of_8");
  expect(attention.Of([](const Attention::Row& row,
                         std::size_t) { return *std::max_element(row.begin(), row.begin() + 11); },
                      golden),
         "steps=maximum_of_first_11");
}

// Longer than what a step is tried on first.
struct LongSequence {
  static constexpr std::int64_t kRows = 8192, kKeys = 64, kValues = 4;
  Program program;
  TensorMap inputs;
  explicit LongSequence(std::int64_t rows = kRows) {
    SeededRandom random(3);
    RecurrenceOp op;
    op.output = "y";
    op.query = "q";
    op.key = "k";
    op.value = "v";
    op.decay = "a";
    op.past = "s";
    op.update.key_width = kKeys;
    op.update.value_width = kValues;
    op.update.decay_shift = 8;
    op.update.update = {{45000, 17}};
    op.state_shift = 4;
    op.readout = {{30000, 27}};
    const auto add = [&](const char* name, const Shape& shape, int low, int high) {
      std::vector<std::int16_t> list;
      for (std::int64_t i = 0; i < ElementCount(shape); ++i)
        list.push_back(static_cast<std::int16_t>(random.Between(low, high)));
      program.tensors.push_back({name, shape, DType::kInt16, {-32768, 32767}});
      program.inputs.emplace_back(name);
      inputs.emplace(name, IntTensor(shape, list));
    };
    add("q", {rows, kKeys}, -128, 127);
    add("k", {rows, kKeys}, -128, 127);
    add("v", {rows, kValues}, -128, 127);
    add("a", {rows, 1}, 200, 255);
    add("s", {1, kKeys, kValues}, -3000, 3000);
    for (TensorInfo& tensor : program.tensors)
      if (tensor.name == "a") tensor.range = {0, 256};
    program.tensors.push_back({"y", {rows, kValues}, DType::kInt8, {-128, 127}});
    program.ops = {op};
    Validate(program);
  }
  static std::vector<std::int64_t> Run(const Program& program, const TensorMap& inputs) {
    GoldenBackend backend;
    return Widen(Execute(program, inputs, 0, backend).at("y")).values;
  }
  // The same text, whatever the number of threads.
  Explanation Explained(const std::vector<std::int64_t>& actual) const {
    const WideTensors wide = WideOf(inputs);
    std::optional<Explanation> first;
    for (const int threads : {1, 3}) {
      const OpModel op = MakeOpModel(program, program.ops.front(), wide, actual, threads);
      Explanation e = Explain(*op.model, actual, "y", op.golden, threads);
      EXPECT_EQ(ExplanationJson(e), ExplanationJson(first.value_or(e)));
      first = std::move(e);
    }
    return *first;
  }
};

TEST(VariantRules, LongSequencesAreExplained) {
  const LongSequence sequence;
  TensorMap inputs = sequence.inputs;
  inputs.at("a") =
      IntTensor(inputs.at("a").shape(), std::vector<std::int16_t>(LongSequence::kRows, 256));
  const Explanation undecayed = sequence.Explained(LongSequence::Run(sequence.program, inputs));
  EXPECT_EQ(undecayed.findings.at(0).id, "steps=no_decay") << ExplanationText(undecayed);
  EXPECT_EQ(undecayed.explained, undecayed.mismatches);

  // Nothing differs in the first half.
  const std::int64_t half = LongSequence::kRows / 2;
  const Program program = LongSequence(half).program;
  std::vector<std::int64_t> cleared;
  for (const std::int64_t from : {std::int64_t{0}, half}) {
    TensorMap part;
    for (const auto& [name, tensor] : sequence.inputs) {
      const std::vector<std::int64_t> all = Widen(tensor).values;
      const bool whole = name == "s";
      const Shape shape = whole ? tensor.shape() : Shape{half, tensor.shape()[1]};
      const auto begin = all.begin() + (whole ? 0 : from * tensor.shape()[1]);
      part.emplace(name,
                   IntTensor(shape, std::vector<std::int16_t>(begin, begin + ElementCount(shape))));
    }
    const std::vector<std::int64_t> outputs = LongSequence::Run(program, part);
    cleared.insert(cleared.end(), outputs.begin(), outputs.end());
  }
  const Explanation late = sequence.Explained(cleared);
  EXPECT_EQ(late.findings.at(0).id, "steps=cleared_every_4096") << ExplanationText(late);
  EXPECT_EQ(late.explained, late.mismatches);
}

TEST(VariantRules, LimitsHoldForEveryOutput) {
  Gated gated;
  const WideTensors wide = WideOf(gated.inputs);
  // So large that outputs are limited.
  std::get<RmsnormOp>(gated.program.ops.front()).params.scale[0].shift -= 1;
  GoldenBackend backend;
  std::vector<std::int64_t> actual =
      Widen(Execute(gated.program, gated.inputs, 0, backend).at("y")).values;
  for (std::int64_t& y : actual)
    if (y == 127) y = 128;
  const OpModel op = MakeOpModel(gated.program, gated.program.ops.front(), wide, actual);
  const Explanation e = Explain(*op.model, actual, "y", op.golden);
  EXPECT_EQ(e.findings.at(0).phrase, "the upper limit 128 instead of 127") << ExplanationText(e);
}

}  // namespace
}  // namespace qsim::testing
