// Every rule of a program's format, broken one at a time; and programs that pass cannot crash.
#include <array>

#include "tests/program/rejected.h"
#include "tests/program/small_program.h"

namespace qsim::testing {
namespace {

using testing::Broken;
using testing::ErrorOf;
using ::testing::HasSubstr;
using testing::kDim;
using testing::kHeads;
using testing::kTokens;
using testing::OpNamed;
using testing::SeededRandom;
using testing::SmallInputs;
using testing::SmallProgram;
using testing::TensorNamed;

void ExpectRejected(const std::vector<Broken>& cases, testing::SmallProgramOptions options = {}) {
  SeededRandom random;
  testing::ExpectRejected(SmallProgram(random, options), cases);
}

TEST(Validate, Tensors) {
  ExpectRejected({
      {"tensor 'q': is defined twice",
       [](Program& p) { p.tensors.push_back(TensorNamed(p, "q")); }},
      {"tensor 'q': must have a dimension", [](Program& p) { TensorNamed(p, "q").shape = {}; }},
      {"has an impossible shape",
       [](Program& p) {
         TensorNamed(p, "q").shape = {0, 4};
       }},
      {"has an impossible shape",
       [](Program& p) {
         TensorNamed(p, "q").shape = {-3, 4};
       }},
      {"has an impossible shape",
       [](Program& p) {
         TensorNamed(p, "q").shape = {INT64_MAX, INT64_MAX};
       }},
      {"has an empty range",
       [](Program& p) {
         TensorNamed(p, "q").range = {5, 5};
       }},
      {"its type int8 cannot hold",
       [](Program& p) {
         TensorNamed(p, "q").range = {0, 255};
       }},
      {"its type uint8 cannot hold",
       [](Program& p) {
         TensorNamed(p, "softmax").range = {-1, 9};
       }},
      {"its type int64 cannot hold", [](Program& p) { TensorNamed(p, "q").dtype = DType::kInt64; }},
  });
}

TEST(Validate, Graph) {
  ExpectRejected({
      {"tensor 'nothing' is used but not defined",
       [](Program& p) { p.inputs.push_back("nothing"); }},
      {"input 'input': is listed twice", [](Program& p) { p.inputs.push_back("input"); }},
      {"uses 'input' before it is computed", [](Program& p) { p.inputs.clear(); }},
      {"tensor 'nothing' is used but not defined",
       [](Program& p) { OpNamed<LayernormOp>(p, "norm1").output = "nothing"; }},
      {"uses 'nothing' before it is computed",
       [](Program& p) { OpNamed<GemmOp>(p, "proj").input = "nothing"; }},
      {"uses 'norm1' before it is computed", [](Program& p) { std::swap(p.ops[0], p.ops[1]); }},
      {"requantize 'k': is computed twice",
       [](Program& p) { OpNamed<RequantizeOp>(p, "q").output = "k"; }},
      {"gemm 'proj': is computed twice",
       [](Program& p) { p.ops.push_back(p.ops[p.ops.size() - 2]); }},
      {"is computed twice", [](Program& p) { p.inputs.push_back("norm1"); }},
      {"constant 'qkv.weight' is used but not defined",
       [](Program& p) { p.constants.erase("qkv.weight"); }},
      {"constant 'qkv.bias' is used but not defined",
       [](Program& p) { p.constants.erase("qkv.bias"); }},
  });
}

TEST(Validate, Gemm) {
  const auto gemm = [](Program& p) -> GemmOp& { return OpNamed<GemmOp>(p, "qkv"); };
  ExpectRejected({
      {"gemm 'qkv': 'input' must be int8 or uint8", [&](Program& p) { gemm(p).input = "input"; }},
      {"weight must be int8 [N, K]",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kUint8, {12, 4});
       }},
      {"weight must be int8 [N, K]",
       [](Program& p) { p.constants["qkv.weight"] = IntTensor(DType::kInt8, {48}); }},
      {"weight is too large",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kInt8, {1, 65536});
       }},
      {"weight is too large",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kInt8, {65537, 1});
       }},
      {"weight and input do not fit",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kInt8, {12, 5});
       }},
      {"weight and input do not fit",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kInt8, {12, 0});
       }},
      {"'qkv' has the wrong shape",
       [](Program& p) {
         p.constants["qkv.weight"] = IntTensor(DType::kInt8, {11, 4});
       }},
      {"bias must be int32 [N]",
       [](Program& p) { p.constants["qkv.bias"] = IntTensor(DType::kInt32, {11}); }},
      {"bias must be int32 [N]",
       [](Program& p) { p.constants["qkv.bias"] = IntTensor(DType::kInt64, {12}); }},
      {"first_row is 1, must be in 0..0", [&](Program& p) { gemm(p).first_row = 1; }},
      {"first_row is 2, must be in 0..1",
       [&](Program& p) {
         gemm(p).rows = kTokens - 1;
         gemm(p).first_row = 2;
       }},
      {"weight_zero needs one entry or 12, has 2",
       [&](Program& p) {
         gemm(p).weight_zero = {1, 2};
       }},
      {"weight_zero[0] is 128, must be in -128..127",
       [&](Program& p) { gemm(p).weight_zero = {128}; }},
      {"accumulator width must be 16..32", [&](Program& p) { gemm(p).acc.bits = 15; }},
      {"accumulator width must be 16..32", [&](Program& p) { gemm(p).acc.bits = 33; }},
      {"output must be int32 and hold the accumulator's range",
       [](Program& p) {
         TensorNamed(p, "qkv").range = {-1000, 1000};
       }},
      {"output must be int32 and hold the accumulator's range",
       [](Program& p) {
         TensorNamed(p, "qkv") = testing::Tensor("qkv", {kTokens, 3 * kDim}, testing::kInt16Range);
       }},
      {"'qkv': needs an accumulator of",
       [&](Program& p) {
         gemm(p).acc.bits = 16;
         p.constants["qkv.bias"].As<std::int32_t>()[7] = -5'000'000;
       }},
      {"(output channel 7) in the worst case, but has 16 under policy error",
       [&](Program& p) {
         gemm(p).acc.bits = 16;
         p.constants["qkv.bias"].As<std::int32_t>()[7] = -5'000'000;
       }},
  });
}

