// The general representation: operands of any rank and length, and what combines them.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "derivation/arbitrary.h"
#include "golden/kernels/choice.h"
#include "tests/program/rejected.h"
#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

using derivation::Arbitrary;
using testing::SeededRandom;

template <typename T>
derivation::Instance Draw(SeededRandom& random) {
  return Arbitrary(std::type_identity<T>(),
                   [&](std::int64_t lo, std::int64_t hi) { return random.Between(lo, hi); });
}

std::int64_t OneOr(const std::vector<std::int32_t>& values, std::int64_t index) {
  return values.size() == 1 ? values[0] : values.at(static_cast<std::size_t>(index));
}

// Element (row, column) of one head's matrix: of rank 2 they lie side by side.
std::int64_t Element(const IntTensor& tensor, std::int64_t heads, std::int64_t head,
                     std::int64_t row, std::int64_t column) {
  const Shape& shape = tensor.shape();
  const std::int64_t rows = shape[shape.size() - 2], columns = shape.back();
  if (shape.size() == 2) return tensor.At(row * columns + head * (columns / heads) + column);
  const bool shared = ElementCount(shape) == rows * columns;
  return tensor.At(((shared ? 0 : head) * rows + row) * columns + column);
}

// Equation 3.1 for every head, whatever ranks and lengths its operands have.
TEST(Products, OfAnyTwoOperands) {
  SeededRandom random;
  std::set<std::string> met;
  for (int i = 0; i < 1000; ++i) {
    const derivation::Instance instance = Draw<MatmulOp>(random);
    const auto& op = std::get<MatmulOp>(instance.program.ops.front());
    if (op.acc.policy == AccPolicy::kSaturate) continue;
    FastBackend backend;
    const TensorMap values = Execute(instance.program, instance.inputs, 0, backend);
    const IntTensor &a = values.at("a"), &y = values.at("y");
    const IntTensor& b = op.weight.empty() ? values.at("b") : instance.program.Constant(op.weight);
    const bool flat = y.shape().size() == 2;
    const std::int64_t rows = y.shape()[y.shape().size() - 2];
    const std::int64_t columns = y.shape().back() / (flat ? op.heads : 1);
    const std::int64_t depth = a.shape().back() / (a.shape().size() == 2 ? op.heads : 1);
    for (std::int64_t h = 0; h < op.heads; ++h) {
      for (std::int64_t m = 0; m < rows; ++m) {
        for (std::int64_t n = 0; n < columns; ++n) {
          std::int64_t sum = 0;
          for (std::int64_t k = 0; k < depth; ++k) {
            std::int64_t left = Element(a, op.heads, h, m, k);
            if (op.mode == OperandMode::kShift) left = left == 16 ? 0 : 1 << (15 - left);
            const std::int64_t right =
                op.transpose_rhs ? Element(b, op.heads, h, n, k) : Element(b, op.heads, h, k, n);
            sum += (left - OneOr(op.lhs_zero, h)) *
                   (right - OneOr(op.rhs_zero, op.transpose_rhs ? h : h * columns + n));
          }
          if (op.acc.policy == AccPolicy::kWrap) {
            const std::int64_t size = std::int64_t{1} << op.acc.bits;
            sum = ((sum + size / 2) % size + size) % size - size / 2;
          }
          ASSERT_EQ(Element(y, op.heads, h, m, n), sum) << "instance " << i;
        }
      }
    }
    for (const IntTensor* tensor : {&a, &b, &y})
      met.insert("rank " + std::to_string(tensor->shape().size()));
    if (op.transpose_rhs && rows != columns) met.insert("other length");
    if (op.heads > 1 && b.shape().size() == 3 && b.shape()[0] == 1) met.insert("shared");
  }
  EXPECT_EQ(met, (std::set<std::string>{"rank 2", "rank 3", "rank 4", "other length", "shared"}));
}

