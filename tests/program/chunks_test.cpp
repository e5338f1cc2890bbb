// Recurrences by chunks of rows: where they are cut, and where they are the recurrence.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "golden/kernels/fast_backend.h"
#include "golden/ops/chunked_recurrence.h"
#include "golden/program/queries.h"
#include "tests/program/in_parts.h"
#include "tests/program/rejected.h"
#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

// An instance by chunks of so many rows, that many rows long.
derivation::Instance ByChunks(SeededRandom& random, int chunk, std::int64_t rows) {
  for (;;) {
    derivation::Instance instance = Draw<RecurrenceOp>(random);
    auto& op = std::get<RecurrenceOp>(instance.program.ops.front());
    if (op.update.chunk == 0) continue;
    op.update.chunk = chunk;
    if (rows != 0) instance = Lengthened(std::move(instance), rows, random);
    try {
      Validate(instance.program);
    } catch (const ProgramError&) {
      continue;  // longer chunks take narrower scores
    }
    return instance;
  }
}

RecurrenceStateOp NextOf(const RecurrenceOp& op) {
  return {"next", op.key, op.value, op.decay, op.past, op.update};
}

// Pieces of whole chunks have the bits of the whole, and a row those of every longer sequence.
TEST(RecurrenceByChunks, ASequenceMayBeCutAtTheirEnds) {
  SeededRandom random;
  int cut = 0;
  for (int i = 0; i < 100; ++i) {
    const int chunk = static_cast<int>(random.Between(1, 9));
    const std::int64_t rows = random.Between(1, 40);
    const derivation::Instance instance = ByChunks(random, chunk, rows);
    const auto& op = std::get<RecurrenceOp>(instance.program.ops.front());
    const Program program = Carrying(instance.program, NextOf(op), instance.inputs);
    Validate(program);
    EXPECT_EQ(ChunkRows(program), chunk);
    FastBackend backend;
    const auto whole = InParts(program, instance.inputs, {rows}, backend);
    std::vector<std::int64_t> parts = AnyParts(random, (rows + chunk - 1) / chunk);
    for (std::int64_t& part : parts) part *= chunk;
    parts.back() -= (chunk - rows % chunk) % chunk;
    cut += parts.size() > 1;
    EXPECT_EQ(InParts(program, instance.inputs, parts, backend), whole) << "instance " << i;
    const std::int64_t some = random.Between(1, rows), width = program.Tensor("y").shape[1];
    auto fewer = InParts(program, instance.inputs, {some}, backend);
    fewer.resize(static_cast<std::size_t>(some * width));
    EXPECT_EQ(fewer, std::vector(whole.begin(), whole.begin() + some * width)) << "instance " << i;
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GT(cut, 30);
}

// Where every decay is 1 and the other steps are exact: whatever the chunk.
TEST(RecurrenceByChunks, AreTheRecurrenceWhereNothingRounds) {
  SeededRandom random;
  int states = 0;
  for (int i = 0; i < 200; ++i) {
    derivation::Instance instance =
        ByChunks(random, static_cast<int>(random.Between(1, 12)), random.Between(1, 30));
    auto& op = std::get<RecurrenceOp>(instance.program.ops.front());
    const std::int32_t one = (1 << op.update.decay_shift) + op.update.decay_zero;
    if (instance.program.Tensor("a").range.qmax < one) continue;  // none of its codes is 1
    for (const char* name : {"q", "k", "v"}) {
      std::visit(
          [&]<typename T>(std::vector<T>& values) {
            for (T& value : values) value = static_cast<T>(random.Between(0, 9));
          },
          instance.inputs.at(name).storage());
    }
    std::visit(
        [&]<typename T>(std::vector<T>& values) {
          std::fill(values.begin(), values.end(), static_cast<T>(one));
        },
        instance.inputs.at("a").storage());
    TensorNamed(instance.program, "s").dtype = DType::kInt32;
    TensorNamed(instance.program, "s").range = {-(1 << 30), 1 << 30};
    instance.inputs["s"] = IntTensor(DType::kInt32, instance.inputs.at("s").shape());
    op.update.key_zero = op.update.value_zero = op.query_zero = 0;
    for (const char* name : {"q", "k", "v"}) TensorNamed(instance.program, name).range = {0, 9};
    op.update.update = {{4, 0}};
    op.state_shift = op.score_shift = 0;
    for (Multiplier& m : op.readout) m.shift = static_cast<int>(random.Between(0, 9));
    Program program = Carrying(instance.program, NextOf(op), instance.inputs);
    Validate(program);
    const std::int64_t rows = program.Tensor("y").shape[0];
    FastBackend backend;
    const auto chunks = InParts(program, instance.inputs, {rows}, backend);
    OpNamed<RecurrenceOp>(program, "y").update.chunk = 0;
    OpNamed<RecurrenceStateOp>(program, "next").update.chunk = 0;
    EXPECT_EQ(chunks, InParts(program, instance.inputs, {rows}, backend)) << "instance " << i;
    states += chunks.back() != 0;
    ASSERT_FALSE(::testing::Test::HasFailure());
  }
  EXPECT_GT(states, 30);
}

// Chunks of one row leave the state that the recurrence leaves, in every rounding.
TEST(RecurrenceByChunks, OfOneRowHaveItsState) {
  SeededRandom random;
  for (int i = 0; i < 200; ++i) {
    derivation::Instance instance = Draw<RecurrenceStateOp>(random);
    auto& op = std::get<RecurrenceStateOp>(instance.program.ops.front());
    FastBackend backend;
    op.update.chunk = 0;
    const TensorMap recurrent = Execute(instance.program, instance.inputs, 0, backend);
    op.update.chunk = 1;
    Validate(instance.program);
    EXPECT_EQ(Execute(instance.program, instance.inputs, 0, backend).at("y"), recurrent.at("y"));
  }
}

// Two rows of one channel: the second row's query meets the first one's key behind a decay of 1/2.
TEST(RecurrenceByChunks, TwoRowsByHand) {
  const GatedChunk chunk = {.rows = 2,
                            .keys = 1,
                            .values = 1,
                            .key = {3, -5},
                            .value = {7, 2},
                            .decay = {64, 128},
                            .decay_shift = 8};
  std::vector<std::int32_t> state = {1000}, out(2);
  const std::vector<std::int32_t> query = {2, 4};
  StateReadoutParams params;
  params.range = {-32768, 32767};
  // Scores 6, 4/2 3 and -20, in 64ths of 64ths; the state at 1/4 and 1/8 times the query.
  EXPECT_EQ(ChunkReadout(chunk, query, state, {1, 0}, 0, 100000, params, out), 0);
  EXPECT_EQ(out, (std::vector<std::int32_t>{2 * 250 + 6 * 7, 4 * 125 + 6 * 7 - 20 * 2}));
  EXPECT_EQ(ChunkReadout(chunk, query, state, {1, 0}, 0, 510, params, out), 1);
  EXPECT_EQ(out, (std::vector<std::int32_t>{510, 502}));
  AccRange seen;
  EXPECT_EQ(ChunkUpdate(chunk, {1, 1}, Rounding::kHalfUp, {-100, 120}, state, &seen), 1);
  EXPECT_EQ(seen.max, 125);  // and (3 / 2 7 - 5 2) / 2, which is 0.25
  EXPECT_EQ(state[0], 120);
}

TEST(RecurrenceByChunks, AreRejectedWhereTheirSumsHaveNoRoom) {
  SeededRandom random;
  const derivation::Instance instance = ByChunks(random, 4, 8);
  const auto op0 = [](Program& p) -> RecurrenceOp& { return OpNamed<RecurrenceOp>(p, "y"); };
  ExpectRejected(instance.program,
                 {{"chunk must be in 1..256", [&](Program& p) { op0(p).update.chunk = 257; }},
                  {"score_shift must be in", [&](Program& p) { op0(p).score_shift = 63; }},
                  {"update_shift must be in 0..56 by chunks",
                   [&](Program& p) {
                     op0(p).update.update = {{1, 57}};
                   }},
                  {"update_shift + state_shift + 12 - score_shift must be in 0..62",
                   [&](Program& p) {
                     op0(p).update.update = {{1, 0}};
                     op0(p).state_shift = 31;
                     op0(p).score_shift = 62;
                   }},
                  {"update_shift + state_shift + 12 - score_shift must be in 0..62",
                   [&](Program& p) {
                     op0(p).update.update = {{1, 56}};
                     op0(p).state_shift = 31;
                   }},
                  {"a chunk's update can leave 63 bits", [&](Program& p) {
                     op0(p).update.chunk = 256;
                     op0(p).update.key_zero = op0(p).update.value_zero = -65536;
                     op0(p).update.update = {{65535, 20}};
                     TensorNamed(p, "k").range.qmax = TensorNamed(p, "v").range.qmax = 127;
                     TensorNamed(p, "k").dtype = TensorNamed(p, "v").dtype = DType::kInt16;
                     TensorNamed(p, "k").range = TensorNamed(p, "v").range = kInt16Range;
                   }}});
}

TEST(RecurrenceByChunks, ProductsAreThoseOfItsMatrices) {
  SeededRandom random;
  const derivation::Instance instance = ByChunks(random, 4, 10);
  const auto& op = std::get<RecurrenceOp>(instance.program.ops.front());
  const Program program = Carrying(instance.program, NextOf(op), instance.inputs);
  const std::int64_t dk = op.update.key_width, dv = op.update.value_width;
  const std::int64_t heads = program.Tensor("y").shape[1] / dv;
  // Two chunks of four rows and one of two.
  EXPECT_EQ(MacsOf(program, program.ops.front(), 0),
            heads * (10 * dk * dv + (10 + 10 + 3) * (dk + dv)));
  EXPECT_EQ(MacsOf(program, program.ops.back(), 0), program.Tensor("s").shape[0] * 10 * dk * dv);
  RecurrenceOp row_by_row = op;
  row_by_row.update.chunk = 0;
  EXPECT_EQ(MacsOf(program, row_by_row, 0), heads * 10 * dk * dv);
}

}  // namespace
}  // namespace qsim::testing
