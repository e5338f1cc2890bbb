#include "sim/semantics/exact.h"

namespace qsim {
namespace {

// The class token's row is in codes of the output; the others are in its steps, without zero point.
Reals PositionsOfIntegers(const EmbedOp& op, const Bundle& bundle) {
  const IntTensor& position = bundle.program.Constant(op.position);
  const auto& codes = position.As<std::int32_t>();
  const TensorScale& scale = bundle.scales.at(op.output);
  const auto channels = static_cast<std::size_t>(position.shape()[1]);
  Reals out(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const Quantization q = scale.At(i % channels);
    out[i] = q.scale * (codes[i] - (i < channels ? q.zero : 0));
  }
  return out;
}

}  // namespace

Reals Exact(const EmbedOp& op, const ExactOperands& in) {
  Reals out = in.float_weights ? AsReals(in.model.PositionsOf(op.output)) : PositionsOfIntegers(op, in.bundle);
  const Reals patches = in.tensor(op.a).Doubles();
  const std::size_t class_row = out.size() - patches.size();
  for (std::size_t i = 0; i < patches.size(); ++i) out[class_row + i] += patches[i];
  return out;
}

}  // namespace qsim
