// What networks without attention are made of: recurrences, convolutions, lookups. A
// sequence may be cut anywhere: same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "golden/kernels/fast_backend.h"
#include "golden/ops/recurrence.h"
#include "golden/program/accumulator_proof.h"
#include "tests/program/in_parts.h"
#include "tests/program/rejected.h"
#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

// ---- recurrence ----

// One channel, by hand: a decay of 3/4, then of exactly 1, then of 0.
TEST(Recurrence, OneChannelByHand) {
  GatedUpdateParams params;
  params.decay_zero = -1;
  std::vector<std::int32_t> state = {-1001};
  const auto step = [&](std::int32_t decay, std::int32_t key, std::int32_t value) {
    AccRange seen;
    const std::vector<std::int32_t> k = {key}, v = {value}, a = {decay};
    const std::int64_t saturated =
        GatedUpdate({k, v, a}, params, {5, 1}, {-32768, 32767}, state, &seen);
    return std::pair(state[0], saturated);
  };
  EXPECT_EQ(step(191, 3, 3), std::pair(-751 + 23, std::int64_t{0}));  // -750.75, 22.5
  EXPECT_EQ(step(255, 0, 9), std::pair(-728, std::int64_t{0}));
  EXPECT_EQ(step(-1, 1, -3), std::pair(-7, std::int64_t{0}));  // -7.5
  EXPECT_EQ(step(255, 127, 127), std::pair(32767, std::int64_t{1}));
  for (const auto& [rounding, expected] : std::map<Rounding, std::int32_t>{
           {Rounding::kHalfUp, 1}, {Rounding::kFloor, 0}, {Rounding::kHalfEven, 0}}) {
    params.rounding = rounding;
    state = {1};
    EXPECT_EQ(step(127, 0, 0).first, expected);  // a half
  }
  params.rounding = Rounding::kHalfUp;
  EXPECT_THROW(step(256, 0, 0), std::invalid_argument);
  EXPECT_THROW(step(-2, 0, 0), std::invalid_argument);
}

TEST(Recurrence, ReadoutByHand) {
  StateReadoutParams params;
  params.query_zero = 1;
  params.state_shift = 2;
  params.scale = {-3, 1};
  params.zero = 10;
  params.range = {-50, 50};
  std::vector<std::int32_t> out(2);
  const std::vector<std::int32_t> query = {2, -1}, state = {5, 6, -7, 400};
  // 5/4, 6/4, -7/4, 100: 1, 2, -2, 100.
  EXPECT_EQ(StateReadout(query, state, params, out), 1);
  EXPECT_EQ(out, (std::vector<std::int32_t>{10 - 7, 50}));  // 1 + 4 = 5; 2 - 200
}

// In the order of the recurrence.
template <typename T>
void RowByRow(derivation::Instance& instance) {
  T& op = std::get<T>(instance.program.ops.front());
  if constexpr (requires { op.update.chunk; }) op.update.chunk = 0;
}

