// A small hand-made bundle with every kind of operation, per tensor and per channel, and numbers
// that break careless printers: a bias beyond 32 bits, negative multipliers, the extremes of every
// width.
#pragma once

#include "golden/program/program.h"
#include "sim/bundle/bundle.h"
#include "tests/namespaces.h"

namespace qsim::testing {

class SampleBundleBuilder {
 public:
  Bundle Build() {
    Input("blocks.0.input", {kTokens, kDim}, DType::kInt16, {-32768, 32767});
    Input("image", {2, 4, 4}, DType::kUint8, {0, 255});
    FirstBlock();
    SecondBlock();
    AroundTheBlocks();
    bundle_.inputs["blocks.0.input"] = IntTensor(DType::kInt16, {2, kTokens, kDim});
    bundle_.inputs["image"] = IntTensor(DType::kUint8, {2, 2, 4, 4});
    bundle_.hardware = {8, 16, 16, false};
    bundle_.provenance = {"0.1.0", std::string(64, '1'), std::string(64, '2'), "default 1",
                          std::string(64, '3')};
    return bundle_;
  }

 private:
  static constexpr std::int64_t kTokens = 4;
  static constexpr std::int64_t kDim = 6;
  static constexpr std::int64_t kHeads = 2;
  static constexpr QuantRange kInt8 = {-128, 127};
  static constexpr QuantRange kInt32 = {INT32_MIN, INT32_MAX};

  void Tensor(const std::string& name, Shape shape, DType dtype, QuantRange range,
              TensorScale scale = {
                  TensorScale::Kind::kLinear, ChannelAxis::kNone, {0.0125}, {-3}}) {
    bundle_.program.tensors.push_back({name, std::move(shape), dtype, range});
    for (std::int32_t& zero : scale.zero) zero = std::max(zero, range.qmin);  // a code
    bundle_.scales[name] = std::move(scale);
  }
  void Input(const std::string& name, Shape shape, DType dtype, QuantRange range) {
    Tensor(name, std::move(shape), dtype, range);
    bundle_.program.inputs.push_back(name);
  }
  void Weight(const std::string& name, std::int64_t rows, std::int64_t cols) {
    IntTensor weight(DType::kInt8, {rows, cols});
    for (std::size_t i = 0; i < weight.As<std::int8_t>().size(); ++i)
      weight.As<std::int8_t>()[i] = static_cast<std::int8_t>(static_cast<int>(i * 37 % 256) - 128);
    bundle_.program.constants[name + ".weight"] = weight;
    IntTensor bias(DType::kInt32, {rows});
    for (std::size_t i = 0; i < bias.As<std::int32_t>().size(); ++i)
      bias.As<std::int32_t>()[i] = static_cast<std::int32_t>(i) * -100001;
    bundle_.program.constants[name + ".bias"] = bias;
    std::vector<double> scale;
    for (std::int64_t i = 0; i < rows; ++i) scale.push_back(1.0 / static_cast<double>(3 + i));
    bundle_.scales[name + ".weight"] = {
        TensorScale::Kind::kLinear, ChannelAxis::kFirst, scale, {0}};
  }
  void Add(Op op) { bundle_.program.ops.push_back(std::move(op)); }

