// The ranges of parameters, at both of their ends: what is in is taken, what is one further is
// refused. The numbers are those of docs/numerics.md.
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "golden/ops/add.h"
#include "golden/ops/chunked_recurrence.h"
#include "golden/ops/column_sum.h"
#include "golden/ops/gelu.h"
#include "golden/ops/gemm.h"
#include "golden/ops/layernorm.h"
#include "golden/ops/layernorm/fqvit.h"
#include "golden/ops/multiply.h"
#include "golden/ops/recurrence.h"
#include "golden/ops/requant/cmsisnn.h"
#include "golden/ops/requant/deeploy.h"
#include "golden/ops/requant/ibert.h"
#include "golden/ops/requant/ita.h"
#include "golden/ops/requant/scheme.h"
#include "golden/ops/requant/tflite.h"
#include "golden/ops/requant/tosa.h"
#include "golden/ops/residual_add.h"
#include "golden/ops/rmsnorm.h"
#include "golden/ops/row_divide.h"
#include "golden/ops/softmax.h"
#include "golden/ops/table.h"
#include "golden/ops/view.h"
#include "tests/namespaces.h"

namespace qsim::testing {
namespace {

constexpr std::int64_t Two(int power) { return std::int64_t{1} << power; }

// `take(value)` for low and high, and for what is beside them.
template <typename Take>
void ExpectRange(const char* what, std::int64_t low, std::int64_t high, Take take) {
  SCOPED_TRACE(what);
  EXPECT_NO_THROW(take(low)) << low;
  EXPECT_NO_THROW(take(high)) << high;
  EXPECT_THROW(take(low - 1), std::invalid_argument) << low - 1;
  EXPECT_THROW(take(high + 1), std::invalid_argument) << high + 1;
}

// One field of parameters that are good otherwise.
template <typename Params, typename Value, typename Check>
void ExpectField(const char* what, Params params, Value Params::*field, std::int64_t low,
                 std::int64_t high, Check check) {
  ExpectRange(what, low, high, [&](std::int64_t value) {
    params.*field = static_cast<Value>(value);
    check(params);
  });
}

TEST(ParameterLimits, Gelu) {
  const GeluIbertParams ibert = {.b = -5, .c = -7, .shift_int = -3, .n = 2};
  ExpectField("b", ibert, &GeluIbertParams::b, -Two(31), -1, CheckGeluIbert);
  ExpectField("c", ibert, &GeluIbertParams::c, -Two(62), -1, CheckGeluIbert);
  ExpectField("shift_int", ibert, &GeluIbertParams::shift_int, -Two(62), -1, CheckGeluIbert);
  ExpectField("n", ibert, &GeluIbertParams::n, 0, 30, CheckGeluIbert);
  GeluDeeployParams deeploy;
  deeploy.b = -5;
  ExpectField("b", deeploy, &GeluDeeployParams::b, -Two(31), -1, CheckGeluDeeploy);
  ExpectField("one", deeploy, &GeluDeeployParams::one, -Two(62), Two(62), CheckGeluDeeploy);
  GeluItaParams ita;
  ita.q_b = -5;
  ExpectField("q_b", ita, &GeluItaParams::q_b, -Two(31), -1, CheckGeluIta);
  ExpectField("q_c", ita, &GeluItaParams::q_c, -Two(62), Two(62), CheckGeluIta);
  ExpectField("q_1", ita, &GeluItaParams::q_1, -Two(62), Two(62), CheckGeluIta);
  ShiftGeluParams shift;
  shift.x0 = -4;
  ExpectField("output_bits", shift, &ShiftGeluParams::output_bits, 1, 32, CheckShiftGelu);
  ExpectField("n", shift, &ShiftGeluParams::n, 0, 30, CheckShiftGelu);
  // x (... + q_1) leaves 64 bits at either end.
  for (const std::int64_t q_1 : {Two(62), -Two(62)}) {
    ita.q_1 = q_1;
    std::int32_t out = 0;
    for (const std::int32_t x : {INT32_MAX, INT32_MIN})
      EXPECT_THROW(Gelu({&x, 1}, ita, {}, {&out, 1}), std::invalid_argument);
  }
  for (const GeluKind kind : AllOf<GeluKind>()) {
    const bool narrow = kind == GeluKind::kIta || kind == GeluKind::kShiftGelu;
    EXPECT_EQ(MostGeluInputBits(kind), narrow ? 8 : 16) << Name(kind);
  }
}

TEST(ParameterLimits, RequantizersByThemselves) {
  ExpectRange("v", -Two(47), Two(47), [](auto v) { CmsisnnRequantizeS64(v, 1, 0); });
  ExpectRange("multiplier", 1 - Two(15), Two(15) - 1,
              [](auto m) { CmsisnnRequantizeS64(1, static_cast<std::int32_t>(m), 0); });
  ExpectRange("shift", -48, 14, [](auto s) { CmsisnnRequantizeS64(1, 1, static_cast<int>(s)); });
  ExpectRange("log2D", 0, 62, [](auto s) { RequantShift(1, 1, 0, static_cast<int>(s), true); });
  EXPECT_EQ(RequantShift(INT64_MAX, 1, 0, 0, false), INT64_MAX);
  EXPECT_EQ(RequantShift(INT64_MIN, 1, 0, 0, false), INT64_MIN);
  EXPECT_THROW(RequantShift(INT64_MAX, 1, 1, 0, false), std::invalid_argument);
  EXPECT_THROW(RequantShift(INT64_MIN, 1, -1, 0, false), std::invalid_argument);
  ExpectRange("m", -Two(31), Two(31), [](auto m) { DyadicScale(1, {m, 1}); });
  ExpectRange("e", -31, 1105, [](auto e) { DyadicScale(1, {1, static_cast<int>(e)}); });
  ExpectRange("bits", 1, 32, [](auto b) { DyadicRequantize(1, {1, 1}, static_cast<int>(b)); });
  ExpectRange("shift", 0, 255, [](auto s) { ItaRequantize(1, 1, static_cast<int>(s)); });
  ExpectRange("v", -Two(31), Two(31), [](auto v) { ItaRtlRequantize(v, 1, 1); });
  ExpectRange("v", -Two(31), Two(31), [](auto v) { TfliteSingleRounding(v, 1, 0); });
  ExpectRange("v", -Two(31), Two(31), [](auto v) { TfliteDoubleRounding(v, 1, 0); });
  ExpectRange("shift", -62, 31, [](auto s) { TfliteDoubleRounding(1, 1, static_cast<int>(s)); });
  ExpectRange("v", -Two(31), Two(31), [](auto v) { TosaScale32(v, 1, 2, false); });
  ExpectRange("shift", 2, 62, [](auto s) { TosaScale32(1, 1, static_cast<int>(s), true); });
  ExpectRange("v", -Two(47), Two(47), [](auto v) { TosaScale16(v, 1, 2); });
  ExpectRange("multiplier", 1 - Two(15), Two(15) - 1,
              [](auto m) { TosaScale16(1, static_cast<std::int32_t>(m), 2); });
}

TEST(ParameterLimits, RequantizationSchemes) {
  struct Limits {
    RequantScheme scheme;
    std::int64_t low_m, high_m, low_shift, high_shift, addend;
  };
  constexpr std::int64_t kM = 2147483647;
  for (const Limits& l :
       std::vector<Limits>{{RequantScheme::kRoundShift, -kM, kM, 0, 62, Two(61)},
                           {RequantScheme::kTfliteDouble, 0, kM, 1, 62, 0},
                           {RequantScheme::kTfliteSingle, 0, kM, 1, 62, 0},
                           {RequantScheme::kTosaScale32, 0, kM, 2, 62, 0},
                           {RequantScheme::kTosaScale32Double, 0, kM, 2, 62, 0},
                           {RequantScheme::kTosaScale16, 0, 32767, 2, 62, 0},
                           {RequantScheme::kIta, 0, 255, 0, 62, 65536},
                           {RequantScheme::kItaRtl, 0, 255, 0, 31, 65536},
                           {RequantScheme::kRequantShift, -kM, kM, 0, 62, Two(61)},
                           {RequantScheme::kIbertDyadic, -kM, kM, 0, 62, 0},
                           {RequantScheme::kCmsisnnS64, 0, 32767, 1, 62, 0}}) {
    SCOPED_TRACE(Name(l.scheme));
    const int shift = static_cast<int>(l.low_shift);
    const auto check = [&](std::int64_t m, std::int64_t s, std::int64_t addend) {
      CheckRequantScheme(l.scheme, Rounding::kHalfUp,
                         {static_cast<std::int32_t>(m), static_cast<int>(s)}, addend);
    };
    EXPECT_EQ(LimitsOf(l.scheme).min_multiplier, l.low_m);
    EXPECT_EQ(LimitsOf(l.scheme).max_multiplier, l.high_m);
    EXPECT_NO_THROW(check(l.low_m, shift, 0));
    EXPECT_NO_THROW(check(l.high_m, shift, 0));
    EXPECT_THROW(check(l.low_m - 1, shift, 0), std::invalid_argument);
    if (l.high_m < kM) {
      EXPECT_THROW(check(l.high_m + 1, shift, 0), std::invalid_argument);
    }
    ExpectRange("shift", l.low_shift, l.high_shift, [&](auto s) { check(1, s, 0); });
    ExpectRange("addend", -l.addend, l.addend, [&](auto a) { check(1, shift, a); });
  }
  EXPECT_THROW(CheckRequantScheme(RequantScheme::kRequantShift, Rounding::kHalfEven, {1, 1}, 0),
               std::invalid_argument);
  EXPECT_NO_THROW(CheckRequantScheme(RequantScheme::kRequantShift, Rounding::kFloor, {1, 1}, 0));
  for (const RequantScheme scheme :
       {RequantScheme::kTfliteDouble, RequantScheme::kTosaScale32Double}) {
    EXPECT_TRUE(HasEquivalentRounding(scheme, 31));
    EXPECT_FALSE(HasEquivalentRounding(scheme, 32));
  }
  EXPECT_TRUE(HasEquivalentRounding(RequantScheme::kIta, 22));
  EXPECT_FALSE(HasEquivalentRounding(RequantScheme::kIta, 23));
}

TEST(ParameterLimits, NoOtherScheme) {
  const auto none = static_cast<RequantScheme>(99);
  EXPECT_THROW(FormulaOf(none), std::invalid_argument);
  EXPECT_THROW(RequantizeScaled(none, Rounding::kHalfUp, 1, {1, 0}, 0), std::invalid_argument);
}

TEST(ParameterLimits, EveryChannelOfARequantization) {
  const std::vector<Multiplier> one_scale = {{1, 1}}, two_scales = {{1, 1}, {1, 63}};
  const std::vector<std::int32_t> zero = {0};
  const std::vector<std::int64_t> addends = {0, Two(61) + 1};
  RequantizeParams params;
  params.layout = {.outer = 1, .channels = 2, .inner = 1};
  params.scale = one_scale;
  params.zero = zero;
  EXPECT_NO_THROW(CheckRequantizeParams(params));
  params.addend = addends;
  EXPECT_THROW(CheckRequantizeParams(params), std::invalid_argument);
  params.addend = {};
  params.scale = two_scales;
  EXPECT_THROW(CheckRequantizeParams(params), std::invalid_argument);
}

TEST(ParameterLimits, LayerNorms) {
  std::vector<std::int64_t> y(1);
  const std::vector<std::int32_t> x = {3};
  DeeployLayernormParams deeploy;
  deeploy.bias = {0};
  deeploy.weight = {1};
  const auto run = [&](const DeeployLayernormParams& p) { LayernormDeeploy(x, p, y); };
  ExpectField("input_zero", deeploy, &DeeployLayernormParams::input_zero, -Two(31), Two(31), run);
  ExpectField("log2d", deeploy, &DeeployLayernormParams::log2d, 0, 62, run);
  ExpectRange("bias", -Two(62), Two(62), [&](std::int64_t bias) {
    deeploy.bias = {bias};
    run(deeploy);
  });
  const auto fqvit = [&](std::int32_t mask, std::int32_t m, std::int32_t n, std::int64_t b) {
    LayernormFqvit(x, std::vector{mask}, std::vector{m}, std::vector{n}, std::vector{b}, y);
  };
  const auto as32 = [](std::int64_t v) { return static_cast<std::int32_t>(v); };
  ExpectRange("scale_mask", 1, Two(20), [&](auto v) { fqvit(as32(v), 1, 0, 0); });
  ExpectRange("M", -255, 255, [&](auto v) { fqvit(1, as32(v), 0, 0); });
  ExpectRange("N", 0, 31, [&](auto v) { fqvit(1, 1, as32(v), 0); });
  ExpectRange("B", -Two(62), Two(62), [&](auto v) { fqvit(1, 1, 0, v); });
}

TEST(ParameterLimits, Softmax) {
  const IbertExp exp = {.x0 = -10, .b = 20, .c = 100, .n = 4};
  ExpectField("x0", exp, &IbertExp::x0, -Two(20), -1, [](IbertExp e) {
    e.b = Two(22);
    CheckIbertExp(e);
  });
  ExpectField("b", exp, &IbertExp::b, 9, Two(23) - 1, CheckIbertExp);
  ExpectField("c", exp, &IbertExp::c, 1, Two(33) - 1, CheckIbertExp);
  ExpectField("n", exp, &IbertExp::n, 0, 30, CheckIbertExp);
  const auto check = [](const auto& p) { CheckSoftmaxParams(SoftmaxParams(p)); };
  IbertRnSoftmaxParams rn;
  rn.exp = exp;
  rn.act16_multiplier = 1;
  rn.act16_shift = 0;
  ExpectField("extra_bits", rn, &IbertRnSoftmaxParams::extra_bits, 0, 7, check);
  ExpectField("act16_multiplier", rn, &IbertRnSoftmaxParams::act16_multiplier, 1, Two(31) - 1,
              check);
  LogIntSoftmaxParams log_int;
  log_int.exp = exp;
  ExpectField("code_bits", log_int, &LogIntSoftmaxParams::code_bits, 1, 8, check);
  ShiftmaxParams shiftmax;
  shiftmax.x0 = -10;
  shiftmax.n = 4;
  ExpectField("output_bits", shiftmax, &ShiftmaxParams::output_bits, 1, 16, check);
  ItaSoftmaxParams ita;
  ExpectField("shift_bits", ita, &ItaSoftmaxParams::shift_bits, 0, 31, check);
  ExpectField("levels", ita, &ItaSoftmaxParams::levels, 2, 65536, check);
  ExpectField("output_offset", ita, &ItaSoftmaxParams::output_offset, -65536, 65536, check);
  ItaStreamingSoftmaxParams streaming;
  EXPECT_NO_THROW(check((streaming.group = 1, streaming)));
  EXPECT_THROW(check((streaming.group = 0, streaming)), std::invalid_argument);
  const IsoftmaxParams isoftmax = {.coeff_a = 1, .coeff_b = 3, .coeff_c = 5, .log2 = 7};
  ExpectField("coeff_c", isoftmax, &IsoftmaxParams::coeff_c, 0, Two(62), check);
  ExpectField("levels", isoftmax, &IsoftmaxParams::levels, 2, 65536, check);
  ExpectField("output_offset", isoftmax, &IsoftmaxParams::output_offset, -65536, 65536, check);
  TableSoftmaxParams table;
  table.exp.assign(256, 0);
  table.exp.front() = 32768;
  ExpectField("extra_bits", table, &TableSoftmaxParams::extra_bits, 0, 7, check);
  ExpectRange("entry", 0, 32768, [&](std::int64_t entry) {
    table.exp.back() = static_cast<std::int32_t>(entry);
    check(table);
  });
  table.exp.back() = 0;
  ExpectRange("exp_high", 2, 256, [&](std::int64_t size) {
    table.exp_high.assign(static_cast<std::size_t>(size), 32768);
    check(table);
  });
}

TEST(ParameterLimits, Recurrences) {
  const std::vector<std::int32_t> two = {1, 2}, one = {1};
  std::vector<std::int32_t> state(2), out(1);
  GatedUpdateParams update;
  ExpectField("decay_shift", update, &GatedUpdateParams::decay_shift, 1, 16,
              [&](const GatedUpdateParams& p) {
                GatedUpdate({two, one, one}, p, {1, 0}, {-9, 9}, state);
              });
  StateReadoutParams readout;
  ExpectField("state_shift", readout, &StateReadoutParams::state_shift, 0, 31,
              [&](const StateReadoutParams& p) { StateReadout(two, state, p, out); });
  for (const QuantRange range : {QuantRange{0, 0}, QuantRange{-1, 0}, QuantRange{0, 1}})
    EXPECT_NO_THROW(GatedUpdate({two, one, one}, update, {1, 0}, range, state));
  for (const QuantRange range : {QuantRange{1, 2}, QuantRange{-2, -1}}) {
    EXPECT_THROW(GatedUpdate({two, one, one}, update, {1, 0}, range, state), std::invalid_argument);
  }
}

TEST(ParameterLimits, SizesOfARecurrence) {
  std::vector<std::int32_t> out(2), state(6);
  const std::vector<std::int32_t> query(3), none;
  const auto read = [&](std::span<const std::int32_t> q, std::size_t states, std::size_t outs) {
    StateReadout(q, std::span(state).first(states), {}, std::span(out).first(outs));
  };
  EXPECT_NO_THROW(read(query, 6, 2));
  EXPECT_THROW(read(query, 5, 2), std::invalid_argument);
  EXPECT_THROW(read(query, 0, 0), std::invalid_argument);
  EXPECT_THROW(read(none, 0, 2), std::invalid_argument);
}

TEST(ParameterLimits, SizesOfAProduct) {
  std::int8_t byte = 1;
  std::int32_t sum = 7;
  const auto product = [&](std::int64_t m, std::int64_t k, std::int64_t n) {
    Gemm(MatrixView<const std::int8_t>{&byte, m, k, k, 1},
         MatrixView<const std::int8_t>{&byte, k, n, n, 1}, GemmParams{},
         MatrixView<std::int32_t>{&sum, m, n, n, 1});
  };
  product(0, 1, 1);
  product(1, 1, 0);
  EXPECT_EQ(sum, 7);
  product(1, 0, 1);
  EXPECT_EQ(sum, 0);
  product(1, 1, 1);
  EXPECT_EQ(sum, 1);
  EXPECT_THROW(product(-1, 1, 1), std::invalid_argument);
  EXPECT_THROW(product(1, -1, 1), std::invalid_argument);
  EXPECT_THROW(product(1, 1, -1), std::invalid_argument);
  EXPECT_THROW(product(1, 65536, 1), std::invalid_argument);
}

// Each operand of a chunk one row too long, and a chunk without rows.
TEST(ParameterLimits, Chunks) {
  const GatedChunk good = {.rows = 2,
                           .keys = 3,
                           .values = 1,
                           .key = {1, 2, 3, 4, 5, 6},
                           .value = {7, 8},
                           .decay = {64, 128},
                           .decay_shift = 8};
  std::vector<std::int32_t> state(3), query(6), out(2);
  StateReadoutParams params;
  params.range = {-100, 100};
  const auto run = [&](const GatedChunk& chunk) {
    ChunkUpdate(chunk, {1, 1}, Rounding::kHalfUp, {-100, 100}, state);
    ChunkReadout(chunk, query, state, {1, 0}, 0, 1000, params, out);
  };
  EXPECT_NO_THROW(run(good));
  for (std::vector<std::int32_t> GatedChunk::*operand :
       {&GatedChunk::key, &GatedChunk::value, &GatedChunk::decay}) {
    GatedChunk longer = good;
    (longer.*operand).push_back(1);
    EXPECT_THROW(run(longer), std::invalid_argument);
  }
  for (std::vector<std::int32_t>* of_call : {&state, &query, &out}) {
    of_call->push_back(0);
    EXPECT_THROW(run(good), std::invalid_argument);
    of_call->pop_back();
  }
  GatedChunk none = good;
  none.rows = 0;
  none.key = none.value = none.decay = {};
  query.clear();
  out.clear();
  EXPECT_THROW(run(none), std::invalid_argument);
}

TEST(ParameterLimits, SizesOfASoftmax) {
  TableSoftmaxParams table;
  table.exp.assign(256, 0);
  table.exp.front() = 32768;
  const std::vector<std::int32_t> scores = {1, 2}, none, long_row(kMaxSoftmaxRow + 1);
  std::vector<std::int32_t> out(2), out_of_none, long_out(long_row.size());
  EXPECT_NO_THROW(SoftmaxExponentials(scores, table, out));
  EXPECT_THROW(SoftmaxExponentials(none, table, out_of_none), std::invalid_argument);
  EXPECT_THROW(SoftmaxExponentials(long_row, table, long_out), std::invalid_argument);
  EXPECT_THROW(SoftmaxExponentials(scores, table, long_out), std::invalid_argument);
  const LogIntSoftmaxParams log_int = {{-20, 78, 2300, 30}, 4};
  std::vector<std::int64_t> exp_int(2), one_exp_int(1);
  std::vector<std::int32_t> exp16(2), one_exp16(1);
  EXPECT_NO_THROW(Softmax(scores, log_int, out, {exp_int, exp16}));
  EXPECT_THROW(Softmax(scores, log_int, out, {one_exp_int, exp16}), std::invalid_argument);
  EXPECT_THROW(Softmax(scores, log_int, out, {exp_int, one_exp16}), std::invalid_argument);
  const std::vector<std::uint8_t> visible = {1, 1}, more = {1, 1, 1};
  EXPECT_NO_THROW(MaskedSoftmax(scores, visible, table, out, SoftmaxDivision::kBefore));
  EXPECT_THROW(MaskedSoftmax(scores, more, table, out, SoftmaxDivision::kBefore),
               std::invalid_argument);
  EXPECT_THROW(MaskedSoftmax(scores, visible, table, long_out, SoftmaxDivision::kBefore),
               std::invalid_argument);
}

TEST(ParameterLimits, TablesAndViews) {
  const std::vector<std::int32_t> table = {3, 5};
  ExpectRange("step_bits", 0, 8, [&](auto b) { TableValue(0, table, static_cast<int>(b)); });
  ExpectRange("index", 0, 1, [&](auto index) { TableValue(index, table, 0); });
  ExpectRange("index", 0, 7, [&](auto index) { TableValue(index, table, 3); });
  ExpectRange("extent", 1, Two(31), [](std::int64_t extent) {
    const std::int64_t stride = 0;
    CheckView({.offset = 0, .extents = {&extent, 1}, .strides = {&stride, 1}}, 1);
  });
}

TEST(ParameterLimits, SizesOfRowsAndSums) {
  const std::vector<std::int32_t> two = {1, 2}, three = {1, 2, 3}, none;
  std::vector<std::int32_t> out(2), one_out(1), four_out(4);
  const auto add = [](const auto& a, const auto& b, auto& y) { Add(a, b, y); };
  const auto multiply = [](const auto& a, const auto& b, auto& y) { Multiply(a, 0, b, 0, y); };
  const auto expect = [&](const auto& operation) {
    EXPECT_NO_THROW(operation(two, two, out));
    EXPECT_THROW(operation(two, none, out), std::invalid_argument);
    EXPECT_THROW(operation(three, two, out), std::invalid_argument);
    EXPECT_THROW(operation(two, two, one_out), std::invalid_argument);
    EXPECT_THROW(operation(two, two, four_out), std::invalid_argument);
  };
  expect(add);
  expect(multiply);
  const std::vector<std::int32_t> zero = {0}, large = {INT32_MAX, INT32_MAX};
  EXPECT_NO_THROW(ColumnSum(two, 0, zero, out));
  EXPECT_THROW(ColumnSum(three, 0, zero, out), std::invalid_argument);
  EXPECT_THROW(ColumnSum(large, 0, zero, one_out), std::invalid_argument);
  EXPECT_THROW(ColumnSum(std::vector{INT32_MIN, -1}, 0, zero, one_out), std::invalid_argument);
  std::vector<std::int32_t> out_of_none;
  EXPECT_THROW(ColumnSum(two, 0, zero, out_of_none), std::invalid_argument);
  EXPECT_THROW(RowSum(two, 0, OperandMode::kMultiply, one_out), std::invalid_argument);
  EXPECT_THROW(RowSum(std::vector{-1}, 1, OperandMode::kShift, one_out), std::invalid_argument);
  for (const ChannelLayout& layout : {ChannelLayout{-1, 1, 1}, ChannelLayout{1, 0, 1},
                                      ChannelLayout{1, 1, -1}, ChannelLayout{1, Two(62), 4}})
    EXPECT_FALSE(Matches(layout, 0));
  EXPECT_TRUE(Matches({0, 1, 1}, 0));
  const std::vector<std::int32_t> scale = {1};
  const auto residual = [&](std::int64_t channels, const auto& a, const auto& b, auto& y) {
    const ResidualAddParams params{
        .layout = {1, channels, 1}, .a_multiplier = scale, .b_multiplier = scale};
    ResidualAdd(a, b, params, y);
  };
  expect([&](const auto& a, const auto& b, auto& y) { residual(2, a, b, y); });
  EXPECT_THROW(residual(3, two, two, out), std::invalid_argument);
}

TEST(ParameterLimits, SizesOfNorms) {
  const std::vector<std::int32_t> x = {3, 4}, long_row(65537);
  std::vector<std::int32_t> out(2), one_out(1), long_out(long_row.size());
  std::vector<std::int64_t> y(2), short_y(1), long_y(long_row.size());
  IbertLayernormParams layernorm;
  layernorm.bias = {0, 0};
  layernorm.scale = {{1, 0}};
  layernorm.zero = {0};
  const auto norm = [&](const auto& row, auto& to, std::span<std::int64_t> trace) {
    Layernorm(row, layernorm, {-9, 9}, to, {.y = trace});
  };
  EXPECT_NO_THROW(norm(x, out, y));
  EXPECT_THROW(norm(x, one_out, {}), std::invalid_argument);
  EXPECT_THROW(norm(x, out, short_y), std::invalid_argument);
  EXPECT_THROW(norm(long_row, long_out, {}), std::invalid_argument);
  DeeployLayernormParams deeploy;
  EXPECT_THROW(LayernormDeeploy({}, deeploy, {}), std::invalid_argument);
  deeploy.bias.resize(long_row.size());
  deeploy.weight.resize(long_row.size(), 1);
  EXPECT_THROW(LayernormDeeploy(long_row, deeploy, long_y), std::invalid_argument);

  RmsnormParams params;
  params.scale = {{1, 0}};
  params.zero = {0};
  const auto rms = [&](const auto& row, auto& to, std::span<std::int64_t> trace) {
    Rmsnorm(row, {}, params, {-9, 9}, to, {.y = trace});
  };
  EXPECT_NO_THROW(rms(x, out, y));
  EXPECT_THROW(rms(x, one_out, {}), std::invalid_argument);
  EXPECT_THROW(rms(x, out, short_y), std::invalid_argument);
  EXPECT_THROW(rms(long_row, long_out, {}), std::invalid_argument);
  EXPECT_THROW(rms(std::vector<std::int32_t>(), long_out, {}), std::invalid_argument);
  ExpectRange("input_shift", 0, 8, [&](std::int64_t shift) {
    params.input_shift = {0, static_cast<std::int32_t>(shift)};
    rms(x, out, {});
  });
  params.input_shift = {};
  params.zero = {1, 2, 3};
  EXPECT_THROW(rms(x, out, {}), std::invalid_argument);
  params.zero = {1, 2};
  params.scale = {};
  EXPECT_THROW(rms(x, out, {}), std::invalid_argument);
}

TEST(ParameterLimits, SizesOfLayerNorms) {
  const std::vector<std::int32_t> x = {3, 4}, one = {1};
  const std::vector<std::int64_t> b(2), short_b(1);
  std::vector<std::int64_t> y(2), short_y(1);
  const std::vector<std::int32_t> ones = {1, 1};
  EXPECT_NO_THROW(LayernormFqvit(x, ones, ones, ones, b, y));
  EXPECT_THROW(LayernormFqvit(x, one, ones, ones, b, y), std::invalid_argument);
  EXPECT_THROW(LayernormFqvit(x, ones, one, ones, b, y), std::invalid_argument);
  EXPECT_THROW(LayernormFqvit(x, ones, ones, one, b, y), std::invalid_argument);
  EXPECT_THROW(LayernormFqvit(x, ones, ones, ones, short_b, y), std::invalid_argument);
  EXPECT_THROW(LayernormFqvit(x, ones, ones, ones, b, short_y), std::invalid_argument);
  DeeployLayernormParams deeploy;
  deeploy.bias = {0, 0};
  deeploy.weight = {1, 1};
  EXPECT_NO_THROW(LayernormDeeploy(x, deeploy, y));
  EXPECT_THROW(LayernormDeeploy(x, deeploy, short_y), std::invalid_argument);
  EXPECT_THROW(LayernormDeeploy(one, deeploy, short_y), std::invalid_argument);
}

TEST(ParameterLimits, ARecurrenceWithin64Bits) {
  const std::vector<std::int32_t> one = {1}, two = {1, 2}, none, least = {INT32_MIN};
  std::vector<std::int32_t> state(1), four(4);
  GatedUpdateParams params;
  const auto update = [&](std::span<const std::int32_t> key, std::span<const std::int32_t> value,
                          std::span<const std::int32_t> decay, Multiplier scale,
                          std::span<std::int32_t> s) {
    GatedUpdate({key, value, decay}, params, scale, {-9, 9}, s);
  };
  EXPECT_NO_THROW(update(one, one, one, {1, 0}, state));
  EXPECT_THROW(update(none, one, one, {1, 0}, state), std::invalid_argument);
  EXPECT_THROW(update(one, none, one, {1, 0}, state), std::invalid_argument);
  EXPECT_THROW(update(two, one, one, {1, 0}, state), std::invalid_argument);
  EXPECT_THROW(update(two, two, none, {1, 0}, four), std::invalid_argument);
  // 2^31 2^31 65535 leaves 64 bits; the product without the multiplier does not.
  EXPECT_NO_THROW(update(least, least, one, {1, 0}, state));
  EXPECT_THROW(update(least, least, one, {65535, 0}, state), std::invalid_argument);
  params.key_zero = params.value_zero = INT32_MAX;
  EXPECT_THROW(update(least, least, one, {1, 0}, state), std::invalid_argument);

  // Each product is nearly 2^63: one fits, two do not, unless they cancel.
  StateReadoutParams readout;
  readout.query_zero = INT32_MAX;
  readout.scale = {1, 62};
  const auto read = [&](std::vector<std::int32_t> states) {
    std::vector<std::int32_t> out(1);
    StateReadout(std::vector<std::int32_t>(states.size(), INT32_MIN), states, readout, out);
    return out[0];
  };
  EXPECT_EQ(read({INT32_MIN}), 2);
  EXPECT_EQ(read({INT32_MIN, INT32_MAX}), 0);
  EXPECT_THROW(read({INT32_MIN, INT32_MIN}), std::invalid_argument);
  EXPECT_THROW(read({INT32_MAX, INT32_MAX}), std::invalid_argument);
}

// A sum beyond `most` whose output is clamped as well counts once.
TEST(ParameterLimits, AnElementOfAChunkSaturatesOnce) {
  const GatedChunk chunk = {.rows = 1,
                            .keys = 1,
                            .values = 1,
                            .key = {10},
                            .value = {10},
                            .decay = {256},
                            .decay_shift = 8};
  std::vector<std::int32_t> state = {0}, out(1);
  StateReadoutParams params;
  params.range = {-20, 20};
  EXPECT_EQ(ChunkReadout(chunk, std::vector{10}, state, {1, 0}, 0, 500, params, out), 1);
  EXPECT_EQ(out, std::vector{20});
}

// 2^62 is still in; the score counts as one more than what is left of it.
TEST(ParameterLimits, TheLeastShiftOfScores) {
  const std::int64_t large = Two(21);
  EXPECT_EQ(LeastScoreShift({.rows = 256, .keys = 1, .query = 1, .key = 1, .value = large}, large),
            1);
  EXPECT_EQ(
      LeastScoreShift({.rows = 256, .keys = 1, .query = 0, .key = 1, .value = Two(27)}, Two(27)),
      0);
  // Whatever the scores, these sums have no room.
  EXPECT_EQ(
      LeastScoreShift({.rows = 256, .keys = 1, .query = 1, .key = 1, .value = Two(40)}, Two(40)),
      62);
}

}  // namespace
}  // namespace qsim::testing