TEST(Softmax, WhatARowDoesNotSeeDoesNotMatter) {
  SeededRandom random;
  int changed = 0;
  for (int i = 0; i < 300; ++i) {
    derivation::Instance instance = Draw<SoftmaxOp>(random);
    auto& op = std::get<SoftmaxOp>(instance.program.ops.front());
    op.causal = true;
    FastBackend backend;
    const IntTensor before = Execute(instance.program, instance.inputs, 0, backend).at("y");
    IntTensor& scores = instance.inputs.at("x");
    const std::int64_t rows = scores.shape()[1], keys = scores.shape()[2];
    std::visit(
        [&](auto& values) {
          for (std::size_t e = 0; e < values.size(); ++e) {
            const auto at = static_cast<std::int64_t>(e);
            if (at % keys <= at / keys % rows + keys - rows) continue;
            values[e] = static_cast<std::decay_t<decltype(values[e])>>(random.Between(0, 127));
            ++changed;
          }
        },
        scores.storage());
    EXPECT_EQ(Execute(instance.program, instance.inputs, 0, backend).at("y"), before);
  }
  EXPECT_GT(changed, 1000);
}

TEST(Softmax, ARowThatSeesNothingIsZero) {
  for (const bool log_int : {false, true}) {
    SoftmaxParams params = ItaSoftmaxParams{.shift_bits = 5, .levels = 256, .output_offset = -128};
    if (log_int) params = LogIntSoftmaxParams{{-20, 78, 2300, 30}, 4};
    const QuantRange range = SoftmaxOutputRange(params);
    Program program;
    program.tensors = {testing::Tensor("x", {1, 2, 3}, testing::kInt8Range),
                       {"mask", {2, 3}, DType::kUint8, {0, 1}},
                       {"y", {1, 2, 3}, StorageFor(range), range}};
    program.inputs = {"x", "mask"};
    program.ops = {SoftmaxOp{"y", "x", {params}, "mask"}};
    if (log_int) program.tensors[2].dtype = DType::kUint8;
    Validate(program);
    FastBackend backend;
    const TensorMap inputs = {
        {"x", IntTensor({1, 2, 3}, std::vector<std::int8_t>{1, 2, 3, 4, 5, 6})},
        {"mask", IntTensor({2, 3}, std::vector<std::uint8_t>{0, 0, 0, 0, 1, 0})}};
    const IntTensor y = Execute(program, inputs, 0, backend).at("y");
    for (std::int64_t i = 0; i < 6; ++i)
      EXPECT_EQ(y.At(i), i == 4 ? (log_int ? 0 : 127) : (log_int ? 16 : -128)) << i;
  }
}

TEST(Table, IsAnyFunction) {
  // ReLU from one grid to another: 16 bits, zero point 100, to 8 bits with four times the step.
  Program program;
  program.tensors = {testing::Tensor("x", {2, 1, 2}, {-400, 900}),
                     testing::Tensor("y", {2, 1, 2}, testing::kInt8Range)};
  program.inputs = {"x"};
  TableOp relu{"y", "x", {}};
  for (std::int32_t code = -400; code <= 900; ++code)
    relu.table.push_back(code < 100 ? -128 : (code - 100) / 4 - 128);
  program.ops = {relu};
  Validate(program);
  FastBackend backend;
  const TensorMap inputs = {
      {"x", IntTensor({2, 1, 2}, std::vector<std::int16_t>{-400, 99, 104, 900})}};
  EXPECT_EQ(Execute(program, inputs, 0, backend).at("y"),
            IntTensor({2, 1, 2}, std::vector<std::int8_t>{-128, -128, -127, 72}));
}

