// The executor against the formulas of docs/numerics.md, element by element: which elements meet
// which parameters (columns, heads, transposes, channels). The arithmetic of one element has its
// own tests in tests/golden.
#include "golden/program/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

using ::testing::HasSubstr;
using testing::kDim;
using testing::kHeadDim;
using testing::kHeads;
using testing::kTokens;
using testing::OpNamed;
using testing::SmallInputs;
using testing::SmallProgram;
using testing::SmallProgramOptions;

template <typename T>
T OneOr(const std::vector<T>& values, std::int64_t index) {
  return values.size() == 1 ? values[0] : values[static_cast<std::size_t>(index)];
}

// Evaluates a program one element at a time.
class Reference {
 public:
  Reference(const Program& program, const TensorMap& inputs) : program_(program) {
    for (const auto& [name, tensor] : inputs) values_[name] = tensor;
    for (const Op& op : program.ops) std::visit([this](const auto& o) { Do(o); }, op);
  }
  const std::map<std::string, IntTensor>& values() const { return values_; }

 private:
  std::int64_t At(const std::string& name, std::int64_t row, std::int64_t column) const {
    const IntTensor& t = values_.at(name);
    return t.At(row * t.shape().back() + column);
  }
  std::int64_t At(const std::string& name, std::int64_t h, std::int64_t row,
                  std::int64_t column) const {
    const IntTensor& t = values_.at(name);
    return t.At((h * t.shape()[1] + row) * t.shape()[2] + column);
  }
  void Fill(const std::string& name, const std::function<std::int64_t(std::int64_t)>& element) {
    const TensorInfo& info = program_.Tensor(name);
    IntTensor tensor(info.dtype, info.shape);
    std::visit(
        [&](auto& storage) {
          using T = typename std::decay_t<decltype(storage)>::value_type;
          for (std::size_t i = 0; i < storage.size(); ++i)
            storage[i] = static_cast<T>(element(static_cast<std::int64_t>(i)));
        },
        tensor.storage());
    values_[name] = std::move(tensor);
  }

  void Do(const GemmOp& op) {
    const IntTensor& w = program_.Constant(op.weight);
    const std::int64_t rows = w.shape()[0];
    const std::int64_t depth = w.shape()[1];
    Fill(op.output, [&](std::int64_t i) {
      const std::int64_t n = i % rows;
      std::int64_t acc = program_.Constant(op.bias).At(n);
      const std::int64_t zero = op.weight_zero.empty() ? 0 : OneOr(op.weight_zero, n);
      for (std::int64_t k = 0; k < depth; ++k)
        acc += At(op.input, i / rows, k) * (w.At(n * depth + k) - zero);
      return acc;
    });
  }

  void Do(const MatmulOp& op) {
    if (op.transpose_rhs) {
      Fill(op.output, [&](std::int64_t i) {
        const std::int64_t h = i / (kTokens * kTokens);
        std::int64_t acc = 0;
        for (std::int64_t c = h * kHeadDim; c < (h + 1) * kHeadDim; ++c) {
          acc += (At(op.lhs, i / kTokens % kTokens, c) - OneOr(op.lhs_zero, h)) *
                 (At(op.rhs, i % kTokens, c) - OneOr(op.rhs_zero, h));
        }
        return acc;
      });
      return;
    }
    Fill(op.output, [&](std::int64_t i) {
      const std::int64_t channel = i % kDim;
      const std::int64_t h = channel / kHeadDim;
      std::int64_t acc = 0;
      for (std::int64_t t = 0; t < kTokens; ++t) {
        std::int64_t p = At(op.lhs, h, i / kDim, t);
        if (op.mode == OperandMode::kShift) p = p == 16 ? 0 : std::int64_t{1} << (15 - p);
        acc += (p - OneOr(op.lhs_zero, h)) * (At(op.rhs, t, channel) - OneOr(op.rhs_zero, channel));
      }
      return acc;
    });
  }

  void Do(const RequantizeOp& op) {
    const TensorInfo& info = program_.Tensor(op.output);
    const std::int64_t width = info.shape.back();
    const std::int64_t first_axis = ElementCount(info.shape) / info.shape.front();
    Fill(op.output, [&](std::int64_t i) {
      const std::int64_t channel = op.axis == ChannelAxis::kFirst ? i / first_axis : i % width;
      const std::int64_t x = At(op.input, i / width, op.first_column + i % width);
      return RequantizeValue(x - op.input_zero, OneOr(op.scale, channel), 0,
                             OneOr(op.zero, channel), op.rounding, info.range);
    });
  }

