// What `qsim describe` prints is what the golden operations compute: the equations are evaluated
// from their text and compared with a run, on random instances of every operation and scheme.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "golden/program/backend.h"
#include "golden/program/executor.h"
#include "golden/program/queries.h"
#include "sim/export/describe.h"
#include "tests/export/equations.h"
#include "tests/test_support.h"

namespace qsim::testing {
namespace {

using testing::SeededRandom;

constexpr QuantRange kInt8 = {-128, 127};
constexpr QuantRange kUint8 = {0, 255};
constexpr QuantRange kInt16 = {-32768, 32767};
constexpr QuantRange kInt24 = {-(1 << 23), (1 << 23) - 1};
constexpr QuantRange kInt32 = {INT32_MIN, INT32_MAX};

// The chapters of docs/numerics.md by number, small letters only.
std::map<std::string, std::string> Chapters() {
  std::map<std::string, std::string> chapters;
  std::ifstream in(std::string(QSIM_SOURCE_DIR) + "/docs/numerics.md");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("## ")) continue;
    std::string letters;
    for (const char c : line.substr(3)) {
      if (std::isalpha(static_cast<unsigned char>(c)) != 0)
        letters += static_cast<char>(std::tolower(c));
    }
    chapters[line.substr(3, line.find(' ', 3) - 3)] = letters;
  }
  return chapters;
}

// A program of one operation under construction. Parameters have one value each, as the text names
// values and not the channels they belong to.
class Instance {
 public:
  explicit Instance(SeededRandom& random) : random_(random) {}

  std::int32_t Draw(std::int64_t lo, std::int64_t hi) {
    return static_cast<std::int32_t>(random_.Between(lo, hi));
  }
  Rounding AnyRounding() { return static_cast<Rounding>(Draw(0, 4)); }

  void Input(const std::string& name, const Shape& shape, QuantRange range, QuantRange values) {
    const TensorInfo& info = Define(name, shape, range);
    program_.inputs.push_back(name);
    inputs_[name] = Filled(info.dtype, shape, values);
  }
  void Output(const Shape& shape, QuantRange range) { Define("y", shape, range); }
  void Constant(const std::string& name, DType dtype, const Shape& shape, QuantRange values) {
    program_.constants[name] = Filled(dtype, shape, values);
  }
  template <typename Operation>
  void Add(Operation operation) {
    operation.output = "y";
    program_.ops.emplace_back(std::move(operation));
  }

  // The golden result against the printed equations.
  void Check() {
    Validate(program_);
    GoldenBackend golden;
    const TensorMap tensors = Execute(program_, inputs_, 0, golden);
    Bundle bundle;
    bundle.program = program_;
    const std::string text = DescribeProgram(bundle, "");
    const std::vector<testing::DescribedOperation> described = testing::ParseDescription(text);
    ASSERT_EQ(described.size(), 1U) << text;
    std::string kind = described[0].kind == "add" ? "exactaddition" : described[0].kind;
    std::erase(kind, '_');
    const std::string& section = described[0].section;
    EXPECT_NE(Chapters()[section.substr(0, section.find('.'))].find(kind), std::string::npos)
        << text;
    const IntTensor& y = tensors.at("y");
    const std::vector<mpq_class> evaluated =
        testing::EvaluateEquations(described[0], tensors, Arrays(), y.shape());
    ASSERT_EQ(static_cast<std::int64_t>(evaluated.size()), y.size());
    for (std::int64_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(evaluated[static_cast<std::size_t>(i)], static_cast<signed long>(y.At(i)))
          << "element " << i << text;
      different_.insert(y.At(i));
    }
  }
  std::size_t different() const { return different_.size(); }