TEST(Multiply, IsExactAndProven) {
  SeededRandom random;
  for (int i = 0; i < 200; ++i) {
    const derivation::Instance instance = Draw<MultiplyOp>(random);
    const auto& op = std::get<MultiplyOp>(instance.program.ops.front());
    FastBackend backend;
    const TensorMap values = Execute(instance.program, instance.inputs, 0, backend);
    const IntTensor& a = values.at("a");
    const std::int64_t columns = a.shape().back();
    for (std::int64_t e = 0; e < values.at("y").size(); ++e) {
      std::int64_t right = 0;
      if (op.factor.empty()) {
        // Each column of b serves as many of a.
        const IntTensor& b = values.at("b");
        const std::int64_t each = columns / b.shape().back();
        right = b.At(e / columns * b.shape().back() + e % columns / each) - op.b_zero;
      } else {
        right = instance.program.Constant(op.factor).At(e % columns);
      }
      EXPECT_EQ(values.at("y").At(e), (a.At(e) - op.a_zero) * right);
    }
  }
  Program valid;
  valid.tensors = {testing::Tensor("a", {2}, {-128, 127}),
                   testing::Tensor("b", {2}, {0, 255}),
                   {"y", {2}, DType::kInt32, {-255 * 130, 255 * 125}}};
  valid.inputs = {"a", "b"};
  valid.ops = {MultiplyOp{"y", "a", "b", 2, 0}};
  const auto op = [](Program& p) -> MultiplyOp& { return testing::OpNamed<MultiplyOp>(p, "y"); };
  testing::ExpectRejected(
      valid, {{"a product can leave the output's range",
               [](Program& p) { testing::TensorNamed(p, "y").range.qmin++; }},
              {"a product can leave the output's range",
               [](Program& p) { testing::TensorNamed(p, "y").range.qmax--; }},
              {"zero point[0] is 65537", [&](Program& p) { op(p).a_zero = 65537; }},
              {"the columns of 'b' must divide those of 'a'",
               [](Program& p) { testing::TensorNamed(p, "b").shape = {3}; }},
              {"'b' has the wrong shape",
               [](Program& p) {
                 testing::TensorNamed(p, "b").shape = {1, 2};
               }},
              {"either a tensor or a factor", [&](Program& p) { op(p).factor = "f"; }},
              {"a factor has no zero point",
               [&](Program& p) {
                 p.constants["f"] = IntTensor({2}, std::vector<std::int16_t>{3, 4});
                 op(p).b = "";
                 op(p).factor = "f";
                 op(p).b_zero = 1;
               }},
              {"one for each column",
               [&](Program& p) {
                 p.constants["f"] = IntTensor({3}, std::vector<std::int16_t>{3, 4, 5});
                 op(p).b = "";
                 op(p).factor = "f";
               }},
              {"factor must be 16 bits or narrower",
               [&](Program& p) {
                 p.constants["f"] = IntTensor({2}, std::vector<std::int32_t>{3, 4});
                 op(p).b = "";
                 op(p).factor = "f";
               }},
              {"a product can leave the output's range",
               [&](Program& p) {
                 p.constants["f"] = IntTensor({2}, std::vector<std::int16_t>{3, -300});
                 op(p).b = "";
                 op(p).factor = "f";
               }},
              {"factors must be 16 bits or narrower",
               [](Program& p) { testing::TensorNamed(p, "a").dtype = DType::kInt32; }}});
}

// Equation 14.1, counted like an odometer.
TEST(View, IsEveryElementOfItsEquation) {
  SeededRandom random;
  for (int i = 0; i < 300; ++i) {
    const derivation::Instance instance = Draw<ViewOp>(random);
    const auto& op = std::get<ViewOp>(instance.program.ops.front());
    FastBackend backend;
    const TensorMap values = Execute(instance.program, instance.inputs, 0, backend);
    const IntTensor &x = values.at("x"), &y = values.at("y");
    const Shape& extents = op.extents.empty() ? y.shape() : op.extents;
    for (std::int64_t e = 0; e < y.size(); ++e) {
      std::int64_t rest = e, from = op.offset;
      for (std::size_t axis = extents.size(); axis-- > 0;) {
        from += rest % extents[axis] * op.strides[axis];
        rest /= extents[axis];
      }
      ASSERT_EQ(y.At(e), x.At(from)) << "instance " << i << " element " << e;
    }
  }
}

TEST(View, StaysWithinItsInput) {
  Program valid;
  valid.tensors = {testing::Tensor("x", {3, 4}, testing::kInt8Range),
                   testing::Tensor("y", {4, 3}, testing::kInt8Range)};
  valid.inputs = {"x"};
  valid.ops = {ViewOp{"y", "x", 0, {1, 4}, {}}};  // the transpose
  const auto op = [](Program& p) -> ViewOp& { return testing::OpNamed<ViewOp>(p, "y"); };
  testing::ExpectRejected(
      valid,
      {{"reads elements beyond its input", [&](Program& p) { op(p).offset = 1; }},
       {"reads elements beyond its input", [&](Program& p) { op(p).offset = -1; }},
       {"reads elements beyond its input", [&](Program& p) { op(p).strides[0] = INT64_MAX; }},
       {"reads elements beyond its input", [&](Program& p) { op(p).strides[1] = -1; }},
       {"needs one stride for each extent", [&](Program& p) { op(p).strides.pop_back(); }},
       {"'y' has the wrong shape",
        [&](Program& p) {
          op(p).extents = {4, 2};
        }},
       {"has an impossible shape",
        [&](Program& p) {
          op(p).extents = {4, INT64_MAX};
        }},
       {"has an impossible shape",
        [&](Program& p) {
          op(p).extents = {0, 3};
        }},
       {"a run-time length must be the first axis of the input",
        [](Program& p) { testing::TensorNamed(p, "x").length_axes = {1}; }},
       {"needs the type and range of the input",
        [](Program& p) { testing::TensorNamed(p, "y").range.qmax = 126; }}});
}

