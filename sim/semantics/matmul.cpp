#include <cmath>

#include "sim/semantics/exact.h"
#include "sim/semantics/float_nodes.h"

namespace qsim {
namespace {

// One product for each head.
FloatTensor Product(const MatmulOp& op, const FloatTensor& lhs, const FloatTensor& rhs) {
  const std::int64_t tokens = rhs.shape[0];
  const std::int64_t channels = rhs.shape[1];
  const std::int64_t d = channels / op.heads;
  FloatTensor out;
  out.data.resize(
      static_cast<std::size_t>(op.transpose_rhs ? op.heads * tokens * tokens : tokens * channels));
  std::vector<float> transposed(static_cast<std::size_t>(op.transpose_rhs ? d * tokens : 0));
  for (std::int64_t h = 0; h < op.heads; ++h) {
    if (!op.transpose_rhs) {
      FloatMatmul(lhs.data.data() + h * tokens * tokens, tokens, rhs.data.data() + h * d, channels,
                  {}, tokens, d, tokens, out.data.data() + h * d, channels);
      continue;
    }
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t c = 0; c < d; ++c) {
        transposed[static_cast<std::size_t>(c * tokens + t)] =
            rhs.data[static_cast<std::size_t>(t * channels + h * d + c)];
      }
    }
    FloatMatmul(lhs.data.data() + h * d, channels, transposed.data(), tokens, {}, tokens, tokens, d,
                out.data.data() + h * tokens * tokens, tokens);
  }
  return out;
}

// x / s + z - op_zero for every element: the number that the integer product would multiply.
// `inner`: elements of one zero point side by side.
FloatTensor Operand(const Grid& grid, FloatTensor x, const std::vector<std::int32_t>& op_zero,
                    std::size_t inner) {
  grid.ForEach([&](std::size_t i, Quantization q) {
    const std::size_t z = op_zero.size() == 1 ? 0 : i / inner % op_zero.size();
    x.data[i] = static_cast<float>(grid.Units(q, static_cast<double>(x.data[i])) -
                                   static_cast<double>(op_zero[z]));
  });
  return x;
}

// The product of these very integers, on operands that may lie off their grids.
Reals OnReals(const MatmulOp& op, const ExactOperands& in) {
  FloatTensor lhs = in.tensor(op.lhs).real();
  const FloatTensor& rhs = in.tensor(op.rhs).real();
  const Shape& stream = rhs.shape;
  const auto channels = static_cast<std::size_t>(stream[1]);
  const std::size_t head_dim = channels / static_cast<std::size_t>(op.heads);
  // Zero points run along heads, whose elements are columns of Q, K and V and planes of the
  // softmax.
  const std::size_t lhs_inner =
      op.transpose_rhs ? head_dim : static_cast<std::size_t>(stream[0] * stream[0]);
  const std::size_t rhs_inner = op.rhs_zero.size() == channels ? 1 : head_dim;
  if (op.mode == OperandMode::kShift) {
    for (float& v : lhs.data) v = std::ldexp(v, 15);
  } else {
    lhs = Operand(in.bundle.GridOf(op.lhs), std::move(lhs), op.lhs_zero, lhs_inner);
  }
  const FloatTensor b = Operand(in.bundle.GridOf(op.rhs), rhs, op.rhs_zero, rhs_inner);
  Reals out = AsReals(Product(op, lhs, b));
  const Grid grid = in.bundle.GridOf(op.output);
  grid.ForEach([&](std::size_t i, Quantization q) { out[i] = grid.Real(q, out[i]); });
  return out;
}

}  // namespace

Reals Exact(const MatmulOp& op, const ExactOperands& in) {
  if (!in.float_weights) return OnReals(op, in);
  const FloatTensor& rhs = in.tensor(op.rhs).real();
  FloatTensor out = Product(op, in.tensor(op.lhs).real(), rhs);
  if (op.transpose_rhs) {
    const auto head_dim = static_cast<double>(rhs.shape[1] / op.heads);
    const float factor = static_cast<float>(1 / std::sqrt(head_dim));
    for (float& v : out.data) v *= factor;
  }
  return AsReals(out);
}

}  // namespace qsim