 private:
  // The constants, and the tables that the text names.
  std::map<std::string, IntTensor> Arrays() const {
    std::map<std::string, IntTensor> arrays = program_.constants;
    ForEachParameterOf(program_.ops[0], [&]<typename T>(const Field& field, const T& member) {
      if constexpr (std::is_same_v<T, std::vector<std::int32_t>>) {
        if (field.axis == Axis::kCode)
          arrays[std::string(field.name)] =
              IntTensor({static_cast<std::int64_t>(member.size())}, member);
      }
    });
    return arrays;
  }
  TensorInfo& Define(const std::string& name, const Shape& shape, QuantRange range) {
    program_.tensors.push_back({name, shape, StorageFor(range), range});
    if (range.qmin < -32768) program_.tensors.back().dtype = DType::kInt32;
    if (range.qmin == 0 && range.qmax <= 255) program_.tensors.back().dtype = DType::kUint8;
    return program_.tensors.back();
  }
  IntTensor Filled(DType dtype, const Shape& shape, QuantRange values) {
    IntTensor tensor(dtype, shape);
    std::visit(
        [&](auto& stored) {
          for (auto& value : stored) {
            value = static_cast<std::decay_t<decltype(value)>>(Draw(values.qmin, values.qmax));
          }
        },
        tensor.storage());
    return tensor;
  }

  SeededRandom& random_;
  Program program_;
  TensorMap inputs_;
  std::set<std::int64_t> different_;
};

void CheckInstances(const std::function<void(Instance&)>& make, int count = 20) {
  SeededRandom random;
  std::size_t different = 0;
  for (int i = 0; i < count; ++i) {
    Instance instance(random);
    make(instance);
    instance.Check();
    if (::testing::Test::HasFatalFailure()) return;
    different += instance.different();
  }
  EXPECT_GT(different, static_cast<std::size_t>(3 * count)) << "the results hardly differ";
}

// ---- requantize ----

class DescribedRequantize : public ::testing::TestWithParam<RequantScheme> {};

TEST_P(DescribedRequantize, Equation) {
  const RequantLimits limits = LimitsOf(GetParam());
  CheckInstances([&](Instance& instance) {
    RequantizeOp op;
    op.input = "x";
    op.scheme = GetParam();
    op.rounding = GetParam() == RequantScheme::kRoundShift ? instance.AnyRounding()
                  : instance.Draw(0, 1) == 0               ? Rounding::kHalfUp
                                                           : Rounding::kFloor;
    if (GetParam() != RequantScheme::kRoundShift && GetParam() != RequantScheme::kRequantShift) {
      op.rounding = Rounding::kHalfUp;
    }
    // A few bits that often are a half, or many.
    std::int64_t reach = 400;
    if (instance.Draw(0, 1) == 0) {
      op.scale = {{instance.Draw(1, 5), instance.Draw(std::max(limits.min_shift, 1), 4)}};
    } else {
      const std::int32_t m = limits.max_multiplier - instance.Draw(0, limits.max_multiplier / 2);
      int shift = limits.min_shift;
      while ((std::int64_t{m} << 22) >> shift > 200) ++shift;
      op.scale = {{m, std::min(shift, limits.max_shift)}};
      reach = 1 << 22;
    }
    op.zero = {instance.Draw(-20, 20)};
    // An accumulator has no zero point.
    const bool narrow = reach == 400 && instance.Draw(0, 1) == 0;
    if (narrow) op.input_zero = instance.Draw(-9, 9);
    if (limits.addend != AddendUse::kNone && instance.Draw(0, 1) == 0) {
      op.addend = {instance.Draw(-30, 30)};
    }
    const auto most = static_cast<std::int32_t>(reach);
    instance.Input("x", {3, 5}, narrow ? kInt16 : kInt24, {-most, most});
    instance.Output({3, 5}, kInt8);
    instance.Add(op);
  });
}

INSTANTIATE_TEST_SUITE_P(Every, DescribedRequantize, ::testing::ValuesIn(kAllRequantSchemes),
                         [](const auto& scheme) { return std::string(Name(scheme.param)); });

TEST(DescribedOperations, RequantizeOfSomeColumns) {
  CheckInstances([](Instance& instance) {
    RequantizeOp op;
    op.input = "x";
    op.first_column = instance.Draw(1, 4);
    op.scale = {{instance.Draw(1, 99), 6}};
    op.zero = {0};
    instance.Input("x", {3, 9}, kInt24, {-300, 300});
    instance.Output({3, 5}, kInt8);
    instance.Add(op);
  });
}

// ---- products and sums ----