TEST(Concat, IsRowsThenRows) {
  Program valid;
  valid.tensors = {testing::Tensor("a", {1, 2}, testing::kInt8Range),
                   testing::Tensor("b", {2, 2}, testing::kInt8Range),
                   testing::Tensor("y", {3, 2}, testing::kInt8Range)};
  valid.inputs = {"a", "b"};
  valid.ops = {ConcatOp{"y", "a", "b"}};
  testing::ExpectRejected(valid, {{"'b' has the wrong shape",
                                   [](Program& p) {
                                     testing::TensorNamed(p, "b").shape = {2, 3};
                                   }},
                                  {"'y' has the wrong shape",
                                   [](Program& p) {
                                     testing::TensorNamed(p, "y").shape = {2, 2};
                                   }},
                                  {"needs the type and range of the input", [](Program& p) {
                                     testing::TensorNamed(p, "b").range.qmin = 0;
                                   }}});
  FastBackend backend;
  const TensorMap inputs = {{"a", IntTensor({1, 2}, std::vector<std::int8_t>{1, 2})},
                            {"b", IntTensor({2, 2}, std::vector<std::int8_t>{3, 4, 5, 6})}};
  EXPECT_EQ(Execute(valid, inputs, 0, backend).at("y"),
            IntTensor({3, 2}, std::vector<std::int8_t>{1, 2, 3, 4, 5, 6}));
}

// Between two entries a straight line, halves up.
TEST(Table, InterpolatesBetweenEntries) {
  Program program;
  program.tensors = {Tensor("x", {2, 2}, {-3, 4}), Tensor("y", {2, 2}, kInt8Range)};
  program.inputs = {"x"};
  // Entries at -3, 1 and 5 for the first column; the second has another table.
  program.ops = {TableOp{"y", "x", {0, 6, -4, 100, -100, 3}, {0, 1}, 2}};
  Validate(program);
  FastBackend backend;
  const TensorMap inputs = {{"x", IntTensor({2, 2}, std::vector<std::int8_t>{-2, -2, 4, 4})}};
  // 1.5; 100 - 50; 6 - 7.5 = -1.5; -100 + 77.25
  EXPECT_EQ(Execute(program, inputs, 0, backend).at("y"),
            IntTensor({2, 2}, std::vector<std::int8_t>{2, 50, -1, -23}));
  const auto op = [](Program& p) -> TableOp& { return OpNamed<TableOp>(p, "y"); };
  ExpectRejected(program,
                 {{"table needs 3 entries for each", [&](Program& p) { op(p).table.pop_back(); }},
                  {"table needs 3 entries for each", [&](Program& p) { op(p).table_of = {}; }},
                  {"table_of[1] is 2", [&](Program& p) { op(p).table_of[1] = 2; }},
                  {"table_of needs one entry for each column",
                   [&](Program& p) { op(p).table_of.push_back(0); }},
                  {"step_bits must be in 0..8", [&](Program& p) { op(p).step_bits = 9; }},
                  {"table[3] is 200", [&](Program& p) { op(p).table[3] = 200; }}});
  // One table for all columns: 1.5, 1.5; 6 - 7.5 = -1.5.
  op(program).table = {0, 6, -4};
  op(program).table_of = {};
  Validate(program);
  EXPECT_EQ(Execute(program, inputs, 0, backend).at("y"),
            IntTensor({2, 2}, std::vector<std::int8_t>{2, 2, -1, -1}));
}