  void Do(const SoftmaxOp& op) {
    std::vector<std::int32_t> all;
    for (std::int64_t h = 0; h < kHeads; ++h) {
      for (std::int64_t t = 0; t < kTokens; ++t) {
        std::vector<std::int32_t> row;
        for (std::int64_t j = 0; j < kTokens; ++j)
          row.push_back(static_cast<std::int32_t>(At(op.input, h, t, j)));
        std::vector<std::int32_t> out(row.size());
        Softmax(row, OneOr(op.params, h), out);
        all.insert(all.end(), out.begin(), out.end());
      }
    }
    Fill(op.output, [&](std::int64_t i) { return all[static_cast<std::size_t>(i)]; });
  }

  void Do(const LayernormOp& op) {
    std::vector<std::int32_t> all;
    for (std::int64_t t = 0; t < kTokens; ++t) {
      std::vector<std::int32_t> row;
      for (std::int64_t c = 0; c < kDim; ++c)
        row.push_back(static_cast<std::int32_t>(At(op.input, t, c)));
      std::vector<std::int32_t> out(row.size());
      Layernorm(row, op.params, program_.Tensor(op.output).range, out);
      all.insert(all.end(), out.begin(), out.end());
    }
    Fill(op.output, [&](std::int64_t i) { return all[static_cast<std::size_t>(i)]; });
  }

  void Do(const ResidualAddOp& op) {
    Fill(op.output, [&](std::int64_t i) {
      const std::int64_t c = i % kDim;
      const std::int64_t addend = (At(op.b, i / kDim, c) - op.b_zero) * OneOr(op.b_multiplier, c);
      return RequantizeValue(At(op.a, i / kDim, c) - op.a_zero,
                             {OneOr(op.a_multiplier, c), op.shift}, addend, op.out_zero,
                             op.rounding, program_.Tensor(op.output).range);
    });
  }

  // The small program has none of the operations around the attention datapath
  // (network_executor_test.cpp).
  template <typename OtherOp>
  void Do(const OtherOp& op) {
    ADD_FAILURE() << op.output << " has no formula here";
  }

  const Program& program_;
  std::map<std::string, IntTensor> values_;
};

// Every combination of the small program's options.
std::vector<SmallProgramOptions> AllOptions() {
  std::vector<SmallProgramOptions> all;
  for (unsigned bits = 0; bits < 32; ++bits) {
    all.push_back(
        {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, (bits & 16) != 0, {}});
  }
  return all;
}

TEST(Executor, EqualsTheFormulasElementByElement) {
  testing::SeededRandom random;
  std::map<std::string, std::set<std::int64_t>> seen;
  for (const SmallProgramOptions& options : AllOptions()) {
    for (int repeat = 0; repeat < 4; ++repeat) {
      const Program program = SmallProgram(random, options);
      ASSERT_NO_THROW(Validate(program));
      const TensorMap inputs = SmallInputs(random);
      GoldenBackend backend;
      const TensorMap values = Execute(program, inputs, 0, backend);
      const Reference reference(program, inputs);
      ASSERT_EQ(values.size(), program.tensors.size());
      for (const auto& [name, tensor] : values) {
        EXPECT_EQ(tensor, reference.values().at(name)) << name;
        for (std::int64_t i = 0; i < tensor.size(); ++i) seen[name].insert(tensor.At(i));
      }
    }
  }
  // A tensor that is all zeros or all saturated would prove nothing.
  for (const auto& [name, values] : seen)
    EXPECT_GT(values.size(), 12u) << name << ": " << ::testing::PrintToString(values);
}

TEST(Executor, DropsTensorsBehindTheirLastReader) {
  testing::SeededRandom random;
  const Program program = SmallProgram(random);
  const TensorMap inputs = SmallInputs(random);
  GoldenBackend backend;
  const TensorMap all = Execute(program, inputs, 0, backend);
  TensorMap unread = all;
  const auto last_reads = LastReads(program);
  ASSERT_EQ(last_reads.size(), program.ops.size());
  for (std::size_t i = 0; i < last_reads.size(); ++i) {
    for (const std::string& name : last_reads[i]) {
      EXPECT_EQ(unread.erase(name), 1u) << name << " is dropped twice";
      for (std::size_t later = i + 1; later < program.ops.size(); ++later)
        EXPECT_THAT(InputsOf(program.ops[later]), ::testing::Not(::testing::Contains(name)));
    }
  }
  EXPECT_LT(unread.size(), all.size());
  EXPECT_GT(unread.size(), 0u);
  EXPECT_EQ(ExecuteForOutputs(program, inputs, 0, backend), unread);
}