TEST(DescribedOperations, Gemm) {
  CheckInstances([](Instance& instance) {
    GemmOp op;
    op.input = "x";
    op.weight = "layer.weight";
    op.bias = "layer.bias";
    // One channel has its zero point in the text; those of several are "z_w".
    const std::int64_t channels = instance.Draw(0, 1) == 0 ? 1 : 5;
    if (channels == 1) op.weight_zero = {instance.Draw(-9, 9)};
    instance.Input("x", {3, 7}, kInt8, kInt8);
    instance.Constant(op.weight, DType::kInt8, {channels, 7}, kInt8);
    instance.Constant(op.bias, DType::kInt32, {channels}, {-999, 999});
    const std::int64_t rows = instance.Draw(0, 1);
    op.rows = rows;
    if (rows == 1) op.first_row = instance.Draw(0, 2);
    instance.Output({rows == 0 ? 3 : rows, channels}, kInt32);
    instance.Add(op);
  });
}

TEST(DescribedOperations, Scores) {
  CheckInstances([](Instance& instance) {
    MatmulOp op;
    op.lhs = "q";
    op.rhs = "k";
    op.heads = 2;
    op.transpose_rhs = true;
    op.lhs_zero = {instance.Draw(-9, 9)};
    op.rhs_zero = {instance.Draw(-9, 9)};
    instance.Input("q", {4, 6}, kInt8, kInt8);
    instance.Input("k", {4, 6}, kInt8, kInt8);
    instance.Output({2, 4, 4}, kInt32);
    instance.Add(op);
  });
}

TEST(DescribedOperations, AttentionTimesValues) {
  CheckInstances([](Instance& instance) {
    const bool shift = instance.Draw(0, 1) == 0;
    MatmulOp op;
    op.lhs = "probs";
    op.rhs = "v";
    op.heads = 2;
    op.mode = shift ? OperandMode::kShift : OperandMode::kMultiply;
    op.lhs_zero = {0};
    op.rhs_zero = {instance.Draw(0, 1) == 0 ? 0 : instance.Draw(-9, 9)};
    instance.Input("probs", {2, 4, 4}, shift ? QuantRange{0, 16} : kUint8,
                   shift ? QuantRange{0, 16} : kUint8);
    instance.Input("v", {4, 6}, kInt8, kInt8);
    instance.Output({4, 6}, kInt32);
    instance.Add(op);
  });
}

TEST(DescribedOperations, ResidualAdd) {
  CheckInstances([](Instance& instance) {
    ResidualAddOp op;
    op.a = "a";
    op.b = "b";
    const bool ties = instance.Draw(0, 1) == 0;
    op.a_multiplier = {instance.Draw(ties ? -3 : -30000, ties ? 3 : 30000)};
    op.b_multiplier = {instance.Draw(1, ties ? 3 : 30000)};
    if (op.a_multiplier[0] == 0) op.a_multiplier[0] = 1;
    op.shift = ties ? instance.Draw(1, 3) : 16;
    const bool narrow = instance.Draw(0, 1) == 0;
    if (narrow) op.a_zero = instance.Draw(-9, 9);
    op.b_zero = instance.Draw(-9, 9);
    op.out_zero = instance.Draw(-9, 9);
    op.rounding = instance.AnyRounding();
    instance.Input("a", {3, 5}, narrow ? kInt8 : kInt24, narrow ? kInt8 : QuantRange{-400, 400});
    instance.Input("b", {3, 5}, kInt16, {-400, 400});
    instance.Output({3, 5}, ties ? kInt16 : kInt8);
    instance.Add(op);
  });
}

TEST(DescribedOperations, Embed) {
  CheckInstances([](Instance& instance) {
    EmbedOp op;
    op.a = "patches";
    op.position = "position";
    op.a_multiplier = {instance.Draw(1, 3000)};
    op.b_multiplier = instance.Draw(1, 300);
    op.shift = instance.Draw(4, 9);
    op.out_zero = instance.Draw(-9, 9);
    op.rounding = instance.AnyRounding();
    instance.Input("patches", {4, 5}, kInt24, {-60, 60});
    instance.Constant(op.position, DType::kInt32, {5, 5}, {-100, 100});
    instance.Output({5, 5}, kInt16);
    instance.Add(op);
  });
}