TEST(Validate, Matmul) {
  const auto scores = [](Program& p) -> MatmulOp& { return OpNamed<MatmulOp>(p, "scores.acc"); };
  const auto attention = [](Program& p) -> MatmulOp& {
    return OpNamed<MatmulOp>(p, "attention.acc");
  };
  ExpectRejected(
      {
          {"matmul 'scores.acc': 'qkv' must be int8 or uint8",
           [&](Program& p) { scores(p).lhs = "qkv"; }},
          {"'k' must be int8",
           [](Program& p) {
             TensorNamed(p, "k") = testing::Tensor("k", {kTokens, kDim}, testing::kUint8Range);
           }},
          {"heads must divide channels", [&](Program& p) { scores(p).heads = 3; }},
          {"heads must divide channels", [&](Program& p) { scores(p).heads = 0; }},
          {"heads must divide channels", [&](Program& p) { scores(p).heads = -2; }},
          {"'scores.acc' has the wrong shape",
           [](Program& p) {
             TensorNamed(p, "scores.acc").shape = {1, kTokens, kTokens};
           }},
          {"'softmax' has the wrong shape", [&](Program& p) { attention(p).transpose_rhs = true; }},
          {"'q' has the wrong shape", [&](Program& p) { attention(p).lhs = "q"; }},
          {"lhs_zero needs one entry or 2, has 0", [&](Program& p) { scores(p).lhs_zero = {}; }},
          {"lhs_zero needs one entry or 2, has 3",
           [&](Program& p) {
             scores(p).lhs_zero = {1, 2, 3};
           }},
          {"rhs_zero needs one entry or 2, has 4",
           [&](Program& p) {
             scores(p).rhs_zero = {1, 2, 3, 4};
           }},
          {"rhs_zero needs one entry or 4, has 2",
           [&](Program& p) {
             attention(p).rhs_zero = {1, 2};
           }},
          {"lhs_zero[1] is 256, must be in -128..255",
           [&](Program& p) {
             scores(p).lhs_zero = {0, 256};
           }},
          {"rhs_zero[0] is -129, must be in -128..127",
           [&](Program& p) { scores(p).rhs_zero = {-129}; }},
          {"shift mode needs codes 0..16",
           [&](Program& p) { scores(p).mode = OperandMode::kShift; }},
          {"shift mode needs codes 0..16",
           [&](Program& p) { attention(p).mode = OperandMode::kShift; }},
          {"accumulator width must be 16..32", [&](Program& p) { attention(p).acc.bits = 64; }},
          {"'attention.acc': needs an accumulator of 18 bits in the worst case, but has 16",
           [&](Program& p) {
             attention(p).acc.bits = 16;
             attention(p).rhs_zero = {0};
           }},
      },
      {.per_head_zeros = false});
}

