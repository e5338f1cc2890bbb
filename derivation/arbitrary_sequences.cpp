// Instances of what networks without attention are made of.
#include <algorithm>
#include <numeric>
#include <utility>

#include "derivation/arbitrary_builder.h"
#include "golden/ops/chunked_recurrence.h"

namespace qsim::derivation {
namespace {

constexpr QuantRange kOdd = {-1000, 1200};

// A fraction of 2^decay_shift in every code.
QuantRange DecayRange(const Builder& b, GatedUpdateParams& update) {
  const auto bits = static_cast<int>(b.Between(1, 16));
  update.decay_shift = bits;
  const auto most = static_cast<std::int32_t>(
      std::min<std::int64_t>((std::int64_t{1} << bits) - 1, b.Coin() ? 255 : 65535));
  // Zero point -1 and the largest code a decay of 1; or less.
  update.decay_zero = b.Coin() ? -1 : 0;
  const std::int32_t least = b.Coin() ? 0 : b.Between32(0, most - 1);
  return {least, most};
}

// Operands of one length; the heads of some of them are shared.
template <typename AnyRecurrence>
std::int64_t Operands(Builder& b, AnyRecurrence& op, std::int64_t rows) {
  GatedUpdateParams& update = op.update;
  const std::int64_t heads = b.Pick<std::int64_t>({1, 2, 3, 4});
  // One of them has as many as the state, so that all may have fewer.
  const auto fewer = [&] {
    return b.Coin() || heads == 3 ? heads : b.Coin() ? 1 : (heads + 1) / 2;
  };
  update.key_width = static_cast<int>(b.Between(1, 9));
  update.value_width = static_cast<int>(b.Between(1, 20));
  op.output = "y";
  op.key = "k";
  op.value = "v";
  op.decay = "a";
  op.past = "s";
  const auto operand = [&] { return b.Pick<QuantRange>({kInt8, kUint8, kInt16, kOdd}); };
  // One draw a statement: the order of a call's arguments is the compiler's.
  const QuantRange keys = operand();
  b.Input("k", {rows, fewer() * update.key_width}, keys);
  const QuantRange values = operand();
  b.Input("v", {rows, fewer() * update.value_width}, values);
  const QuantRange decay = DecayRange(b, update);
  b.Input("a", {rows, b.Coin() ? heads : fewer() * update.key_width}, decay);
  const auto bits = static_cast<int>(b.Between(16, 32));
  const auto most = static_cast<std::int32_t>((std::int64_t{1} << (bits - 1)) - 1);
  const QuantRange state = {b.Coin() ? -most : -most - 1, most};
  update.value_first = b.Coin();
  const std::int64_t rows_of_state = update.value_first ? update.value_width : update.key_width;
  b.Input("s", {heads, rows_of_state, update.key_width * update.value_width / rows_of_state},
          state);
  update.key_zero = b.Between32(-300, 300);
  update.value_zero = b.Coin() ? 0 : b.Between32(-65536, 65536);
  for (std::int64_t i = b.OneOr(heads); i > 0; --i) {
    const std::int32_t m = b.Between32(1, kMaxUpdateMultiplier);
    update.update.push_back({b.Coin() ? m : -m, static_cast<int>(b.Between(0, 40))});
  }
  update.rounding = b.AnyRounding();
  if (b.Coin()) {
    update.chunk = static_cast<int>(b.Between(1, 9));
  }
  return heads;
}

// Scores as wide as their products allow, or narrower, and shifts and multipliers that fit them.
void ByChunks(const Builder& b, RecurrenceOp& op) {
  const auto widest = [&](const std::string& name, std::int64_t zero) {
    const QuantRange range = b.program().Tensor(name).range;
    return std::max(range.qmax - zero, zero - range.qmin);
  };
  const ChunkBounds bounds = {.rows = op.update.chunk,
                              .keys = op.update.key_width,
                              .query = widest("q", op.query_zero),
                              .key = widest("k", op.update.key_zero),
                              .value = widest("v", op.update.value_zero)};
  const int least = LeastScoreShift(bounds, kMaxUpdateMultiplier);
  op.score_shift = least + static_cast<int>(b.Coin() ? 0 : b.Between(0, 9));
  const int other = op.state_shift + 2 * kChunkGuard - op.score_shift;
  // Of the largest products, shifted, and of the state's: what a readout's multiplier leaves room
  // for.
  for (Multiplier& m : op.update.update)
    m.shift = std::clamp(m.shift, std::max(20, -other), std::min(56, 62 - other));
  for (Multiplier& m : op.readout) m.m = std::clamp(m.m, -2000, 2000);
}

}  // namespace

Instance Arbitrary(std::type_identity<TableOp>, const Draw& draw) {
  Builder b(draw);
  const Shape shape = b.AnyShape();
  const QuantRange in = b.Pick<QuantRange>({kInt8, kUint8, {-8, 7}, kOdd});
  const QuantRange out = b.Pick<QuantRange>({kInt8, kUint8, kInt16});
  b.Input("x", shape, in);
  b.Output(shape, out);
  TableOp op{"y", "x", {}};
  if (b.Coin()) op.step_bits = static_cast<int>(b.Between(1, kMaxTableStepBits));
  std::int64_t tables = 1;
  if (b.Coin()) {
    tables = b.Between(1, 3);
    op.table_of = b.Many(shape.back(), 0, tables - 1);
  }
  const std::int64_t entries = TableEntries(std::int64_t{in.qmax} - in.qmin + 1, op.step_bits);
  for (std::int64_t i = 0; i < tables * entries; ++i) op.table.push_back(b.Within(out));
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<RmsnormOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t groups = b.Coin() ? 1 : b.Between(1, 4);
  const std::int64_t channels = groups * b.Between(1, 20);
  const Shape shape = {b.Between(1, 4), channels};
  b.Input("a", shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  RmsnormOp op;
  op.output = "y";
  op.input = "a";
  op.groups = groups == 1 && b.Coin() ? 0 : groups;
  if (b.Coin()) {
    op.gate = "b";
    op.params.gate_zero = b.Between32(-65536, 65536);
    b.Input("b", shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  }
  op.params.input_zero = b.Between32(-1000, 1000);
  if (b.Coin()) op.params.input_shift = b.Many(channels, 0, 7);
  op.params.rms_shift = static_cast<int>(b.Between(0, 15));
  op.params.eps = b.AnyEps(op.params.rms_shift);
  op.params.scale = b.Multipliers(b.OneOr(channels), 30, 62);
  op.params.zero = b.Many(b.OneOr(channels), -65536, 65536);
  op.params.rounding = b.AnyRounding();
  b.Output(shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<MultiplyOp>, const Draw& draw) {
  Builder b(draw);
  Shape shape = b.AnyShape();
  const std::int64_t each = b.Coin() ? 1 : b.Between(1, 8);
  MultiplyOp op{.output = "y", .a = "a", .b = "b"};
  op.a_zero = b.Between32(-200, 200);
  const std::int64_t columns = shape.back();
  shape.back() *= each;
  b.Input("a", shape, b.Pick<QuantRange>({kInt8, kUint8, kOdd}));
  b.Output(shape, kInt32, DType::kInt32);
  if (b.Coin()) {
    op.b = "";
    op.factor = "f";
    b.Constant("f", IntTensor({shape.back()}, b.Many<std::int16_t>(shape.back(), -32768, 32767)));
  } else {
    op.b_zero = b.Between32(-200, 200);
    shape.back() = columns;
    b.Input("b", shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  }
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<CausalConvOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t rows = b.Between(1, 9), channels = b.Between(1, 40), taps = b.Between(2, 6);
  const QuantRange codes = b.Coin() ? kInt8 : kUint8;
  b.Input("x", {rows, channels}, codes);
  b.Input("s", {taps - 1, channels}, codes);
  b.Constant("w", IntTensor({channels, taps}, b.Many<std::int8_t>(channels * taps, -128, 127)));
  b.Constant("c", IntTensor({channels}, b.Many(channels, -1000000, 1000000)));
  CausalConvOp op{.output = "y", .input = "x", .past = "s", .weight = "w", .bias = "c", .acc = {}};
  if (b.Coin()) op.weight_zero = b.Many(b.OneOr(channels), -128, 127);
  b.GiveAccumulator(op);
  b.Output({rows, channels}, kInt32, DType::kInt32);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<LookupOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t rows = b.Between(3, 300), columns = b.Between(1, 9), tokens = b.Between(1, 12);
  const DType type = b.Coin() ? DType::kInt32 : DType::kUint16;
  const std::int32_t least = b.Between32(0, 1);
  b.Input("x", {tokens}, {least, static_cast<std::int32_t>(rows - 1)}, type);
  if (b.Coin()) {
    b.Constant("t", IntTensor({rows, columns}, b.Many<std::int8_t>(rows * columns, -128, 127)));
    b.Output({tokens, columns}, kInt8);
  } else {
    b.Constant("t", IntTensor({rows, columns}, b.Many<std::int16_t>(rows * columns, -999, 999)));
    b.Output({tokens, columns}, kInt16);
  }
  return b.Take(LookupOp{"y", "x", "t"});
}

Instance Arbitrary(std::type_identity<LastRowsOp>, const Draw& draw) {
  Builder b(draw);
  Shape shape = b.AnyShape();
  const QuantRange range = b.Pick<QuantRange>({kInt8, kUint8, kInt16, kInt32});
  b.Input("x", shape, range);
  shape[0] = b.Between(1, 5);
  b.Input("s", shape, range);
  b.Output(shape, range);
  return b.Take(LastRowsOp{"y", "x", "s"});
}

Instance Arbitrary(std::type_identity<RecurrenceOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t rows = b.Between(1, 12);
  RecurrenceOp op;
  op.query = "q";
  std::int64_t heads = Operands(b, op, rows);
  // More queries than states, as many, or fewer.
  const std::int64_t queries = b.Coin()   ? heads
                               : b.Coin() ? heads * b.Between(1, 3)
                                          : heads / std::gcd(heads, b.Between(1, 2));
  b.Input("q", {rows, queries * op.update.key_width}, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  heads = std::max(heads, queries);
  op.query_zero = b.Between32(-300, 300);
  // At most 16 bits of state are left.
  op.state_shift = static_cast<int>(b.Between(0, 5));
  while (b.program().Tensor("s").range.qmax >> op.state_shift > 32767) ++op.state_shift;
  for (std::int64_t i = b.OneOr(heads); i > 0; --i) {
    const std::int32_t m = b.Between32(1, b.Coin() ? INT32_MAX >> 5 : 40000);
    op.readout.push_back({b.Coin() ? m : -m, static_cast<int>(b.Between(0, 50))});
  }
  op.zero = b.Between32(-200, 200);
  op.rounding = b.AnyRounding();
  if (op.update.chunk != 0) ByChunks(b, op);
  b.Output({rows, heads * op.update.value_width}, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<RecurrenceStateOp>, const Draw& draw) {
  Builder b(draw);
  RecurrenceStateOp op;
  Operands(b, op, b.Between(1, 12));
  const TensorInfo past = b.program().Tensor("s");
  b.Output(past.shape, past.range);
  return b.Take(std::move(op));
}

}  // namespace qsim::derivation