  void FirstBlock() {
    const std::string p = "blocks.0.";
    Tensor(p + "norm1", {kTokens, kDim}, DType::kInt8, kInt8,
           {TensorScale::Kind::kLinear,
            ChannelAxis::kLast,
            {0.1, 1e-05, 1.0 / 3, 2, 1e-300, 12345678.9},
            {0, 1, -2, 3, -4, 5}});
    Add(LayernormOp{
        p + "norm1", "blocks.0.input",
        IbertLayernormParams{
            .input_zero = -7,
            .bias = {std::int64_t{1} << 46, -(std::int64_t{1} << 46), 5000000000, -5000000000, 0,
                     -1},
            .input_shift = {0, 1, 2, 3, 4, 8},
            .std_shift = 5,
            .eps = std::int64_t{1} << 52,
            .scale =
                {{32767, 40}, {-32768, 41}, {-1, 0}, {1, 62}, {INT32_MAX, 31}, {-INT32_MAX, 62}},
            .zero = {0, 1, -2, 3, -4, 65536},
            .rounding = Rounding::kHalfEven}});
    Weight(p + "attn_qkv", 3 * kDim, kDim);
    Tensor(p + "attn_qkv", {kTokens, 3 * kDim}, DType::kInt32, kInt32);
    Add(GemmOp{p + "attn_qkv",
               p + "norm1",
               p + "attn_qkv.weight",
               p + "attn_qkv.bias",
               {1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 7, -7, 8, -8, 127, -128},
               {32, AccPolicy::kError}});
    for (const char* name : {"attn_q_out", "attn_k_out", "attn_v_input"}) {
      Tensor(p + name, {kTokens, kDim}, DType::kInt8, kInt8);
      RequantizeOp op;
      op.output = p + name;
      op.input = p + "attn_qkv";
      op.first_column = kDim * column_++;
      op.axis = ChannelAxis::kLast;
      op.scale = {{20000, 30}, {-20001, 31}, {20002, 32}, {20003, 33}, {-20004, 34}, {20005, 35}};
      op.zero = {-5};
      op.rounding = Rounding::kHalfAway;
      Add(op);
    }
    Scores(p, OperandMode::kMultiply);
  }

  // `log_int` softmax and shifts, a wrapping accumulator, one entry per tensor.
  void SecondBlock() {
    const std::string p = "blocks.1.";
    for (const char* name : {"attn_q_out", "attn_k_out", "attn_v_input"}) {
      Tensor(p + name, {kTokens, kDim}, DType::kInt8, kInt8);
      RequantizeOp op;
      op.output = p + name;
      op.input = "blocks.0.residual1";
      op.scale = {{16384, 20}};
      op.zero = {0};
      op.input_zero = 11;
      op.rounding = Rounding::kFloor;
      Add(op);
    }
    Scores(p, OperandMode::kShift);
  }

  void Scores(const std::string& p, OperandMode mode) {
    const bool shift = mode == OperandMode::kShift;
    const Shape scores = {kHeads, kTokens, kTokens};
    Tensor(p + "attn_kv_acc", scores, DType::kInt32, kInt32);
    Add(MatmulOp{p + "attn_kv_acc",
                 p + "attn_q_out",
                 p + "attn_k_out",
                 kHeads,
                 true,
                 OperandMode::kMultiply,
                 {-128, 100},
                 {5},
                 {24, AccPolicy::kSaturate}});
    Tensor(p + "attn_kv_out", scores, DType::kInt8, kInt8,
           {TensorScale::Kind::kLinear, ChannelAxis::kFirst, {0.02, 0.03}, {0, 4}});
    RequantizeOp per_head;
    per_head.output = p + "attn_kv_out";
    per_head.input = p + "attn_kv_acc";
    per_head.axis = ChannelAxis::kFirst;
    per_head.scale = {{30000, 25}, {29999, 24}};
    per_head.zero = {0, 4};
    per_head.rounding = Rounding::kTowardZero;
    Add(per_head);
    SoftmaxOp softmax{p + "intSoft", p + "attn_kv_out", {}};
    for (const IbertExp& exp :
         {IbertExp{-35, 135, 6980, 30}, IbertExp{-1048576, 8388607, 4294967295, 30}}) {
      if (shift) {
        softmax.params.emplace_back(LogIntSoftmaxParams{exp});
      } else {
        softmax.params.emplace_back(IbertRnSoftmaxParams{exp, 2147483647, 72, 3});
      }
    }
    TensorScale scale{TensorScale::Kind::kLinear, ChannelAxis::kNone, {1.0 / 2048}, {0}};
    if (shift) scale = {TensorScale::Kind::kLog2, ChannelAxis::kNone, {1}, {0}};
    Tensor(p + "intSoft", scores, DType::kUint8, {0, shift ? 16 : 255}, scale);
    Add(softmax);
    Tensor(p + "attn_v_acc", {kTokens, kDim}, DType::kInt32, kInt32);
    Add(MatmulOp{p + "attn_v_acc",
                 p + "intSoft",
                 p + "attn_v_input",
                 kHeads,
                 false,
                 mode,
                 {0},
                 {0, 1, -2, 3, -4, 127},
                 {shift ? 16 : 32, shift ? AccPolicy::kWrap : AccPolicy::kError}});
    Tensor(p + "residual1", {kTokens, kDim}, DType::kInt16, {-32768, 32767});
    Add(ResidualAddOp{p + "residual1",
                      p + "attn_v_acc",
                      "blocks.0.input",
                      {INT32_MAX, -INT32_MAX, 3, -4, 5, -6},
                      {77},
                      62,
                      0,
                      -9,
                      9,
                      Rounding::kHalfUp});
  }