TEST(DescribedOperations, Add) {
  CheckInstances([](Instance& instance) {
    AddOp op;
    op.a = "a";
    instance.Input("a", {3, 5}, kInt24, {-400, 400});
    if (instance.Draw(0, 1) == 0) {
      op.b = "b";
      instance.Input("b", {3, 5}, kInt16, {-400, 400});
    } else {
      op.bias = "layer.bias";
      instance.Constant(op.bias, DType::kInt32, {5}, {-400, 400});
    }
    instance.Output({3, 5}, kInt32);
    instance.Add(op);
  });
}

// ---- softmax ----

void CheckSoftmax(const std::function<SoftmaxParams(Instance&)>& draw) {
  for (const SoftmaxDivision division : AllOf<SoftmaxDivision>()) {
    CheckInstances(
        [&](Instance& instance) {
          SoftmaxOp op{{}, "x", {draw(instance)}};
          op.division = division;
          const QuantRange range = SoftmaxOutputRange(op.params[0], division);
          instance.Input("x", {1, 6, 6}, kInt8, {-100, 100});
          instance.Output({1, 6, 6}, range);
          instance.Add(op);
        },
        10);
  }
}

TEST(DescribedOperations, RowSum) {
  CheckInstances([](Instance& instance) {
    const bool shift = instance.Draw(0, 1) == 0;
    instance.Input("x", {2, 3, 5}, shift ? QuantRange{0, 16} : kUint8, {0, shift ? 16 : 255});
    instance.Output({2, 3, 1}, kInt32);
    instance.Add(RowSumOp{{}, "x", shift ? OperandMode::kShift : OperandMode::kMultiply});
  });
}

TEST(DescribedOperations, ColumnSum) {
  CheckInstances([](Instance& instance) {
    const std::int32_t first = instance.Draw(0, 3);
    instance.Input("x", {5, 4}, kInt16, {-3000, 3000});
    instance.Output({1, 4}, kInt32);
    instance.Add(ColumnSumOp{{}, "x", first, {instance.Draw(-9, 9)}});
  });
}

TEST(DescribedOperations, RowDivide) {
  CheckInstances([](Instance& instance) {
    RowDivideOp op{{}, "x", "sums"};
    op.fraction_bits = instance.Draw(1, 20);
    op.reciprocal_rounding = instance.AnyRounding();
    op.rounding = instance.AnyRounding();
    const Shape shape = instance.Draw(0, 1) == 0 ? Shape{3, 4} : Shape{2, 3, 2};
    instance.Input("x", shape, kInt32, {-3000, 3000});
    instance.Input("sums", {2, 3, 1}, kInt32, {-2, 400});
    instance.Output(shape, {-(1 << 20), 1 << 20});
    instance.Add(op);
  });
}

IbertExp AnyExp(Instance& instance) {
  const std::int32_t k = instance.Draw(12, 40);
  return {.x0 = -k, .b = k * 39060 / 10000, .c = std::int64_t{k} * k * 58120 / 10000};
}

// Such that the maximum becomes 2^13 to 2^16.
template <typename Params>
void SetAct16(Instance& instance, Params& params) {
  params.act16_multiplier = instance.Draw(1 << 30, INT32_MAX);
  params.act16_shift = 46;
  while ((params.exp.c >> (params.act16_shift - 46)) > 1) ++params.act16_shift;
}

TEST(DescribedSoftmax, Ibert) {
  CheckSoftmax([](Instance& instance) {
    IbertSoftmaxParams params{.exp = AnyExp(instance)};
    SetAct16(instance, params);
    return params;
  });
}

TEST(DescribedSoftmax, IbertRounded) {
  CheckSoftmax([](Instance& instance) {
    IbertRnSoftmaxParams params{.exp = AnyExp(instance), .extra_bits = instance.Draw(0, 4)};
    SetAct16(instance, params);
    return params;
  });
}

TEST(DescribedSoftmax, LogInt) {
  CheckSoftmax([](Instance& instance) { return LogIntSoftmaxParams{.exp = AnyExp(instance)}; });
}

TEST(DescribedSoftmax, Shiftmax) {
  CheckSoftmax([](Instance& instance) { return ShiftmaxParams{.x0 = instance.Draw(-40, -9)}; });
}