template <typename T, typename Next>
void ExpectAnyCut(Next next) {
  SeededRandom random;
  int cut = 0;
  for (int i = 0; i < 300; ++i) {
    derivation::Instance instance = Draw<T>(random);
    RowByRow<T>(instance);
    const auto& op = std::get<T>(instance.program.ops.front());
    const Program program = Carrying(instance.program, next(op), instance.inputs);
    Validate(program);
    const std::int64_t rows = instance.program.Tensor("y").shape[0];
    GoldenBackend golden;
    FastBackend fast;
    const auto whole = InParts(program, instance.inputs, {rows}, golden);
    const std::vector<std::int64_t> parts = AnyParts(random, rows);
    cut += parts.size() > 1;
    EXPECT_EQ(InParts(program, instance.inputs, parts, golden), whole) << "instance " << i;
    EXPECT_EQ(InParts(program, instance.inputs, parts, fast), whole) << "instance " << i;
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GT(cut, 100);
}

TEST(Recurrence, ASequenceMayBeCutAnywhere) {
  ExpectAnyCut<RecurrenceOp>([](const RecurrenceOp& op) {
    return RecurrenceStateOp{"next", op.key, op.value, op.decay, op.past, op.update};
  });
}

TEST(CausalConv, ASequenceMayBeCutAnywhere) {
  ExpectAnyCut<CausalConvOp>([](const CausalConvOp& op) {
    return LastRowsOp{"next", op.input, op.past};
  });
}

TEST(Recurrence, EveryCutOf257RowsAndEveryPieceGivesTheSame) {
  constexpr std::int64_t kRows = 257;
  SeededRandom random;
  for (int i = 0; i < 4; ++i) {
    derivation::Instance instance = Lengthened(Draw<RecurrenceOp>(random), kRows, random);
    RowByRow<RecurrenceOp>(instance);
    const auto& op = std::get<RecurrenceOp>(instance.program.ops.front());
    const Program program = Carrying(
        instance.program, RecurrenceStateOp{"next", op.key, op.value, op.decay, op.past, op.update},
        instance.inputs);
    Validate(program);
    GoldenBackend golden;
    FastBackend fast;
    const auto whole = InParts(program, instance.inputs, {kRows}, golden);
    for (std::int64_t first = 1; first < kRows; ++first)
      ASSERT_EQ(InParts(program, instance.inputs, {first, kRows - first}, fast), whole) << first;
    for (const std::int64_t piece : {1, 16, 64, 256}) {
      std::vector<std::int64_t> parts(static_cast<std::size_t>(kRows / piece), piece);
      if (kRows % piece != 0) parts.push_back(kRows % piece);
      ASSERT_EQ(InParts(program, instance.inputs, parts, fast), whole) << piece;
      ASSERT_EQ(InParts(program, instance.inputs, parts, golden), whole) << piece;
    }
  }
}

// Two heads of the state: an operand with one head serves both, one with two each its own; of
// queries with four, two read one state.
TEST(Recurrence, HeadsAreSharedByNeighbours) {
  Program program;
  program.tensors = {Tensor("q", {1, 4}, kInt8Range),     Tensor("k", {1, 1}, kInt8Range),
                     Tensor("v", {1, 2}, kInt8Range),     Tensor("a", {1, 2}, {0, 255}),
                     Tensor("s", {2, 1, 1}, kInt16Range), Tensor("y", {1, 4}, kInt16Range)};
  program.inputs = {"q", "k", "v", "a", "s"};
  RecurrenceOp op{.output = "y",
                  .query = "q",
                  .key = "k",
                  .value = "v",
                  .decay = "a",
                  .past = "s",
                  .update = {}};
  op.update.decay_zero = -1;
  op.update.update = {{1, 0}, {2, 0}};
  op.readout = {{1, 0}, {10, 0}, {100, 0}, {1000, 0}};
  program.ops = {op};
  Validate(program);
  const auto bytes = [](std::vector<std::int8_t> values) {
    const auto size = static_cast<std::int64_t>(values.size());
    return IntTensor({1, size}, std::move(values));
  };
  const TensorMap inputs = {{"q", bytes({1, 2, 3, 4})},
                            {"k", bytes({3})},
                            {"v", bytes({1, -1})},
                            {"a", IntTensor({1, 2}, std::vector<std::uint8_t>{127, 255})},
                            {"s", IntTensor({2, 1, 1}, std::vector<std::int16_t>{8, 7})}};
  // Of 8 / 2 + 3 and 7 - 6.
  FastBackend backend;
  EXPECT_EQ(ValuesOf(Execute(program, inputs, 0, backend).at("y")),
            (std::vector<std::int64_t>{7, 140, 300, 4000}));

  const auto op0 = [](Program& p) -> RecurrenceOp& { return OpNamed<RecurrenceOp>(p, "y"); };
  ExpectRejected(
      program,
      {{"'k' must have 1 rows of heads of 2 columns",
        [&](Program& p) {
          op0(p).update.key_width = 2;
          TensorNamed(p, "s").shape = {2, 2, 1};
        }},
       {"must be [heads, key_width, value_width]",
        [&](Program& p) { op0(p).update.key_width = 2; }},
       {"'k' must have 1 rows of heads of 1 columns",
        [](Program& p) {
          TensorNamed(p, "k").shape = {1, 1, 1};
        }},
       {"'v' must have 1 rows of heads of 1 columns",
        [](Program& p) {
          TensorNamed(p, "v").shape = {2, 2};
        }},
       {"key_width and value_width must be 1 or more",
        [&](Program& p) { op0(p).update.key_width = 0; }},
       {"key_width and value_width must be 1 or more",
        [&](Program& p) { op0(p).update.value_width = 0; }},
       {"must be [heads, key_width, value_width]",
        [](Program& p) {
          TensorNamed(p, "s").shape = {2, 1};
        }},
       {"must be [heads, key_width, value_width]",
        [&](Program& p) { op0(p).update.value_width = 2; }},
       {"decay_shift must be in 1..16", [&](Program& p) { op0(p).update.decay_shift = 17; }},
       {"state_shift must be in 0..31", [&](Program& p) { op0(p).state_shift = 32; }},
       {"chunk must be in 1..256", [&](Program& p) { op0(p).update.chunk = -1; }},
       {"must divide the state's 2",
        [](Program& p) {
          TensorNamed(p, "v").shape = {1, 3};
        }},
       {"the heads of query and state, 3 and 2, must divide each other",
        [](Program& p) {
          TensorNamed(p, "q").shape = {1, 3};
        }},
       {"'a' must be in 0..2^decay_shift", [&](Program& p) { op0(p).update.decay_zero = -2; }},
       {"'a' must be in 0..2^decay_shift", [&](Program& p) { op0(p).update.decay_zero = 1; }},
       {"'s' must be int16 or int32, with 0 in its range",
        [](Program& p) { TensorNamed(p, "s").range.qmin = 1; }},
       {"'s' must be int16 or int32, with 0 in its range",
        [](Program& p) { TensorNamed(p, "s").range.qmax = -1; }},
       {"'s' must be int16 or int32, with 0 in its range",
        [](Program& p) {
          TensorNamed(p, "s") = Tensor("s", {2, 1, 1}, kInt8Range);
        }},
       {"has more than 16 bits", [&](Program& p) { op0(p).update.update[1].m = 65536; }},
       {"a readout can leave 63 bits",
        [&](Program& p) {
          TensorNamed(p, "s").dtype = DType::kInt32;
          TensorNamed(p, "s").range = {-2000000000, 2000000000};
          op0(p).readout[2].m = 1 << 30;
        }},
       {"output must be 16 bits", [](Program& p) { TensorNamed(p, "y").dtype = DType::kInt32; }}});
}

TEST(RecurrenceState, CountsWhatItClampsAndSeesWhatWouldHaveBeen) {
  Program program;
  program.tensors = {Tensor("k", {3, 1}, kInt8Range), Tensor("v", {3, 1}, kInt8Range),
                     Tensor("a", {3, 1}, {0, 255}), Tensor("s", {1, 1, 1}, kInt16Range),
                     Tensor("y", {1, 1, 1}, kInt16Range)};
  program.inputs = {"k", "v", "a", "s"};
  RecurrenceStateOp op{"y", "k", "v", "a", "s", {}};
  op.update.decay_zero = -1;
  op.update.update = {{1, 0}};
  program.ops = {op};
  Validate(program);
  const auto column = [](std::vector<std::int8_t> values) {
    return IntTensor({3, 1}, std::move(values));
  };
  const TensorMap inputs = {{"k", column({127, 127, 1})},
                            {"v", column({127, 127, -1})},
                            {"a", IntTensor({3, 1}, std::vector<std::uint8_t>{255, 255, 255})},
                            {"s", IntTensor({1, 1, 1}, std::vector<std::int16_t>{10000})}};
  FastBackend backend;
  RunStats stats;
  const TensorMap values =
      Execute(program, inputs, 0, backend, &stats, {.track_accumulators = true});
  EXPECT_EQ(values.at("y").At(0), 32766);
  EXPECT_EQ(stats.saturated.at("y"), 1);
  EXPECT_EQ(stats.accumulators.at("y").max, 10000 + 2 * 127 * 127);
}

// ---- convolution ----

TEST(CausalConv, IsTheSumOfItsTaps) {
  SeededRandom random;
  int exact = 0;
  for (int i = 0; i < 200; ++i) {
    const derivation::Instance instance = Draw<CausalConvOp>(random);
    const auto& op = std::get<CausalConvOp>(instance.program.ops.front());
    if (op.acc.policy == AccPolicy::kSaturate) continue;
    FastBackend backend;
    const TensorMap values = Execute(instance.program, instance.inputs, 0, backend);
    const IntTensor &x = values.at("x"), &past = values.at("s"), &y = values.at("y");
    const IntTensor &w = instance.program.Constant("w"), &bias = instance.program.Constant("c");
    const std::int64_t channels = w.shape()[0], taps = w.shape()[1];
    for (std::int64_t e = 0; e < y.size(); ++e) {
      const std::int64_t t = e / channels, c = e % channels;
      const std::int64_t zero =
          op.weight_zero.empty() ? 0 : EntryFor(op.weight_zero, static_cast<std::size_t>(c));
      std::int64_t sum = bias.At(c);
      for (std::int64_t j = 0; j < taps; ++j) {
        const std::int64_t row = t + j;  // of past above x
        const std::int64_t value =
            row < taps - 1 ? past.At(row * channels + c) : x.At((row - taps + 1) * channels + c);
        sum += value * (w.At(c * taps + j) - zero);
      }
      if (op.acc.policy == AccPolicy::kWrap) {
        const std::int64_t size = std::int64_t{1} << op.acc.bits;
        sum = ((sum + size / 2) % size + size) % size - size / 2;
      }
      ASSERT_EQ(y.At(e), sum) << "instance " << i << " element " << e;
      ++exact;
    }
  }
  EXPECT_GT(exact, 1000);
}

TEST(CausalConv, IsProvenAsASumOfItsWeights) {
  Program program;
  program.tensors = {Tensor("x", {2, 1}, kInt8Range),
                     Tensor("s", {1, 1}, kInt8Range),
                     {"y", {2, 1}, DType::kInt32, AccumulatorRange(16)}};
  program.inputs = {"x", "s"};
  program.constants["w"] = IntTensor({1, 2}, std::vector<std::int8_t>{100, -100});
  program.constants["b"] = IntTensor({1}, std::vector<std::int32_t>{7000});
  program.ops = {CausalConvOp{"y", "x", "s", "w", "b", {16, AccPolicy::kError}}};
  const AccumulatorProof proof = ProveAccumulators(program).at(0);
  EXPECT_EQ(proof.range.max, 7000 + 12700 + 12800);
  EXPECT_EQ(proof.range.min, 7000 - 25500);
  EXPECT_EQ(proof.depth, 2);
  const auto op = [](Program& p) -> CausalConvOp& { return OpNamed<CausalConvOp>(p, "y"); };
  ExpectRejected(
      program,
      {{"needs an accumulator of 17 bits (output channel 0)",
        [](Program& p) { p.constants["b"].As<std::int32_t>()[0] = 8000; }},
       {"'s' has the wrong shape",
        [](Program& p) {
          TensorNamed(p, "s").shape = {2, 1};
        }},
       {"'x' must be int8 or uint8", [](Program& p) { TensorNamed(p, "x").dtype = DType::kInt16; }},
       {"needs the type and range", [](Program& p) { TensorNamed(p, "s").range.qmin = -127; }},
       {"needs 2..65535 taps",
        [](Program& p) {
          p.constants["w"] = IntTensor({1, 1}, std::vector<std::int8_t>{1});
        }},
       {"weight must be int8 [channels, taps]",
        [](Program& p) {
          p.constants["w"] = IntTensor({2, 2}, std::vector<std::int8_t>(4));
        }},
       {"weight must be int8 [channels, taps]",
        [](Program& p) { p.constants["w"] = IntTensor(DType::kInt8, {2}); }},
       {"needs 2..65535 taps",
        [](Program& p) {
          p.constants["w"] = IntTensor(DType::kInt8, {1, 65536});
        }},
       {"and at most 65536 channels",
        [](Program& p) {
          for (const char* name : {"x", "s", "y"}) TensorNamed(p, name).shape[1] = 65537;
          p.constants["w"] = IntTensor(DType::kInt8, {65537, 2});
        }},
       {"bias must be int32 [channels]",
        [](Program& p) { p.constants["b"] = IntTensor(DType::kInt32, {2}); }},
       {"bias must be int32 [channels]", [&](Program& p) { op(p).bias = "w"; }}});
}

// ---- moving ----

TEST(LastRows, OfAnyLength) {
  Program program;
  program.tensors = {Tensor("x", {4, 1}, kInt8Range), Tensor("s", {2, 1}, kInt8Range),
                     Tensor("y", {2, 1}, kInt8Range)};
  program.tensors[0].length_axes = {0};
  program.inputs = {"x", "s"};
  program.ops = {LastRowsOp{"y", "x", "s"}};
  Validate(program);
  using Bytes = std::vector<std::int8_t>;
  FastBackend backend;
  for (const auto& [x, expected] :
       std::map<Bytes, Bytes>{{{3}, {2, 3}}, {{3, 4}, {3, 4}}, {{3, 4, 5, 6}, {5, 6}}}) {
    const TensorMap inputs = {{"x", IntTensor({std::ssize(x), 1}, x)},
                              {"s", IntTensor({2, 1}, Bytes{1, 2})}};
    EXPECT_EQ(Execute(program, inputs, 0, backend).at("y").As<std::int8_t>(), expected);
  }
  ExpectRejected(program, {{"needs the type and range",
                            [](Program& p) { TensorNamed(p, "s").range.qmax = 5; }},
                           {"'y' has the wrong shape", [](Program& p) {
                              TensorNamed(p, "y").shape = {1, 1};
                            }}});
}

TEST(Lookup, TakesRowsOfATable) {
  Program program;
  program.tensors = {{"x", {3}, DType::kInt32, {0, 1}}, Tensor("y", {3, 2}, kInt8Range)};
  program.inputs = {"x"};
  program.constants["t"] = IntTensor({2, 2}, std::vector<std::int8_t>{1, 2, 3, 4});
  program.ops = {LookupOp{"y", "x", "t"}};
  Validate(program);
  FastBackend backend;
  const TensorMap inputs = {{"x", IntTensor({3}, std::vector<std::int32_t>{1, 0, 1})}};
  EXPECT_EQ(ValuesOf(Execute(program, inputs, 0, backend).at("y")),
            (std::vector<std::int64_t>{3, 4, 1, 2, 3, 4}));
  ExpectRejected(
      program,
      {{"'x' must be within 0..1", [](Program& p) { TensorNamed(p, "x").range.qmax = 2; }},
       {"'x' must be within 0..1", [](Program& p) { TensorNamed(p, "x").range.qmin = -1; }},
       {"'t' leaves the output's range", [](Program& p) { TensorNamed(p, "y").range.qmax = 3; }},
       {"'t' leaves the output's range", [](Program& p) { TensorNamed(p, "y").range.qmin = 2; }},
       {"must be [rows, columns]",
        [](Program& p) { p.constants["t"] = IntTensor(DType::kInt8, {4}); }},
       {"'y' has the wrong shape",
        [](Program& p) {
          TensorNamed(p, "y").shape = {3, 3};
        }},
       {"of the output's type", [](Program& p) {
          p.constants["t"] = IntTensor({2, 2}, std::vector<std::int16_t>(4));
        }}});
}

}  // namespace
}  // namespace qsim::testing