TEST(Validate, MatmulInShiftMode) {
  ExpectRejected({{"lhs_zero[0] is 1, must be in 0..0",
                   [](Program& p) { OpNamed<MatmulOp>(p, "attention.acc").lhs_zero = {1}; }}},
                 {.shift_mode = true});
}

TEST(Validate, ContractionLength) {
  Program program;
  program.tensors = {testing::Tensor("q", {1, 65536}, testing::kInt8Range),
                     testing::Tensor("k", {1, 65536}, testing::kInt8Range),
                     {"s", {1, 1, 1}, DType::kInt32, testing::AccumulatorRange(32)}};
  program.inputs = {"q", "k"};
  program.ops = {MatmulOp{"s", "q", "k", 1, true, OperandMode::kMultiply, {0}, {0}, {}}};
  EXPECT_THAT(ErrorOf(program), HasSubstr("contraction is too long"));
  program.tensors[0].shape = {65536};
  EXPECT_THAT(ErrorOf(program), HasSubstr("'q' has the wrong shape"));
}

TEST(Validate, Requantize) {
  const auto q = [](Program& p) -> RequantizeOp& { return OpNamed<RequantizeOp>(p, "q"); };
  ExpectRejected({
      {"requantize 'q': input and output shapes do not fit",
       [](Program& p) {
         TensorNamed(p, "q").shape = {kTokens + 1, kDim};
       }},
      {"input and output shapes do not fit", [&](Program& p) { q(p).output = "softmax"; }},
      {"reads columns beyond its input", [&](Program& p) { q(p).first_column = 9; }},
      {"reads columns beyond its input", [&](Program& p) { q(p).first_column = -1; }},
      {"reads columns beyond its input", [&](Program& p) { q(p).first_column = INT64_MAX; }},
      {"scale needs one entry or 4, has 3", [&](Program& p) { q(p).scale.pop_back(); }},
      {"scale needs one entry or 4, has 0", [&](Program& p) { q(p).scale.clear(); }},
      {"scale needs one entry or 1, has 4", [&](Program& p) { q(p).axis = ChannelAxis::kNone; }},
      {"scale needs one entry or 3, has 4", [&](Program& p) { q(p).axis = ChannelAxis::kFirst; }},
      {"multiplier of channel 2 is 0, out of range", [&](Program& p) { q(p).scale[2].m = 0; }},
      {"out of range", [&](Program& p) { q(p).scale[2].m = INT32_MIN; }},
      {"shift of channel 1 is 63, must be in 0..62", [&](Program& p) { q(p).scale[1].shift = 63; }},
      {"shift of channel 1 is -1", [&](Program& p) { q(p).scale[1].shift = -1; }},
      {"zero needs one entry or 4, has 2",
       [&](Program& p) {
         q(p).zero = {1, 2};
       }},
      {"zero needs one entry or 4, has 0", [&](Program& p) { q(p).zero = {}; }},
      {"zero[0] is 65537, must be in -65536..65536", [&](Program& p) { q(p).zero = {65537}; }},
      {"input_zero out of range", [&](Program& p) { q(p).input_zero = 1; }},
  });
  ExpectRejected({{"input_zero out of range", [](Program& p) {
                     auto& op = OpNamed<RequantizeOp>(p, "k");
                     op.input = "q";
                     op.first_column = 0;
                     op.input_zero = 65537;
                   }}});
}

// Of so many scores more than 256 apart, each e^-k / 2.
TableSoftmaxParams ExponentialTable(std::size_t high) {
  TableSoftmaxParams table;
  table.exp.assign(256, 1);
  table.exp_high.assign(high, 1);
  table.exp[0] = kTableExpOne;
  if (high != 0) table.exp_high[0] = kTableExpOne;
  return table;
}

void Mask(Program& program, Shape shape, QuantRange range) {
  program.tensors.push_back({"mask", std::move(shape), DType::kUint8, range});
  program.inputs.emplace_back("mask");
  OpNamed<SoftmaxOp>(program, "softmax").mask = "mask";
}