TEST(Rmsnorm, GroupsAreNormsOfTheirOwn) {
  SeededRandom random;
  int groups = 0;
  for (int i = 0; i < 300; ++i) {
    const derivation::Instance instance = Draw<RmsnormOp>(random);
    const auto& op = std::get<RmsnormOp>(instance.program.ops.front());
    if (op.groups <= 1) continue;
    GoldenBackend backend;
    const TensorMap values = Execute(instance.program, instance.inputs, 0, backend);
    const IntTensor& y = values.at("y");
    const std::int64_t channels = y.shape()[1], width = channels / op.groups;
    for (std::int64_t g = 0; g < op.groups; ++g) {
      // The same operation on these columns alone.
      derivation::Instance alone = instance;
      auto& part = std::get<RmsnormOp>(alone.program.ops.front());
      part.params = op.Of(static_cast<std::size_t>(g * width), static_cast<std::size_t>(width));
      part.groups = 0;
      for (TensorInfo& info : alone.program.tensors) {
        info.shape[1] = width;
        if (!alone.inputs.contains(info.name)) continue;
        IntTensor cut(info.dtype, info.shape);
        std::visit(
            [&]<typename T>(std::vector<T>& to) {
              const std::vector<T>& all = alone.inputs.at(info.name).As<T>();
              for (std::size_t e = 0; e < to.size(); ++e) {
                const auto at = static_cast<std::int64_t>(e);
                to[e] =
                    all[static_cast<std::size_t>(at / width * channels + g * width + at % width)];
              }
            },
            cut.storage());
        alone.inputs.at(info.name) = std::move(cut);
      }
      Validate(alone.program);
      const IntTensor of_group = Execute(alone.program, alone.inputs, 0, backend).at("y");
      for (std::int64_t e = 0; e < of_group.size(); ++e)
        ASSERT_EQ(of_group.At(e), y.At(e / width * channels + g * width + e % width));
    }
    ++groups;
  }
  EXPECT_GT(groups, 50);
}

TEST(Add, ABiasStaysWithinTheOutput) {
  Program valid;
  valid.tensors = {Tensor("x", {2, 3}, kInt8Range), {"y", {2, 3}, DType::kInt32, {-133, 134}}};
  valid.inputs = {"x"};
  valid.constants["c"] = IntTensor({3}, std::vector<std::int32_t>{-5, 0, 7});
  valid.ops = {AddOp{"y", "x", "", "c"}};
  ExpectRejected(
      valid, {{"bias must be int32 [C]",
               [](Program& p) { p.constants["c"] = IntTensor(DType::kInt16, {3}); }},
              {"bias must be int32 [C]",
               [](Program& p) { p.constants["c"] = IntTensor(DType::kInt32, {2}); }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmin++; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmax--; }},
              {"either a tensor or a bias", [](Program& p) { OpNamed<AddOp>(p, "y").b = "x"; }}});
}

TEST(RowSum, StaysWithinItsOutput) {
  Program valid;
  valid.tensors = {Tensor("x", {1, 2, 4}, kInt8Range),
                   {"y", {1, 2, 1}, DType::kInt32, {-512, 508}}};
  valid.inputs = {"x"};
  valid.ops = {RowSumOp{"y", "x"}};
  ExpectRejected(
      valid, {{"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmin++; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmax--; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").dtype = DType::kInt16; }}});
  valid.tensors = {Tensor("x", {1, 2, 4}, {0, 16}), {"y", {1, 2, 1}, DType::kInt32, {0, 1 << 17}}};
  valid.tensors[0].dtype = DType::kUint8;
  OpNamed<RowSumOp>(valid, "y").mode = OperandMode::kShift;
  ExpectRejected(
      valid,
      {{"shift mode needs codes 0..16", [](Program& p) { TensorNamed(p, "x").range.qmax = 17; }},
       {"shift mode needs codes 0..16",
        [](Program& p) { TensorNamed(p, "x").dtype = DType::kInt8; }},
       {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmax--; }}});
}