TEST(DescribedSoftmax, Ita) {
  CheckSoftmax([](Instance& instance) {
    return ItaSoftmaxParams{.shift_bits = instance.Draw(3, 5),
                            .output_offset = instance.Draw(0, 1) * -128};
  });
}

TEST(DescribedSoftmax, Table) {
  CheckSoftmax([](Instance& instance) {
    TableSoftmaxParams params{.extra_bits = instance.Draw(0, 3)};
    const std::int32_t keep = instance.Draw(60000, 65000);
    for (auto* table : {&params.exp, &params.exp_high}) {
      if (table == &params.exp_high && instance.Draw(0, 1) == 0) continue;
      table->assign(1, kTableExpOne);
      while (table->size() < 256)
        table->push_back(static_cast<std::int32_t>(std::int64_t{table->back()} * keep >> 16));
    }
    return params;
  });
}

TEST(DescribedSoftmax, Isoftmax) {
  CheckSoftmax([](Instance& instance) {
    const std::int32_t log2 = instance.Draw(9, 60);
    return IsoftmaxParams{.coeff_a = instance.Draw(1, 3),
                          .coeff_b = log2 * 195 / 100,
                          .coeff_c = std::int64_t{log2} * log2 * 2 + 1,
                          .log2 = log2,
                          .output_offset = -128};
  });
}

// ---- layer norm ----

template <typename Params>
Params AnySumOfSquares(Instance& instance) {
  Params params;
  params.input_zero = instance.Draw(-50, 50);
  if (instance.Draw(0, 1) == 0) params.input_shift.assign(6, instance.Draw(0, 3));
  params.bias.assign(6, instance.Draw(-(1 << 27), 1 << 27));
  params.scale = {{instance.Draw(20000, 60000) * (instance.Draw(0, 1) * 2 - 1), 39}};
  params.zero = {instance.Draw(-9, 9)};
  params.eps = instance.Draw(0, 1) * instance.Draw(1, 9000000);
  params.rounding = instance.AnyRounding();
  return params;
}

void CheckLayernorm(const std::function<LayernormParams(Instance&)>& draw, QuantRange input) {
  CheckInstances([&](Instance& instance) {
    LayernormOp op;
    op.input = "x";
    op.params = draw(instance);
    instance.Input("x", {3, 6}, input == kInt8 ? kInt8 : kInt16, input);
    instance.Output({3, 6}, kInt8);
    instance.Add(op);
  });
}

TEST(DescribedLayernorm, Ibert) {
  CheckLayernorm(
      [](Instance& instance) {
        auto params = AnySumOfSquares<IbertLayernormParams>(instance);
        params.std_shift = instance.Draw(0, 3);
        return params;
      },
      {-3000, 3000});
}

TEST(DescribedLayernorm, Ivit) {
  CheckLayernorm(AnySumOfSquares<IvitLayernormParams>, {-3000, 3000});
}

TEST(DescribedLayernorm, Deeploy) {
  CheckLayernorm(
      [](Instance& instance) {
        DeeployLayernormParams params;
        params.input_zero = instance.Draw(-9, 9);
        params.weight.assign(6, instance.Draw(1000, 20000));
        params.bias.assign(6, instance.Draw(-3000, 3000));
        params.log2d = 7;
        params.eps = instance.Draw(0, 1) * instance.Draw(1, 9000);
        params.wrap = instance.Draw(0, 1) == 0;
        return params;
      },
      kInt8);
}

// ---- RMS norm ----

TEST(DescribedOperations, Rmsnorm) {
  CheckInstances([](Instance& instance) {
    RmsnormOp op;
    op.input = "x";
    RmsnormParams& params = op.params;
    params.input_zero = instance.Draw(-50, 50);
    if (instance.Draw(0, 1) == 0) params.input_shift.assign(6, instance.Draw(0, 3));
    params.rms_shift = instance.Draw(0, 3);
    params.eps = instance.Draw(0, 1) * instance.Draw(1, 9000000);
    params.scale = {{instance.Draw(20000, 60000) * (instance.Draw(0, 1) * 2 - 1), 39}};
    params.zero = {instance.Draw(-9, 9)};
    params.rounding = instance.AnyRounding();
    instance.Input("x", {3, 6}, kInt16, {-3000, 3000});
    if (instance.Draw(0, 1) == 0) {
      op.gate = "gate";
      params.gate_zero = instance.Draw(-3, 3);
      params.scale[0].shift += 2;
      instance.Input("gate", {3, 6}, kInt8, {-9, 9});
    }
    instance.Output({3, 6}, kInt8);
    instance.Add(op);
  });
}