TEST(Executor, SlicesColumnsOfItsInput) {
  Program program;
  program.tensors = {testing::Tensor("x", {2, 5}, testing::kInt8Range),
                     testing::Tensor("y", {2, 2}, testing::kInt8Range)};
  program.inputs = {"x"};
  program.ops = {RequantizeOp{
      "y", "x", 3, ChannelAxis::kLast, {{1, 0}, {2, 0}}, {0, 10}, -1, Rounding::kHalfUp}};
  Validate(program);
  GoldenBackend backend;
  const TensorMap values = Execute(
      program, {{"x", IntTensor({2, 5}, std::vector<std::int8_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})}},
      0, backend);
  // Columns 3 and 4 of each row, minus the input's zero point -1.
  EXPECT_EQ(values.at("y").As<std::int8_t>(), (std::vector<std::int8_t>{4, 20, 9, 30}));
}

TEST(Executor, CountsSaturatedElements) {
  testing::SeededRandom random;
  std::int64_t counted = 0;
  for (int repeat = 0; repeat < 100; ++repeat) {
    const Program program = SmallProgram(random);
    GoldenBackend backend;
    RunStats stats;
    const TensorMap values = Execute(program, SmallInputs(random), 0, backend, &stats);
    for (const auto& [name, count] : stats.saturated) {
      std::int64_t at_a_limit = 0;
      const QuantRange range = program.Tensor(name).range;
      for (std::int64_t i = 0; i < values.at(name).size(); ++i) {
        const std::int64_t v = values.at(name).At(i);
        at_a_limit += v == range.qmin || v == range.qmax;
      }
      EXPECT_LE(count, at_a_limit) << name;
      counted += count;
    }
  }
  EXPECT_GT(counted, 20);
}

TEST(Executor, StatisticsOfSeveralImagesAdd) {
  RunStats a, b;
  a.saturated = {{"x", 2}};
  a.accumulators = {{"x", {-3, 4}}};
  b.saturated = {{"x", 5}, {"y", 1}};
  b.accumulators = {{"x", {-9, 1}}, {"y", {0, 7}}};
  a.Merge(b);
  EXPECT_EQ(a.saturated, (std::map<std::string, std::int64_t>{{"x", 7}, {"y", 1}}));
  EXPECT_EQ(a.accumulators["x"].min, -9);
  EXPECT_EQ(a.accumulators["x"].max, 4);
  EXPECT_EQ(a.accumulators["y"].max, 7);
}

TEST(Executor, RefusesInputsThatTheProgramDoesNotDescribe) {
  testing::SeededRandom random;
  Program program = SmallProgram(random);
  testing::TensorNamed(program, "input").range = {-100, 100};
  GoldenBackend backend;
  const auto error = [&](const TensorMap& inputs) -> std::string {
    try {
      Execute(program, inputs, 0, backend);
    } catch (const ProgramError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(error({}), HasSubstr("input 'input' is missing"));
  EXPECT_THAT(error({{"input", IntTensor(DType::kInt16, {kTokens, kDim + 1})}}),
              HasSubstr("another shape or type"));
  EXPECT_THAT(error({{"input", IntTensor(DType::kInt8, {kTokens, kDim})}}),
              HasSubstr("another shape or type"));
  IntTensor outside(DType::kInt16, {kTokens, kDim});
  outside.As<std::int16_t>()[5] = 101;
  EXPECT_THAT(error({{"input", outside}}), HasSubstr("element 5 is 101, outside its range"));
  outside.As<std::int16_t>()[5] = -101;
  EXPECT_THAT(error({{"input", outside}}), HasSubstr("element 5 is -101, outside its range"));
  EXPECT_THAT(error({{"input", IntTensor(DType::kInt16, {kTokens * kDim})}}),
              HasSubstr("another shape or type"));
}

TEST(Executor, RefusesToReadWhatNobodySupplied) {
  testing::SeededRandom random;
  const Program program = SmallProgram(random);
  GoldenBackend backend;
  Execution execution(program, 0, backend);
  EXPECT_THROW(execution.Step(0), ProgramError);
}

// A backend whose results leave their tensor is found out, in both directions.
TEST(Executor, RefusesResultsOutsideTheirRange) {
  struct Wrong : GoldenBackend {
    std::int64_t ResidualAdd(const OpId&, std::span<const std::int32_t>,
                             std::span<const std::int32_t>, std::int64_t, const ResidualAddParams&,
                             std::span<std::int32_t> out) override {
      out.back() = result;
      return 0;
    }
    std::int32_t result = 0;
  };
  testing::SeededRandom random;
  const Program program = SmallProgram(random);
  const TensorMap inputs = SmallInputs(random);
  Wrong backend;
  for (const std::int32_t inside : {-32768, 32767}) {
    backend.result = inside;
    const IntTensor y = Execute(program, inputs, 0, backend).at("residual");
    EXPECT_EQ(y.At(y.size() - 1), inside);
  }
  for (const std::int32_t outside : {-32769, 32768}) {
    backend.result = outside;
    EXPECT_THROW(Execute(program, inputs, 0, backend), ProgramError);
  }
}

}  // namespace
}  // namespace qsim::testing