TEST(ColumnSum, StaysWithinItsOutput) {
  Program valid;
  valid.tensors = {Tensor("x", {3, 2}, kInt8Range), {"y", {1, 2}, DType::kInt32, {-262, 248}}};
  valid.inputs = {"x"};
  valid.ops = {ColumnSumOp{"y", "x", 1, {3}}};
  const auto op = [](Program& p) -> ColumnSumOp& { return OpNamed<ColumnSumOp>(p, "y"); };
  ExpectRejected(
      valid, {{"first is -1", [&](Program& p) { op(p).first = -1; }},
              {"first is 3", [&](Program& p) { op(p).first = 3; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmin++; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").range.qmax--; }},
              {"a sum can leave", [](Program& p) { TensorNamed(p, "y").dtype = DType::kInt16; }}});
}

TEST(RowDivide, DividesItsOwnRows) {
  Program valid;
  valid.tensors = {{"x", {2, 3, 4}, DType::kInt32, AccumulatorRange(32)},
                   {"d", {2, 3, 1}, DType::kInt32, AccumulatorRange(32)},
                   {"y", {2, 3, 4}, DType::kInt32, AccumulatorRange(16)}};
  valid.inputs = {"x", "d"};
  valid.ops = {RowDivideOp{"y", "x", "d"}};
  const auto shaped = [](const Shape& shape) {
    return [shape](Program& p) { TensorNamed(p, "x").shape = TensorNamed(p, "y").shape = shape; };
  };
  const auto by = [](const Shape& shape) {
    return [shape](Program& p) { TensorNamed(p, "d").shape = shape; };
  };
  ExpectRejected(valid, {{"'d' must be [heads, rows, 1]", by({2, 3})},
                         {"'d' must be [heads, rows, 1]", by({2, 3, 2})},
                         {"'x' has not the rows of 'd'", by({2, 2, 1})},
                         {"'x' has not the rows of 'd'", shaped({3, 3, 4})},
                         {"'x' has not the rows of 'd'", shaped({1, 3, 4})},
                         {"output must be int32",
                          [](Program& p) { TensorNamed(p, "y").dtype = DType::kInt16; }}});
}

TEST(Kernels, TheReferenceIsAChoice) {
  SeededRandom random;
  const derivation::Instance instance = Draw<MatmulOp>(random);
  ChosenBackend reference(Kernels::kReference, instance.program),
      fast(Kernels::kFast, instance.program);
  EXPECT_EQ(Execute(instance.program, instance.inputs, 0, *reference),
            Execute(instance.program, instance.inputs, 0, *fast));
  EXPECT_EQ(reference.Report().kernels, Kernels::kReference);
  EXPECT_EQ(reference.Report().instruction_set, "");
  EXPECT_NE(fast.Report().instruction_set, "");
}

// A requantization that alone reads a product's sums takes them from its panels: some columns or
// all, by tensor, head or column, wherever the sums may be taken in any order.
TEST(Requantize, TakesAProductsSumsAsItsRows) {
  SeededRandom random;
  std::map<std::string, int> met;
  const auto after = [&](derivation::Instance instance, const std::string& what) {
    Program& program = instance.program;
    const Shape shape = program.Tensor("y").shape;
    const std::int64_t width = shape.back();
    const auto draw = [&](std::int64_t lo, std::int64_t hi) {
      return static_cast<std::int32_t>(random.Between(lo, hi));
    };
    for (const char* name : {"z", "z2"}) {
      RequantizeOp op{name, "y", 0, static_cast<ChannelAxis>(draw(0, 2)), {}, {draw(-9, 9)}};
      Shape part = shape;
      op.first_column = random.Between(0, width - 1);
      part.back() = random.Between(1, width - op.first_column);
      const std::int64_t count = op.axis == ChannelAxis::kNone    ? 1
                                 : op.axis == ChannelAxis::kFirst ? part.front()
                                                                  : part.back();
      for (std::int64_t c = 0; c < count; ++c) op.scale.push_back({draw(1, 1 << 15), draw(20, 30)});
      program.tensors.push_back({name, part, DType::kInt8, kInt8Range});
      program.ops.emplace_back(op);
    }
    Validate(program);
    GoldenBackend golden;
    FastBackend fast(program);
    const TensorMap expected = Execute(program, instance.inputs, 0, golden);
    for (const std::set<std::string>& kept :
         {std::set<std::string>{"z", "z2"}, std::set<std::string>{"y", "z", "z2"}}) {
      const TensorMap values = ExecuteForOutputs(program, instance.inputs, 0, fast, kept);
      for (const char* name : {"z", "z2"}) EXPECT_EQ(values.at(name), expected.at(name)) << what;
      met[what + (values.contains("y") ? " stored" : " handed on")]++;
    }
  };
  for (int i = 0; i < 600; ++i) after(Draw<MatmulOp>(random), "product");
  for (int i = 0; i < 300; ++i) after(Draw<GemmOp>(random), "layer");
  for (const char* what : {"product", "layer"}) {
    EXPECT_GT(met[std::string(what) + " handed on"], 100);
    EXPECT_GT(met[std::string(what) + " stored"], 100);
  }
}

// As many columns as several panels have, each requantization of columns that the other has not.
TEST(Requantize, OfSomePanels) {
  SeededRandom random;
  Program program;
  program.tensors = {Tensor("x", {3, 8}, kInt8Range),
                     {"sums", {3, 300}, DType::kInt32, AccumulatorRange(32)},
                     Tensor("first", {3, 100}, kInt8Range),
                     Tensor("last", {3, 90}, kInt8Range)};
  program.inputs = {"x"};
  std::vector<std::int8_t> weight(2400), x(24);
  for (auto* values : {&weight, &x}) {
    for (std::int8_t& value : *values) value = static_cast<std::int8_t>(random.Between(-128, 127));
  }
  program.constants["w"] = IntTensor({300, 8}, weight);
  program.constants["b"] = IntTensor(DType::kInt32, {300});
  program.ops = {GemmOp{"sums", "x", "w", "b", {}, {}},
                 RequantizeOp{"first", "sums", 0, ChannelAxis::kNone, {{1, 9}}, {0}},
                 RequantizeOp{"last", "sums", 210, ChannelAxis::kNone, {{1, 8}}, {0}}};
  Validate(program);
  GoldenBackend golden;
  FastBackend fast(program);
  const TensorMap inputs = {{"x", IntTensor({3, 8}, x)}};
  TensorMap expected = Execute(program, inputs, 0, golden);
  expected.erase("x");
  expected.erase("sums");
  EXPECT_EQ(ExecuteForOutputs(program, inputs, 0, fast), expected);
}

// Channels along the first axis: of a list, of the rows of a product, of heads in two axes.
TEST(Requantize, ByTheFirstAxisWhateverIsInFront) {
  SeededRandom random;
  for (const Shape& shape : {Shape{47}, Shape{5, 8}, Shape{4, 3, 2}, Shape{2, 2, 3, 2}}) {
    const bool is_product = shape.size() > 1;
    const int heads = shape.size() == 2 ? 1 : 4;
    Program program;
    program.tensors = {{"x", shape, DType::kInt8, kInt8Range},
                       {"y", shape, DType::kInt8, kInt8Range}};
    program.inputs = {"x"};
    RequantizeOp op{"y", "x", 0, ChannelAxis::kFirst, {}, {3}};
    for (std::int64_t c = 0; c < shape[0]; ++c)
      op.scale.push_back({static_cast<std::int32_t>(random.Between(1, 1 << 15)), 15});
    if (is_product) {
      // Times one matrix, so that the requantization alone reads sums.
      program.tensors.push_back({"sums", shape, DType::kInt32, AccumulatorRange(32)});
      Shape right = shape;
      right[right.size() - 2] = shape.back();
      std::vector<std::int8_t> weights;
      for (std::int64_t e = 0; e < ElementCount(right); ++e)
        weights.push_back(static_cast<std::int8_t>(random.Between(-3, 3)));
      program.constants["w"] = IntTensor(right, std::move(weights));
      MatmulOp product{.output = "sums",
                       .lhs = "x",
                       .rhs = "",
                       .heads = heads,
                       .lhs_zero = {0},
                       .rhs_zero = {0},
                       .acc = {}};
      product.weight = "w";
      program.ops.emplace_back(product);
      op.input = "sums";
    }
    program.ops.emplace_back(op);
    Validate(program);
    IntTensor x(DType::kInt8, shape);
    for (std::int8_t& code : x.As<std::int8_t>())
      code = static_cast<std::int8_t>(random.Between(-128, 127));
    GoldenBackend golden;
    FastBackend fast(program);
    const IntTensor y = Execute(program, {{"x", x}}, 0, golden).at("y");
    EXPECT_EQ(Execute(program, {{"x", x}}, 0, fast).at("y"), y) << shape.size();
    EXPECT_EQ(ExecuteForOutputs(program, {{"x", x}}, 0, fast).at("y"), y) << shape.size();
  }
}

}  // namespace
}  // namespace qsim::testing