TEST(Validate, Softmax) {
  const auto op = [](Program& p) -> SoftmaxOp& { return OpNamed<SoftmaxOp>(p, "softmax"); };
  const auto first = [&](Program& p) -> IbertRnSoftmaxParams& {
    return std::get<IbertRnSoftmaxParams>(op(p).params[0]);
  };
  ExpectRejected({
      {"softmax 'softmax': needs [heads, tokens, keys]", [&](Program& p) { op(p).input = "q"; }},
      {"needs [heads, tokens, keys]",
       [](Program& p) {
         TensorNamed(p, "softmax").shape = {kHeads, kTokens, kTokens + 1};
       }},
      {"scores must be 16 bits or narrower", [&](Program& p) { op(p).input = "scores.acc"; }},
      {"params needs one entry or 2, has 3",
       [&](Program& p) { op(p).params.push_back(op(p).params[0]); }},
      {"params needs one entry or 2, has 0", [&](Program& p) { op(p).params.clear(); }},
      {"x0 must be in -2^20..-1", [&](Program& p) { first(p).exp.x0 = 0; }},
      {"x0 must be in -2^20..-1", [&](Program& p) { first(p).exp.x0 = -(1 << 20) - 1; }},
      {"b must be in -(x0 + 1)..2^23 - 1", [&](Program& p) { first(p).exp.b = -1; }},
      {"b must be in -(x0 + 1)..2^23 - 1", [&](Program& p) { first(p).exp.b = 1 << 23; }},
      {"b must be in -(x0 + 1)..2^23 - 1",
       [&](Program& p) { first(p).exp.b = -first(p).exp.x0 - 2; }},
      {"c must be in 1..2^33 - 1", [&](Program& p) { first(p).exp.c = 0; }},
      {"c must be in 1..2^33 - 1", [&](Program& p) { first(p).exp.c = std::int64_t{1} << 33; }},
      {"n must be in 0..30", [&](Program& p) { first(p).exp.n = 31; }},
      {"n must be in 0..30", [&](Program& p) { first(p).exp.n = -1; }},
      {"act16 multiplier or shift out of range", [&](Program& p) { first(p).act16_shift = 127; }},
      {"act16 multiplier or shift out of range", [&](Program& p) { first(p).act16_shift = -1; }},
      {"act16 multiplier or shift out of range",
       [&](Program& p) { first(p).act16_multiplier = 0; }},
      {"act16 multiplier or shift out of range",
       [&](Program& p) { first(p).act16_multiplier = std::int64_t{1} << 31; }},
      {"act16 turns the row maximum into 0", [&](Program& p) { first(p).act16_shift = 126; }},
      {"extra_bits must be in 0..7 for ibert_rn", [&](Program& p) { first(p).extra_bits = 8; }},
      {"extra_bits must be in 0..7 for ibert_rn", [&](Program& p) { first(p).extra_bits = -1; }},
      {"output must be uint8 or int8 in 0..16",
       [&](Program& p) { op(p).params[0] = op(p).params[1] = LogIntSoftmaxParams{first(p).exp}; }},
      {"uses 'ibert_rn' and 'log_int' on different heads",
       [&](Program& p) { op(p).params[1] = LogIntSoftmaxParams{first(p).exp}; }},
      {"output must be uint8 in 0..255",
       [](Program& p) {
         TensorNamed(p, "softmax").range = {0, 254};
       }},
      {"output must be uint8 in 0..255",
       [](Program& p) { TensorNamed(p, "softmax").dtype = DType::kInt16; }},
      {"output must be int8 in -128..127",
       [&](Program& p) {
         op(p).params[0] = op(p).params[1] =
             ItaSoftmaxParams{.shift_bits = 5, .levels = 256, .output_offset = -128};
         TensorNamed(p, "softmax") = {
             "softmax", {kHeads, kTokens, kTokens}, DType::kInt16, {-128, 127}};
       }},
      {"output does not fit 8 bits",
       [&](Program& p) {
         op(p).params[0] = op(p).params[1] = ShiftmaxParams{.x0 = -3, .n = 15, .output_bits = 16};
       }},
      {"exp_high must have an entry for each 256 codes",
       [&](Program& p) {
         op(p).params[0] = op(p).params[1] = ExponentialTable(0);
         TensorNamed(p, "scores").dtype = DType::kInt16;
         TensorNamed(p, "scores").range.qmax = 128;
       }},
      {"exp_high must have an entry for each 256 codes",
       [&](Program& p) {
         op(p).params[0] = ExponentialTable(2);
         op(p).params[1] = ExponentialTable(3);
       }},
      {"mask must be uint8 in 0..1, [tokens or 1, keys]", [&](Program& p) { op(p).mask = "q"; }},
      {"mask must be uint8 in 0..1, [tokens or 1, keys]",
       [&](Program& p) {
         Mask(p, {1, kTokens}, {0, 2});
       }},
      {"mask must be uint8 in 0..1, [tokens or 1, keys]",
       [&](Program& p) {
         Mask(p, {kTokens}, {0, 1});
       }},
      {"mask must be uint8 in 0..1, [tokens or 1, keys]",
       [&](Program& p) {
         Mask(p, {1, kTokens + 1}, {0, 1});
       }},
      {"uses 'mask' before it is computed",
       [&](Program& p) {
         p.tensors.push_back({"mask", {1, kTokens}, DType::kUint8, {0, 1}});
         op(p).mask = "mask";
       }},
      {"mask must be uint8 in 0..1, [tokens or 1, keys]",
       [&](Program& p) {
         Mask(p, {2, kTokens}, {0, 1});
       }},
  });
  ExpectRejected(
      {{"code_bits must be 4",
        [](Program& p) {
          std::get<LogIntSoftmaxParams>(OpNamed<SoftmaxOp>(p, "softmax").params[1]).code_bits = 3;
        }}},
      {.shift_mode = true});
}

