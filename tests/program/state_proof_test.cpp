// How large a state can become: proven, and what sequences reach.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>

#include "derivation/arbitrary.h"
#include "golden/kernels/fast_backend.h"
#include "golden/program/accumulator_proof.h"
#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

constexpr QuantRange kWide = {-(1 << 30), 1 << 30};

// One head of one channel over `rows` rows, from 0; keys and values of 8 bits.
Program Scalar(std::int64_t rows, QuantRange decays, Rounding rounding) {
  Program program;
  program.tensors = {Tensor("k", {rows, 1}, kInt8Range),
                     Tensor("v", {rows, 1}, kInt8Range),
                     {"a", {rows, 1}, DType::kUint8, decays},
                     {"s", {1, 1, 1}, DType::kInt32, kWide},
                     {"y", {1, 1, 1}, DType::kInt32, kWide}};
  for (std::size_t i = 0; i < 3; ++i) program.tensors[i].length_axes = {0};
  program.inputs = {"k", "v", "a"};
  program.constants["zero"] = IntTensor(DType::kInt32, {1, 1, 1});
  program.carried = {{"y", "s", "zero"}};
  RecurrenceStateOp op{"y", "k", "v", "a", "s", {}};
  op.update.decay_zero = -1;
  op.update.update = {{3, 2}};
  op.update.rounding = rounding;
  program.ops = {op};
  Validate(program);
  return program;
}

// What the state would have been before any clamp, over a sequence of equal rows.
AccRange SeenOf(const Program& program, std::int8_t k, std::int8_t v, std::uint8_t a) {
  const std::int64_t rows = program.Tensor("k").shape[0];
  const auto column = [&](auto value) {
    return IntTensor({rows, 1}, std::vector(static_cast<std::size_t>(rows), value));
  };
  FastBackend backend;
  RunStats stats;
  Execute(program, {{"k", column(k)}, {"v", column(v)}, {"a", column(a)}}, 0, backend, &stats,
          {.track_accumulators = true});
  return stats.accumulators.at("y");
}

// A sequence comes as near to it as the rounding leaves, and none passes it.
TEST(StateProof, ADecayBelowOneBoundsAnyLength) {
  for (const Rounding rounding : kAllRoundings) {
    for (const std::int32_t decay : {0, 127, 254}) {
      const Program program = Scalar(6000, {0, std::max(decay, 1)}, rounding);
      const AccumulatorProof proof = ProveAccumulators(program).at(0);
      EXPECT_EQ(proof.rows, 0) << "for any length";
      EXPECT_EQ(proof.what, "state");
      EXPECT_EQ(proof.acc.bits, 32);
      const auto largest = static_cast<std::uint8_t>(std::max(decay, 1));
      const AccRange high = SeenOf(program, -128, -128, largest);
      const AccRange low = SeenOf(program, -128, 127, largest);
      EXPECT_LE(high.max, proof.range.max);
      EXPECT_GE(low.min, proof.range.min);
      // A state stays where its decay rounds to nothing: within 1 / (1 - a).
      const std::int64_t near = 256 / (255 - largest) + 1;
      EXPECT_GE(high.max, proof.range.max - near) << Name(rounding) << " " << decay;
      EXPECT_LE(low.min, proof.range.min + near) << Name(rounding) << " " << decay;
    }
  }
}

TEST(StateProof, ADecayOfOneGrowsWithTheLength) {
  const Program program = Scalar(1000, {0, 255}, Rounding::kHalfUp);
  const AccumulatorProof proof = ProveAccumulators(program).at(0);
  EXPECT_EQ(proof.rows, 1000);
  EXPECT_EQ(proof.range.max, 1000 * 12288);   // 128 128 3 / 4
  EXPECT_EQ(proof.range.min, -1000 * 12192);  // 128 127 3 / 4
  EXPECT_EQ(proof.bits_needed, 25);
  EXPECT_EQ(SeenOf(program, -128, -128, 255).max, proof.range.max);
}