// ---- GELU ----

void CheckGelu(const std::function<GeluParams(Instance&)>& draw) {
  CheckInstances([&](Instance& instance) {
    GeluOp op;
    op.input = "x";
    op.params = draw(instance);
    instance.Input("x", {3, 20}, kInt8, kInt8);
    instance.Output({3, 20}, kInt8);
    instance.Add(op);
  });
}

TEST(DescribedGelu, Ibert) {
  CheckGelu([](Instance& instance) {
    return GeluIbertParams{.b = -80,
                           .c = -7069,
                           .shift_int = -instance.Draw(700, 900),
                           .n = 3,
                           .input_zero = instance.Draw(-20, 20),
                           .scale = {-instance.Draw(20000, 30000), 25},
                           .zero = instance.Draw(-9, 9),
                           .rounding = instance.AnyRounding()};
  });
}

TEST(DescribedGelu, Ita) {
  CheckGelu([](Instance& instance) {
    return GeluItaParams{.q_1 = -instance.Draw(6000, 8000),
                         .q_b = -instance.Draw(60, 90),
                         .q_c = -7091,
                         .scale = {-instance.Draw(50, 90), instance.Draw(20, 24)},
                         .zero = instance.Draw(-9, 9)};
  });
}

TEST(DescribedGelu, Deeploy) {
  CheckGelu([](Instance& instance) {
    return GeluDeeployParams{
        .b = -instance.Draw(20, 60),
        .one = instance.Draw(1000, 3000),
        .input_zero = instance.Draw(-20, 20),
        .scale = {instance.Draw(1, 9), 11},
        .addend = instance.Draw(0, 1) * instance.Draw(-900, 900),
        .zero = instance.Draw(-9, 9),
        .rounding = instance.Draw(0, 1) == 0 ? Rounding::kHalfUp : Rounding::kHalfEven};
  });
}

TEST(DescribedGelu, TableNamesItsFirstCode) {
  for (const QuantRange input : {kInt8, kUint8, QuantRange{-8, 7}}) {
    Program program;
    program.inputs = {"x"};
    for (const auto& [name, range] : {std::pair{"x", input}, std::pair{"y", kInt8}}) {
      program.tensors.push_back({name, {2, 4}, StorageFor(range), range});
    }
    GeluTableParams params;
    params.table.assign(static_cast<std::size_t>(input.qmax - input.qmin + 1), 5);
    GeluOp op;
    op.output = "y";
    op.input = "x";
    op.params = params;
    program.ops.emplace_back(op);
    Validate(program);
    Bundle bundle;
    bundle.program = program;
    const auto described = testing::ParseDescription(DescribeProgram(bundle, ""));
    EXPECT_EQ(described.at(0).lines.back(),
              "y = table[x - (" + std::to_string(input.qmin) + ")], " +
                  std::to_string(input.qmax - input.qmin + 1) + " entries");
  }
}

// ---- the evaluator ----

TEST(Equations, WhatItCannotReadThrows) {
  const TensorMap tensors = {{"x", IntTensor({2}, std::vector<std::int8_t>{1, -2})}};
  const auto evaluate = [&](const std::string& line) {
    return testing::EvaluateEquations({"y", "op", "1", {"x"}, {line}}, tensors, {}, {1, 2});
  };
  EXPECT_EQ(evaluate("y = 3 x + sum(x)"), (std::vector<mpq_class>{2, -7}));
  for (const char* line : {"y = x +", "y = (x", "y = unknown", "y = x)", "something else", "z = x",
                           "y = x / 0", "in groups of 4: it shifts"}) {
    EXPECT_THROW(evaluate(line), std::exception) << line;
  }
}

}  // namespace
}  // namespace qsim::testing