  // Patches, embedding, both kinds of GELU, and a head that reads the first row.
  void AroundTheBlocks() {
    Tensor("patches", {kTokens, 8}, DType::kUint8, {0, 255});
    Add(PatchifyOp{"patches", "image", 2});
    Weight("patch_embed", kDim, 8);
    Tensor("patch_embed", {kTokens, kDim}, DType::kInt32, kInt32);
    Add(GemmOp{"patch_embed", "patches", "patch_embed.weight", "patch_embed.bias", {}, {}, 0});
    Tensor("patch_sum", {kTokens, kDim}, DType::kInt32, kInt32);
    bundle_.program.constants["patch_sum.bias"] = IntTensor(DType::kInt32, {kDim});
    Add(AddOp{"patch_sum", "patch_embed", "", "patch_sum.bias"});
    Tensor("embed", {kTokens + 1, kDim}, DType::kInt16, {-32768, 32767});
    IntTensor position(DType::kInt32, {kTokens + 1, kDim});
    position.As<std::int32_t>()[5] = -32768;
    position.As<std::int32_t>()[6] = -65535;
    bundle_.program.constants["embed.position"] = position;
    Add(EmbedOp{"embed",
                "patch_embed",
                "embed.position",
                {1, -2, 3, -4, INT32_MAX, -INT32_MAX},
                -INT32_MAX,
                62,
                -65536,
                Rounding::kHalfEven});
    Tensor("mlp_fc1.quant", {kTokens + 1, kDim}, DType::kInt8, {-100, 100});
    Add(RequantizeOp{
        "mlp_fc1.quant", "embed", 0, ChannelAxis::kNone, {{1, 9}}, {0}, 0, Rounding::kHalfUp});
    Tensor("mlp_gelu", {kTokens + 1, kDim}, DType::kInt8, kInt8);
    GeluOp table;
    table.output = "mlp_gelu";
    table.input = "mlp_fc1.quant";
    GeluTableParams entries;
    for (std::int32_t i = 0; i <= 200; ++i) entries.table.push_back(i - 128 + (i > 100 ? 55 : 0));
    table.params = entries;
    Add(table);
    Tensor("mlp_gelu.ibert", {kTokens + 1, kDim}, DType::kInt8, kInt8);
    GeluOp ibert;
    ibert.output = "mlp_gelu.ibert";
    ibert.input = "mlp_gelu";
    ibert.params = GeluIbertParams{-kMaxGeluB,   -kMaxGeluC, -kMaxGeluC + 1,     14, -3,
                                   {-20000, 50}, 7,          Rounding::kHalfAway};
    Add(ibert);
    Weight("logits", 3, kDim);
    Tensor("logits", {1, 3}, DType::kInt32, kInt32);
    Add(GemmOp{"logits", "mlp_gelu.ibert", "logits.weight", "logits.bias", {}, {}, 1});
  }

  Bundle bundle_;
  std::int64_t column_ = 0;
};

inline Bundle SampleBundle() { return SampleBundleBuilder().Build(); }

}  // namespace qsim::testing