// A program whose time step decides decay and value: x [T, 1], step [T, 1].
Program TimeSteps(bool joint, int chunk = 0) {
  Program program = Scalar(400, {0, 254}, Rounding::kHalfUp);
  for (TensorInfo& info : program.tensors) {
    if (info.name == "a") info.range = {0, 255};
  }
  const auto define = [&](const std::string& name, QuantRange range, DType dtype) {
    program.tensors.push_back({name, {400, 1}, dtype, range, {0}});
  };
  define("x", kInt8Range, DType::kInt8);
  define("step", {0, 255}, DType::kUint8);
  define("other", {0, 255}, DType::kUint8);
  define("product", AccumulatorRange(32), DType::kInt32);
  program.inputs = {"k", "x", "step", "other"};
  // exp(-step / 64), nearly: never 1.
  TableOp decay{"a", joint ? "step" : "other", {}};
  for (std::int32_t code = 0; code < 256; ++code)
    decay.table.push_back(std::max(0, 254 - 3 * code));
  RequantizeOp narrow;
  narrow.output = "v";
  narrow.input = "product";
  narrow.scale = {{1, 8}};
  narrow.zero = {0};
  std::get<RecurrenceStateOp>(program.ops.back()).update.chunk = chunk;
  program.ops.insert(program.ops.begin(),
                     {decay, MultiplyOp{"product", "x", "step", 0, 0}, narrow});
  Validate(program);
  return program;
}

// From the factors alone the largest step would go with the slowest decay.
void ExpectTakenWithItsDecay(int chunk) {
  const Program joint = TimeSteps(true, chunk), apart = TimeSteps(false, chunk);
  const AccumulatorProof tight = ProveAccumulators(joint).at(0);
  const AccumulatorProof loose = ProveAccumulators(apart).at(0);
  EXPECT_EQ(tight.rows, 0);
  EXPECT_LT(20 * tight.range.max, loose.range.max);
  SeededRandom random;
  std::int64_t seen = 0;
  for (int i = 0; i < 64; ++i) {
    // Steps that are mostly alike, with the largest products.
    TensorMap inputs;
    std::vector<std::int8_t> key(400, -128), x(400, -128);
    std::vector<std::uint8_t> step(400);
    for (std::uint8_t& code : step) {
      code = static_cast<std::uint8_t>(random.Between(0, 3) == 0 ? random.Between(0, 255) : 4 * i);
    }
    inputs["k"] = IntTensor({400, 1}, key);
    inputs["x"] = IntTensor({400, 1}, x);
    inputs["step"] = inputs["other"] = IntTensor({400, 1}, step);
    FastBackend backend;
    RunStats stats;
    Execute(joint, inputs, 0, backend, &stats, {.track_accumulators = true});
    EXPECT_LE(stats.accumulators.at("y").max, tight.range.max);
    seen = std::max(seen, stats.accumulators.at("y").max);
  }
  EXPECT_GT(2 * seen, tight.range.max);
}

TEST(StateProof, ATimeStepIsTakenWithItsDecay) { ExpectTakenWithItsDecay(0); }
TEST(StateProof, ByChunksToo) {
  for (const int chunk : {1, 16, 64}) ExpectTakenWithItsDecay(chunk);
}

