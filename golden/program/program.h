// The program: a list of integer operations on named tensors, with every scale already turned into
// integers. It is the one description of the datapath; executors run it, exporters print it.
// docs/architecture.md, docs/numerics.md.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "golden/ops/gelu.h"
#include "golden/ops/gemm.h"
#include "golden/ops/layernorm.h"
#include "golden/ops/requantize.h"
#include "golden/ops/residual_add.h"
#include "golden/ops/softmax.h"
#include "golden/program/tensor.h"

namespace qsim {

// A named tensor of the datapath. `shape` is that of one image; recorded taps carry the image axis
// in front. Storage type and clamp range follow from `range`; accumulators have the range of their
// width.
struct TensorInfo {
  std::string name;  // "blocks.0.attn_q_out"
  Shape shape;       // [tokens, channels], [heads, tokens, tokens] or, of pixels, [C, H, W]
  DType dtype = DType::kInt8;
  QuantRange range;
  bool operator==(const TensorInfo&) const = default;
};

// output[R, N] = input[R, K] x weight[N, K]^T, where R is `rows`: the first rows of the input only,
// or with 0 all of them. The head reads the class token alone. The zero point of the input is
// folded into the bias.
struct GemmOp {
  std::string output, input;
  std::string weight;  // constant, int8 [N, K]
  std::string bias;    // constant, int32 [N]; includes -sum_k z_k (w_nk - w_zero_n)
  std::vector<std::int32_t> weight_zero;  // empty, or one per output channel
  Accumulator acc;
  std::int64_t rows = 0;  // 0..input rows
  bool operator==(const GemmOp&) const = default;
};

// One product per head. `transpose_rhs`: QK^T, [T, C] x [T, C] -> [H, T, T], head h using columns
// h*C/H.. of both. Otherwise attention times V, [H, T, T] x [T, C] -> [T, C].
struct MatmulOp {
  std::string output, lhs, rhs;
  int heads = 1;
  bool transpose_rhs = false;
  OperandMode mode = OperandMode::kMultiply;
  std::vector<std::int32_t> lhs_zero;  // one, or one per head
  // QK^T: one, or one per head. Attention times V: one, or one per output channel.
  std::vector<std::int32_t> rhs_zero;
  Accumulator acc;
  bool operator==(const MatmulOp&) const = default;
};

// Which axis the per-channel parameters of an operation run along.
enum class ChannelAxis : std::uint8_t { kNone, kLast, kFirst };

// Requantizes columns [first_column, first_column + output columns) of the input: Q, K and V are
// slices of the stacked QKV accumulator. first_column is 0 for every other use. `scheme` says which
// published arithmetic; `rounding` belongs to round_shift alone.
struct RequantizeOp {
  std::string output, input;
  std::int64_t first_column = 0;
  ChannelAxis axis = ChannelAxis::kNone;
  std::vector<Multiplier> scale;
  std::vector<std::int32_t> zero;
  std::int32_t input_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  RequantScheme scheme = RequantScheme::kRoundShift;
  std::vector<std::int64_t> addend =
      {};  // empty, one, or one per channel: where the scheme has one
  bool operator==(const RequantizeOp&) const = default;
};

// Softmax over the last axis of [H, T, T]; params has one entry or one per head.
struct SoftmaxOp {
  std::string output, input;
  std::vector<SoftmaxParams> params;
  bool operator==(const SoftmaxOp&) const = default;
};

// `kind` says which fields count: ibert and ivit use all but weight, log2d and wrap; rq_layernorm
// uses input_zero, bias, weight, log2d and wrap. What a kind does not use keeps its default.
struct LayernormOp {
  std::string output, input;
  std::int32_t input_zero = 0;
  std::vector<std::int32_t> input_shift;  // empty, or one per channel
  int std_shift = 0;
  std::vector<std::int64_t> bias;
  std::vector<Multiplier> scale;
  std::vector<std::int32_t> zero;
  Rounding rounding = Rounding::kHalfUp;
  LayernormKind kind = LayernormKind::kIbert;
  std::vector<std::int32_t> weight = {};
  int log2d = 0;
  bool wrap = false;
  bool operator==(const LayernormOp&) const = default;
};

struct ResidualAddOp {
  std::string output;
  std::string a;  // the projection's accumulator, or its narrow output
  std::string b;  // the residual stream
  std::vector<std::int32_t> a_multiplier, b_multiplier;
  int shift = 0;
  std::int32_t a_zero = 0, b_zero = 0, out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const ResidualAddOp&) const = default;
};