TEST(Validate, Table) {
  Program valid;
  valid.tensors = {testing::Tensor("x", {3}, {-2, 1}), testing::Tensor("y", {3}, {0, 9})};
  valid.inputs = {"x"};
  valid.ops = {TableOp{"y", "x", {0, 0, 0, 9}}};
  const auto op = [](Program& p) -> TableOp& { return OpNamed<TableOp>(p, "y"); };
  testing::ExpectRejected(
      valid,
      {{"table 'y': 'y' has the wrong shape", [](Program& p) { TensorNamed(p, "y").shape = {4}; }},
       {"table needs 4 entries, one per code of the input, has 3",
        [&](Program& p) { op(p).table.pop_back(); }},
       {"table[3] is 10, must be in 0..9", [&](Program& p) { op(p).table[3] = 10; }},
       {"input must be 16 bits or narrower",
        [](Program& p) { TensorNamed(p, "x").dtype = DType::kInt32; }}});
}

TEST(Validate, SoftmaxRowLength) {
  Program program;
  program.tensors = {testing::Tensor("s", {1, 1, 65537}, testing::kInt8Range),
                     testing::Tensor("p", {1, 1, 65537}, testing::kUint8Range)};
  program.inputs = {"s"};
  program.ops = {SoftmaxOp{"p", "s", {SoftmaxParams{}}}};
  EXPECT_THAT(ErrorOf(program), HasSubstr("row is too long"));
}