// Whatever else is between the step and the value, the largest step goes with the slowest decay,
// which is 1.
TEST(StateProof, WhatIsNoTimeStepIsTakenApart) {
  const auto define = [](Program& p, const std::string& name, std::int64_t columns, DType dtype,
                         QuantRange range) {
    p.tensors.push_back({name, {400, columns}, dtype, range, {0}});
  };
  const auto narrow = [](Program& p) -> RequantizeOp& { return OpNamed<RequantizeOp>(p, "v"); };
  const auto multiply = [](Program& p) -> MultiplyOp& { return OpNamed<MultiplyOp>(p, "product"); };
  const auto two_columns = [](Program& p) {
    for (const char* name : {"x", "product"}) TensorNamed(p, name).shape[1] = 2;
  };
  const std::map<std::string, std::function<void(Program&)>> changes = {
      {"sums that nobody computes",
       [&](Program& p) {
         define(p, "sums", 1, DType::kInt32, AccumulatorRange(32));
         p.inputs.emplace_back("sums");
         narrow(p).input = "sums";
       }},
      {"no product",
       [&](Program& p) {
         define(p, "moved", 1, DType::kInt32, AccumulatorRange(32));
         p.ops.insert(p.ops.begin() + 2, ViewOp{"moved", "product", 0, {1, 1}, {}});
         narrow(p).input = "moved";
       }},
      {"a product by constants",
       [&](Program& p) {
         p.constants["f"] = IntTensor({1}, std::vector<std::int16_t>{255});
         multiply(p).b = "";
         multiply(p).factor = "f";
       }},
      {"ratios by row", [&](Program& p) { narrow(p).axis = ChannelAxis::kFirst; }},
      {"another column",
       [&](Program& p) {
         two_columns(p);
         narrow(p).first_column = 1;
       }},
      {"the first of two columns", two_columns},
      {"a step for each of two columns", [&](Program& p) {
         two_columns(p);
         define(p, "steps", 2, DType::kUint8, {0, 255});
         p.ops.insert(p.ops.begin(), ViewOp{"steps", "step", 0, {1, 0}, {}});
         multiply(p).b = "steps";
       }}};
  for (const auto& [what, change] : changes) {
    Program program = TimeSteps(true);
    EXPECT_EQ(ProveAccumulators(program).at(0).rows, 0);
    change(program);
    ASSERT_NO_THROW(Validate(program)) << what;
    EXPECT_EQ(ProveAccumulators(program).at(0).rows, 400) << what;
  }
}

// The step may itself be computed, by what is no function of single codes.
TEST(StateProof, ATimeStepMayBeComputed) {
  Program program = TimeSteps(true);
  program.tensors.push_back({"raw", {400, 1}, DType::kUint8, {0, 255}, {0}});
  program.inputs = {"k", "x", "raw", "other"};
  RequantizeOp step;
  step.output = "step";
  step.input = "raw";
  step.scale = {{1, 0}};
  step.zero = {0};
  program.ops.insert(program.ops.begin(), step);
  Validate(program);
  const AccRange computed = ProveAccumulators(program).at(0).range;
  const AccRange given = ProveAccumulators(TimeSteps(true)).at(0).range;
  EXPECT_EQ(computed.min, given.min);
  EXPECT_EQ(computed.max, given.max);
}

// A step of 0 forgets nothing and brings nothing: the bound is still that of any length.
TEST(StateProof, AStepOfNothingChangesNothing) {
  for (const int chunk : {0, 16}) {
    Program program = TimeSteps(true, chunk);
    const AccRange before = ProveAccumulators(program).at(0).range;
    OpNamed<TableOp>(program, "a").table[0] = 255;
    Validate(program);
    const AccumulatorProof proof = ProveAccumulators(program).at(0);
    EXPECT_EQ(proof.rows, 0) << chunk;
    EXPECT_EQ(proof.range.max, before.max) << chunk;
    EXPECT_EQ(proof.range.min, before.min) << chunk;
  }
}