// The exact sum of two integer tensors, or of a tensor and a bias per channel of its last axis, in
// int32. Networks that were quantized elsewhere name it as a step of its own; no rounding, no
// clamp.
struct AddOp {
  std::string output;
  std::string a;
  std::string b;     // a tensor of a's shape; empty where there is a bias
  std::string bias;  // constant, int32 [C]; empty where there is a tensor
  bool operator==(const AddOp&) const = default;
};

// Image to patches, pure data movement: [C, H, W] uint8 -> [(H/p) (W/p), C p p]. Patches are
// row-major; within a patch the order is (channel, row, column), that of a convolution's weight.
struct PatchifyOp {
  std::string output, input;
  std::int64_t patch = 1;  // divides H and W
  bool operator==(const PatchifyOp&) const = default;
};

// Class token and positions in the residual stream's scale. Row 0 is position[0], which already
// holds the class token and the output's zero point; row t >= 1 is one ResidualAdd:
//   y = clamp(out_zero + round_shift(a[t-1][c] M_a[c] + position[t][c] M_b, shift), qmin, qmax)
struct EmbedOp {
  std::string output;
  std::string a;  // the patches' accumulators, int32 [P, C]
  // Constant, int32 [P+1, C]; |value| < 2^16, row 0 within the output's range.
  std::string position;
  std::vector<std::int32_t> a_multiplier;  // one, or one per channel
  std::int32_t b_multiplier = 1;
  int shift = 0;
  std::int32_t out_zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  bool operator==(const EmbedOp&) const = default;
};

// GELU of a tensor of at most 8 bits, of any shape; shiftgelu works on rows of the last axis.
// `table` has one entry per code of the input's range, within the output's range, and uses no other
// parameter; the other kinds use all but the table, and of the constants their own. What a kind
// does not use keeps its default. An int32 output with scale 1 is the algorithm's own wide result.
struct GeluOp {
  std::string output, input;
  GeluKind kind = GeluKind::kTable;
  std::vector<std::int32_t> table;  // y = table[x - qmin of the input]
  std::int32_t input_zero = 0;
  GeluIbertParams ibert;
  Multiplier scale;
  std::int32_t zero = 0;
  Rounding rounding = Rounding::kHalfUp;
  ShiftGeluParams shiftgelu = {};
  GeluItaParams ita = {};
  GeluDeeployParams deeploy = {};
  std::int64_t addend = 0;  // deeploy's add
  bool operator==(const GeluOp&) const = default;
};

using Op = std::variant<GemmOp, MatmulOp, RequantizeOp, SoftmaxOp, LayernormOp, ResidualAddOp,
                        PatchifyOp, EmbedOp, GeluOp, AddOp>;

// "gemm", "matmul", "requantize", "softmax", "layernorm", "residual_add", "patchify", "embed",
// "gelu", "add"
std::string_view KindName(const Op& op);
const std::string& OutputOf(const Op& op);
std::vector<std::string> InputsOf(const Op& op);

struct Program {
  std::vector<TensorInfo> tensors;             // in the order they are defined; inputs first
  std::vector<std::string> inputs;             // names of the tensors that a run supplies
  std::map<std::string, IntTensor> constants;  // weights and biases
  std::vector<Op> ops;

  const TensorInfo& Tensor(std::string_view name) const;  // throws ProgramError
  const TensorInfo* FindTensor(std::string_view name) const;
  const IntTensor& Constant(std::string_view name) const;
  bool operator==(const Program&) const = default;
};

// A program that breaks a rule of its own format: a missing tensor, a shape or a range that does
// not fit, a parameter out of its documented range, an accumulator that could overflow under
// `error`.
struct ProgramError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Checks everything that an executor relies on, so that a loaded program can neither crash nor
// compute with undefined behaviour. Throws ProgramError naming the operation and what is wrong.
void Validate(const Program& program);

}  // namespace qsim