TEST(Validate, Layernorm) {
  const auto op = [](Program& p) -> IbertLayernormParams& {
    return std::get<IbertLayernormParams>(OpNamed<LayernormOp>(p, "norm1").params);
  };
  ExpectRejected({
      {"layernorm 'norm1': needs [tokens, channels]",
       [](Program& p) {
         TensorNamed(p, "norm1").shape = {kTokens, kDim + 1};
       }},
      {"needs [tokens, channels]",
       [](Program& p) {
         TensorNamed(p, "input").shape = TensorNamed(p, "norm1").shape = {1, kTokens, kDim};
       }},
      {"input must be 16 bits or narrower",
       [](Program& p) { TensorNamed(p, "input").dtype = DType::kInt32; }},
      {"input_zero out of range", [&](Program& p) { op(p).input_zero = 65537; }},
      {"input_zero out of range", [&](Program& p) { op(p).input_zero = -65537; }},
      {"std_shift out of range", [&](Program& p) { op(p).std_shift = 16; }},
      {"std_shift out of range", [&](Program& p) { op(p).std_shift = -1; }},
      {"eps is -1, must be in 0..2^", [&](Program& p) { op(p).eps = -1; }},
      {"eps is 4611686018427387904, must be in 0..2^60",
       [&](Program& p) {
         op(p).std_shift = 1;
         op(p).eps = std::int64_t{1} << 62;
       }},
      {"input_shift needs no entry or one per channel",
       [&](Program& p) { op(p).input_shift = {1}; }},
      {"input_shift[3] is 9, must be in 0..8", [&](Program& p) { op(p).input_shift[3] = 9; }},
      {"bias needs one entry per channel", [&](Program& p) { op(p).bias.pop_back(); }},
      {"bias out of range", [&](Program& p) { op(p).bias[0] = (std::int64_t{1} << 46) + 1; }},
      {"bias out of range", [&](Program& p) { op(p).bias[0] = INT64_MIN; }},
      {"scale needs one entry or 4, has 2", [&](Program& p) { op(p).scale.resize(2); }},
      {"multiplier of channel 0 is 0", [&](Program& p) { op(p).scale[0].m = 0; }},
      {"zero needs one entry or 4, has 3", [&](Program& p) { op(p).zero.resize(3); }},
      {"zero[1] is -65537", [&](Program& p) { op(p).zero[1] = -65537; }},
      {"input of channel 2 leaves 25 bits after zero point and shift",
       [&](Program& p) {
         op(p).input_zero = -65536;
         op(p).input_shift = {0, 0, 8, 0};
       }},
  });
  const auto deeploy = [](Program& p) -> DeeployLayernormParams& {
    LayernormParams& params = OpNamed<LayernormOp>(p, "norm1").params;
    if (!std::holds_alternative<DeeployLayernormParams>(params))
      params = DeeployLayernormParams{0, {1, 2, 3, 4}, {1, 2, 3, 4}, 8, 0, true};
    return std::get<DeeployLayernormParams>(params);
  };
  SeededRandom random;
  Program valid = SmallProgram(random);
  deeploy(valid);
  testing::ExpectRejected(
      valid, {{"weight needs one entry per channel", [&](Program& p) { deeploy(p).weight = {1}; }},
              {"log2d must be in 0..62", [&](Program& p) { deeploy(p).log2d = -1; }},
              {"log2d must be in 0..62", [&](Program& p) { deeploy(p).log2d = 63; }},
              {"wrap needs an int8 output",
               [](Program& p) { TensorNamed(p, "norm1").range.qmin = -127; }}});
}

TEST(Validate, ResidualAdd) {
  const auto op = [](Program& p) -> ResidualAddOp& {
    return OpNamed<ResidualAddOp>(p, "residual");
  };
  ExpectRejected({
      {"residual_add 'residual': needs [tokens, channels]",
       [](Program& p) {
         TensorNamed(p, "residual").shape = {1, kTokens, kDim};
       }},
      {"'qkv' has the wrong shape", [&](Program& p) { op(p).a = "qkv"; }},
      {"'softmax' has the wrong shape", [&](Program& p) { op(p).b = "softmax"; }},
      {"'proj' must be 16 bits or narrower", [&](Program& p) { op(p).b = "proj"; }},
      {"a_multiplier needs one entry or 4, has 0", [&](Program& p) { op(p).a_multiplier = {}; }},
      {"b_multiplier needs one entry or 4, has 2",
       [&](Program& p) {
         op(p).b_multiplier = {1, 2};
       }},
      {"a_multiplier[2] is -2147483648", [&](Program& p) { op(p).a_multiplier[2] = INT32_MIN; }},
      {"b_multiplier[0] is -2147483648", [&](Program& p) { op(p).b_multiplier = {INT32_MIN}; }},
      {"shift must be in 0..62", [&](Program& p) { op(p).shift = 63; }},
      {"shift must be in 0..62", [&](Program& p) { op(p).shift = -1; }},
      {"an accumulator has no zero point", [&](Program& p) { op(p).a_zero = 1; }},
      {"zero point[1] is 65537", [&](Program& p) { op(p).b_zero = 65537; }},
      {"zero point[2] is -65537", [&](Program& p) { op(p).out_zero = -65537; }},
  });
}