// Two channels of one head, each requantized in its own way: what the worse of them reaches alone.
TEST(StateProof, ChannelsOfAHeadAreTakenOneByOne) {
  struct Channel {
    Multiplier scale;
    std::int32_t zero;
    std::int64_t addend;
  };
  // One entry serves channels that are alike.
  const auto shorten = [](auto& list) {
    if (std::count(list.begin(), list.end(), list.front()) == std::ssize(list)) list.resize(1);
  };
  const auto with = [&](std::span<const Channel> some) {
    Program program = TimeSteps(true);
    const std::int64_t width = std::ssize(some);
    for (const char* name : {"x", "product", "v"}) TensorNamed(program, name).shape[1] = width;
    for (const char* name : {"s", "y"}) TensorNamed(program, name).shape[2] = width;
    program.constants["zero"] = IntTensor(DType::kInt32, {1, 1, width});
    OpNamed<RecurrenceStateOp>(program, "y").update.value_width = static_cast<int>(width);
    auto& narrow = OpNamed<RequantizeOp>(program, "v");
    narrow.axis = ChannelAxis::kLast;
    narrow.scale.clear();
    narrow.zero.clear();
    for (const Channel& channel : some) {
      narrow.scale.push_back(channel.scale);
      narrow.zero.push_back(channel.zero);
      narrow.addend.push_back(channel.addend);
    }
    shorten(narrow.scale);
    shorten(narrow.zero);
    shorten(narrow.addend);
    Validate(program);
    return ProveAccumulators(program).at(0);
  };
  const std::vector<std::vector<Channel>> pairs = {{{{1, 8}, -3, 700}, {{-3, 9}, 5, -90}},
                                                   {{{1, 8}, -3, 0}, {{1, 8}, 5, 0}},
                                                   {{{1, 8}, -3, 700}, {{1, 8}, -3, -9000}}};
  for (const std::vector<Channel>& channels : pairs) {
    const AccRange both = with(channels).range;
    const AccRange one = with(std::span(channels).first(1)).range;
    const AccRange other = with(std::span(channels).last(1)).range;
    EXPECT_EQ(both.max, std::max(one.max, other.max));
    EXPECT_EQ(both.min, std::min(one.min, other.min));
    EXPECT_NE(one.max, other.max);
  }
}

// Only what is carried into a state says what it begins with.
TEST(StateProof, AStateBeginsWithWhatIsCarriedIntoIt) {
  Program program = Scalar(400, {0, 1}, Rounding::kHalfUp);
  const AccRange carried = ProveAccumulators(program).at(0).range;
  EXPECT_LT(carried.max, 20000);
  // Another state that the program carries first changes nothing.
  Program two = program;
  for (const auto& [from, to] : {std::pair("s", "s2"), std::pair("y", "y2")}) {
    two.tensors.push_back(two.Tensor(from));
    two.tensors.back().name = to;
  }
  RecurrenceStateOp second = OpNamed<RecurrenceStateOp>(two, "y");
  second.output = "y2";
  second.past = "s2";
  two.ops.emplace_back(second);
  two.carried.insert(two.carried.begin(), {"y2", "s2", "zero"});
  Validate(two);
  EXPECT_EQ(ProveAccumulators(two).at(0).range.max, carried.max);
  EXPECT_EQ(ProveAccumulators(two).at(1).range.max, carried.max);
  // What another operation leaves there may be anything.
  std::get<RecurrenceStateOp>(two.ops.back()).past = "s";
  two.carried = {{"y2", "s", "zero"}};
  std::erase_if(two.tensors, [](const TensorInfo& info) { return info.name == "s2"; });
  Validate(two);
  EXPECT_EQ(ProveAccumulators(two).at(0).range.max, 1 << 30);
  EXPECT_EQ(ProveAccumulators(two).at(1).range.max, carried.max);
}

TEST(StateProof, NoSequenceLeavesIt) {
  SeededRandom random;
  for (int i = 0; i < 400; ++i) {
    derivation::Instance instance = derivation::Arbitrary(
        std::type_identity<RecurrenceStateOp>(),
        [&](std::int64_t lo, std::int64_t hi) { return random.Between(lo, hi); });
    const AccumulatorProof proof = ProveAccumulators(instance.program).at(0);
    FastBackend backend;
    RunStats stats;
    Execute(instance.program, instance.inputs, 0, backend, &stats, {.track_accumulators = true});
    const AccRange& seen = stats.accumulators.at("y");
    EXPECT_LE(seen.max, proof.range.max) << "instance " << i;
    EXPECT_GE(seen.min, proof.range.min) << "instance " << i;
  }
}

}  // namespace
}  // namespace qsim::testing
