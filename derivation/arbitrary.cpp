#include "derivation/arbitrary.h"

#include <algorithm>
#include <utility>

#include "derivation/arbitrary_builder.h"
#include "golden/ops/int128.h"

namespace qsim::derivation {
namespace {

IbertExp ExpOf(std::int64_t k) {
  // The published polynomial's coefficients at a scale of 0.6931 / k, near enough.
  return {static_cast<std::int32_t>(-k), 39 * k / 10 + 1, 581 * k * k / 100 + 1, 30};
}

// What turns the exponential of a row's maximum into 32767.
std::pair<std::int64_t, int> Act16Of(const IbertExp& exp) {
  int shift = exp.n;
  Int128 numerator = 32767;
  while (numerator / exp.c < (Int128{1} << 30)) {
    numerator *= 2;
    ++shift;
  }
  return {static_cast<std::int64_t>(numerator / exp.c), shift};
}

SoftmaxParams DrawHead(const Builder& b, SoftmaxKind kind, bool is_signed) {
  const std::int64_t k = b.Between(1, 20000);
  const IbertExp exp = ExpOf(k);
  const auto [act16, act16_shift] = Act16Of(exp);
  const auto levels = b.Between32(2, is_signed ? 128 : 256);
  const std::int32_t offset = is_signed ? -128 : 0;
  const auto shift_bits = static_cast<int>(b.Between(0, 16));
  switch (kind) {
    case SoftmaxKind::kIbert:
      return IbertSoftmaxParams{exp, act16, act16_shift};
    case SoftmaxKind::kIbertRn:
      return IbertRnSoftmaxParams{exp, act16, act16_shift, static_cast<int>(b.Between(0, 7))};
    case SoftmaxKind::kLogInt:
      return LogIntSoftmaxParams{exp, 4};
    case SoftmaxKind::kShiftmax:
      return ShiftmaxParams{static_cast<std::int32_t>(-k), 15, 8};
    case SoftmaxKind::kIta:
      return ItaSoftmaxParams{shift_bits, levels, offset};
    case SoftmaxKind::kItaStreaming:
      return ItaStreamingSoftmaxParams{shift_bits, levels, offset, b.Between(1, 20)};
    case SoftmaxKind::kTflite:
      return TfliteSoftmaxParams{b.Between32(1 << 30, INT32_MAX),
                                 static_cast<int>(b.Between(0, 31)), b.Between32(-1000, 0), 8};
    case SoftmaxKind::kTable: {
      TableSoftmaxParams p{static_cast<int>(b.Between(0, 7)), b.Many(256, 0, kTableExpOne)};
      p.exp_high = b.Many(256, 0, kTableExpOne);
      p.exp.front() = p.exp_high.front() = kTableExpOne;
      return p;
    }
    case SoftmaxKind::kDeeploy:
      break;
  }
  const std::int64_t a = b.Between(1, 3);
  return IsoftmaxParams{static_cast<std::int32_t>(a),
                        static_cast<std::int32_t>(k * 195 / 100),
                        a * k * k * 2 + 1,
                        static_cast<std::int32_t>(k),
                        levels,
                        offset};
}

// ibert and ivit.
template <typename Params>
Params DrawRootOfSum(const Builder& b, std::int64_t channels) {
  Params p;
  p.input_zero = b.Between32(-1000, 1000);
  p.bias = b.Many<std::int64_t>(channels, -kMaxLayernormBias, kMaxLayernormBias);
  if (b.Coin()) p.input_shift = b.Many(channels, 0, 7);
  int shift = 0;
  if constexpr (requires { p.std_shift; }) shift = p.std_shift = static_cast<int>(b.Between(0, 15));
  p.eps = b.AnyEps(shift);
  p.scale = b.Multipliers(b.OneOr(channels), 30, 62);
  p.zero = b.Many(b.OneOr(channels), -65536, 65536);
  p.rounding = b.AnyRounding();
  return p;
}

template <typename Params>
Params WithLastStep(const Builder& b, Params p) {
  if constexpr (requires { p.input_zero; }) p.input_zero = b.Between32(-200, 200);
  p.scale = b.AnyMultiplier(20, 62);
  p.zero = b.Between32(-200, 200);
  if constexpr (requires { p.rounding; }) p.rounding = b.AnyRounding();
  if constexpr (requires { p.addend; }) p.addend = b.Between(-kMaxGeluAddend, kMaxGeluAddend);
  return p;
}

}  // namespace

Instance Arbitrary(std::type_identity<GemmOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t tokens = b.Between(1, 6), depth = b.Between(1, 40), channels = b.Between(1, 9);
  b.Input("x", {tokens, depth}, b.Coin() ? kInt8 : kUint8);
  b.Constant("w", IntTensor({channels, depth}, b.Many<std::int8_t>(channels * depth, -128, 127)));
  b.Constant("c", IntTensor({channels}, b.Many(channels, -1000000, 1000000)));
  GemmOp op;
  op.output = "y";
  op.input = "x";
  op.weight = "w";
  op.bias = "c";
  if (b.Coin()) op.weight_zero = b.Many(b.OneOr(channels), -128, 127);
  if (b.Coin()) op.rows = b.Between(1, tokens);
  if (op.rows > 0 && b.Coin()) op.first_row = b.Between(0, tokens - op.rows);
  b.GiveAccumulator(op);
  b.Output({op.rows == 0 ? tokens : op.rows, channels}, kInt32, DType::kInt32);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<MatmulOp>, const Draw& draw) {
  Builder b(draw);
  MatmulOp op;
  op.output = "y";
  op.lhs = "a";
  op.rhs = "b";
  op.heads = static_cast<int>(b.Between(1, 4));
  op.transpose_rhs = b.Coin();
  const std::int64_t m = b.Between(1, 7), k = b.Between(1, 7), n = b.Between(1, 7);
  // The heads' matrices side by side, as planes, or one for all of them.
  const auto shape = [&](std::int64_t rows, std::int64_t cols, bool shared) -> Shape {
    if (b.Coin()) return {rows, op.heads * cols};
    if (shared && b.Coin()) return {1, rows, cols};
    if (op.heads == 4 && b.Coin()) return {2, 2, rows, cols};
    return {op.heads, rows, cols};
  };
  if (!op.transpose_rhs && b.Coin()) op.mode = OperandMode::kShift;
  const bool shift = op.mode == OperandMode::kShift;
  const QuantRange range = shift ? QuantRange{0, 16} : b.Coin() ? kInt8 : kUint8;
  b.Input("a", shape(m, k, true), range, range.qmin < 0 ? DType::kInt8 : DType::kUint8);
  const Shape right = op.transpose_rhs ? shape(n, k, true) : shape(k, n, true);
  if (b.Coin()) {
    op.rhs = "";
    op.weight = "w";
    b.Constant("w", IntTensor(right, b.Many<std::int8_t>(ElementCount(right), -128, 127)));
  } else {
    b.Input("b", right, kInt8);
  }
  op.lhs_zero = shift ? std::vector<std::int32_t>{0} : b.Many(b.OneOr(op.heads), -128, 127);
  op.rhs_zero = b.Many(b.OneOr(op.transpose_rhs ? op.heads : op.heads * n), -128, 127);
  b.GiveAccumulator(op);
  b.Output(shape(m, n, false), kInt32, DType::kInt32);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<RequantizeOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t width = b.Between(1, 8);
  RequantizeOp op;
  op.output = "y";
  op.input = "x";
  op.first_column = b.Between(0, 3);
  Shape in = {b.Between(1, 5), op.first_column + width + b.Between(0, 2)};
  if (b.Coin()) in.insert(in.begin(), b.Between(1, 3));
  Shape out = in;
  out.back() = width;
  op.axis = static_cast<ChannelAxis>(b.Between(0, 2));
  const std::int64_t channels = LayoutOf(out, op.axis).channels;
  const bool wide = b.Coin();
  b.Input("x", in, wide ? kInt32 : b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  if (!wide) op.input_zero = b.Between32(-65536, 65536);
  op.scheme = kAllRequantSchemes[static_cast<std::size_t>(
      b.Between(0, static_cast<std::int64_t>(kAllRequantSchemes.size()) - 1))];
  const RequantLimits limits = LimitsOf(op.scheme);
  op.rounding = op.scheme == RequantScheme::kRequantShift
                    ? (b.Coin() ? Rounding::kHalfUp : Rounding::kFloor)
                    : b.AnyRounding();
  for (std::int64_t i = b.OneOr(channels); i > 0; --i) {
    const std::int32_t m = b.Between32(limits.min_multiplier, limits.max_multiplier);
    op.scale.push_back(
        {m == 0 ? 1 : m, static_cast<int>(b.Between(limits.min_shift, limits.max_shift))});
  }
  op.zero = b.Many(b.OneOr(channels), -65536, 65536);
  if (limits.addend != AddendUse::kNone && b.Coin()) {
    const std::int64_t most =
        limits.addend == AddendUse::kBeforeShift ? std::int64_t{1} << 61 : 1 << 16;
    op.addend = b.Many<std::int64_t>(b.OneOr(channels), -most, most);
  }
  b.Output(out, b.Pick<QuantRange>({kInt8, kUint8, kInt16, {-8, 7}}));
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<SoftmaxOp>, const Draw& draw) {
  return ArbitrarySoftmax(draw, std::variant_size_v<SoftmaxParams>,
                          draw(0, 1) == 0 ? SoftmaxDivision::kBefore : SoftmaxDivision::kAfter);
}

Instance ArbitrarySoftmax(const Draw& draw, std::size_t algorithms, SoftmaxDivision division) {
  Builder b(draw);
  const std::int64_t heads = b.Between(1, 3), tokens = b.Between(1, 9), keys = b.Between(1, 20);
  const Shape shape = {heads, tokens, keys};
  const auto kind =
      static_cast<SoftmaxKind>(b.Between(0, static_cast<std::int64_t>(algorithms) - 1));
  b.Input("x", shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  SoftmaxOp op{.output = "y", .input = "x", .params = {DrawHead(b, kind, b.Coin())}};
  op.division = division;
  const QuantRange range = SoftmaxOutputRange(op.params.front(), division);
  // Heads of other parameters, as far as their output is the same.
  for (std::int64_t h = b.OneOr(heads); h > 1; --h) {
    SoftmaxParams other = DrawHead(b, kind, range.qmin < 0);
    op.params.push_back(SoftmaxOutputRange(other, division) == range ? other : op.params.front());
  }
  if (b.Coin()) {
    op.mask = "mask";
    b.Input("mask", {b.OneOr(tokens), keys}, {0, 1}, DType::kUint8);
  }
  op.causal = b.Coin();
  b.Output(shape, range, range.qmin < 0 ? DType::kInt8 : DType::kUint8);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<LayernormOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t channels = b.Between(1, 20);
  const Shape shape = {b.Between(1, 4), channels};
  b.Input("x", shape, b.Pick<QuantRange>({kInt8, kUint8, kInt16}));
  LayernormOp op;
  op.output = "y";
  op.input = "x";
  QuantRange range = b.Pick<QuantRange>({kInt8, kUint8, kInt16});
  switch (b.Between(0, 2)) {
    case 0:
      op.params = DrawRootOfSum<IbertLayernormParams>(b, channels);
      break;
    case 1:
      op.params = DrawRootOfSum<IvitLayernormParams>(b, channels);
      break;
    default: {
      DeeployLayernormParams p;
      p.input_zero = b.Between(-65536, 65536);
      p.bias = b.Many<std::int64_t>(channels, -kMaxLayernormBias, kMaxLayernormBias);
      p.weight = b.Many(channels, INT32_MIN, INT32_MAX);
      p.log2d = static_cast<int>(b.Between(0, 62));
      p.eps = b.AnyEps(0);
      p.wrap = b.Coin();
      if (p.wrap) range = kInt8;
      op.params = std::move(p);
    }
  }
  b.Output(shape, range);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<ResidualAddOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t channels = b.Between(1, 9);
  const Shape shape = {b.Between(1, 5), channels};
  const bool wide = b.Coin();
  b.Input("a", shape, wide ? kInt32 : kInt8);
  b.Input("b", shape, b.Coin() ? kInt16 : kUint8);
  ResidualAddOp op;
  op.output = "y";
  op.a = "a";
  op.b = "b";
  op.a_multiplier = b.Many(b.OneOr(channels), -INT32_MAX, INT32_MAX);
  op.b_multiplier = b.Many(b.OneOr(channels), -INT32_MAX, INT32_MAX);
  op.shift = static_cast<int>(b.Between(0, 62));
  if (!wide) op.a_zero = b.Between32(-65536, 65536);
  op.b_zero = b.Between32(-65536, 65536);
  op.out_zero = b.Between32(-65536, 65536);
  op.rounding = b.AnyRounding();
  b.Output(shape, b.Coin() ? kInt16 : kInt8);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<PatchifyOp>, const Draw& draw) {
  Builder b(draw);
  const PatchifyOp op{.output = "y", .input = "x", .patch = b.Between(1, 3)};
  const std::int64_t colors = b.Between(1, 3), rows = b.Between(1, 3), columns = b.Between(1, 3);
  b.Input("x", {colors, rows * op.patch, columns * op.patch}, kUint8);
  b.Output({rows * columns, colors * op.patch * op.patch}, kUint8);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<EmbedOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t patches = b.Between(1, 6), channels = b.Between(1, 8);
  const std::int64_t in_front = b.Coin() ? 1 : b.Between(0, 3);
  b.Input("a", {patches, channels}, kInt32);
  const QuantRange range = b.Coin() ? kInt16 : kInt8;
  std::vector<std::int32_t> position = b.Many(in_front * channels, range.qmin, range.qmax);
  const std::vector<std::int32_t> rest = b.Many(patches * channels, -65535, 65535);
  position.insert(position.end(), rest.begin(), rest.end());
  b.Constant("p", IntTensor({in_front + patches, channels}, std::move(position)));
  EmbedOp op;
  op.output = "y";
  op.a = "a";
  op.position = "p";
  op.a_multiplier = b.Many(b.OneOr(channels), -INT32_MAX, INT32_MAX);
  op.b_multiplier = b.Between32(-INT32_MAX, INT32_MAX);
  op.shift = static_cast<int>(b.Between(0, 62));
  op.out_zero = b.Between32(-65536, 65536);
  op.rounding = b.AnyRounding();
  b.Output({in_front + patches, channels}, range);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<GeluOp>, const Draw& draw) {
  Builder b(draw);
  Shape shape = {b.Between(1, 5), b.Between(1, 9)};
  if (b.Coin()) shape.insert(shape.begin(), b.Between(1, 3));
  const auto kind = static_cast<GeluKind>(b.Between(0, 4));
  const bool wide = MostGeluInputBits(kind) > 8 && b.Coin();
  QuantRange in = b.Pick<QuantRange>({kInt8, kUint8, {-8, 7}});
  if (wide) in = kind == GeluKind::kTable ? QuantRange{-1000, 1200} : kInt16;
  const QuantRange out = b.Pick<QuantRange>({kInt8, kUint8, kInt16});
  b.Input("x", shape, in);
  GeluOp op;
  op.output = "y";
  op.input = "x";
  switch (kind) {
    case GeluKind::kTable:
      op.params = GeluTableParams{b.Many(std::int64_t{in.qmax} - in.qmin + 1, out.qmin, out.qmax)};
      break;
    case GeluKind::kIbert:
      op.params = WithLastStep(b, GeluIbertParams{.b = -b.Between(1, kMaxGeluB),
                                                  .c = -b.Between(1, kMaxGeluC),
                                                  .shift_int = -b.Between(1, kMaxGeluC),
                                                  .n = static_cast<int>(b.Between(0, 30))});
      break;
    case GeluKind::kShiftGelu:
      op.params =
          WithLastStep(b, ShiftGeluParams{.x0 = -b.Between32(1, kMaxShiftGeluX0),
                                          .n = static_cast<int>(b.Between(0, 30)),
                                          .output_bits = static_cast<int>(b.Between(1, 16))});
      break;
    case GeluKind::kIta:
      op.params = WithLastStep(b, GeluItaParams{.q_1 = b.Between(-kMaxGeluC, kMaxGeluC),
                                                .q_b = -b.Between(1, kMaxGeluB),
                                                .q_c = b.Between(-kMaxGeluC, kMaxGeluC)});
      break;
    case GeluKind::kDeeploy:
      op.params = WithLastStep(b, GeluDeeployParams{.b = -b.Between(1, kMaxGeluB),
                                                    .one = b.Between(-kMaxGeluC, kMaxGeluC)});
  }
  b.Output(shape, out);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<AddOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t channels = b.Between(1, 8);
  const Shape shape = {b.Between(1, 5), channels};
  b.Input("a", shape, b.Coin() ? kInt16 : kUint8);
  AddOp op;
  op.output = "y";
  op.a = "a";
  if (b.Coin()) {
    op.bias = "c";
    b.Constant("c", IntTensor({channels}, b.Many(channels, -1000000, 1000000)));
  } else {
    op.b = "b";
    b.Input("b", shape, kInt8);
  }
  b.Output(shape, kInt32, DType::kInt32);
  return b.Take(std::move(op));
}

// The input has the elements that the view reads, and some more.
Instance Arbitrary(std::type_identity<ViewOp>, const Draw& draw) {
  Builder b(draw);
  ViewOp op{.output = "y", .input = "x", .offset = b.Between(0, 5), .strides = {}, .extents = {}};
  std::int64_t size = 1 + b.Between(0, 3);
  for (const std::int64_t extent : b.AnyShape()) {
    op.extents.push_back(extent);
    op.strides.push_back(b.Between(-4, 6));
    const std::int64_t reach = (extent - 1) * op.strides.back();
    op.offset -= std::min<std::int64_t>(reach, 0);
    size += std::max<std::int64_t>(reach, 0);
  }
  const QuantRange range = b.Pick<QuantRange>({kInt8, kUint8, kInt16, kInt32});
  b.Input("x", {op.offset + size}, range);
  Shape shape = op.extents;
  if (b.Coin()) {
    shape = {ElementCount(op.extents)};
  } else if (b.Coin()) {
    op.extents.clear();
  }
  b.Output(shape, range);
  return b.Take(std::move(op));
}

Instance Arbitrary(std::type_identity<ConcatOp>, const Draw& draw) {
  Builder b(draw);
  Shape shape = b.AnyShape();
  const QuantRange range = b.Pick<QuantRange>({kInt8, kUint8, kInt16, kInt32});
  const std::int64_t rows = shape[0], more = b.Between(1, 5);
  b.Input("a", shape, range);
  shape[0] = more;
  b.Input("b", shape, range);
  shape[0] = rows + more;
  b.Output(shape, range);
  return b.Take(ConcatOp{"y", "a", "b"});
}

Instance Arbitrary(std::type_identity<RowSumOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t heads = b.Between(1, 3), rows = b.Between(1, 5);
  RowSumOp op{"y", "a", b.Coin() ? OperandMode::kMultiply : OperandMode::kShift};
  const QuantRange range = op.mode == OperandMode::kShift
                               ? QuantRange{0, 16}
                               : b.Pick<QuantRange>({kInt8, kUint8, {-8, 7}});
  b.Input("a", {heads, rows, b.Between(1, 40)}, range,
          range.qmin < 0 ? DType::kInt8 : DType::kUint8);
  b.Output({heads, rows, 1}, kInt32, DType::kInt32);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<ColumnSumOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t rows = b.Between(1, 40), columns = b.Between(1, 6);
  ColumnSumOp op{"y", "x", b.Coin() ? 0 : b.Between(0, rows - 1)};
  op.input_zero = b.Many(b.OneOr(columns), -65536, 65536);
  b.Input("x", {rows, columns}, b.Pick<QuantRange>({kInt8, kUint8, kInt16, {-1000, 1200}}));
  b.Output({1, columns}, kInt32, DType::kInt32);
  return b.Take(op);
}

Instance Arbitrary(std::type_identity<RowDivideOp>, const Draw& draw) {
  Builder b(draw);
  const std::int64_t heads = b.Between(1, 3), rows = b.Between(1, 5), columns = b.Between(1, 6);
  RowDivideOp op{"y", "a", "b"};
  op.fraction_bits = b.Coin() ? 15 : static_cast<int>(b.Between(1, 29));
  op.reciprocal_rounding = b.AnyRounding();
  op.rounding = b.AnyRounding();
  const Shape shape = b.Coin() ? Shape{rows, heads * columns} : Shape{heads, rows, columns};
  b.Input("a", shape, b.Pick<QuantRange>({kInt32, {-100000, 100000}, {-255, 255}}), DType::kInt32);
  b.Input("b", {heads, rows, 1}, b.Pick<QuantRange>({kInt32, {0, 65535}, {0, 9}}), DType::kInt32);
  b.Output(shape, b.Coin() ? kInt32 : QuantRange{-300000, 300000}, DType::kInt32);
  return b.Take(op);
}

}  // namespace qsim::derivation