// Sets one parameter of a random operation to an extreme or a random value.
void Mutate(SeededRandom& random, Program& program) {
  constexpr std::array<std::int64_t, 18> kValues = {
      INT32_MIN, -65537, -65536, -129, -128, -1,    0,     1,         8,
      15,        16,     62,     127,  255,  65535, 65536, INT32_MAX, 1 << 20};
  const auto value = [&] { return kValues[static_cast<std::size_t>(random.Between(0, 17))]; };
  const auto narrow = [&] { return static_cast<std::int32_t>(value()); };
  const auto any = [&](auto& values) -> auto& {
    return values[static_cast<std::size_t>(
        random.Between(0, static_cast<std::int64_t>(values.size()) - 1))];
  };
  if (random.Between(0, 5) == 0) {
    TensorInfo& info = any(program.tensors);
    (random.Between(0, 1) == 0 ? info.range.qmin : info.range.qmax) = narrow();
    return;
  }
  Op& op = any(program.ops);
  const std::int64_t which = random.Between(0, 6);
  if (auto* o = std::get_if<GemmOp>(&op)) {
    if (which == 0) o->weight_zero = {narrow()};
    if (which == 1) o->acc.bits = narrow();
    if (which == 2) o->acc.policy = static_cast<AccPolicy>(random.Between(0, 2));
    if (which >= 3) any(program.constants[o->bias].As<std::int32_t>()) = narrow();
  } else if (auto* m = std::get_if<MatmulOp>(&op)) {
    if (which < 2) any(m->lhs_zero) = narrow();
    if (which == 2 || which == 3) any(m->rhs_zero) = narrow();
    if (which == 4) m->heads = narrow();
    if (which == 5) m->transpose_rhs = !m->transpose_rhs;
    if (which == 6) m->mode = static_cast<OperandMode>(random.Between(0, 1));
  } else if (auto* r = std::get_if<RequantizeOp>(&op)) {
    if (which == 0) any(r->scale).m = narrow();
    if (which == 1) any(r->scale).shift = narrow();
    if (which == 2) any(r->zero) = narrow();
    if (which == 3) r->input_zero = narrow();
    if (which == 4) r->first_column = value();
    if (which >= 5) r->axis = static_cast<ChannelAxis>(random.Between(0, 2));
  } else if (auto* s = std::get_if<SoftmaxOp>(&op)) {
    SoftmaxParams& params = any(s->params);
    IbertExp* exp = nullptr;
    if (auto* log_int = std::get_if<LogIntSoftmaxParams>(&params)) {
      exp = &log_int->exp;
      if (which >= 4) log_int->code_bits = narrow();
    } else {
      auto& p = std::get<IbertRnSoftmaxParams>(params);
      exp = &p.exp;
      if (which == 4) p.act16_multiplier = value();
      if (which == 5) p.act16_shift = narrow();
      if (which == 6) p.extra_bits = narrow();
    }
    if (which == 0) exp->x0 = narrow();
    if (which == 1) exp->b = value();
    if (which == 2) exp->c = value();
    if (which == 3) exp->n = narrow();
  } else if (auto* norm = std::get_if<LayernormOp>(&op)) {
    auto* l = &std::get<IbertLayernormParams>(norm->params);
    if (which == 0) l->input_zero = narrow();
    if (which == 1) any(l->input_shift) = narrow();
    if (which == 2) l->std_shift = narrow();
    if (which == 3) any(l->bias) = value() << random.Between(0, 20);
    if (which == 4) any(l->scale).m = narrow();
    if (which == 5) any(l->scale).shift = narrow();
    if (which == 6) any(l->zero) = narrow();
  } else {
    auto& a = std::get<ResidualAddOp>(op);
    if (which == 0) any(a.a_multiplier) = narrow();
    if (which == 1) any(a.b_multiplier) = narrow();
    if (which == 2) a.shift = narrow();
    if (which == 3) a.a_zero = narrow();
    if (which == 4) a.b_zero = narrow();
    if (which >= 5) a.out_zero = narrow();
  }
}

TEST(Validate, WhatPassesCanBeExecuted) {
  SeededRandom random;
  int executed = 0;
  int rejected = 0;
  for (int repeat = 0; repeat < 20000; ++repeat) {
    Program program = SmallProgram(
        random, {repeat % 2 == 0, repeat % 3 == 0, repeat % 5 == 0, repeat % 7 == 0, false, {}});
    for (std::int64_t n = random.Between(1, 3); n > 0; --n) Mutate(random, program);
    if (ErrorOf(program) != "") {
      ++rejected;
      continue;
    }
    ++executed;
    const QuantRange range = program.Tensor("input").range;
    IntTensor input(DType::kInt16, {kTokens, kDim});
    for (std::int16_t& x : input.As<std::int16_t>())
      x = static_cast<std::int16_t>(random.Between(0, 1) == 0 ? range.qmin : range.qmax);
    GoldenBackend backend;
    EXPECT_NO_THROW(Execute(program, {{"input", input}}, 0, backend)) << "repeat " << repeat;
  }
  EXPECT_GT(executed, 3000);
  EXPECT_GT(rejected, 3000);
}

}  // namespace
}  // namespace qsim::testing
